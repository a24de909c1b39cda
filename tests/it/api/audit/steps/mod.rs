//! Every operation that changes something, in an order in which they succeed, with the audit entries
//! that it records and a request that is refused.

mod endings;
mod webhooks;

use reqwest::Method;
use serde_json::{Value, json};

use test_support::{Answer, TestApp};

/// A value for every text that a client can send. No audit entry may contain it.
pub(super) const CANARY: &str = "xyzzy-canary";

/// A request that changes something, and one of the same operation that is refused.
pub(super) struct Step {
    pub(super) operation: &'static str,
    pub(super) path: &'static str,
    pub(super) body: Option<Value>,
    /// The entries that it records, as `action resource name fields revision`. A revision is `+`, which means
    /// greater than the one before.
    pub(super) entries: &'static [&'static str],
    pub(super) refused_path: &'static str,
    pub(super) refused_body: Option<Value>,
}

fn step(
    operation: &'static str,
    path: &'static str,
    body: impl Into<Option<Value>>,
    entries: &'static [&'static str],
) -> Step {
    let body = body.into();
    Step {
        operation,
        path,
        refused_body: body.clone(),
        body,
        entries,
        refused_path: path,
    }
}

impl Step {
    /// The refused request has another path. Otherwise it is the same request, which is refused because
    /// it has succeeded before.
    fn refused_at(self, refused_path: &'static str) -> Self {
        Self {
            refused_path,
            ..self
        }
    }

    fn refused_with(self, body: Value) -> Self {
        Self {
            refused_body: Some(body),
            ..self
        }
    }

    pub(super) fn method(&self) -> Method {
        match self.operation.split('_').next() {
            Some("update") => Method::PATCH,
            Some("delete" | "remove") => Method::DELETE,
            Some("replace") => Method::PUT,
            _ => Method::POST,
        }
    }

    pub(super) async fn send(&self, app: &TestApp, path: &str, body: Option<&Value>) -> Answer {
        app.send(self.method(), path, body).await
    }
}

const MEMBERS: &str = "/v1/circles/team/members";
const MEMBER: &str = "/v1/circles/team/members/1";
const CONVERSATION: &str = "/v1/conversations/1";

/// Every operation that changes something, in an order in which they succeed.
pub(super) fn steps() -> Vec<Step> {
    let parts = [
        in_the_catalogue(),
        with_circles(),
        with_members(),
        with_releases(),
        in_conversations(),
        endings::in_the_end(),
        webhooks::with_webhooks(),
    ];
    parts.into_iter().flatten().collect()
}

fn in_the_catalogue() -> Vec<Step> {
    let anything = json!({"note": CANARY});
    vec![
        step(
            "create_provider",
            "/v1/providers",
            json!({"name": "p", "api_type": "openai", "config": anything, "display_name": CANARY}),
            &["create provider p - +"],
        ),
        step(
            "update_provider",
            "/v1/providers/1",
            json!({"config": anything, "base_url": format!("https://{CANARY}.example")}),
            &["update provider p base_url,config +"],
        )
        .refused_at("/v1/providers/99"),
        step(
            "create_model",
            "/v1/models",
            json!({"provider_id": 1, "model_name": "m"}),
            &["create model m - +"],
        )
        // A name that is taken would use up an id, on PostgreSQL.
        .refused_with(json!({"provider_id": 1, "model_name": ""})),
        step(
            "update_model",
            "/v1/models/1",
            json!({"mode": CANARY, "input_price": "3.25"}),
            &["update model m mode,input_price +"],
        )
        .refused_at("/v1/models/99"),
        step(
            "create_agent",
            "/v1/agents",
            json!({"name": "Ada", "model_id": 1, "system_prompt": CANARY}),
            &["create agent Ada - +"],
        )
        .refused_with(json!({"name": "Eve", "model_id": 99})),
        step(
            "replace_agent",
            "/v1/agents/by-external-id/eve@directory",
            json!({"name": "Eve", "description": CANARY}),
            &["create agent Eve - +"],
        )
        .refused_with(json!({"name": "Eve", "external_id": "other"})),
        step(
            "update_agent",
            "/v1/agents/1",
            json!({"base_prompt": CANARY, "metadata": anything, "skill_names": [CANARY]}),
            &["update agent Ada base_prompt,skill_names,metadata +"],
        )
        .refused_at("/v1/agents/99"),
        step(
            "restore_agent_version",
            "/v1/agents/1/versions/1/restore?message=xyzzy-canary",
            None,
            &["update agent Ada base_prompt,skill_names,metadata +"],
        )
        .refused_at("/v1/agents/1/versions/99/restore"),
    ]
}

fn with_circles() -> Vec<Step> {
    let anything = json!({"note": CANARY});
    vec![
        step(
            "create_circle",
            "/v1/circles",
            json!({"name": "team", "description": CANARY}),
            &["create circle team - +"],
        ),
        step(
            "update_circle",
            "/v1/circles/team",
            json!({"settings": anything}),
            &["update circle team settings +"],
        )
        .refused_at("/v1/circles/nobody"),
        step(
            "start_circle",
            "/v1/circles/team/start",
            None,
            &["start circle team status,started_at +"],
        )
        .refused_at("/v1/circles/nobody/start"),
        step(
            "stop_circle",
            "/v1/circles/team/stop",
            None,
            &["stop circle team status,stopped_at +"],
        )
        .refused_at("/v1/circles/nobody/stop"),
    ]
}

fn with_members() -> Vec<Step> {
    let anything = json!({"note": CANARY});
    vec![
        step(
            "add_member",
            MEMBERS,
            json!({"agent_id": 1, "permissions": anything}),
            &["create member team/1 - +"],
        ),
        step(
            "update_member",
            MEMBER,
            json!({"competencies": [CANARY], "role": "lead"}),
            &["update member team/1 role,competencies +"],
        )
        .refused_at("/v1/circles/team/members/99"),
        step(
            "batch_members",
            "/v1/circles/team/members:batch",
            json!({"operations": [{"op": "update", "agent_id": 1, "role": "member", "can_review": [CANARY]}]}),
            &["update member team/1 role,can_review +"],
        )
        .refused_with(json!({"operations": [{"op": "remove", "agent_id": 99}]})),
        step(
            "replace_members",
            MEMBERS,
            json!({"members": []}),
            &["delete member team/1 - +"],
        )
        .refused_with(json!({"members": [{"agent_id": 99}]})),
        step(
            "add_member",
            MEMBERS,
            json!({"agent_id": 1}),
            &["restore member team/1 - +"],
        ),
        step("remove_member", MEMBER, None, &["delete member team/1 - +"]),
    ]
}

fn with_releases() -> Vec<Step> {
    const RELEASES: &str = "/v1/circles/team/releases";
    const LABEL: &str = "/v1/circles/team/labels/staging";
    vec![
        step(
            "create_release",
            RELEASES,
            json!({"message": CANARY}),
            &["create release team/1 - -"],
        )
        .refused_with(json!({"labels": ["live"]})),
        step(
            "replace_label",
            LABEL,
            json!({"release": 1}),
            &["create label team/staging release +"],
        )
        .refused_with(json!({"release": 99})),
        step(
            "delete_label",
            LABEL,
            None,
            &["delete label team/staging - -"],
        ),
        step(
            "delete_release",
            "/v1/circles/team/releases/1",
            None,
            &["delete release team/1 - -"],
        ),
    ]
}

fn in_conversations() -> Vec<Step> {
    vec![
        step(
            "create_conversation",
            "/v1/conversations",
            json!({"topic": CANARY, "initial_prompt": CANARY}),
            &["create conversation - - +"],
        )
        .refused_with(json!({"topic": CANARY, "circle": "nobody"})),
        step(
            "update_conversation",
            CONVERSATION,
            json!({"summary": CANARY}),
            &["update conversation - summary +"],
        )
        .refused_at("/v1/conversations/99"),
        step(
            "add_participant",
            "/v1/conversations/1/participants",
            json!({"agent_id": 1}),
            &["create participant 1/1 - -"],
        ),
        step(
            "create_message",
            "/v1/conversations/1/messages",
            json!({"content": CANARY, "author_name": CANARY}),
            &["create message 1/1 - -"],
        )
        .refused_with(json!({"content": CANARY, "reply_to": 99})),
        step(
            "remove_participant",
            "/v1/conversations/1/participants/1",
            None,
            &["delete participant 1/1 - -"],
        ),
        step(
            "delete_conversation",
            CONVERSATION,
            None,
            &["delete conversation - - -"],
        ),
    ]
}
