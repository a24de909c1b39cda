//! Prices of models.

use serde_json::{Value, json};

use super::models::sonnet;
use test_support::{
    factories::{assert_holds, timestamp},
    on_both,
};

#[tokio::test]
async fn null_clears_prices_and_whatever_else_may_be_null() {
    on_both(async |app| {
        let provider = app.a_provider("p").await;
        let created = app.post("/v1/models", &sonnet(provider)).await.created();
        let path = format!("/v1/models/{}", created["id"]);
        let prices = json!({"input_price": null, "cache_write_price": null});
        let cleared = app.patch(&path, &prices).await.ok();
        assert_holds(&cleared, &prices);
        assert_eq!(
            cleared["output_price"], "15.0000000000",
            "an absent one stays"
        );

        let rest = json!({
            "model_alias": null, "mode": null, "output_price": null, "cache_read_price": null,
            "context_window": null, "max_output": null, "release_date": null,
            "deprecation_date": null
        });
        assert_holds(&app.patch(&path, &rest).await.ok(), &rest);

        let before = app.get(&path).await.ok();
        let required = json!({"model_name": null, "supports_tools": null, "is_deprecated": null});
        app.patch(&path, &required).await.invalid(&[
            "#/model_name",
            "#/supports_tools",
            "#/is_deprecated",
        ]);
        assert_eq!(app.get(&path).await.ok(), before);
    })
    .await;
}

#[tokio::test]
async fn a_price_is_exact_to_the_tenth_place() {
    on_both(async |app| {
        let provider = app.a_provider("p").await;
        let path = format!("/v1/models/{}", app.a_model(provider, "m").await);
        for (given, read) in [
            ("0", "0.0000000000"),
            ("3", "3.0000000000"),
            ("0.30002", "0.3000200000"),
            ("0.1000000000", "0.1000000000"),
            ("0.0000000001", "0.0000000001"),
            ("00000002.5", "2.5000000000"),
            ("9007199.2547409931", "9007199.2547409931"),
            ("99999999.9999999999", "99999999.9999999999"),
        ] {
            let price = json!({"input_price": given});
            let updated = app.patch(&path, &price).await.ok();
            assert_eq!(updated["input_price"], read);
            assert_eq!(app.get(&path).await.ok()["input_price"], read);
        }
    })
    .await;
}

#[tokio::test]
async fn a_price_that_would_have_to_be_changed_is_refused() {
    on_both(async |app| {
        let provider = app.a_provider("p").await;
        for price in [
            json!("0.00000000001"),
            json!("0.10000000000"),
            json!("100000000"),
            json!("-1"),
            json!("1e3"),
            json!("1."),
            json!(".5"),
            json!("1,5"),
            json!(" 1"),
            json!("NaN"),
            json!(""),
            json!(3),
            json!(0.3),
        ] {
            let body = json!({"provider_id": provider, "model_name": "m", "input_price": price});
            let answer = app.post("/v1/models", &body).await;
            answer.invalid(&["#/input_price"]);
        }
        assert_eq!(app.total("/v1/models").await, 0);
    })
    .await;
}

#[tokio::test]
async fn prices_that_contradict_each_other_or_are_for_nothing_are_refused() {
    on_both(async |app| {
        let provider = app.a_provider("p").await;
        let path = format!("/v1/models/{}", app.a_model(provider, "m").await);
        for (changes, pointers) in [
            (
                json!({"price_tiers": [{"above_tokens": 2}, {"above_tokens": 3}, {"above_tokens": 3}]}),
                vec!["#/price_tiers/2/above_tokens"],
            ),
            (json!({"price_tiers": [{"above_tokens": 0}]}), vec!["#/price_tiers/0/above_tokens"]),
            (json!({"price_tiers": [{"input": "1"}]}), vec!["#/price_tiers/0/above_tokens"]),
            (
                json!({"price_tiers": [{"above_tokens": 1, "input": 1.5, "reasoning": "1"}]}),
                vec!["#/price_tiers/0/input", "#/price_tiers/0/reasoning"],
            ),
            (
                json!({"prices": {"batch.input": "0.00000000001", "page": 1, "request": null}}),
                vec!["#/prices/batch.input", "#/prices/page", "#/prices/request"],
            ),
            (
                json!({"prices": {
                    "input": "1", "input.above_5": "1", "batch": "1", "gold.input": "1", "page.x": "1",
                    "batch.input.above_0": "1", "batch.input.above_07": "1", "output_image.": "1",
                    "output_image. x": "1", "batch.batch.input": "1", "a/b~": "1"
                }}),
                vec![
                    "#/prices/a~1b~0", "#/prices/batch", "#/prices/batch.batch.input",
                    "#/prices/batch.input.above_0", "#/prices/batch.input.above_07",
                    "#/prices/gold.input", "#/prices/input", "#/prices/input.above_5",
                    "#/prices/output_image.", "#/prices/output_image. x", "#/prices/page.x",
                ],
            ),
            (
                json!({"pinned_fields": ["prices", "id", "is_deprecated", "Prices"]}),
                vec!["#/pinned_fields/1", "#/pinned_fields/2", "#/pinned_fields/3"],
            ),
        ] {
            app.patch(&path, &changes).await.invalid(&pointers);
            let mut new = changes.clone();
            new["provider_id"] = provider.into();
            new["model_name"] = "new".into();
            app.post("/v1/models", &new).await.invalid(&pointers);
        }
        let many: serde_json::Map<_, _> = (1..=201)
            .map(|number| (format!("output_image.{number}"), json!("1")))
            .collect();
        let changes = json!({"prices": many});
        app.patch(&path, &changes).await.invalid(&["#/prices"]);
    })
    .await;
}

#[tokio::test]
async fn the_time_and_the_source_of_prices_are_those_of_the_last_change() {
    on_both(async |app| {
        let provider = app.a_provider("p").await;
        let body = json!({
            "provider_id": provider, "model_name": "m", "input_price": "1", "price_source": "a list"
        });
        let created = app.post("/v1/models", &body).await.created();
        let path = format!("/v1/models/{}", created["id"]);
        let priced_at = timestamp(&created["priced_at"]);

        let same = json!({"input_price": "1.0", "supports_tools": true});
        let patched = app.patch(&path, &same).await.ok();
        assert_eq!(patched["price_source"], "a list");
        assert_eq!(timestamp(&patched["priced_at"]), priced_at);

        let tiers = json!({"price_tiers": [{"above_tokens": 5, "input": "2"}]});
        let patched = app.patch(&path, &tiers).await.ok();
        assert_eq!(patched["price_source"], Value::Null);
        assert!(timestamp(&patched["priced_at"]) > priced_at);
        assert_eq!(patched["pinned_fields"], json!([]), "no import set it");

        let both = json!({"prices": {"page": "0.5"}, "price_source": "b"});
        assert_eq!(app.patch(&path, &both).await.ok()["price_source"], "b");
    })
    .await;
}
