//! What is delivered, in which order, and how it is signed.

use std::time::Duration;

use poem::http::{HeaderMap, HeaderName};
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tokio::time::sleep;

use super::{WEBHOOKS, a_webhook, path_of, with_receivers};
use test_support::{
    factories::column,
    receiver::{Behavior, Received, Receiver},
};

/// Whether a message is signed with a secret, by the specification's own library.
fn is_signed(message: &Received, secret: &Value) -> bool {
    let library = Webhook::new(secret.as_str().expect("a secret")).expect("a sound secret");
    let mut headers = HeaderMap::new();
    for (name, value) in &message.headers {
        let name: HeaderName = name.parse().expect("a name");
        headers.insert(name, value.parse().expect("a value"));
    }
    library.verify(&message.body, &headers).is_ok()
}

#[tokio::test]
async fn a_change_is_delivered_as_the_feed_shows_it_and_signed() {
    with_receivers(async |app, _| {
        let receiver = Receiver::start(Behavior::Status(204)).await;
        let created = a_webhook(app, &receiver).await;
        app.an_agent("Ada").await;
        app.a_circle("team").await;
        app.patch("/v1/agents/1", &json!({"description": "secret plans"}))
            .await
            .ok();
        app.delete("/v1/agents/1").await.no_content();
        assert_eq!(receiver.names(3).await, ["Ada", "Ada", "Ada"]);
        let feed = app.get("/v1/changes?resource=agent").await.ok();
        let changes = feed["data"].as_array().expect("a page");
        let events = ["agent.create", "agent.update", "agent.delete"];
        for ((message, change), event) in receiver.received().iter().zip(changes).zip(events) {
            assert_eq!(
                message.json(),
                json!({"type": event, "timestamp": change["at"], "data": change})
            );
            assert_eq!(message.id(), change["cursor"]);
            assert_eq!(message.path, "/hook");
            assert_eq!(message.headers["content-type"], "application/json");
            assert!(message.headers["user-agent"].starts_with("circle-registry/"));
            assert!(is_signed(message, &created["secret"]));
            let other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
            assert!(!is_signed(message, &other.into()));
        }
        assert_eq!(receiver.most_at_once(), 1);
    })
    .await;
}

#[tokio::test]
async fn filters_say_what_is_delivered() {
    with_receivers(async |app, _| {
        let circle = app.a_circle("team").await["id"].clone();
        app.a_circle("other").await;
        let mut receivers = Vec::new();
        for filter in [
            json!({"actions": ["delete"]}),
            json!({"circle_id": circle}),
            json!({"circle_id": circle, "resources": ["member"], "actions": ["create"]}),
            json!({"resources": ["agent", "circle"]}),
        ] {
            let receiver = Receiver::start(Behavior::Status(200)).await;
            let mut body = json!({"name": "w", "url": receiver.url()});
            body.as_object_mut()
                .expect("an object")
                .extend(filter.as_object().cloned().expect("an object"));
            app.post(WEBHOOKS, &body).await.created();
            receivers.push(receiver);
        }
        let agent = app.an_agent("Ada").await;
        app.a_member("team", agent).await;
        app.a_member("other", agent).await;
        app.patch("/v1/circles/team", &json!({"description": "d"}))
            .await
            .ok();
        app.delete("/v1/circles/other").await.no_content();
        app.delete("/v1/circles/team").await.no_content();
        for (receiver, expected) in receivers.iter().zip([
            &["other", "team"][..],
            &["team/1", "team", "team"],
            &["team/1"],
            &["Ada", "team", "other", "team"],
        ]) {
            assert_eq!(receiver.names(expected.len()).await, expected);
        }
        // What comes later is the next thing that each hears of.
        app.an_agent("Bob").await;
        assert_eq!(receivers[3].names(5).await[4], "Bob");
        assert_eq!(receivers[2].received().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn two_secrets_sign_for_as_long_as_they_overlap() {
    with_receivers(async |app, _| {
        let receiver = Receiver::start(Behavior::Status(200)).await;
        let created = a_webhook(app, &receiver).await;
        let path = path_of(&created);
        let rotate = async |query: &str| {
            let path = format!("{path}/secret{query}");
            app.post(&path, &Value::Null).await.ok()["secret"].clone()
        };
        app.an_agent("first").await;
        receiver.names(1).await;
        let second = rotate("").await;
        app.an_agent("second").await;
        receiver.names(2).await;
        let third = rotate("?overlap_seconds=0").await;
        app.an_agent("third").await;
        receiver.names(3).await;
        let messages = receiver.received();
        let first = created["secret"].clone();
        for (message, secrets) in messages.iter().zip([
            [true, false, false],
            [true, true, false],
            [false, false, true],
        ]) {
            let signed = [&first, &second, &third].map(|secret| is_signed(message, secret));
            assert_eq!(signed, secrets);
        }
        let signatures = |message: &Received| {
            let signatures = &message.headers["webhook-signature"];
            signatures.split(' ').count()
        };
        assert_eq!(signatures(&messages[1]), 2);

        // The overlap ends though nothing else changes.
        rotate("?overlap_seconds=2").await;
        for number in 0..600 {
            app.an_agent(&number.to_string()).await;
            receiver.names(4 + number).await;
            let last = receiver.received().pop().expect("a message");
            if signatures(&last) == 1 {
                break;
            }
            assert!(number < 599, "the overlap does not end");
            sleep(Duration::from_millis(50)).await;
        }
        app.post(
            &format!("{path}/secret?overlap_seconds=604801"),
            &Value::Null,
        )
        .await
        .invalid(&["query/overlap_seconds"]);
    })
    .await;
}

#[tokio::test]
async fn a_test_tells_how_the_receiver_answers_and_disturbs_nothing() {
    with_receivers(async |app, _| {
        let receiver = Receiver::start(Behavior::Status(503)).await;
        let body = json!({"name": "w", "url": receiver.url(), "is_enabled": false});
        let created = app.post(WEBHOOKS, &body).await.created();
        let path = path_of(&created);
        let test = app.post(&format!("{path}/test"), &Value::Null).await.ok();
        assert_eq!(test["status"], 503);
        assert_eq!(test["error"], "answered 503");
        assert_eq!(test["excerpt"], "received");
        let message = receiver.received().remove(0);
        assert_eq!(message.json()["type"], "webhook.test");
        assert_eq!(message.json()["data"], json!({"webhook_id": 1}));
        assert_eq!(message.id(), test["message_id"]);
        assert!(is_signed(&message, &created["secret"]));
        let attempts = app.get(&format!("{path}/attempts")).await.ok();
        assert_eq!(column(&attempts, "message_id"), [&test["message_id"]]);
        assert_eq!(column(&attempts, "change"), [&Value::Null]);
        let unreachable = json!({"url": "http://127.0.0.1:9/"});
        app.patch(&path, &unreachable).await.ok();
        let test = app.post(&format!("{path}/test"), &Value::Null).await.ok();
        assert_eq!(test["status"], Value::Null);
        assert_eq!(test["error"], "no connection, or no TLS on it");
    })
    .await;
}

#[tokio::test]
async fn the_last_hundred_attempts_are_listed() {
    with_receivers(async |app, _| {
        let receiver = Receiver::start(Behavior::Status(200)).await;
        let path = path_of(&a_webhook(app, &receiver).await);
        for number in 0..120 {
            app.an_agent(&number.to_string()).await;
        }
        receiver.names(120).await;
        let attempts = format!("{path}/attempts");
        for _ in 0..1500 {
            let newest = app.get(&format!("{attempts}?limit=1")).await.ok();
            let is_last = |id: &&Value| **id == receiver.received()[119].id();
            if column(&newest, "message_id").iter().any(is_last) {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(app.total(&attempts).await, 100);
        let page = app.get(&format!("{attempts}?limit=30")).await.ok();
        let sent = receiver.received();
        let newest: Vec<&str> = sent.iter().rev().take(30).map(Received::id).collect();
        assert_eq!(column(&page, "message_id"), newest);
        let first = &page["data"][0];
        assert_eq!(
            (&first["status"], &first["error"]),
            (&json!(200), &Value::Null)
        );
        assert_eq!(first["event"], "agent.create");
        assert_eq!(first["change"], first["message_id"]);
        let cursor = page["next_cursor"].as_str().expect("a cursor");
        let next = app
            .get(&format!("{attempts}?cursor={cursor}&limit=1"))
            .await;
        assert_eq!(column(&next.ok(), "message_id"), [sent[89].id()]);
        app.delete(&path).await.no_content();
        let left = "SELECT count(*) FROM webhook_attempts";
        let statement = sea_orm::Statement::from_string(
            sea_orm::ConnectionTrait::get_database_backend(app.database.connection()),
            left,
        );
        let row = sea_orm::ConnectionTrait::query_one_raw(app.database.connection(), statement);
        let row = row.await.expect(left).expect("a row");
        assert_eq!(row.try_get_by_index::<i64>(0).expect("a count"), 0);
    })
    .await;
}
