//! What the API refuses to store: secrets, and addresses to which prompts and keys would travel
//! unencrypted.

use serde_json::{Value, json};

use test_support::{TestApp, on_both};

const KEY: &str = "sk-ant-api03-Zq3vT9xKpL2mWc8RnY5bJd7HfGs1AeUi";

#[tokio::test]
async fn what_looks_like_a_key_is_refused_with_a_word_on_where_it_belongs() {
    on_both(async |app| {
        let provider = app.a_provider("acme").await;
        let agent = app.an_agent("Ada").await;
        app.a_circle("team").await;
        app.a_member("team", agent).await;
        let before = everything(app).await;
        let deep = json!({"a": [{"b": KEY}]});
        for (list, row, body, pointer) in [
            (
                "/v1/providers",
                format!("/v1/providers/{provider}"),
                json!({"config": deep}),
                "#/config/a/0/b",
            ),
            (
                "/v1/agents",
                format!("/v1/agents/{agent}"),
                json!({"metadata": deep}),
                "#/metadata/a/0/b",
            ),
            (
                "/v1/circles",
                "/v1/circles/team".to_owned(),
                json!({"settings": deep}),
                "#/settings/a/0/b",
            ),
            (
                "/v1/circles/team/members",
                format!("/v1/circles/team/members/{agent}"),
                json!({"permissions": deep}),
                "#/permissions/a/0/b",
            ),
        ] {
            let problem = app.patch(&row, &body).await.invalid(&[pointer]);
            let detail = problem["errors"][0]["detail"].as_str().expect("a text");
            assert!(detail.contains("environment variable"), "{detail}");
            assert!(detail.contains("api_key_env"), "{detail}");
            assert!(!problem.to_string().contains(KEY), "{problem}");
            let answer = app.post(list, &body).await;
            let problem = answer.problem(422, "invalid_request");
            assert!(problem.to_string().contains(pointer), "{problem}");
        }
        let batch = json!({"operations": [
            {"op": "update", "agent_id": agent, "permissions": deep}
        ]});
        let answer = app.post("/v1/circles/team/members:batch", &batch).await;
        answer.invalid(&["#/operations/0/permissions/a/0/b"]);
        assert_eq!(everything(app).await, before, "nothing was changed");
    })
    .await;
}

async fn everything(app: &TestApp) -> Vec<Value> {
    let mut all = Vec::new();
    for path in ["/v1/providers", "/v1/agents", "/v1/circles?include=members"] {
        all.push(app.get(path).await.ok());
    }
    all
}

#[tokio::test]
async fn a_key_in_place_of_its_variable_s_name_is_told_from_a_bad_name() {
    on_both(async |app| {
        for (name, secret) in [
            (KEY, true),
            ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", true),
            ("AKIAIOSFODNN7EXAMPLE", true),
            ("not a name", false),
            ("1ST_KEY", false),
        ] {
            let body = json!({"name": "acme", "api_type": "x", "api_key_env": name});
            let problem = app.post("/v1/providers", &body).await;
            let problem = problem.problem(422, "invalid_request");
            let told = problem.to_string();
            assert_eq!(told.contains("looks like a secret"), secret, "{told}");
            assert!(!told.contains(name), "{told}");
        }
        for name in ["ACME_API_KEY", "_x", "AcmeKey2"] {
            let provider = name.trim_start_matches('_');
            let body = json!({"name": provider, "api_type": "x", "api_key_env": name});
            app.post("/v1/providers", &body).await.created();
        }
    })
    .await;
}

#[tokio::test]
async fn prompts_and_prose_about_keys_are_stored() {
    on_both(async |app| {
        let prose = "You are a security reviewer. Keys begin with sk- or AKIA; never repeat one.";
        let body = json!({
            "name": "Ada",
            "system_prompt": prose,
            "metadata": {"note": prose, "commit": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4"},
        });
        app.post("/v1/agents", &body).await.created();
        let body = json!({"name": "team", "settings": {"instructions": prose.repeat(20)}});
        app.post("/v1/circles", &body).await.created();
    })
    .await;
}

#[tokio::test]
async fn a_known_key_is_refused_in_any_text_and_by_what_it_is() {
    on_both(async |app| {
        let jwt = [
            "ey",
            "JhbGciOiJIUzI1NiJ9.ey",
            "JzdWIiOiIxMjM0In0.dozjgNryP4J3jVmN",
        ]
        .concat();
        for (body, pointer, kind) in [
            (json!({"name": KEY}), "#/name", "Anthropic API key"),
            (
                json!({"name": "a", "system_prompt": format!("Use {KEY}.")}),
                "#/system_prompt",
                "Anthropic",
            ),
            (
                json!({"name": "a", "metadata": {"t": jwt}}),
                "#/metadata/t",
                "JSON Web Token",
            ),
            (
                json!({"name": "a", "metadata": {"password": "hunter2"}}),
                "#/metadata/password",
                "name",
            ),
            (
                json!({"name": "a", "metadata": {"db": "postgres://u:p@h"}}),
                "#/metadata/db",
                "URL",
            ),
            (
                json!({"name": "a", "metadata": {(KEY): 1}}),
                "#/metadata",
                "Anthropic API key",
            ),
        ] {
            let answer = app.post("/v1/agents", &body).await;
            let problem = answer.invalid(&[pointer]);
            let detail = problem["errors"][0]["detail"].as_str().expect("a text");
            assert!(detail.contains(kind), "{detail}");
            assert!(!problem.to_string().contains(KEY), "{problem}");
        }
        let google = ["AI", "zaSyD4c9XbT7qLm2KfR8vWn3YpJ6hGsZaEuQ1"].concat();
        for query in [format!("key={google}"), "api_key=q1w2e3!".to_owned()] {
            let base_url = format!("https://api.acme.example/v1?{query}");
            let answer = app
                .post("/v1/providers", &provider("acme", &base_url, false))
                .await;
            answer.invalid(&["#/base_url"]);
        }
        assert_eq!(app.total("/v1/agents").await, 0);
        assert_eq!(app.total("/v1/providers").await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_secret_in_a_message_s_tool_calls_is_refused() {
    on_both(async |app| {
        let conversation = app
            .post("/v1/conversations", &json!({"topic": "a"}))
            .await
            .created();
        let path = format!("/v1/conversations/{}/messages", conversation["id"]);
        let call = json!({"headers": {"Authorization": "Bearer a1b2c3"}});
        let message =
            |call: Value| json!({"author_name": "Ada", "content": "x", "tool_calls": [call]});
        let answer = app.post(&path, &message(call.clone())).await;
        answer.invalid(&["#/tool_calls/0/headers/Authorization"]);
        let call = json!({"function": {"name": "get", "arguments": call.to_string()}});
        let answer = app.post(&path, &message(call)).await;
        answer.invalid(&["#/tool_calls/0/function/arguments"]);
        let call = json!({"headers": {"Authorization": "Bearer ${ACME_TOKEN}"}});
        app.post(&path, &message(call)).await.created();
    })
    .await;
}

#[tokio::test]
async fn what_only_looks_like_a_secret_is_stored_and_reported() {
    on_both(async |app| {
        let random = "Zq3vT9xKpL2mWc8RnY5bJd7HfGs1AeUi";
        let config =
            json!({"headers": [{"x-id": random}], "ä": random, "token": "Ask Ada for it."});
        let body = json!({"name": "acme", "api_type": "x", "config": config});
        let answer = app.post("/v1/providers", &body).await;
        assert_eq!(
            answer.header("suspected-secret"),
            "#/config/headers/0/x-id, #/config/%C3%A4, #/config/token"
        );
        let provider = answer.created();
        assert_eq!(provider["config"], config);
        let path = format!("/v1/providers/{}", provider["id"]);
        let answer = app.patch(&path, &json!({"config": {"a": [random]}})).await;
        assert_eq!(answer.header("suspected-secret"), "#/config/a/0");
        answer.ok();
        // Not stored, so not reported.
        let answer = app
            .post(
                "/v1/providers",
                &json!({"name": "acme", "api_type": "x", "config": config}),
            )
            .await;
        assert!(!answer.headers.contains_key("suspected-secret"));
        answer.problem(409, "provider_name_taken");
        for config in [
            json!({}),
            json!({"sri": format!("sha384-{random}{random}")}),
        ] {
            let answer = app.patch(&path, &json!({"config": config})).await;
            assert!(!answer.headers.contains_key("suspected-secret"));
            answer.ok();
        }
    })
    .await;
}

#[tokio::test]
async fn what_only_looks_random_is_no_secret() {
    on_both(async |app| {
        let id = "1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms";
        let metadata = json!({
            "sheet": format!("https://docs.google.com/spreadsheets/d/{id}/edit#gid=0"),
            "integrity": "sha384-oqVuAfXRKap7fdgcCY5uykM6+R9GqQ8K/uxy9rx7HNQlGYl1kPzQho1wx4JwY8wC",
            "ssh": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGq7Lr2XUtnFe9IK7mD4NgbPxRf1CYz8aW3pKe5T9v ada@example",
            "signatures": [{"protected": "eyJhbGciOiJFUzI1NiJ9", "signature": format!("{id}{id}")}],
            "link": "https://api.example/getUserAccountInformationByIdentifierAndRegion2/V2Beta",
            "api_key": "${OPENAI_API_KEY}",
            "max_tokens": 4096,
        });
        let prompt = "Refuse files that begin with -----BEGIN PRIVATE KEY-----";
        let body = json!({"name": "Ada", "system_prompt": prompt, "metadata": metadata});
        let agent = app.post("/v1/agents", &body).await.created();
        assert_eq!(agent["metadata"], metadata);
    })
    .await;
}

fn provider(name: &str, base_url: &str, is_local: bool) -> Value {
    json!({"name": name, "api_type": "x", "base_url": base_url, "is_local": is_local})
}

#[tokio::test]
async fn a_base_url_is_https_unless_local_and_hides_nothing() {
    on_both(async |app| {
        for base_url in [
            "http://api.acme.example",
            "HTTPS://api.acme.example",
            "https://me@api.acme.example",
            "https://me:secret@api.acme.example/v1",
            "https://api.acme.example/#v1",
            "https://api.acme.example\\@evil.example",
            "https://%",
            "ftp://api.acme.example",
        ] {
            let answer = app
                .post("/v1/providers", &provider("acme", base_url, false))
                .await;
            answer.invalid(&["#/base_url"]);
        }
        let local = "http://127.0.0.1:11434/v1?a=b@c";
        app.post("/v1/providers", &provider("here", local, true))
            .await
            .created();
        let remote = "https://api.acme.example:8443/v1";
        app.post("/v1/providers", &provider("there", remote, false))
            .await
            .created();
        assert_eq!(app.total("/v1/providers").await, 2);
    })
    .await;
}

#[tokio::test]
async fn a_change_of_either_must_leave_base_url_and_is_local_a_pair() {
    on_both(async |app| {
        let new = provider("here", "http://127.0.0.1:11434", true);
        let created = app.post("/v1/providers", &new).await.created();
        let path = format!("/v1/providers/{}", created["id"]);
        let refused = async |patch: Value| {
            app.patch(&path, &patch).await.invalid(&["#/base_url"]);
            assert_eq!(app.get(&path).await.ok(), created, "nothing was changed");
        };
        refused(json!({"is_local": false})).await;
        refused(json!({"is_local": false, "display_name": "x"})).await;
        refused(json!({"is_local": false, "base_url": "http://127.0.0.1"})).await;
        let moved = json!({"is_local": false, "base_url": "https://api.acme.example"});
        app.patch(&path, &moved).await.ok();
        let answer = app
            .patch(&path, &json!({"base_url": "http://127.0.0.1"}))
            .await;
        answer.invalid(&["#/base_url"]);
        app.patch(&path, &json!({"base_url": null})).await.ok();
        app.patch(&path, &json!({"is_local": true})).await.ok();
        app.patch(&path, &json!({"base_url": "http://127.0.0.1"}))
            .await
            .ok();
        app.patch(&path, &json!({"base_url": null, "is_local": false}))
            .await
            .ok();
    })
    .await;
}
