//! Lint: what it finds, and its command.

use serde_json::json;

use super::handles::{a_sound_model, codes, post};
use test_support::{TestApp, TestDatabase, binary, factories::id, on_both, on_both_databases};

#[tokio::test]
async fn what_a_runtime_would_fail_at_is_found_before() {
    on_both(async |app| {
        let model = a_sound_model(app).await;
        let path = format!("/v1/models/{model}");
        let provider = id(&app.get("/v1/providers").await.ok()["data"][0]);
        let agent = app.an_agent_on("Ada", model).await;
        post(
            app,
            "/v1/circles",
            json!({"name": "team", "require_review": false}),
        )
        .await;
        app.a_member("team", agent).await;
        let lint = async || app.get("/v1/circles/team/lint").await.ok();
        for (path, bad, good, code) in [
            (
                format!("/v1/providers/{provider}"),
                json!({"api_type": "unknown"}),
                json!({"api_type": "openai"}),
                "unknown_api_type",
            ),
            (
                format!("/v1/providers/{provider}"),
                json!({"base_url": null}),
                json!({"base_url": "https://api.acme.example/v1"}),
                "no_address",
            ),
            (
                path.clone(),
                json!({"mode": "embedding"}),
                json!({"mode": "chat"}),
                "not_a_chat_model",
            ),
            (
                format!("/v1/agents/{agent}"),
                json!({"max_tokens": 301}),
                json!({"max_tokens": 300}),
                "max_tokens_over_output",
            ),
            (
                format!("/v1/circles/team/members/{agent}"),
                json!({"max_tokens": 301}),
                json!({"max_tokens": null}),
                "max_tokens_over_output",
            ),
            (
                format!("/v1/agents/{agent}"),
                json!({"system_prompt": "团".repeat(3000)}),
                json!({"system_prompt": "x".repeat(3000)}),
                "prompt_over_context",
            ),
        ] {
            app.patch(&path, &bad).await.ok();
            let found = lint().await;
            assert_eq!(codes(&found["warnings"]), [(code, true)], "{bad}");
            app.patch(&path, &good).await.ok();
            assert_eq!(lint().await["ok"], true, "{good}");
        }
        for instructions in [json!(5), json!(["be kind"]), json!({"text": "be kind"})] {
            let settings = json!({"settings": {"instructions": instructions}});
            app.patch("/v1/circles/team", &settings).await.ok();
            let found = lint().await;
            assert_eq!(
                codes(&found["warnings"]),
                [("instructions_not_text", false)]
            );
        }
        for settings in [
            json!({"instructions": null}),
            json!({"instructions": "be kind"}),
        ] {
            app.patch("/v1/circles/team", &json!({"settings": settings}))
                .await
                .ok();
            assert_eq!(lint().await["ok"], true, "{settings}");
        }
    })
    .await;
}

#[tokio::test]
async fn lint_on_the_command_line_says_the_same_and_fails_where_anything_is_wrong() {
    on_both_databases(async |database: &TestDatabase| {
        let app = TestApp::start(database.backend, database.settings()).await;
        let circle = json!({"name": "team", "require_review": false});
        post(&app, "/v1/circles", circle).await;
        let lint = |name: &str| {
            let output = binary::run(&["circle", "lint", name, "--database-url", &database.url]);
            let said = [output.stdout, output.stderr].concat();
            (output.status.code(), String::from_utf8(said).expect("text"))
        };
        assert_eq!(
            lint("team"),
            (
                Some(1),
                "empty_circle: the circle has no active members\n".to_owned()
            )
        );
        let model = a_sound_model(&app).await;
        let agent = app.an_agent_on("Ada", model).await;
        app.a_member("team", agent).await;
        assert_eq!(
            lint("team"),
            (Some(0), "nothing is wrong with team\n".to_owned())
        );
        let path = format!("/v1/agents/{agent}");
        app.patch(&path, &json!({"model_id": null})).await.ok();
        assert_eq!(
            lint("team"),
            (Some(1), "no_model: Ada has no model\n".to_owned())
        );
        let (code, said) = lint("none");
        assert!(
            code == Some(1) && said.contains("there is no circle none"),
            "{said}"
        );
        app.stop().await;
    })
    .await;
}
