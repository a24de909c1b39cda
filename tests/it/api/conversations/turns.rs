//! Turn strategies: whose turn it is to speak.

use reqwest::Method;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use super::a_round;
use test_support::{
    Answer, TestApp,
    factories::{column, timestamp},
    on_both,
};

async fn next_speakers(app: &TestApp, path: &str) -> Value {
    app.get(path).await.ok()["next_speakers"].clone()
}

#[tokio::test]
async fn in_a_round_robin_one_speaks_after_the_other_and_users_at_any_time() {
    on_both(async |app| {
        let (path, [a, b, c]) = a_round(app, "round_robin").await;
        let messages = format!("{path}/messages");
        let says = async |agent: i64| {
            app.post(&messages, &json!({"agent_id": agent, "content": "x"}))
                .await
        };
        assert_eq!(next_speakers(app, &path).await, json!([a]));
        says(b).await.problem(409, "not_its_turn");
        says(a).await.created();
        app.post(&messages, &json!({"content": "a user"}))
            .await
            .created();
        says(a).await.problem(409, "not_its_turn");
        says(b).await.created();
        says(c).await.created();
        assert_eq!(next_speakers(app, &path).await, json!([a]));
        assert_eq!(
            app.get(&path).await.ok()["turn_count"],
            4,
            "a refused message has no number"
        );

        app.delete(&format!("{path}/participants/{a}"))
            .await
            .no_content();
        assert_eq!(
            next_speakers(app, &path).await,
            json!([b]),
            "the turn of one who leaves passes on"
        );
        says(a).await.invalid(&["#/agent_id"]);
        let participants = format!("{path}/participants");
        app.post(&participants, &json!({"agent_id": a}))
            .await
            .created();
        app.post(&participants, &json!({"agent_id": a}))
            .await
            .problem(409, "participant_exists");
        says(b).await.created();
        says(c).await.created();
        says(a).await.created();
    })
    .await;
}

#[tokio::test]
async fn in_a_mention_based_conversation_those_mentioned_speak_next() {
    on_both(async |app| {
        let (path, [a, b, c]) = a_round(app, "mention_based").await;
        let messages = format!("{path}/messages");
        let says = async |agent: i64, mentions: Value| {
            let body = json!({"agent_id": agent, "content": "x", "mentions": mentions});
            app.post(&messages, &body).await
        };
        says(c, json!([a, b])).await.created();
        assert_eq!(next_speakers(app, &path).await, json!([a, b]));
        says(c, json!([])).await.problem(409, "not_its_turn");
        says(b, json!([99])).await.invalid(&["#/mentions/0"]);
        says(b, json!([])).await.created();
        says(c, json!([])).await.created();

        app.patch(&path, &json!({"turn_strategy": "free_form"}))
            .await
            .ok();
        says(c, json!([a])).await.created();
        says(c, json!([])).await.created();
        app.patch(&path, &json!({"turn_strategy": "round_robin"}))
            .await
            .ok();
        assert_eq!(next_speakers(app, &path).await, json!([a]));
    })
    .await;
}

/// The answer to a message of an agent that mentions others.
async fn says(app: &TestApp, path: &str, agent: i64, mentions: &[i64]) -> Answer {
    let body = json!({"agent_id": agent, "content": "x", "mentions": mentions});
    app.post(&format!("{path}/messages"), &body).await
}

async fn delete_agent(app: &TestApp, agent: i64) {
    app.delete(&format!("/v1/agents/{agent}"))
        .await
        .no_content();
}

#[tokio::test]
async fn a_round_robin_passes_over_agents_that_were_deleted() {
    on_both(async |app| {
        let (path, [a, b, c]) = a_round(app, "round_robin").await;
        let before = app.get(&path).await;
        delete_agent(app, a).await;
        let after = app.get(&path).await;
        assert_ne!(after.header("etag"), before.header("etag"));
        let (before, after) = (before.ok(), after.ok());
        assert_eq!(after["next_speakers"], json!([b]), "the turn passes on");
        assert!(timestamp(&after["updated_at"]) > timestamp(&before["updated_at"]));
        says(app, &path, a, &[]).await.invalid(&["#/agent_id"]);
        says(app, &path, b, &[]).await.created();
        says(app, &path, c, &[]).await.created();
        assert_eq!(next_speakers(app, &path).await, json!([b]));

        let restore = format!("/v1/agents/{a}/restore");
        app.send(Method::POST, &restore, None).await.ok();
        says(app, &path, b, &[]).await.created();
        says(app, &path, c, &[]).await.created();
        says(app, &path, a, &[]).await.created();

        delete_agent(app, c).await;
        assert_eq!(
            next_speakers(app, &path).await,
            json!([b]),
            "it was not its turn"
        );
        says(app, &path, b, &[]).await.created();
        assert_eq!(next_speakers(app, &path).await, json!([a]));
        let participants = app.get(&format!("{path}/participants")).await.ok();
        assert_eq!(column(&participants, "agent_id"), [a, b, c]);

        delete_agent(app, a).await;
        app.delete(&format!("{path}/participants/{b}"))
            .await
            .no_content();
        assert_eq!(next_speakers(app, &path).await, json!([]));
        app.post(&format!("{path}/messages"), &json!({"content": "x"}))
            .await
            .created();
        let d = app.an_agent("d").await;
        app.post(&format!("{path}/participants"), &json!({"agent_id": d}))
            .await
            .created();
        says(app, &path, d, &[]).await.created();
        assert_eq!(next_speakers(app, &path).await, json!([d]));
    })
    .await;
}

#[tokio::test]
async fn an_agent_that_was_deleted_is_not_mentioned_whatever_the_strategy() {
    on_both(async |app| {
        for strategy in ["round_robin", "mention_based", "free_form"] {
            let (path, [a, b, c]) = a_round(app, strategy).await;
            delete_agent(app, b).await;
            says(app, &path, a, &[c, b])
                .await
                .invalid(&["#/mentions/1"]);
            let body = json!({"content": "x", "mentions": [b]});
            let user = app.post(&format!("{path}/messages"), &body).await;
            user.invalid(&["#/mentions/0"]);
            assert_eq!(app.get(&path).await.ok()["turn_count"], 0);
            says(app, &path, a, &[c]).await.created();
        }
        let (path, [a, b, c]) = a_round(app, "mention_based").await;
        says(app, &path, c, &[a, b]).await.created();
        delete_agent(app, a).await;
        assert_eq!(next_speakers(app, &path).await, json!([b]));
        says(app, &path, c, &[]).await.problem(409, "not_its_turn");
        delete_agent(app, b).await;
        assert_eq!(next_speakers(app, &path).await, json!([]));
        says(app, &path, c, &[]).await.created();
    })
    .await;
}

#[tokio::test]
async fn a_conversation_that_is_resumed_or_changes_its_strategy_passes_over_deleted_agents() {
    on_both(async |app| {
        let (path, [a, b, _]) = a_round(app, "round_robin").await;
        let completed = json!({"status": "completed"});
        app.patch(&path, &completed).await.ok();
        delete_agent(app, a).await;
        let resumed = app.patch(&path, &json!({"status": "active"})).await.ok();
        assert_eq!(resumed["next_speakers"], json!([b]));
        for strategy in ["free_form", "round_robin"] {
            let changed = app.patch(&path, &json!({"turn_strategy": strategy})).await;
            changed.ok();
        }
        assert_eq!(next_speakers(app, &path).await, json!([b]));
    })
    .await;
}

/// An agent whose row disappears, or changes, without this service: nothing passes its turns on.
#[tokio::test]
async fn the_turn_of_an_agent_that_another_program_removed_blocks_no_conversation() {
    on_both(async |app| {
        for sql in [
            "UPDATE agents SET is_active = false WHERE id = ",
            "DELETE FROM agents WHERE id = ",
        ] {
            let (path, [a, b, c]) = a_round(app, "round_robin").await;
            let sql = format!("{sql}{a}");
            let db = app.database.connection();
            db.execute_unprepared(&sql).await.expect("removed");
            says(app, &path, a, &[]).await.invalid(&["#/agent_id"]);
            says(app, &path, b, &[]).await.created();
            assert_eq!(next_speakers(app, &path).await, json!([c]));
        }
    })
    .await;
}

#[tokio::test]
async fn an_agent_that_is_deleted_while_others_speak_is_never_left_the_turn() {
    on_both(async |app| {
        for _ in 0..8 {
            let (path, agents @ [_, b, _]) = a_round(app, "round_robin").await;
            let speak = async {
                for _ in 0..3 {
                    for agent in agents {
                        says(app, &path, agent, &[]).await;
                    }
                }
            };
            let second = async {
                let body =
                    json!({"topic": "t", "participants": [b], "turn_strategy": "round_robin"});
                app.post("/v1/conversations", &body).await
            };
            let ((), begun, ()) =
                futures_util::future::join3(speak, second, delete_agent(app, b)).await;
            assert!(
                !next_speakers(app, &path)
                    .await
                    .as_array()
                    .expect("a list")
                    .contains(&json!(b))
            );
            if begun.status == 201 {
                let path = format!("/v1/conversations/{}", begun.created()["id"]);
                assert_eq!(next_speakers(app, &path).await, json!([]));
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_turns_of_an_agent_in_many_conversations_pass_on_in_few_statements() {
    on_both(async |app| {
        let agents = [app.an_agent("a").await, app.an_agent("b").await];
        for _ in 0..120 {
            let body =
                json!({"topic": "t", "turn_strategy": "round_robin", "participants": agents});
            app.post("/v1/conversations", &body).await.created();
        }
        let path = format!("/v1/agents/{}", agents[0]);
        let (answer, statements) = app.statements(app.delete(&path)).await;
        answer.no_content();
        assert!(statements <= 14, "{statements} statements");
        let next = app
            .listed("/v1/conversations?limit=200", "next_speakers")
            .await;
        assert!(next.iter().all(|next| *next == json!([agents[1]])));
    })
    .await;
}
