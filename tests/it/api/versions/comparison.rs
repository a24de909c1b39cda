//! What differs between two versions.

use serde_json::{Value, json};

use test_support::{TestApp, factories::id, on_both};

async fn changes(app: &TestApp, path: &str) -> Value {
    app.get(path).await.ok()["changes"].clone()
}

#[tokio::test]
async fn versions_are_compared_field_by_field_with_the_one_before_or_another() {
    on_both(async |app| {
        let search = |uses: i64| json!({"type": "builtin", "name": "web_search", "config": {"max_uses": uses}});
        let body = json!({
            "name": "Ada", "system_prompt": "You review.\nBe thorough.\n", "tools": [search(5)], "params": {"top_p": 0.5}
        });
        let agent = id(&app.post("/v1/agents", &body).await.created());
        let path = format!("/v1/agents/{agent}");
        let second = json!({
            "system_prompt": "You review.\nBe brief.\n", "tools": [search(3)], "params": {"seed": 7}, "role": "reviewer"
        });
        app.patch(&path, &second).await.ok();
        app.patch(&path, &json!({"role": null, "metadata": {"a": {"b": 1}}})).await.ok();

        let of = |number: i64, query: &str| format!("{path}/versions/{number}/diff{query}");
        let (answer, statements) = app.statements(app.get(&of(2, ""))).await;
        assert_eq!(statements, 1);
        let expected = json!({
            "agent_id": agent, "number": 2, "against": 1,
            "changes": [
                {"path": "role", "before": null, "after": "reviewer"},
                {"path": "system_prompt", "diff": "@@ -1,2 +1,2 @@\n You review.\n-Be thorough.\n+Be brief.\n"},
                {"path": "params.top_p", "before": 0.5},
                {"path": "params.seed", "after": 7},
                {"path": "tools[web_search].config.max_uses", "before": 5, "after": 3},
            ]
        });
        let tag = answer.header("etag").to_owned();
        assert_eq!(answer.ok(), expected);
        assert_eq!(app.get_if_none_match(&of(2, ""), &tag).await.status, 304);
        let metadata = json!({"path": "metadata.a", "after": {"b": 1}});
        let role = json!({"path": "role", "before": "reviewer", "after": null});
        assert_eq!(changes(app, &of(3, "")).await, json!([role, metadata]));
        let back = json!({"path": "metadata.a", "before": {"b": 1}});
        let role = json!({"path": "role", "before": null, "after": "reviewer"});
        assert_eq!(changes(app, &of(2, "?against=3")).await, json!([role, back]));
        assert_eq!(changes(app, &of(2, "?against=2")).await, json!([]));
        let first = app.get(&of(1, "")).await.ok();
        assert_eq!(first["against"], Value::Null);
        assert_eq!(first["changes"].as_array().expect("a list").len(), 19);
        assert_eq!(first["changes"][0], json!({"path": "name", "after": "Ada"}));
        for gone in [of(9, ""), of(1, "?against=9"), "/v1/agents/9/versions/1/diff".to_owned()] {
            app.get(&gone).await.problem(404, "not_found");
        }
    })
    .await;
}
