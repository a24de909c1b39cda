//! What handles warn of.

use serde_json::json;

use test_support::{factories::id, on_both};

use super::handles::{a_sound_model, codes, post};

#[tokio::test]
async fn every_warning_is_raised_by_what_it_warns_of() {
    on_both(async |app| {
        let model = a_sound_model(app).await;
        let path = format!("/v1/models/{model}");
        let provider = id(&app.get("/v1/providers").await.ok()["data"][0]);
        let agent = app.an_agent_on("Ada", model).await;
        let circle = json!({"name": "team", "require_review": false, "max_members": 1});
        post(app, "/v1/circles", circle).await;
        app.a_member("team", agent).await;
        let lint = async || app.get("/v1/circles/team/lint").await.ok();
        assert_eq!(
            lint().await,
            json!({"circle": "team", "ok": true, "warnings": []})
        );

        for (path, bad, good, code) in [
            (
                format!("/v1/agents/{agent}"),
                json!({"model_id": null}),
                json!({"model_id": model}),
                "no_model",
            ),
            (
                path.clone(),
                json!({"is_deprecated": true}),
                json!({"is_deprecated": false}),
                "model_deprecated",
            ),
            (
                path.clone(),
                json!({"deprecation_date": "2020-01-31"}),
                json!({"deprecation_date": null}),
                "model_deprecated",
            ),
            (
                path.clone(),
                json!({"context_window": 1}),
                json!({"context_window": 1000}),
                "prompt_over_context",
            ),
            (
                format!("/v1/providers/{provider}"),
                json!({"api_key_env": null}),
                json!({"api_key_env": "KEY"}),
                "no_key_variable",
            ),
        ] {
            app.patch(&path, &bad).await.ok();
            let found = lint().await;
            assert_eq!(codes(&found["warnings"]), [(code, true)], "{bad}");
            assert_eq!(found["ok"], false);
            let handle = &app.get("/v1/circles/team/handles").await.ok()["handles"][0];
            assert_eq!(handle["warnings"], found["warnings"]);
            app.patch(&path, &good).await.ok();
            assert_eq!(lint().await["ok"], true, "{good}");
        }
        let tomorrow = json!({"deprecation_date": "2999-01-01"});
        app.patch(&path, &tomorrow).await.ok();
        app.patch(
            &format!("/v1/providers/{provider}"),
            &json!({"api_key_env": null, "is_local": true}),
        )
        .await
        .ok();
        assert_eq!(
            lint().await["ok"],
            true,
            "a date to come, and a local provider"
        );

        app.patch("/v1/circles/team", &json!({"require_review": true}))
            .await
            .ok();
        assert_eq!(codes(&lint().await["warnings"]), [("no_reviewer", false)]);
        for reviewer in [
            json!({"role": "reviewer"}),
            json!({"role": "member", "can_review": ["rust"]}),
        ] {
            app.patch(&format!("/v1/circles/team/members/{agent}"), &reviewer)
                .await
                .ok();
            assert_eq!(lint().await["ok"], true, "{reviewer}");
        }
        app.patch("/v1/circles/team", &json!({"max_members": 2}))
            .await
            .ok();
        let second = app.an_agent_on("Bob", model).await;
        app.a_member("team", second).await;
        app.patch("/v1/circles/team", &json!({"max_members": 1}))
            .await
            .ok();
        let found = app.get("/v1/circles/team/handles").await.ok();
        assert_eq!(codes(&found["warnings"]), [("over_max_members", false)]);
    })
    .await;
}
