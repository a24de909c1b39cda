//! `POST /v1/models/{id}/cost`

use serde_json::{Value, json};

use test_support::{TestApp, factories::assert_holds, on_both};

/// A model with these facts, and its path.
async fn a_model_with(app: &TestApp, facts: Value) -> String {
    let mut body = facts;
    body["provider_id"] = app.a_provider("p").await.into();
    body["model_name"] = "m".into();
    let created = app.post("/v1/models", &body).await.created();
    format!("/v1/models/{}/cost", created["id"])
}

/// Claude Opus 4.6 as <https://platform.claude.com/docs/en/about-claude/pricing> has it: base input, cache writes of
/// five minutes and of an hour, cache hits, output; half of input and output in a batch; 10 dollars per 1,000
/// searches; 1.1 times the price for inference in the US only.
fn opus() -> Value {
    json!({
        "input_price": "5", "output_price": "25", "cache_read_price": "0.5", "cache_write_price": "6.25",
        "prices": {
            "cache_write_1h": "10", "batch.input": "2.5", "batch.output": "12.5", "search": "0.01",
            "uplift.us": "1.1"
        },
        "price_source": "https://platform.claude.com/docs/en/about-claude/pricing"
    })
}

/// Claude Sonnet 4.5 of the same page, where a request of more than 200,000 tokens of input, cache reads and writes
/// among them, is at premium prices as a whole.
fn sonnet() -> Value {
    json!({
        "input_price": "3", "output_price": "15", "cache_read_price": "0.3", "cache_write_price": "3.75",
        "price_tiers": [{
            "above_tokens": 200_000, "input": "6", "output": "22.5", "cache_read": "0.6", "cache_write": "7.5"
        }]
    })
}

#[tokio::test]
async fn a_cost_is_what_the_provider_s_prices_make_of_it() {
    on_both(async |app| {
        let opus = a_model_with(app, opus()).await;
        for (usage, total) in [
            // A session of an agent without and with a cache.
            (json!({"input_tokens": 50_000, "output_tokens": 15_000}), "0.625"),
            (
                json!({"input_tokens": 10_000, "cache_read_tokens": 40_000, "output_tokens": 15_000}),
                "0.445",
            ),
            (json!({"cache_write_tokens": 1, "units": {"cache_write_1h": 1}}), "0.00001625"),
            (
                json!({"input_tokens": 50_000, "output_tokens": 15_000, "service": "batch"}),
                "0.3125",
            ),
            (json!({"units": {"search": 1000}}), "10"),
            (json!({"input_tokens": 1_000_000, "uplift": "us", "units": {"search": 1}}), "5.51"),
            (json!({"input_tokens": 50_000, "units": {"search": 2}, "service": "batch"}), "0.145"),
            (json!({}), "0"),
            (json!({"input_tokens": 1}), "0.000005"),
        ] {
            let (answer, statements) = app.statements(app.post(&opus, &usage)).await;
            assert_eq!(answer.ok()["total"], total, "{usage}");
            assert_eq!(statements, 1);
        }
    })
    .await;
}

#[tokio::test]
async fn a_long_request_is_at_the_higher_prices_as_a_whole() {
    on_both(async |app| {
        let sonnet = a_model_with(app, sonnet()).await;
        let at = json!({"input_tokens": 100_000, "cache_read_tokens": 60_000, "cache_write_tokens": 40_000,
            "output_tokens": 1000});
        let cost = app.post(&sonnet, &at).await.ok();
        assert_holds(&cost, &json!({"total": "0.483", "above_tokens": null, "prompt_tokens": 200_000}));

        let mut over = at.clone();
        over["cache_write_tokens"] = json!(40_001);
        let cost = app.post(&sonnet, &over).await.ok();
        assert_holds(
            &cost,
            &json!({
                "total": "0.9585075", "above_tokens": 200_000, "prompt_tokens": 200_001,
                "reason": "200001 tokens of input exceed 200000, so the whole request is at those prices"
            }),
        );
        let line = json!({
            "unit": "input", "quantity": 100_000, "price_name": "price_tiers/200000/input",
            "price": "6.0000000000", "per": 1_000_000, "factors": [], "amount": "0.6"
        });
        assert_eq!(cost["lines"][0], line);
    })
    .await;
}

/// Gemini 2.5 Pro of <https://ai.google.dev/gemini-api/docs/pricing>: 1.25 and 10 dollars, 2.50 and 15 for prompts of
/// more than 200,000 tokens; half of that in a batch.
#[tokio::test]
async fn a_service_has_tiers_of_its_own() {
    on_both(async |app| {
        let gemini = a_model_with(
            app,
            json!({
                "input_price": "1.25", "output_price": "10",
                "price_tiers": [{"above_tokens": 200_000, "input": "2.5", "output": "15"}],
                "prices": {
                    "batch.input": "0.625", "batch.input.above_200000": "1.25",
                    "batch.output": "5", "batch.output.above_200000": "7.5"
                }
            }),
        )
        .await;
        for (input, service, total, above) in [
            (200_000, Value::Null, "0.26", Value::Null),
            (200_001, Value::Null, "0.5150025", json!(200_000)),
            (200_000, json!("batch"), "0.13", Value::Null),
            (200_001, json!("batch"), "0.25750125", json!(200_000)),
        ] {
            let usage = json!({"input_tokens": input, "output_tokens": 1000, "service": service});
            let cost = app.post(&gemini, &usage).await.ok();
            assert_holds(&cost, &json!({"total": total, "above_tokens": above}));
        }
    })
    .await;
}

#[tokio::test]
async fn what_has_no_price_is_an_error_and_never_free() {
    on_both(async |app| {
        let path = a_model_with(app, opus()).await;
        for (usage, pointers) in [
            (json!({"units": {"search.low": 1}}), vec!["#/units/search.low"]),
            (json!({"units": {"tea": 1, "input": 5, "batch.input": 1, "uplift.us": 1, "dbu_input": 2}}),
                vec!["#/units/batch.input", "#/units/dbu_input", "#/units/input", "#/units/tea", "#/units/uplift.us"]),
            (json!({"cache_read_tokens": 5, "service": "batch"}), vec!["#/cache_read_tokens"]),
            (json!({"service": "flex"}), vec!["#/service"]),
            (json!({"uplift": "eu"}), vec!["#/uplift"]),
            (json!({"input_tokens": -1}), vec!["#/input_tokens"]),
            (json!({"input_tokens": 1.5}), vec!["#/input_tokens"]),
        ] {
            app.post(&path, &usage).await.invalid(&pointers);
        }
        let free = json!({"units": {"search.low": 0}, "input_tokens": 0});
        assert_eq!(app.post(&path, &free).await.ok()["total"], "0");
        app.post("/v1/models/99/cost", &json!({})).await.problem(404, "not_found");
        let once = app.request(reqwest::Method::POST, &path).header("idempotency-key", "k").json(&json!({}));
        test_support::Answer::to(once).await.invalid(&["header/Idempotency-Key"]);
    })
    .await;
}

#[tokio::test]
async fn the_largest_cost_is_exact() {
    on_both(async |app| {
        let path = a_model_with(app, json!({"input_price": "99999999.9999999999"})).await;
        let usage = json!({"input_tokens": 1_000_000_000_000_i64});
        assert_eq!(
            app.post(&path, &usage).await.ok()["total"],
            "99999999999999.9999"
        );
    })
    .await;
}
