//! Receivers that fail: attempts are repeated, and webhooks are paused, but nothing is left out.

use std::time::Duration;

use chrono::Utc;
use entity::webhook_delivery;
use sea_orm::{ConnectionTrait, EntityTrait};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{a_webhook, path_of, with_receivers};
use test_support::{
    TestApp, binary,
    factories::column,
    receiver::{Behavior, Received, Receiver},
};

/// Waits until a webhook is paused, and returns why.
async fn pause_reason(app: &TestApp, path: &str) -> String {
    for _ in 0..6000 {
        let webhook = app.get(path).await.ok();
        if let Some(reason) = webhook["pause_reason"].as_str() {
            assert!(webhook["paused_at"].is_string());
            return reason.to_owned();
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("it is not paused");
}

/// Disables a webhook, and waits until no instance delivers it.
async fn disable(app: &TestApp, path: &str) {
    app.patch(path, &json!({"is_enabled": false})).await.ok();
    let held = "UPDATE webhook_deliveries SET failures = failures WHERE holder IS NOT NULL";
    for _ in 0..3000 {
        let rows = app.database.connection().execute_unprepared(held).await;
        if rows.expect(held).rows_affected() == 0 {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("it is still delivered");
}

/// Waits until the feed shows all that is committed. Transactions of other tests on the server may hold it back.
async fn settle(app: &TestApp) {
    for _ in 0..3000 {
        let page = app.get("/v1/changes?after=latest").await.ok();
        if page["held_back_since"].is_null() {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("another transaction runs for too long");
}

async fn resume(app: &TestApp, path: &str, query: &str) -> Value {
    let path = format!("{path}/resume{query}");
    app.post(&path, &Value::Null).await.ok()
}

#[tokio::test]
async fn an_attempt_that_fails_is_repeated_and_what_follows_waits() {
    with_receivers(async |app, _| {
        let failing = Receiver::start(Behavior::Status(500)).await;
        let sound = Receiver::start(Behavior::Status(200)).await;
        let path = path_of(&a_webhook(app, &failing).await);
        a_webhook(app, &sound).await;
        for name in ["a", "b", "c"] {
            app.an_agent(name).await;
        }
        // One that fails delays no other.
        assert_eq!(sound.names(3).await, ["a", "b", "c"]);
        let failed = failing
            .wait_until("three attempts", |all| all.len() >= 3)
            .await;
        assert!(
            failed.iter().all(|one| one.name() == "a"),
            "what follows waits"
        );
        failing.behave(Behavior::Status(200));
        assert_eq!(failing.names(3).await, ["a", "b", "c"]);
        let ids: Vec<String> = failing
            .received()
            .iter()
            .map(|one| one.id().to_owned())
            .collect();
        assert!(
            ids[..failed.len()].iter().all(|id| *id == ids[0]),
            "{ids:?}"
        );
        assert_eq!(failing.most_at_once(), 1);
        let times = failing.received();
        let timestamp = |one: &Received| {
            one.headers["webhook-timestamp"]
                .parse::<i64>()
                .expect("a time")
        };
        assert!(
            timestamp(&times[0]) < timestamp(&times[2]),
            "each attempt has its own time"
        );
        let attempts = app.get(&format!("{path}/attempts?limit=200")).await.ok();
        let errors = column(&attempts, "error");
        let failures = errors
            .iter()
            .filter(|error| **error == "answered 500")
            .count();
        assert!(failures >= 3, "{errors:?}");
        assert_eq!(app.get(&path).await.ok()["paused_at"], Value::Null);
    })
    .await;
}

#[tokio::test]
async fn a_slow_receiver_delays_no_other_and_times_out() {
    with_receivers(async |app, database| {
        let slow = Receiver::start(Behavior::Never).await;
        let sound = Receiver::start(Behavior::Status(200)).await;
        let path = path_of(&a_webhook(app, &slow).await);
        a_webhook(app, &sound).await;
        for name in ["a", "b", "c"] {
            app.an_agent(name).await;
            sound
                .wait_until(name, |all| all.iter().any(|one| one.name() == name))
                .await;
        }
        assert!(
            slow.received().is_empty(),
            "still waits, after {:?}",
            database.backend
        );
        slow.wait_until("given up", |all| !all.is_empty()).await;
        for _ in 0..3000 {
            let attempts = app.get(&format!("{path}/attempts")).await.ok();
            if let Some(attempt) = attempts["data"].get(0) {
                assert_eq!(attempt["error"], "no response in time");
                assert_eq!(attempt["status"], Value::Null);
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
        slow.behave(Behavior::Status(200));
        assert_eq!(slow.names(3).await, ["a", "b", "c"]);
    })
    .await;
}

#[tokio::test]
async fn gone_pauses_at_once_and_a_resumed_webhook_goes_on_where_it_was() {
    with_receivers(async |app, _| {
        let receiver = Receiver::start(Behavior::Status(200)).await;
        let path = path_of(&a_webhook(app, &receiver).await);
        app.an_agent("a").await;
        receiver.names(1).await;
        receiver.behave(Behavior::Status(410));
        app.an_agent("b").await;
        assert_eq!(pause_reason(app, &path).await, "gone");
        app.an_agent("c").await;
        receiver.behave(Behavior::Status(200));
        let entries = app
            .get("/v1/audit?resource=webhook&action=update")
            .await
            .ok();
        assert_eq!(
            entries["data"][0]["fields"],
            json!(["paused_at", "pause_reason"])
        );
        assert_eq!(entries["data"][0]["key_id"], Value::Null);
        let resumed = resume(app, &path, "").await;
        assert_eq!(resumed["paused_at"], Value::Null);
        assert_eq!(receiver.names(3).await, ["a", "b", "c"]);
        let gone = receiver.received();
        let gone = gone.iter().filter(|one| one.answered == Some(410)).count();
        assert_eq!(gone, 1, "it is not tried again");
    })
    .await;
}

#[tokio::test]
async fn a_receiver_says_when_to_come_again_and_a_change_of_the_webhook_has_it_asked_at_once() {
    with_receivers(async |app, _| {
        let later = "retry-after: 3000".to_owned();
        let receiver = Receiver::start(Behavior::Field(503, later)).await;
        let path = path_of(&a_webhook(app, &receiver).await);
        app.an_agent("a").await;
        let db = app.database.connection();
        let mut next_attempt_at = None;
        for _ in 0..3000 {
            let delivery = webhook_delivery::Entity::find_by_id(1).one(db).await;
            let delivery = delivery.expect("a statement").expect("a delivery");
            next_attempt_at = delivery.next_attempt_at;
            if next_attempt_at.is_some() {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
        let delay = next_attempt_at.expect("a failure") - Utc::now();
        assert!(delay.num_seconds() > 1500, "{delay}");
        receiver.behave(Behavior::Status(200));
        let change = json!({"description": "asked"});
        app.patch(&path, &change).await.ok();
        assert_eq!(receiver.names(1).await, ["a"]);
    })
    .await;
}

#[tokio::test]
async fn a_webhook_that_has_failed_for_days_is_paused() {
    with_receivers(async |app, _| {
        let receiver = Receiver::start(Behavior::Status(500)).await;
        let path = path_of(&a_webhook(app, &receiver).await);
        app.an_agent("a").await;
        receiver.wait_until("an attempt", |all| !all.is_empty()).await;
        let past = "UPDATE webhook_deliveries SET failing_since = '2026-01-02T03:04:05.000000+00:00' \
            WHERE failing_since IS NOT NULL";
        for number in 0.. {
            let changed = app.database.connection().execute_unprepared(past).await;
            changed.expect(past);
            // The instance reads it again when the webhook is changed, unless it has just recorded an attempt.
            let change = json!({"description": number.to_string()});
            let webhook = app.patch(&path, &change).await.ok();
            if webhook["pause_reason"] == "failing" {
                break;
            }
            assert!(number < 600, "{webhook}");
            sleep(Duration::from_millis(200)).await;
        }
        app.an_agent("b").await;
        receiver.behave(Behavior::Status(200));
        resume(app, &path, "").await;
        assert_eq!(receiver.names(2).await, ["a", "b"]);
    })
    .await;
}

#[tokio::test]
async fn what_is_not_enabled_is_delivered_later_and_resume_can_leave_out_or_repeat() {
    with_receivers(async |app, _| {
        let receiver = Receiver::start(Behavior::Status(200)).await;
        let path = path_of(&a_webhook(app, &receiver).await);
        app.an_agent("a").await;
        receiver.names(1).await;
        disable(app, &path).await;
        app.an_agent("b").await;
        let other = Receiver::start(Behavior::Status(200)).await;
        app.patch(&path, &json!({"url": other.url()})).await.ok();
        app.patch(&path, &json!({"is_enabled": true})).await.ok();
        assert_eq!(other.names(1).await, ["b"]);
        assert_eq!(receiver.received().len(), 1);

        // Changes that are left out.
        disable(app, &path).await;
        app.an_agent("c").await;
        settle(app).await;
        resume(app, &path, "?after=latest").await;
        app.patch(&path, &json!({"is_enabled": true})).await.ok();
        app.an_agent("d").await;
        assert_eq!(other.names(2).await, ["b", "d"]);

        // And changes that are sent again.
        let first = receiver.received()[0].id().to_owned();
        resume(app, &path, &format!("?after={first}")).await;
        assert_eq!(other.names(5).await, ["b", "d", "b", "c", "d"]);
        app.post(&format!("{path}/resume?after=x"), &Value::Null)
            .await
            .invalid(&["query/after"]);
    })
    .await;
}

#[tokio::test]
async fn what_is_under_way_does_not_take_back_a_resume_from_another_place() {
    with_receivers(async |app, _| {
        let receiver = Receiver::start(Behavior::Never).await;
        let path = path_of(&a_webhook(app, &receiver).await);
        for name in ["a", "b", "c"] {
            app.an_agent(name).await;
        }
        while receiver.open_now() == 0 {
            sleep(Duration::from_millis(20)).await;
        }
        settle(app).await;
        resume(app, &path, "?after=latest").await;
        receiver.behave(Behavior::Status(200));
        for name in ["d", "e"] {
            app.an_agent(name).await;
        }
        assert_eq!(receiver.names(2).await, ["d", "e"]);
    })
    .await;
}

#[tokio::test]
async fn a_webhook_whose_changes_were_pruned_is_paused() {
    with_receivers(async |app, database| {
        let receiver = Receiver::start(Behavior::Status(200)).await;
        let path = path_of(&a_webhook(app, &receiver).await);
        app.an_agent("a").await;
        receiver.names(1).await;
        disable(app, &path).await;
        let db = app.database.connection();
        let old = "INSERT INTO audit_entries (at, action, resource, name) \
            VALUES ('2020-01-02T03:04:05.000000+00:00', 'update', 'agent', 'old')";
        db.execute_unprepared(old).await.expect(old);
        let arguments = ["prune", "--keep-audit", "90d", "--yes"];
        settle(app).await;
        binary::output_of(&[&arguments[..], &["--database-url", &database.url]].concat());
        app.patch(&path, &json!({"is_enabled": true})).await.ok();
        assert_eq!(pause_reason(app, &path).await, "cursor_expired");
        resume(app, &path, "").await;
        assert_eq!(pause_reason(app, &path).await, "cursor_expired");
        let stale = receiver.received()[0].id().to_owned();
        app.post(&format!("{path}/resume?after={stale}"), &Value::Null)
            .await
            .problem(410, "cursor_expired");
        resume(app, &path, "?after=latest").await;
        app.an_agent("b").await;
        assert_eq!(receiver.names(2).await, ["a", "b"]);
    })
    .await;
}
