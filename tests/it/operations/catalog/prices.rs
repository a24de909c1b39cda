//! What an import keeps of a list: prices, capabilities, and where they are from.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{import, on_app, write_list};
use test_support::{TestApp, TestDatabase, factories::assert_holds, on_both_databases};

/// The model of a list with this entry, and what the import said.
async fn imported(database: &TestDatabase, entry: &Value) -> (Value, String) {
    let folder = TempDir::new().expect("a folder");
    let said = import(database, &write_list(&folder, &json!({"m": entry})), &[]);
    let mut model = Value::Null;
    on_app(database, async |app| model = the_model(app).await).await;
    (model, said)
}

async fn the_model(app: &TestApp) -> Value {
    app.get("/v1/models?q=m").await.ok()["data"][0].clone()
}

/// With every kind of name that LiteLLM's list has.
fn entry_with_prices() -> Value {
    json!({
        "litellm_provider": "p", "mode": "chat", "source": "https://example.com/pricing",
        "input_cost_per_token": 3e-6, "output_cost_per_token": 1.5e-5,
        "input_cost_per_token_above_200k_tokens": 6e-6,
        "cache_creation_input_token_cost_above_200k_tokens": 7.5e-6,
        "output_cost_per_token_above_272k_tokens": 2.25e-5,
        "cache_creation_input_token_cost_above_1hr": 6e-6,
        "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 1.2e-5,
        "input_cost_per_token_batches": 1.5e-6,
        "cache_read_input_token_cost_above_272k_tokens_priority": 1e-6,
        "output_cost_per_image_4K": 0.16, "output_cost_per_second_1080p": 0.165_025,
        "input_cost_per_video_per_second_above_8s_interval": 0.001,
        "input_cost_per_audio_token": 1e-6, "input_cost_per_pixel": 4e-8,
        "search_context_cost_per_query": {
            "search_context_size_low": 0.01, "search_context_size_high": 0.02
        },
        "off_peak_pricing": {"input_cost_per_token": 1e-6, "windows": []},
        "regional_processing_uplift_multiplier_eu": 1.1,
        "file_search_cost_per_1k_calls": 2.5,
        "annotation_cost_per_page_batches": 0.0025,
        "supports_tool_choice": true, "rpm": null
    })
}

#[tokio::test]
async fn every_price_of_an_entry_has_its_place() {
    on_both_databases(async |database| {
        let (model, said) = imported(database, &entry_with_prices()).await;
        assert_holds(
            &model,
            &json!({
                "input_price": "3.0000000000", "output_price": "15.0000000000",
                "price_tiers": [
                    {"above_tokens": 200_000, "input": "6.0000000000", "output": null,
                     "cache_read": null, "cache_write": "7.5000000000"},
                    {"above_tokens": 272_000, "input": null, "output": "22.5000000000",
                     "cache_read": null, "cache_write": null}
                ],
                "prices": {
                    "cache_write_1h": "6.0000000000", "cache_write_1h.above_200000": "12.0000000000",
                    "batch.input": "1.5000000000", "priority.cache_read.above_272000": "1.0000000000",
                    "output_image.4K": "0.1600000000", "output_second.1080p": "0.1650250000",
                    "input_video_second.over_8s": "0.0010000000", "input_audio": "1.0000000000",
                    "input_pixel": "0.0400000000", "search.low": "0.0100000000",
                    "search.high": "0.0200000000", "off_peak.input": "1.0000000000",
                    "uplift.eu": "1.1000000000", "file_search_call": "0.0025000000",
                    "batch.page_annotation": "0.0025000000"
                },
                "price_source": "https://example.com/pricing"
            }),
        );
        assert!(model["priced_at"].is_string());
        assert!(
            said.contains("not kept   2 fields, 0 prices\n  off_peak_pricing.windows: 1\n  supports_tool_choice: 1\n"),
            "{said}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_price_of_an_unknown_unit_is_counted_by_its_name() {
    on_both_databases(async |database| {
        let entry = json!({
            "litellm_provider": "p", "input_cost_per_thought": 1, "output_cost_per_token_gold": 2,
            "guardrail_cost_per_unit": {"a b": 1, "words": 0.5}, "tiered_pricing": [
                {"range": [0, 1000], "input_cost_per_token": 1e-6, "output_cost_per_thought": 1},
                {"range": [1000, 5000.0], "input_cost_per_token": 2e-6}
            ]
        });
        let (model, said) = imported(database, &entry).await;
        assert_holds(
            &model,
            &json!({
                "input_price": "1.0000000000", "prices": {"guardrail.words": "0.5000000000"},
                "price_tiers": [{
                    "above_tokens": 1000, "input": "2.0000000000", "output": null,
                    "cache_read": null, "cache_write": null
                }],
                "price_source": "litellm"
            }),
        );
        assert!(said.contains("not kept   4 fields, 3 prices"), "{said}");
        for field in [
            "input_cost_per_thought",
            "output_cost_per_token_gold",
            "tiered_pricing.output_cost_per_thought",
            "guardrail_cost_per_unit.a b",
        ] {
            assert!(said.contains(&format!("  {field}: 1\n")), "{said}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_model_accepts_follows_from_what_the_list_states() {
    on_both_databases(async |database| {
        for (facts, accepts, efforts) in [
            (json!({}), true, json!([])),
            (json!({"supports_sampling_params": false}), false, json!([])),
            (
                json!({"reasoning_effort_levels": ["low", "high", "max"], "supports_low_reasoning_effort": true}),
                false,
                json!(["low", "high", "max"]),
            ),
            (
                json!({"supports_sampling_params": true, "supports_low_reasoning_effort": false,
                       "supports_xhigh_reasoning_effort": true, "supports_none_reasoning_effort": false}),
                true,
                json!(["medium", "high", "xhigh"]),
            ),
            (
                json!({"supports_minimal_reasoning_effort": true, "reasoning_effort_levels": null}),
                true,
                json!(["minimal", "low", "medium", "high"]),
            ),
        ] {
            let mut entry = facts.clone();
            entry["litellm_provider"] = "p".into();
            let (model, _) = imported(database, &entry).await;
            let expected = json!({"accepts_sampling": accepts, "reasoning_efforts": efforts});
            assert_holds(&model, &expected);
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_set_by_hand_stays_and_is_reported() {
    on_both_databases(async |database| {
        let entry = json!({
            "litellm_provider": "p", "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6,
            "input_cost_per_token_batches": 5e-7, "max_input_tokens": 1000
        });
        imported(database, &entry).await;
        on_app(database, async |app| {
            let path = format!("/v1/models/{}", the_model(app).await["id"]);
            let by_hand = json!({"input_price": "0.9", "prices": {"batch.input": "0.4", "page": "1"}});
            let patched = app.patch(&path, &by_hand).await.ok();
            assert_eq!(patched["pinned_fields"], json!(["input_price", "prices"]));
            assert_eq!(patched["price_source"], Value::Null);
        })
        .await;
        let mut later = entry.clone();
        later["output_cost_per_token"] = json!(3e-6);
        later["max_input_tokens"] = json!(2000);
        let (model, said) = imported(database, &later).await;
        assert_holds(
            &model,
            &json!({
                "input_price": "0.9000000000", "output_price": "3.0000000000", "context_window": 2000,
                "prices": {"batch.input": "0.4000000000", "page": "1.0000000000"}, "price_source": null
            }),
        );
        let reported = "pinned     2\n  \
            m: input_price is pinned and stays \"0.9000000000\"; the list has \"1.0000000000\"\n  \
            m: prices.batch.input is pinned and stays \"0.4000000000\"; the list has \"0.5000000000\"\n";
        assert!(said.contains(reported), "{said}");

        on_app(database, async |app| {
            let path = format!("/v1/models/{}", model["id"]);
            app.patch(&path, &json!({"pinned_fields": []})).await.ok();
        })
        .await;
        let (model, said) = imported(database, &later).await;
        assert!(!said.contains("pinned"), "{said}");
        assert_holds(
            &model,
            &json!({
                "input_price": "1.0000000000", "price_source": "litellm",
                "prices": {"batch.input": "0.5000000000", "page": "1.0000000000"}
            }),
        );
    })
    .await;
}

#[tokio::test]
async fn an_import_that_finds_a_model_that_a_person_created_keeps_what_the_person_set() {
    on_both_databases(async |database| {
        on_app(database, async |app| {
            let provider = app.a_provider("p").await;
            let body = json!({
                "provider_id": provider, "model_name": "m", "input_price": "7", "supports_tools": true
            });
            app.post("/v1/models", &body).await.created();
        })
        .await;
        let entry = json!({
            "litellm_provider": "p", "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6,
            "supports_function_calling": true
        });
        let (model, said) = imported(database, &entry).await;
        assert_holds(
            &model,
            &json!({
                "input_price": "7.0000000000", "output_price": "2.0000000000", "supports_tools": true,
                "pinned_fields": ["input_price"], "catalog_key": "m"
            }),
        );
        assert!(said.contains("m: input_price is pinned and stays"), "{said}");
        let (again, said) = imported(database, &entry).await;
        assert!(said.contains("0 added, 0 changed, 1 unchanged"), "{said}");
        assert_eq!(again, model);
    })
    .await;
}
