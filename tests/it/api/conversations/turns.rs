//! Turn strategies: whose turn it is to speak.

use serde_json::{Value, json};

use super::a_round;
use test_support::{TestApp, on_both};

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
