//! What an import takes from an entry.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{import, on_app, write_list};
use test_support::{TestApp, factories::id, on_both_databases};

/// Whether the filter of the list and the agent's handle say that its model is deprecated.
async fn deprecated(app: &TestApp, agent: i64) -> [bool; 3] {
    let listed = async |wanted: bool| {
        let page = app
            .get(&format!("/v1/models?is_deprecated={wanted}"))
            .await
            .ok();
        !page["data"].as_array().expect("rows").is_empty()
    };
    let handle = app.get(&format!("/v1/agents/{agent}/handle")).await.ok();
    let warnings = handle["warnings"].as_array().expect("warnings");
    let warns = warnings
        .iter()
        .any(|warning| warning["code"] == "model_deprecated");
    [listed(true).await, !listed(false).await, warns]
}

#[tokio::test]
async fn a_date_deprecates_a_model_until_it_is_corrected_and_a_person_s_mark_stays() {
    on_both_databases(async |database| {
        let folder = TempDir::new().expect("a folder");
        let dated = |date: Value| {
            let entry =
                json!({"litellm_provider": "groq", "mode": "chat", "deprecation_date": date});
            write_list(&folder, &json!({"groq/x": entry}))
        };
        import(database, &dated(json!("2020-01-01")), &[]);
        let mut agent = 0;
        on_app(database, async |app| {
            let model = app.get("/v1/models").await.ok()["data"][0].clone();
            assert_eq!(model["is_deprecated"], false, "it is not marked");
            agent = app.an_agent_on("Ada", id(&model)).await;
            assert_eq!(deprecated(app, agent).await, [true; 3]);
        })
        .await;
        import(database, &dated(json!("2099-01-01")), &[]);
        on_app(database, async |app| {
            assert_eq!(deprecated(app, agent).await, [false; 3]);
            let model = id(&app.get("/v1/models").await.ok()["data"][0]);
            let marked = json!({"is_deprecated": true});
            app.patch(&format!("/v1/models/{model}"), &marked)
                .await
                .ok();
        })
        .await;
        import(database, &dated(json!("2098-01-01")), &[]);
        on_app(database, async |app| {
            assert_eq!(deprecated(app, agent).await, [true; 3]);
            let model = id(&app.get("/v1/models").await.ok()["data"][0]);
            let unmarked = json!({"is_deprecated": false, "deprecation_date": null});
            app.patch(&format!("/v1/models/{model}"), &unmarked)
                .await
                .ok();
            assert_eq!(deprecated(app, agent).await, [false; 3], "no date");
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_fact_that_can_t_be_read_is_reported_and_the_model_stays() {
    on_both_databases(async |database| {
        let folder = TempDir::new().expect("a folder");
        let list = json!({
            "xai/grok": {
                "litellm_provider": "xai", "mode": "chat", "max_input_tokens": 2_000_000.0,
                "input_cost_per_token": "3e-6", "output_cost_per_token": "free", "max_output_tokens": "many"
            }
        });
        let said = import(database, &write_list(&folder, &list), &[]);
        assert!(said.contains("models     1 added") && said.contains("notes      2"), "{said}");
        for note in [
            "xai/grok: output_cost_per_token \"free\" is not a decimal number; it is left out",
            "xai/grok: max_output_tokens \"many\" is not a number of tokens; it is left out",
        ] {
            assert!(said.contains(note), "{said}");
        }
        on_app(database, async |app| {
            let model = app.get("/v1/models").await.ok()["data"][0].clone();
            assert_eq!(model["context_window"], 2_000_000);
            assert_eq!(model["input_price"], "3.0000000000");
            assert_eq!((&model["output_price"], &model["max_output"]), (&Value::Null, &Value::Null));
        })
        .await;
    })
    .await;
}
