//! Watermarks: what a poller asks for next, so that it misses nothing.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::json;

use super::LISTS;
use test_support::{
    Backend, TestApp, connect_to, factories::timestamp, on_both, on_both_databases,
};

/// A list since a time.
fn since(list: &str, time: DateTime<Utc>) -> String {
    let time = time.to_rfc3339_opts(SecondsFormat::Micros, true);
    format!("{list}?updated_since={time}")
}

#[tokio::test]
async fn a_change_that_is_committed_late_is_found_with_the_watermark() {
    on_both_databases(async |database| {
        let app = TestApp::start(database.backend, database.settings()).await;
        app.an_agent("late").await;
        app.an_agent("early").await;
        let other = connect_to(&database.url).await;
        let transaction = other.begin().await.expect("a transaction");
        let changed_at = Utc::now();
        let sql = format!(
            "UPDATE agents SET updated_at = '{}' WHERE name = 'late'",
            changed_at.to_rfc3339_opts(SecondsFormat::Micros, false)
        );
        transaction.execute_unprepared(&sql).await.expect(&sql);
        if database.backend == Backend::Postgres {
            // The other one's change is after this one's, and by more than the difference that clocks may have.
            for _ in 0..11 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                // The server ends transactions that are idle for long.
                transaction
                    .execute_unprepared("SELECT 1")
                    .await
                    .expect("it runs");
            }
            app.patch("/v1/agents/2", &json!({"role": "r"})).await.ok();
        }
        let page = app.get(&since("/v1/agents", changed_at)).await.ok();
        assert!(
            page["data"]
                .as_array()
                .expect("rows")
                .iter()
                .all(|row| row["name"] == "early"),
            "{page}"
        );
        let watermark = timestamp(&page["watermark"]);
        assert!(watermark <= changed_at, "{watermark} {changed_at}");
        transaction.commit().await.expect("committed");
        let names = app.listed(&since("/v1/agents", watermark), "name").await;
        assert!(names.contains(&json!("late")), "{names:?}");
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn the_first_page_of_each_list_since_a_time_has_a_watermark_near_the_last_change() {
    on_both(async |app| {
        let long_ago = DateTime::UNIX_EPOCH;
        let page = app.get(&since("/v1/agents", long_ago)).await.ok();
        assert!(timestamp(&page["watermark"]) >= long_ago);
        for name in ["a", "b"] {
            super::filters::one_in_each(app, name).await;
        }
        let changed_at = Utc::now();
        for (list, _) in LISTS {
            let path = since(list, long_ago);
            let (page, statements) = app.statements(app.get(&format!("{path}&limit=1"))).await;
            let page = page.ok();
            assert_eq!(statements, 2, "{list}");
            let watermark = timestamp(&page["watermark"]);
            let difference: TimeDelta = changed_at - watermark;
            assert!(
                TimeDelta::zero() < difference && difference < TimeDelta::minutes(2),
                "{difference}"
            );
            let next = page["next_cursor"].as_str().expect("a second page");
            let second = app.get(&format!("{path}&limit=1&cursor={next}")).await.ok();
            assert_eq!(second.get("watermark"), None);
            let all = app.get(list).await.ok();
            assert_eq!(all.get("watermark"), None);
        }
    })
    .await;
}
