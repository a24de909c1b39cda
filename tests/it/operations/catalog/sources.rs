//! The second source, and where sources disagree.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{import, on_app, write_list};
use test_support::{binary, factories::assert_holds, on_both_databases};

/// A list in the format of models.dev.
fn models_dev() -> Value {
    json!({
        "google": {
            "id": "google", "env": ["GEMINI_API_KEY"], "npm": "@ai-sdk/google", "name": "Google",
            "models": {
                "gem": {
                    "id": "gem", "name": "Gem", "attachment": true, "reasoning": true, "tool_call": true,
                    "structured_output": true, "temperature": false, "release_date": "2026-02-03",
                    "modalities": {"input": ["text", "image", "pdf"], "output": ["text"]},
                    "reasoning_options": [
                        {"type": "toggle"}, {"type": "effort", "values": ["low", "high"]}
                    ],
                    "limit": {"context": 1000, "input": 900, "output": 0},
                    "cost": {
                        "input": 1.25, "output": 10, "cache_read": 0.125, "reasoning": 4, "request": 5,
                        "tiers": [{
                            "tier": {"type": "context", "size": 200_000}, "input": 2.5, "output": 15,
                            "input_audio": 3
                        }],
                        "context_over_200k": {"input": 2.5, "output": 15}
                    },
                    "experimental": {"modes": {"fast": {
                        "cost": {"input": 5}, "provider": {"body": {"service_tier": "priority"}}
                    }}}
                }
            }
        },
        "small-cloud": {
            "id": "small-cloud", "env": ["ACCOUNT", "SMALL_KEY"], "npm": "@ai-sdk/openai-compatible",
            "api": "https://small.example/v1", "name": "Small Cloud", "models": {
                "m": {"id": "m", "cost": {"input": 1, "output": 2, "context_over_200k": {"input": 3}},
                      "release_date": "2026-02"}
            }
        }
    })
}

#[tokio::test]
async fn a_list_of_models_dev_is_imported_into_the_same_tables() {
    on_both_databases(async |database| {
        let folder = TempDir::new().expect("a folder");
        let list = write_list(&folder, &models_dev());
        let said = import(database, &list, &["--format", "models-dev"]);
        assert!(said.contains("models     2 added, 0 changed, 0 unchanged"), "{said}");
        for line in ["cost.request: 1", "name: 1", "reasoning_options.toggle: 1", "release_date: 1"] {
            assert!(said.contains(&format!("  {line}\n")), "{said}");
        }
        assert!(said.contains("not kept   6 fields, 1 prices"), "{said}");
        on_app(database, async |app| {
            let models = app.get("/v1/models?include=provider").await.ok();
            assert_holds(
                &models["data"][0],
                &json!({
                    "model_name": "gem", "catalog_key": "google/gem", "context_window": 900,
                    "max_output": null, "input_price": "1.2500000000", "output_price": "10.0000000000",
                    "cache_read_price": "0.1250000000",
                    "price_tiers": [{
                        "above_tokens": 200_000, "input": "2.5000000000", "output": "15.0000000000",
                        "cache_read": null, "cache_write": null
                    }],
                    "prices": {
                        "reasoning": "4.0000000000", "input_audio.above_200000": "3.0000000000",
                        "priority.input": "5.0000000000"
                    },
                    "price_source": "models.dev", "supports_vision": true, "supports_tools": true,
                    "supports_reasoning": true, "supports_response_schema": true,
                    "supports_pdf_input": true, "supports_audio_input": false,
                    "accepts_sampling": false, "reasoning_efforts": ["low", "high"],
                    "release_date": "2026-02-03"
                }),
            );
            assert_eq!(models["data"][0]["provider"]["name"], "gemini");
            let small = &models["data"][1];
            assert_eq!(small["price_tiers"][0]["input"], "3.0000000000");
            assert_holds(
                &small["provider"],
                &json!({
                    "name": "small-cloud", "api_type": "openai", "display_name": "Small Cloud",
                    "base_url": "https://small.example/v1", "api_key_env": "SMALL_KEY"
                }),
            );
        })
        .await;
        let said = import(database, &list, &[]);
        assert!(said.contains("0 added, 0 changed, 2 unchanged"), "the format is found: {said}");
    })
    .await;
}

#[tokio::test]
async fn a_model_that_two_lists_have_keeps_the_key_by_which_the_first_finds_it() {
    on_both_databases(async |database| {
        let folder = TempDir::new().expect("a folder");
        let litellm = json!({"gemini/gem": {"litellm_provider": "gemini", "input_cost_per_token_batches": 1e-6}});
        import(database, &write_list(&folder, &litellm), &[]);
        import(database, &write_list(&folder, &models_dev()), &[]);
        for list in [&litellm, &models_dev()] {
            let said = import(database, &write_list(&folder, list), &[]);
            assert!(said.contains("models     0 added"), "{said}");
        }
        on_app(database, async |app| {
            let model = &app.get("/v1/models?q=gem").await.ok()["data"][0];
            assert_eq!(model["catalog_key"], "gemini/gem");
            let prices = json!({
                "batch.input": "1.0000000000", "reasoning": "4.0000000000",
                "input_audio.above_200000": "3.0000000000", "priority.input": "5.0000000000"
            });
            assert_eq!(model["prices"], prices, "each list leaves the prices that only the other states");
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_check_reports_each_field_that_differs_with_both_values() {
    on_both_databases(async |database| {
        let folder = TempDir::new().expect("a folder");
        let first = json!({
            "groq/a": {"litellm_provider": "groq", "input_cost_per_token": 1e-6, "supports_vision": true},
            "groq/b": {"litellm_provider": "groq", "input_cost_per_token": 1e-6},
            "groq/c": {"litellm_provider": "groq"}
        });
        let list = write_list(&folder, &first);
        import(database, &list, &[]);
        let path = list.to_str().expect("a path");
        let check = |more: &[&str]| {
            let mut arguments = vec!["catalog", "check", path, "--database-url", &database.url];
            arguments.extend(more);
            binary::run(&arguments)
        };
        let same = check(&[]);
        assert_eq!(same.status.code(), Some(0));

        let later = json!({
            "groq/a": {"litellm_provider": "groq", "input_cost_per_token": 2e-6, "supports_vision": true,
                       "input_cost_per_token_batches": 1e-6},
            "groq/b": {"litellm_provider": "groq", "max_input_tokens": 5},
            "groq/d": {"litellm_provider": "groq"}
        });
        write_list(&folder, &later);
        let different = check(&["--format", "json"]);
        assert_eq!(different.status.code(), Some(2));
        let report: Value = serde_json::from_slice(&different.stdout).expect("JSON");
        assert_eq!(
            report,
            json!({
                "sources": ["catalogue", path], "compared": 2,
                "different": [
                    {"provider": "groq", "model": "a", "fields": [
                        {"field": "input_price", "values": ["1.0000000000", "2.0000000000"], "pinned": false},
                        {"field": "prices.batch.input", "values": [null, "1.0000000000"], "pinned": false}
                    ]},
                    {"provider": "groq", "model": "b", "fields": [
                        {"field": "context_window", "values": [null, 5], "pinned": false}
                    ]}
                ],
                "only_in": [["groq/c"], ["groq/d"]]
            })
        );
        let other = folder.path().join("other.json");
        fs::write(&other, first.to_string()).expect("a file");
        let lists = check(&[other.to_str().expect("a path"), "--provider", "groq"]);
        assert_eq!(lists.status.code(), Some(2));
        let said = String::from_utf8(lists.stdout).expect("text");
        assert!(said.starts_with("groq a\n  input_price: \"2.0000000000\" | \"1.0000000000\"\n"), "{said}");
        assert!(said.contains("2 models compared, 1 differ\n1 only in "), "{said}");

        fs::write(&list, "[]").expect("a file");
        assert_eq!(check(&[]).status.code(), Some(1));
    })
    .await;
}
