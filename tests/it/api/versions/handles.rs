//! Handles of agents and of their versions.

use serde_json::{Value, json};

use test_support::{factories::id, on_both};

#[tokio::test]
async fn the_handle_of_a_version_is_that_of_the_agent_when_it_was_so() {
    on_both(async |app| {
        let provider = app.a_provider("p").await;
        let (model, other) = (app.a_model(provider, "m").await, app.a_model(provider, "n").await);
        let server = json!({"name": "git", "transport": "stdio", "command": "git-mcp"});
        app.post("/v1/mcp-servers", &server).await.created();
        let body = json!({
            "name": "Ada \"the\u{e9}\" first", "role": "reviewer", "description": "Reviews.\nAll day.",
            "system_prompt": "You review.\n\tBe kind.", "skill_names": ["rust"], "competencies": ["sql"],
            "can_review": ["rust"], "traits": ["kind"], "languages": ["en"], "communication_style": "brief",
            "temperature": 0.5, "max_tokens": 100, "params": {"top_p": 0.5, "extra": {"n": 12_345_678_901_234_567_i64}},
            "model_id": model, "fallback_model_ids": [other], "metadata": {"b": 1, "a": {"x": 1.5}},
            "tools": [{"type": "mcp", "server": "git"}, {"type": "function", "name": "f", "parameters": {"type": "object"}}]
        });
        let agent = id(&app.post("/v1/agents", &body).await.created());
        let path = format!("/v1/agents/{agent}/handle");
        let live = app.get(&path).await.ok();
        assert_eq!(live["agent_version"], 1);
        assert_eq!(live["attributes"]["gen_ai.agent.version"], "1");

        let plain = json!({
            "name": "Eve", "role": null, "description": null, "system_prompt": null, "skill_names": [],
            "params": {}, "model_id": null, "fallback_model_ids": [], "tools": [], "metadata": {}, "temperature": null
        });
        app.patch(&format!("/v1/agents/{agent}"), &plain).await.ok();
        let second = app.get(&path).await.ok();
        assert_eq!(second["agent_version"], 2);
        for (version, expected) in [(1, &live), (2, &second)] {
            let (answer, statements) = app.statements(app.get(&format!("{path}?version={version}"))).await;
            assert_eq!(answer.ok(), *expected);
            assert!(statements <= 2, "{statements}");
        }
        app.patch(&format!("/v1/agents/{agent}"), &json!({"status": "busy"})).await.ok();
        let busy = app.get(&format!("{path}?version=1")).await.ok();
        assert_eq!(busy["agent_status"], "busy", "what it is doing is no part of a version");
        app.get(&format!("{path}?version=3")).await.problem(404, "not_found");
        app.get("/v1/agents/99/handle?version=1").await.problem(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn the_handles_of_a_circle_show_versions_and_their_tag_changes_with_them() {
    on_both(async |app| {
        let agent = app.an_agent("Ada").await;
        app.a_circle("team").await;
        app.a_member("team", agent).await;
        let path = "/v1/circles/team/handles";
        let before = app.get(path).await;
        let tag = before.header("etag").to_owned();
        assert_eq!(before.ok()["handles"][0]["agent_version"], 1);
        // A change that handles show by nothing but the version.
        app.patch(
            &format!("/v1/agents/{agent}"),
            &json!({"external_id": "ada@x"}),
        )
        .await
        .ok();
        let after = app.get_if_none_match(path, &tag).await.ok();
        assert_eq!(after["handles"][0]["agent_version"], 2);
        let shown: Vec<&Value> = after["handles"]
            .as_array()
            .expect("a list")
            .iter()
            .collect();
        assert_eq!(shown.len(), 1);
    })
    .await;
}
