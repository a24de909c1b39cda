//! Handles and lint.

use serde_json::{Value, json};

use test_support::{Answer, TestApp, on_both};

/// The part of a handle's prompt that comes from `source`.
fn part_from(handle: &Value, source: &str) -> Option<String> {
    let prompt: Vec<char> = handle["system_prompt"]
        .as_str()
        .expect("a prompt")
        .chars()
        .collect();
    let parts = handle["provenance"]["system_prompt"]
        .as_array()
        .expect("parts");
    let part = parts.iter().find(|part| part["source"] == source)?;
    let number =
        |field: &str| usize::try_from(part[field].as_u64().expect("a number")).expect("it");
    let (start, length) = (number("start"), number("length"));
    Some(prompt[start..start + length].iter().collect())
}

fn sources(handle: &Value) -> Vec<&str> {
    let parts = handle["provenance"]["system_prompt"]
        .as_array()
        .expect("parts");
    parts
        .iter()
        .map(|part| part["source"].as_str().expect("a source"))
        .collect()
}

/// The codes of the warnings, and whether each is about an agent.
pub(super) fn codes(warnings: &Value) -> Vec<(&str, bool)> {
    let warnings = warnings.as_array().expect("warnings");
    warnings
        .iter()
        .map(|warning| {
            (
                warning["code"].as_str().expect("a code"),
                warning["agent_id"].is_i64(),
            )
        })
        .collect()
}

pub(super) async fn post(app: &TestApp, path: &str, body: Value) -> i64 {
    let created = app.post(path, &body).await.created();
    created["id"].as_i64().unwrap_or_default()
}

/// A provider with a key variable, and a model with all fields set.
pub(super) async fn a_sound_model(app: &TestApp) -> i64 {
    let provider = json!({
        "name": "acme", "api_type": "openai", "base_url": "https://api.acme.example/v1",
        "api_key_env": "ACME_API_KEY"
    });
    let provider = post(app, "/v1/providers", provider).await;
    let model = json!({
        "provider_id": provider, "model_name": "acme-1", "context_window": 1000, "max_output": 300,
        "default_temperature": 0.9, "supports_tools": true
    });
    post(app, "/v1/models", model).await
}

#[tokio::test]
async fn a_handle_holds_all_that_a_runtime_needs() {
    on_both(async |app| {
        let model = a_sound_model(app).await;
        let agent = json!({
            "name": "Ada", "role": "lead", "model_id": model, "system_prompt": "You lead.",
            "description": "Use this agent when plans differ.",
            "skill_names": ["plan", "write"], "competencies": ["rust"], "can_review": ["rust"],
            "temperature": 0.4
        });
        let agent = post(app, "/v1/agents", agent).await;
        app.a_circle("team").await;
        let member = json!({"agent_id": agent, "role": "lead", "permissions": {"merge": true}, "max_tokens": 99});
        post(app, "/v1/circles/team/members", member).await;

        let circle = app.get("/v1/circles/team/handles").await.ok();
        assert_eq!((&circle["circle"], &circle["warnings"]), (&json!("team"), &json!([])));
        let handle = &circle["handles"][0];
        for (field, value) in [
            ("agent_id", json!(agent)),
            ("agent_name", json!("Ada")),
            ("agent_role", json!("lead")),
            ("agent_description", json!("Use this agent when plans differ.")),
            ("role", json!("lead")),
            ("permissions", json!({"merge": true})),
            ("provider", json!("acme")),
            ("api_type", json!("openai")),
            ("base_url", json!("https://api.acme.example/v1")),
            ("api_key_env", json!("ACME_API_KEY")),
            ("model", json!("acme-1")),
            ("context_window", json!(1000)),
            ("max_output", json!(300)),
            ("skill_names", json!(["plan", "write"])),
            ("competencies", json!(["rust"])),
            ("can_review", json!(["rust"])),
            ("temperature", json!(0.4)),
            ("max_tokens", json!(99)),
            ("warnings", json!([])),
        ] {
            assert_eq!(handle[field], value, "{field}");
        }
        assert_eq!(handle["capabilities"]["tools"], true);
        assert_eq!(handle["capabilities"]["vision"], false);

        let alone = app.get(&format!("/v1/agents/{agent}/handle")).await.ok();
        assert_eq!(alone["system_prompt"], handle["system_prompt"]);
        assert_eq!((&alone["role"], &alone["max_tokens"]), (&Value::Null, &json!(300)));
        assert_eq!(alone["provenance"]["max_tokens"], "model");
    })
    .await;
}

#[tokio::test]
async fn settings_come_from_the_member_then_the_agent_then_the_model() {
    on_both(async |app| {
        let model = a_sound_model(app).await;
        let agent = post(app, "/v1/agents", json!({"name": "Ada", "model_id": model})).await;
        app.a_circle("team").await;
        app.a_member("team", agent).await;
        let (agent_path, member_path) = (
            format!("/v1/agents/{agent}"),
            format!("/v1/circles/team/members/{agent}"),
        );
        for (path, patch, layer, temperature, max_tokens) in [
            (&agent_path, json!({}), "model", 0.9, 300),
            (
                &agent_path,
                json!({"temperature": 0.5, "max_tokens": 200}),
                "agent",
                0.5,
                200,
            ),
            (
                &member_path,
                json!({"temperature": 0.0, "max_tokens": 100}),
                "member",
                0.0,
                100,
            ),
        ] {
            app.patch(path, &patch).await.ok();
            let handle = &app.get("/v1/circles/team/handles").await.ok()["handles"][0];
            let provenance = &handle["provenance"];
            assert_eq!(
                (&provenance["temperature"], &provenance["max_tokens"]),
                (&json!(layer), &json!(layer))
            );
            assert_eq!(handle["temperature"].as_f64(), Some(temperature));
            assert_eq!(handle["max_tokens"], max_tokens);
        }
        let lists = json!({"competencies": ["agent's"], "can_review": ["agent's"]});
        app.patch(&agent_path, &lists).await.ok();
        app.patch(&member_path, &json!({"competencies": ["member's"]}))
            .await
            .ok();
        let handle = &app.get("/v1/circles/team/handles").await.ok()["handles"][0];
        assert_eq!(
            (&handle["competencies"][0], &handle["can_review"][0]),
            (&json!("member's"), &json!("agent's"))
        );
        let provenance = &handle["provenance"];
        assert_eq!(
            (&provenance["competencies"], &provenance["can_review"]),
            (&json!("member"), &json!("agent"))
        );
    })
    .await;
}

#[tokio::test]
async fn every_part_of_the_prompt_says_where_it_came_from() {
    on_both(async |app| {
        let agents = [
            json!({"name": "Own", "system_prompt": "Ünder way.", "base_prompt": "no", "skill_names": ["a", "b"]}),
            json!({"name": "Base", "base_prompt": "The base."}),
            json!({"name": "None", "role": "tester", "system_prompt": "  "}),
        ];
        let circle = json!({
            "name": "team", "settings": {"instructions": " Be kind. "}, "project_context": "A registry."
        });
        post(app, "/v1/circles", circle).await;
        for agent in agents {
            let agent = post(app, "/v1/agents", agent).await;
            app.a_member("team", agent).await;
        }
        let circle = app.get("/v1/circles/team/handles").await.ok();
        let [own, base, none] = &circle["handles"].as_array().expect("handles")[..] else {
            panic!("{circle}");
        };
        assert_eq!(
            own["system_prompt"],
            "Ünder way.\n\n## Instructions of the circle\n\n Be kind. \n\n\
             ## Project context\n\nA registry.\n\n## Skills\n\n- a\n- b"
        );
        let all = ["agent_system_prompt", "circle_instructions", "circle_project_context", "agent_skills"];
        assert_eq!(sources(own), all);
        for (source, text) in [
            ("agent_system_prompt", "Ünder way."),
            ("circle_instructions", "## Instructions of the circle\n\n Be kind. "),
            ("circle_project_context", "## Project context\n\nA registry."),
            ("agent_skills", "## Skills\n\n- a\n- b"),
        ] {
            assert_eq!(part_from(own, source).as_deref(), Some(text));
        }
        assert_eq!(part_from(base, "agent_base_prompt").as_deref(), Some("The base."));
        assert_eq!(part_from(none, "default").as_deref(), Some("You are None, tester."));
        assert_eq!(sources(none), ["default", "circle_instructions", "circle_project_context"]);
    })
    .await;
}

#[tokio::test]
async fn handles_take_one_statement_whatever_the_number_of_members() {
    on_both(async |app| {
        let model = a_sound_model(app).await;
        let mut agents = Vec::new();
        for (name, count) in [("one", 1), ("twenty", 20), ("many", 500)] {
            app.a_circle(name).await;
            while agents.len() < count {
                let name = format!("agent {}", agents.len());
                agents.push(app.an_agent_on(&name, model).await);
            }
            for agent in &agents[..count] {
                app.a_member(name, *agent).await;
            }
            let path = format!("/v1/circles/{name}/handles");
            let (answer, statements) = app.statements(app.get(&path)).await;
            assert_eq!(answer.ok()["handles"].as_array().map(Vec::len), Some(count));
            assert_eq!(statements, 1, "{count} members");
        }
        let path = format!("/v1/agents/{}/handle", agents[0]);
        let (answer, statements) = app.statements(app.get(&path)).await;
        answer.ok();
        assert_eq!(statements, 1);
    })
    .await;
}

#[tokio::test]
async fn a_handle_of_nobody_is_not_found() {
    on_both(async |app| {
        app.get("/v1/circles/none/handles")
            .await
            .problem(404, "not_found");
        app.get("/v1/circles/none/lint")
            .await
            .problem(404, "not_found");
        app.get("/v1/agents/1/handle")
            .await
            .problem(404, "not_found");
        app.a_circle("empty").await;
        let empty = app.get("/v1/circles/empty/handles").await.ok();
        assert_eq!(empty["handles"], json!([]));
        assert_eq!(
            codes(&empty["warnings"]),
            [("empty_circle", false), ("no_reviewer", false)]
        );
    })
    .await;
}

#[tokio::test]
async fn handles_have_a_tag_of_what_they_show() {
    on_both(async |app| {
        let model = a_sound_model(app).await;
        let agent = post(app, "/v1/agents", json!({"name": "Ada", "model_id": model})).await;
        app.a_circle("team").await;
        app.a_member("team", agent).await;
        for path in [
            "/v1/circles/team/handles".to_owned(),
            format!("/v1/agents/{agent}/handle"),
        ] {
            let tag = app.get(&path).await.header("etag").to_owned();
            let again = async |tag: &str| {
                let request = app.request(reqwest::Method::GET, &path);
                Answer::to(request.header("if-none-match", tag)).await
            };
            let (unchanged, statements) = app.statements(again(&tag)).await;
            assert_eq!(
                (unchanged.status, unchanged.text.as_str(), statements),
                (304, "", 1)
            );
            assert_eq!(unchanged.header("etag"), tag);
            for patched in [
                (format!("/v1/agents/{agent}"), json!({"system_prompt": tag})),
                (
                    format!("/v1/models/{model}"),
                    json!({"max_output": tag.len() + path.len()}),
                ),
                (
                    "/v1/providers/1".to_owned(),
                    json!({"api_key_env": format!("KEY_{}", path.len())}),
                ),
            ] {
                let before = app.get(&path).await.header("etag").to_owned();
                app.patch(&patched.0, &patched.1).await.ok();
                let changed = again(&before).await;
                assert_ne!(changed.header("etag"), before, "{}", patched.0);
                changed.ok();
            }
        }
    })
    .await;
}
