//! `/v1/models`

use serde_json::{Value, json};

use test_support::{
    factories::{assert_holds, timestamp},
    on_both,
};

/// A model with every field set.
pub(super) fn sonnet(provider_id: i64) -> Value {
    json!({
        "provider_id": provider_id, "model_name": "anthropic/claude-sonnet@4:5",
        "model_alias": "sonnet", "mode": "chat", "input_price": "3.0000000000",
        "output_price": "15.0000000000", "cache_read_price": "0.3000200000",
        "cache_write_price": "0.0000000001", "context_window": 200_000, "max_output": 64_000,
        "supports_vision": true, "supports_tools": true, "supports_streaming": true,
        "supports_reasoning": true, "release_date": "2025-09-29",
        "deprecation_date": "2028-02-29", "is_deprecated": true
    })
}

/// The fields of a patch, all different.
pub(super) fn changes() -> Value {
    json!({
        "model_name": "text-embedding", "model_alias": "embed", "mode": "embedding",
        "input_price": "0.0200000000", "output_price": "0.0000000000",
        "cache_read_price": "99999999.9999999999", "cache_write_price": "12345678.0123456789",
        "context_window": 0, "max_output": 1_000_000_000, "supports_vision": false,
        "supports_tools": false, "supports_streaming": false, "supports_reasoning": false,
        "supports_response_schema": false, "supports_prompt_caching": false,
        "supports_pdf_input": false, "supports_audio_input": false, "supports_web_search": false,
        "supports_computer_use": false, "accepts_sampling": true, "reasoning_efforts": ["none"],
        "price_tiers": [], "prices": {"search.low": "0.0100000000"}, "price_source": "own",
        "pinned_fields": [],
        "release_date": "1970-01-01", "deprecation_date": "9999-12-31", "is_deprecated": false
    })
}

#[tokio::test]
async fn a_model_is_created_read_updated_and_deleted() {
    on_both(async |app| {
        let provider = app.a_provider("anthropic").await;
        let answer = app.post("/v1/models", &sonnet(provider)).await;
        let location = answer.header("location").to_owned();
        let created = answer.created();
        assert_eq!(location, format!("/v1/models/{}", created["id"]));
        assert_holds(&created, &sonnet(provider));
        assert_eq!(app.get(&location).await.ok(), created);
        assert_eq!(app.patch(&location, &json!({})).await.ok(), created);

        let updated = app.patch(&location, &changes()).await.ok();
        assert_holds(&updated, &changes());
        assert_eq!(updated["provider_id"], provider);
        assert_eq!(updated["created_at"], created["created_at"]);
        assert!(timestamp(&updated["updated_at"]) > timestamp(&created["updated_at"]));
        assert_eq!(app.get(&location).await.ok(), updated);

        app.delete(&location).await.no_content();
        app.get(&location).await.problem(404, "not_found");
        app.delete(&location).await.problem(404, "not_found");
        let patch = app.patch(&location, &changes()).await;
        patch.problem(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn a_model_needs_no_more_than_a_provider_and_a_name() {
    on_both(async |app| {
        let provider = app.a_provider("p").await;
        let body = json!({"provider_id": provider, "model_name": "m"});
        let created = app.post("/v1/models", &body).await.created();
        let nothing = json!({
            "model_alias": null, "mode": null, "input_price": null, "output_price": null,
            "cache_read_price": null, "cache_write_price": null, "context_window": null,
            "max_output": null, "supports_vision": false, "supports_tools": false,
            "supports_streaming": false, "supports_reasoning": false,
            "supports_response_schema": false, "supports_prompt_caching": false,
            "supports_pdf_input": false, "supports_audio_input": false,
            "supports_web_search": false, "supports_computer_use": false,
            "accepts_sampling": true, "reasoning_efforts": [], "price_tiers": [], "prices": {},
            "price_source": null, "priced_at": null, "pinned_fields": [], "release_date": null,
            "deprecation_date": null, "is_deprecated": false
        });
        assert_holds(&created, &nothing);
        app.post("/v1/models", &json!({}))
            .await
            .invalid(&["#/provider_id", "#/model_name"]);
    })
    .await;
}

#[tokio::test]
async fn a_date_is_a_day_of_the_calendar() {
    on_both(async |app| {
        let provider = app.a_provider("p").await;
        for date in [
            "2026-02-29",
            "2026-13-01",
            "2026-1-1",
            " 2026-01-01",
            "+12026-01-01",
            "2026-01-01T00:00:00Z",
            "",
        ] {
            let body = json!({"provider_id": provider, "model_name": "m", "release_date": date});
            let answer = app.post("/v1/models", &body).await;
            answer.invalid(&["#/release_date"]);
        }
        assert_eq!(app.total("/v1/models").await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_model_belongs_to_a_provider_that_exists_and_stays_with_it() {
    on_both(async |app| {
        let unknown = json!({"provider_id": 17, "model_name": "m"});
        app.post("/v1/models", &unknown)
            .await
            .invalid(&["#/provider_id"]);
        assert_eq!(app.total("/v1/models").await, 0);

        let (first, second) = (app.a_provider("p").await, app.a_provider("q").await);
        let path = format!("/v1/models/{}", app.a_model(first, "m").await);
        app.patch(&path, &json!({"provider_id": second}))
            .await
            .invalid(&["#/provider_id"]);
        assert_eq!(app.get(&path).await.ok()["provider_id"], first);
    })
    .await;
}

#[tokio::test]
async fn a_model_s_name_is_unique_within_its_provider() {
    on_both(async |app| {
        let (first, second) = (app.a_provider("p").await, app.a_provider("q").await);
        app.a_model(first, "m").await;
        let again = json!({"provider_id": first, "model_name": "m"});
        app.post("/v1/models", &again)
            .await
            .problem(409, "model_name_taken");
        app.a_model(second, "m").await;
        let other = app.a_model(first, "M").await;

        let path = format!("/v1/models/{other}");
        app.patch(&path, &json!({"model_name": "m"}))
            .await
            .problem(409, "model_name_taken");
        assert_eq!(app.get(&path).await.ok()["model_name"], "M");
        assert_eq!(app.total("/v1/models").await, 3);
    })
    .await;
}

#[tokio::test]
async fn models_are_found_by_provider_mode_deprecation_and_name() {
    on_both(async |app| {
        let (first, second) = (app.a_provider("p").await, app.a_provider("q").await);
        app.post("/v1/models", &sonnet(first)).await.created();
        let body = json!({"provider_id": second, "model_name": "Ada_2", "mode": "embedding"});
        app.post("/v1/models", &body).await.created();
        app.a_model(second, "plain").await;
        let sonnet = "anthropic/claude-sonnet@4:5";
        for (query, expected) in [
            (format!("provider_id={first}"), &[sonnet][..]),
            (format!("provider_id={second}"), &["Ada_2", "plain"]),
            ("provider_id=17".to_owned(), &[]),
            ("mode=embedding".to_owned(), &["Ada_2"]),
            ("mode=embed".to_owned(), &[]),
            ("is_deprecated=true".to_owned(), &[sonnet]),
            ("is_deprecated=false".to_owned(), &["Ada_2", "plain"]),
            ("q=ADA".to_owned(), &["Ada_2"]),
            ("q=a_2".to_owned(), &["Ada_2"]),
            ("q=a_".to_owned(), &["Ada_2"]),
            ("q=%2Fclaude".to_owned(), &[sonnet]),
            ("q=SONNET&mode=chat".to_owned(), &[sonnet]),
            (format!("q=a&provider_id={second}&is_deprecated=true"), &[]),
        ] {
            let path = format!("/v1/models?{query}");
            let found = app.listed(&path, "model_name").await;
            assert_eq!(found, expected, "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_model_is_found_by_its_alias() {
    on_both(async |app| {
        let provider = app.a_provider("p").await;
        let body = json!({"provider_id": provider, "model_name": "m", "model_alias": "Quick"});
        app.post("/v1/models", &body).await.created();
        app.a_model(provider, "quiet").await;
        assert_eq!(app.listed("/v1/models?q=quick", "model_name").await, ["m"]);
        let both = app.listed("/v1/models?q=qui", "model_name").await;
        assert_eq!(both, ["m", "quiet"]);
    })
    .await;
}

#[tokio::test]
async fn a_model_that_agents_run_on_stays_and_they_are_named() {
    on_both(async |app| {
        let provider = app.a_provider("p").await;
        let model = app.a_model(provider, "m").await;
        let other = app.a_model(provider, "other").await;
        let agent = app.an_agent_on("Ada", model).await;
        let path = format!("/v1/models/{model}");
        let problem = app.delete(&path).await.problem(409, "model_in_use");
        let detail = problem["detail"].as_str().expect("a detail");
        assert!(detail.contains("Ada"), "{detail}");
        app.get(&path).await.ok();

        let agent = format!("/v1/agents/{agent}");
        assert_eq!(app.get(&agent).await.ok()["model_id"], model);
        app.patch(&agent, &json!({"model_id": other})).await.ok();
        app.delete(&path).await.no_content();
    })
    .await;
}

#[tokio::test]
async fn a_model_may_go_when_the_agents_on_it_were_deleted() {
    on_both(async |app| {
        let provider = app.a_provider("p").await;
        let model = app.a_model(provider, "m").await;
        let agent = app.an_agent_on("Ada", model).await;
        app.a_circle("team").await;
        app.a_member("team", agent).await;
        app.delete(&format!("/v1/agents/{agent}"))
            .await
            .no_content();
        app.delete(&format!("/v1/models/{model}"))
            .await
            .no_content();
        assert_eq!(app.total("/v1/models").await, 0);

        let roster = app.get("/v1/circles/team?include_inactive=true").await.ok();
        assert_eq!(roster["members"][0]["agent_name"], "Ada");
        assert_eq!(roster["members"][0]["model_id"], Value::Null);
    })
    .await;
}

#[tokio::test]
async fn models_are_found_by_what_they_support_and_accept() {
    on_both(async |app| {
        let provider = app.a_provider("p").await;
        for (name, facts) in [
            (
                "a",
                json!({"supports_tools": true, "supports_computer_use": true}),
            ),
            (
                "b",
                json!({"supports_tools": true, "accepts_sampling": false}),
            ),
            ("c", json!({"supports_pdf_input": true})),
        ] {
            let mut body = facts;
            body["provider_id"] = provider.into();
            body["model_name"] = name.into();
            app.post("/v1/models", &body).await.created();
        }
        for (query, found) in [
            ("supports=tools", &["a", "b"][..]),
            ("supports=tools,computer_use", &["a"]),
            ("supports=pdf_input,pdf_input", &["c"]),
            ("supports=vision", &[]),
            ("accepts_sampling=false", &["b"]),
            ("accepts_sampling=true&supports=tools", &["a"]),
        ] {
            let path = format!("/v1/models?{query}");
            assert_eq!(app.listed(&path, "model_name").await, found, "{query}");
        }
        let answer = app.get("/v1/models?supports=tools,telepathy").await;
        answer.invalid(&["query/supports"]);
    })
    .await;
}
