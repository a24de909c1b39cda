//! Webhooks while instances are killed, stopped and suspended, under concurrent writers, and with a long backlog.
//!
//! The usual run has a backlog of 3,000 changes. `FAULTS=full` has one of 100,000.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep};

use test_support::{
    Answer, TestApp,
    binary::Server,
    connect_to,
    faults::{report, usually_or_in_full},
    on_both_databases,
    receiver::{Behavior, LOCAL_RECEIVERS, Received, Receiver, with_local_receivers},
    texts_of,
};

const WRITERS: usize = 8;

async fn post(server: &Server, path: &str, body: &Value) -> Value {
    let request = server.client().post(server.url(path)).json(body);
    Answer::to(request).await.created()
}

async fn create_webhook(server: &Server, receiver: &Receiver) {
    let body = json!({"name": "w", "url": receiver.url(), "resources": ["agent"]});
    post(server, "/v1/webhooks", &body).await;
}

async fn create_agents(server: &Server, names: impl IntoIterator<Item = usize>) {
    for name in names {
        post(server, "/v1/agents", &json!({"name": name.to_string()})).await;
    }
}

/// Whether all of these were accepted: each once at least, and for the first time in this order.
fn are_in_order(received: &[Received], expected: &[String]) -> bool {
    let mut seen = BTreeSet::new();
    let accepted = received.iter().filter(|one| one.answered == Some(200));
    let first: Vec<String> = accepted
        .map(Received::name)
        .filter(|name| seen.insert(name.clone()))
        .collect();
    first == expected
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

#[tokio::test]
async fn another_instance_goes_on_after_a_kill_and_never_two_deliver_at_once() {
    on_both_databases(async |database| {
        let receiver = Receiver::start(Behavior::Slow(Duration::from_millis(50), 200)).await;
        let mut servers = Vec::new();
        for _ in 0..2 {
            servers.push(Server::start_ready(&database.url, &LOCAL_RECEIVERS).await);
        }
        create_webhook(&servers[0], &receiver).await;
        let mut count = 0;
        for round in 0..2 {
            let few = count..count + 10;
            create_agents(&servers[round % 2], few).await;
            count += 10;
            receiver.names(count).await;
            create_agents(&servers[round % 2], count..count + 30).await;
            count += 30;
            // In the middle of it, whoever delivers.
            let killed = servers.remove(0);
            killed.signal("-KILL");
            drop(killed);
            let started = Instant::now();
            let expected = numbers(count);
            receiver
                .wait_until("all of them, in order", |all| are_in_order(all, &expected))
                .await;
            let taken = format!("all is delivered {:.1?} after a kill", started.elapsed());
            report(&format!("{:?}", database.backend), &taken);
            servers.push(Server::start_ready(&database.url, &LOCAL_RECEIVERS).await);
        }
        assert_eq!(receiver.most_at_once(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_instance_that_was_suspended_delivers_nothing_when_another_has_taken_over() {
    on_both_databases(async |database| {
        let receiver = Receiver::start(Behavior::Status(200)).await;
        let first = Server::start_ready(&database.url, &LOCAL_RECEIVERS).await;
        create_webhook(&first, &receiver).await;
        create_agents(&first, 0..5).await;
        receiver.names(5).await;
        receiver.behave(Behavior::Slow(Duration::from_millis(300), 200));
        let second = Server::start_ready(&database.url, &LOCAL_RECEIVERS).await;
        first.signal("-STOP");
        create_agents(&second, 5..20).await;
        // The other has the lease now, and is in the middle of it.
        receiver.names(8).await;
        first.signal("-CONT");
        create_agents(&second, 20..25).await;
        let expected = numbers(25);
        receiver
            .wait_until("all of them, in order", |all| are_in_order(all, &expected))
            .await;
        assert_eq!(receiver.most_at_once(), 1);
        first.wait_for("/readyz", reqwest::StatusCode::OK).await;
    })
    .await;
}

#[tokio::test]
async fn a_stopped_instance_finishes_its_attempt_or_gives_it_up_and_the_next_goes_on() {
    on_both_databases(async |database| {
        let receiver = Receiver::start(Behavior::Slow(Duration::from_secs(1), 200)).await;
        let settings = [&LOCAL_RECEIVERS[..], &["--shutdown-delay", "0s"]].concat();
        let server = Server::start_ready(&database.url, &settings).await;
        create_webhook(&server, &receiver).await;
        create_agents(&server, 0..2).await;
        receiver.names(1).await;
        while receiver.open_now() == 0 && receiver.accepted().len() < 2 {
            sleep(Duration::from_millis(20)).await;
        }
        server.signal("-TERM");
        let (code, log) = server.end().await;
        assert_eq!(code, Some(0), "{log}");
        // What is under way is finished.
        receiver.names(2).await;
        let leases = "SELECT CAST(count(holder) AS text) FROM webhook_deliveries";
        assert_eq!(texts_of(&database.url, leases).await, ["0"]);

        // It goes on at once: the lease was given back, and what was finished is not repeated.
        receiver.behave(Behavior::Status(200));
        let settings = [&settings[..], &["--shutdown-timeout", "1s"]].concat();
        let server = Server::start_ready(&database.url, &settings).await;
        assert_eq!(receiver.names(2).await, ["0", "1"]);

        receiver.behave(Behavior::Never);
        create_agents(&server, 2..3).await;
        while receiver.open_now() == 0 {
            sleep(Duration::from_millis(20)).await;
        }
        server.signal("-TERM");
        let (code, log) = server.end().await;
        assert_eq!(code, Some(0), "{log}");
        receiver.behave(Behavior::Status(200));
        let _server = Server::start_ready(&database.url, &settings).await;
        assert_eq!(receiver.names(3).await, ["0", "1", "2"]);
    })
    .await;
}

#[tokio::test]
async fn what_concurrent_writers_change_is_delivered_once_in_the_order_of_the_feed() {
    on_both_databases(async |database| {
        let receiver = Receiver::start(Behavior::Status(200)).await;
        let settings = with_local_receivers(database.settings());
        let app = TestApp::start(database.backend, settings).await;
        let body = json!({"name": "w", "url": receiver.url(), "resources": ["agent"]});
        app.post("/v1/webhooks", &body).await.created();
        let over = Arc::new(AtomicBool::new(false));
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let (base, over) = (app.base.clone(), Arc::clone(&over));
            writers.spawn(async move {
                let client = reqwest::Client::new();
                let mut made = 0;
                while !over.load(Ordering::Relaxed) {
                    let body = json!({"name": format!("{writer}-{made}")});
                    let post = client.post(format!("{base}/v1/agents")).json(&body);
                    Answer::to(post).await.created();
                    made += 1;
                }
                made
            });
        }
        sleep(usually_or_in_full(
            Duration::from_secs(3),
            Duration::from_mins(1),
        ))
        .await;
        over.store(true, Ordering::Relaxed);
        let made: usize = writers.join_all().await.into_iter().sum();
        receiver.names(made).await;
        let (mut ids, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/changes?resource=agent&limit=200{cursor}");
            let page = app.get(&path).await.ok();
            let changes = page["data"].as_array().expect("a page").iter();
            ids.extend(changes.map(|change| change["cursor"].clone()));
            if page["has_more"] == false {
                break;
            }
            cursor = format!("&after={}", page["next_cursor"].as_str().expect("a cursor"));
        }
        let delivered: Vec<Value> = receiver
            .received()
            .iter()
            .map(|one| one.id().into())
            .collect();
        assert_eq!(delivered.len(), made);
        assert!(delivered == ids, "another order than that of the feed");
        assert_eq!(receiver.most_at_once(), 1);
        report(
            &format!("{:?}", database.backend),
            &format!("{made} changes by {WRITERS} writers"),
        );
        app.stop().await;
    })
    .await;
}

/// What a backlog may take, however long it is.
const MAX_MEMORY: u64 = 100 << 20;

#[tokio::test]
async fn a_long_backlog_is_delivered_in_order_and_in_bounded_memory() {
    let count = usually_or_in_full(3_000, 100_000);
    on_both_databases(async |database| {
        let receiver = Receiver::start(Behavior::Status(503)).await;
        let settings = [&LOCAL_RECEIVERS[..], &["--log", "warn"]].concat();
        let server = Server::start_ready(&database.url, &settings).await;
        create_webhook(&server, &receiver).await;
        let db = connect_to(&database.url).await;
        let fill = format!(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {}) \
            INSERT INTO audit_entries (at, action, resource, name) \
            SELECT '2026-11-02T03:04:05.000000+00:00', 'update', 'agent', CAST(i AS text) FROM n ORDER BY n.i",
            count - 1
        );
        db.execute_unprepared(&fill).await.expect(&fill);
        db.close().await.expect("closed");
        receiver.wait_until("the first", |all| !all.is_empty()).await;
        let before = server.process().reset_peak_memory();
        let started = Instant::now();
        receiver.behave(Behavior::Status(200));
        let webhook = server.url("/v1/webhooks/1/resume");
        Answer::to(server.client().post(webhook)).await.ok();
        let mut left: usize = count;
        while left > 0 {
            // The receiver waits two minutes at most, which is not enough for a very long backlog.
            left = left.saturating_sub(500);
            receiver.names(count - left).await;
        }
        // What follows them is the change of the webhook itself.
        let names = receiver.names(count).await;
        let expected = numbers(count);
        let differs = names.iter().zip(&expected).position(|(one, other)| one != other);
        assert_eq!(differs, None, "in order, each once: {:?}", names.iter().take(5).collect::<Vec<_>>());
        let taken = server.process().peak_memory().saturating_sub(before);
        report(
            &format!("{:?}", database.backend),
            &format!("{count} changes in {:.1?}, {} MiB", started.elapsed(), taken >> 20),
        );
        assert!(taken < MAX_MEMORY, "{} MiB", taken >> 20);
    })
    .await;
}
