//! Conversations and their participants.

mod messages;
mod transcripts;
mod turns;

use serde_json::{Value, json};

use test_support::{
    TestApp,
    factories::{column, id},
    on_both,
};

async fn a_conversation(app: &TestApp, body: Value) -> i64 {
    id(&app.post("/v1/conversations", &body).await.created())
}

/// Three agents and a conversation between them.
async fn a_round(app: &TestApp, strategy: &str) -> (String, [i64; 3]) {
    let agents = [
        app.an_agent("a").await,
        app.an_agent("b").await,
        app.an_agent("c").await,
    ];
    let body = json!({"topic": strategy, "turn_strategy": strategy, "participants": agents});
    let id = a_conversation(app, body).await;
    (format!("/v1/conversations/{id}"), agents)
}

#[tokio::test]
async fn a_conversation_is_created_read_updated_and_deleted() {
    on_both(async |app| {
        let new = json!({"topic": "Release", "turn_strategy": "mention_based", "max_turns": 3, "initial_prompt": "Begin."});
        let answer = app.post("/v1/conversations", &new).await;
        let path = answer.header("location").to_owned();
        let created = answer.created();
        for (field, value) in new.as_object().expect("an object") {
            assert_eq!(created[field], *value, "{field}");
        }
        assert_eq!((&created["status"], &created["turn_count"]), (&json!("active"), &json!(0)));
        assert_eq!(app.get(&path).await.ok(), created);

        let changes = json!({"status": "completed", "summary": "Done.", "max_turns": null});
        let updated = app.patch(&path, &changes).await.ok();
        assert_eq!((&updated["summary"], &updated["max_turns"]), (&json!("Done."), &Value::Null));
        assert_eq!(updated["topic"], "Release", "an absent field stays");
        assert_eq!(app.patch(&path, &json!({})).await.ok(), updated);

        app.patch(&path, &json!({"status": "active"})).await.ok();
        app.post(&format!("{path}/messages"), &json!({"content": "x"})).await.created();
        app.delete(&path).await.no_content();
        for path in [path.clone(), format!("{path}/messages"), format!("{path}/messages/1"), format!("{path}/participants"), format!("{path}/transcript")] {
            app.get(&path).await.problem(404, "not_found");
        }
        app.delete(&path).await.problem(404, "not_found");
        app.post(&format!("{path}/messages"), &json!({"content": "x"})).await.problem(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn a_circle_s_conversation_begins_with_its_members_in_the_roster_s_order() {
    on_both(async |app| {
        let circle = id(&app.a_circle("team").await);
        for (name, role) in [("m", "member"), ("l", "lead")] {
            let agent = app.an_agent(name).await;
            let body = json!({"agent_id": agent, "role": role});
            app.post("/v1/circles/team/members", &body).await.created();
        }
        let body = json!({"topic": "t", "circle": "team", "turn_strategy": "round_robin"});
        let created = app.post("/v1/conversations", &body).await.created();
        assert_eq!(created["circle_id"], circle);
        let path = format!("/v1/conversations/{}/participants", created["id"]);
        let participants = app.get(&path).await.ok();
        assert_eq!(column(&participants, "agent_name"), ["l", "m"]);
        assert_eq!(
            created["next_speakers"][0],
            participants["data"][0]["agent_id"]
        );

        let other = app.an_agent("other").await;
        let body = json!({"topic": "t", "circle": "team", "participants": [other]});
        let created = app.post("/v1/conversations", &body).await.created();
        let path = format!("/v1/conversations/{}/participants", created["id"]);
        assert_eq!(column(&app.get(&path).await.ok(), "agent_id"), [other]);
    })
    .await;
}

#[tokio::test]
async fn a_conversation_with_nobody_there_is_refused() {
    on_both(async |app| {
        let agent = app.an_agent("a").await;
        for (body, pointer) in [
            (json!({"topic": "t", "circle": "none"}), "#/circle"),
            (
                json!({"topic": "t", "participants": [agent, 99]}),
                "#/participants/1",
            ),
            (
                json!({"topic": "t", "participants": [agent, agent]}),
                "#/participants/1",
            ),
            (json!({"topic": ""}), "#/topic"),
            (json!({"topic": "t", "max_turns": 0}), "#/max_turns"),
            (
                json!({"topic": "t", "turn_strategy": "loudest"}),
                "#/turn_strategy",
            ),
        ] {
            app.post("/v1/conversations", &body)
                .await
                .invalid(&[pointer]);
        }
        assert_eq!(
            app.get("/v1/conversations?count=true").await.ok()["total"],
            0
        );
    })
    .await;
}

#[tokio::test]
async fn a_list_of_conversations_takes_three_statements_with_everything_included() {
    on_both(async |app| {
        for number in 0..60 {
            let (path, _) = a_round(app, "free_form").await;
            for _ in 0..number % 3 {
                app.post(&format!("{path}/messages"), &json!({"content": "x"}))
                    .await
                    .created();
            }
        }
        let path = "/v1/conversations?include=participants,last_message&count=true&limit=50";
        let (answer, statements) = app.statements(app.get(path)).await;
        let page = answer.ok();
        assert!(statements <= 3, "{statements} statements");
        assert_eq!(page["total"], 60);
        for conversation in page["data"].as_array().expect("rows") {
            assert_eq!(
                conversation["participants"].as_array().map(Vec::len),
                Some(3)
            );
            let last = conversation
                .get("last_message")
                .map(|message| &message["number"]);
            let turns = &conversation["turn_count"];
            assert_eq!(last, (*turns != 0).then_some(turns));
        }
        let (answer, statements) = app.statements(app.get("/v1/conversations")).await;
        assert_eq!(
            (answer.ok()["data"][0].get("participants"), statements),
            (None, 1)
        );
        app.get("/v1/conversations?include=secrets")
            .await
            .invalid(&["query/include"]);
    })
    .await;
}

#[tokio::test]
async fn conversations_are_found_by_state_circle_agent_and_topic() {
    on_both(async |app| {
        let circle = id(&app.a_circle("team").await);
        let agent = app.an_agent("a").await;
        let first = a_conversation(app, json!({"topic": "Release 1.0", "circle": "team"})).await;
        let second = a_conversation(app, json!({"topic": "Other", "participants": [agent]})).await;
        app.patch(
            &format!("/v1/conversations/{second}"),
            &json!({"status": "paused"}),
        )
        .await
        .ok();
        for (query, expected) in [
            ("status=paused".to_owned(), vec![second]),
            (format!("circle_id={circle}"), vec![first]),
            (format!("agent_id={agent}"), vec![second]),
            ("q=release".to_owned(), vec![first]),
            ("q=nothing".to_owned(), vec![]),
        ] {
            let page = app.get(&format!("/v1/conversations?{query}")).await.ok();
            assert_eq!(
                column(&page, "id"),
                expected
                    .iter()
                    .map(|id| json!(id))
                    .collect::<Vec<_>>()
                    .iter()
                    .collect::<Vec<_>>(),
                "{query}"
            );
        }
    })
    .await;
}
