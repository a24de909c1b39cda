//! `/v1/providers`

use serde_json::json;

use test_support::{
    factories::{id, timestamp},
    on_both,
};

#[tokio::test]
async fn a_provider_is_created_read_updated_and_deleted() {
    on_both(async |app| {
        let new = json!({
            "name": "anthropic", "display_name": "Anthropic", "api_type": "anthropic",
            "base_url": "https://api.anthropic.com", "api_key_env": "ANTHROPIC_API_KEY",
            "config": {"region": "eu"}
        });
        let answer = app.post("/v1/providers", &new).await;
        let location = answer.header("location").to_owned();
        let created = answer.created();
        assert_eq!(location, format!("/v1/providers/{}", created["id"]));
        for (field, value) in new.as_object().expect("an object") {
            assert_eq!(created[field], *value, "{field}");
        }
        assert_eq!(created["is_local"], false);
        assert_eq!(app.get(&location).await.ok(), created);

        let patch = json!({"display_name": null, "is_local": true});
        let updated = app.patch(&location, &patch).await.ok();
        assert_eq!(
            (&updated["display_name"], &updated["is_local"]),
            (&json!(null), &json!(true))
        );
        assert_eq!(
            updated["base_url"], created["base_url"],
            "an absent field stays"
        );
        assert!(timestamp(&updated["updated_at"]) > timestamp(&created["updated_at"]));
        assert_eq!(app.patch(&location, &json!({})).await.ok(), updated);

        app.delete(&location).await.no_content();
        app.get(&location).await.problem(404, "not_found");
        app.delete(&location).await.problem(404, "not_found");
        app.patch(&location, &patch).await.problem(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn a_provider_s_name_is_unique_regardless_of_case() {
    on_both(async |app| {
        app.a_provider("OpenAI").await;
        let second = json!({"name": "openai", "api_type": "openai"});
        app.post("/v1/providers", &second)
            .await
            .problem(409, "provider_name_taken");
        let other = app.a_provider("other").await;
        let rename = json!({"name": "OPENAI"});
        let path = format!("/v1/providers/{other}");
        app.patch(&path, &rename)
            .await
            .problem(409, "provider_name_taken");
        assert_eq!(app.get(&path).await.ok()["name"], "other");
    })
    .await;
}

#[tokio::test]
async fn a_provider_with_models_goes_only_together_with_them() {
    on_both(async |app| {
        let provider = app.a_provider("p").await;
        for name in ["a", "b", "c", "d"] {
            app.a_model(provider, name).await;
        }
        let path = format!("/v1/providers/{provider}");
        let problem = app.delete(&path).await.problem(409, "provider_in_use");
        let detail = problem["detail"].as_str().expect("a detail");
        assert!(detail.contains("a, b, c and 1 more"), "{detail}");
        app.get(&path).await.ok();

        app.delete(&format!("{path}?cascade=true"))
            .await
            .no_content();
        assert_eq!(app.get("/v1/models?count=true").await.ok()["total"], 0);
    })
    .await;
}

#[tokio::test]
async fn a_provider_whose_model_runs_an_agent_stays_even_with_cascade() {
    on_both(async |app| {
        let provider = app.a_provider("p").await;
        let free = app.a_model(provider, "free").await;
        let used = app.a_model(provider, "used").await;
        let agent = app.an_agent_on("Ada", used).await;
        let path = format!("/v1/providers/{provider}?cascade=true");
        let problem = app.delete(&path).await.problem(409, "model_in_use");
        assert!(
            problem["detail"]
                .as_str()
                .is_some_and(|detail| detail.contains("Ada"))
        );
        app.get(&format!("/v1/models/{free}")).await.ok();

        app.delete(&format!("/v1/agents/{agent}"))
            .await
            .no_content();
        app.delete(&path).await.no_content();
    })
    .await;
}

#[tokio::test]
async fn providers_are_found_by_text_and_place() {
    on_both(async |app| {
        let body = json!({"name": "ollama", "api_type": "ollama", "is_local": true, "display_name": "My 100%_machine"});
        let local = id(&app.post("/v1/providers", &body).await.created());
        app.a_provider("openai").await;
        let found = async |query: &str| {
            let page = app.get(&format!("/v1/providers?{query}")).await.ok();
            let rows = page["data"].as_array().expect("rows").clone();
            rows.iter().map(id).collect::<Vec<_>>()
        };
        assert_eq!(found("q=OLLA").await, [local]);
        assert_eq!(found("q=100%25_M").await, [local]);
        assert_eq!(found("q=%25x").await, [0; 0]);
        assert_eq!(found("is_local=true").await, [local]);
        assert_eq!(found("is_local=false&q=o").await.len(), 1);
    })
    .await;
}
