//! Conversations, participants, messages and transcripts.

use std::{collections::BTreeSet, time::Instant};

use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::support::{
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

async fn next_speakers(app: &TestApp, path: &str) -> Value {
    app.get(path).await.ok()["next_speakers"].clone()
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

#[tokio::test]
async fn nothing_is_appended_out_of_bounds() {
    on_both(async |app| {
        let agent = app.an_agent("a").await;
        let stranger = app.an_agent("s").await;
        let body = json!({"topic": "t", "participants": [agent], "max_turns": 2});
        let path = format!("/v1/conversations/{}", a_conversation(app, body).await);
        let messages = format!("{path}/messages");
        for (body, pointer) in [
            (json!({"agent_id": stranger, "content": "x"}), "#/agent_id"),
            (json!({"content": "x", "reply_to": 1}), "#/reply_to"),
            (json!({"content": ""}), "#/content"),
            (json!({"agent_id": agent, "author_name": "me", "content": "x"}), "#/author_name"),
            (json!({"content": "x", "tool_calls": ["x"]}), "#/tool_calls/0"),
        ] {
            app.post(&messages, &body).await.invalid(&[pointer]);
        }
        let first = json!({"agent_id": agent, "content": "x", "tool_calls": [{"name": "grep", "arguments": {"n": 1}}]});
        let said = app.post(&messages, &first).await.created();
        assert_eq!((&said["number"], &said["author"], &said["author_name"]), (&json!(1), &json!("agent"), &json!("a")));
        assert_eq!(said["tool_calls"], first["tool_calls"]);
        app.patch(&path, &json!({"status": "paused"})).await.ok();
        app.post(&messages, &json!({"content": "x"})).await.problem(409, "conversation_not_active");
        app.patch(&path, &json!({"status": "active"})).await.ok();
        let answer = json!({"content": "y", "author_name": "Eve", "reply_to": 1});
        let said = app.post(&messages, &answer).await.created();
        assert_eq!((&said["number"], &said["author"], &said["author_name"]), (&json!(2), &json!("user"), &json!("Eve")));
        app.post(&messages, &json!({"content": "x"})).await.problem(409, "no_turns_left");
        assert_eq!(app.get(&messages).await.ok()["data"].as_array().map(Vec::len), Some(2));
        assert_eq!(app.get(&format!("{messages}/2")).await.ok(), said);
        app.get(&format!("{messages}/3")).await.problem(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn sixteen_writers_number_a_thousand_messages_without_gap_or_repeat() {
    const TURNS: i64 = 1000;
    on_both(async |app| {
        let body = json!({"topic": "busy", "max_turns": TURNS});
        let path = format!(
            "/v1/conversations/{}/messages",
            a_conversation(app, body).await
        );
        let writers = (0..16).map(async |writer| {
            let body = json!({"content": format!("from {writer}")});
            let mut numbers = Vec::new();
            loop {
                let answer = app.post(&path, &body).await;
                match answer.status {
                    201 => numbers.push(answer.created()["number"].as_i64().expect("a number")),
                    // Too many at once: nothing was written, and trying again is the client's part.
                    503 => {}
                    _ => {
                        answer.problem(409, "no_turns_left");
                        return numbers;
                    }
                }
            }
        });
        let numbers: Vec<i64> = futures_util::future::join_all(writers).await.concat();
        assert_eq!(numbers.len(), 1000, "max_turns is never passed");
        let distinct: BTreeSet<i64> = numbers.into_iter().collect();
        assert_eq!(distinct, (1..=TURNS).collect());
    })
    .await;
}

#[tokio::test]
async fn messages_are_read_page_by_page_from_either_end() {
    on_both(async |app| {
        let path = format!(
            "/v1/conversations/{}/messages",
            a_conversation(app, json!({"topic": "t"})).await
        );
        for _ in 0..5 {
            app.post(&path, &json!({"content": "x"})).await.created();
        }
        for (order, expected) in [("asc", [[1, 2], [3, 4]]), ("desc", [[5, 4], [3, 2]])] {
            let first = app
                .get(&format!("{path}?order={order}&limit=2&count=true"))
                .await
                .ok();
            assert_eq!(
                (column(&first, "number"), &first["total"]),
                (
                    expected[0]
                        .iter()
                        .map(|n| json!(n))
                        .collect::<Vec<_>>()
                        .iter()
                        .collect(),
                    &json!(5)
                )
            );
            let cursor = first["next_cursor"].as_str().expect("a cursor");
            let (answer, statements) = app
                .statements(app.get(&format!("{path}?order={order}&limit=2&cursor={cursor}")))
                .await;
            assert_eq!(statements, 2);
            let second = answer.ok();
            assert_eq!(column(&second, "number"), expected[1]);
            let cursor = second["next_cursor"].as_str().expect("a cursor");
            let last = app
                .get(&format!("{path}?order={order}&limit=2&cursor={cursor}"))
                .await
                .ok();
            assert_eq!(
                (column(&last, "number").len(), &last["next_cursor"]),
                (1, &Value::Null)
            );
        }
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

#[tokio::test]
async fn a_transcript_tells_who_said_what_in_text_and_in_markdown() {
    on_both(async |app| {
        let agent = app.an_agent("Ada").await;
        let body = json!({"topic": "Release", "participants": [agent], "initial_prompt": "Begin."});
        let path = format!("/v1/conversations/{}", a_conversation(app, body).await);
        let messages = format!("{path}/messages");
        app.post(
            &messages,
            &json!({"content": "Ready?", "author_name": "Eve"}),
        )
        .await
        .created();
        app.post(
            &messages,
            &json!({"content": "Yes.", "agent_id": agent, "reply_to": 1}),
        )
        .await
        .created();

        let text = app.get(&format!("{path}/transcript")).await;
        assert_eq!(
            (text.status, text.header("content-type")),
            (200, "text/plain; charset=utf-8")
        );
        let lines: Vec<&str> = text.text.lines().collect();
        assert_eq!(
            (lines[0], lines[2], lines[5], lines[8]),
            ("Release", "Begin.", "Ready?", "Yes.")
        );
        assert!(
            lines[4].starts_with("[1] Eve (") && lines[7].starts_with("[2, to 1] Ada ("),
            "{}",
            text.text
        );

        let markdown = app.get(&format!("{path}/transcript?format=markdown")).await;
        assert_eq!(
            markdown.header("content-type"),
            "text/markdown; charset=utf-8"
        );
        for part in [
            "# Release\n",
            "\n> Begin.\n",
            "\n## 1. Eve\n",
            "\n## 2. Ada\n",
            "\nYes.\n",
        ] {
            assert!(markdown.text.contains(part), "{part}: {}", markdown.text);
        }
        app.get(&format!("{path}/transcript?format=pdf"))
            .await
            .invalid(&["query/format"]);
    })
    .await;
}

/// Puts ten thousand messages into a conversation, past the API.
async fn fill(app: &TestApp, conversation: i64) {
    let db = app.database.connection();
    let sql = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) \
         INSERT INTO messages (conversation_id, number, author, author_name, content, created_at) \
         SELECT {conversation}, i, 'user', 'u', 'message ' || i, '2026-01-02T03:04:05+00:00' FROM n"
    );
    let sql = match app.backend {
        crate::support::Backend::Sqlite => sql,
        crate::support::Backend::Postgres => sql.replace("'2026-01-02T03:04:05+00:00'", "now()"),
    };
    db.execute_unprepared(&sql).await.expect("messages");
    let sql = format!("UPDATE conversations SET turn_count = 10000 WHERE id = {conversation}");
    db.execute_unprepared(&sql).await.expect("a count");
}

#[tokio::test]
async fn a_long_conversation_is_streamed_whole_and_read_through_its_index() {
    on_both(async |app| {
        let long = a_conversation(app, json!({"topic": "long"})).await;
        fill(app, long).await;
        let path = format!("/v1/conversations/{long}");
        let (answer, statements) = app
            .statements(app.get(&format!("{path}/messages?order=desc&limit=10")))
            .await;
        assert_eq!(
            (&answer.ok()["data"][0]["number"], statements),
            (&json!(10000), 2)
        );
        assert!(
            plan_of_last_page(app, long)
                .await
                .contains("messages_number_unique")
        );

        let started = Instant::now();
        let transcript = app.get(&format!("{path}/transcript")).await;
        let entries = transcript
            .text
            .lines()
            .filter(|line| line.starts_with("message "))
            .count();
        assert_eq!(entries, 10000, "after {:?}", started.elapsed());
        assert!(transcript.text.ends_with("message 10000\n"));
    })
    .await;
}

/// How the database would find the last messages of a conversation.
async fn plan_of_last_page(app: &TestApp, conversation: i64) -> String {
    let db = app.database.connection();
    db.execute_unprepared("ANALYZE").await.expect("statistics");
    let explain = match app.backend {
        crate::support::Backend::Sqlite => "EXPLAIN QUERY PLAN",
        crate::support::Backend::Postgres => "EXPLAIN",
    };
    let sql = format!(
        "{explain} SELECT * FROM messages WHERE conversation_id = {conversation} ORDER BY number DESC LIMIT 11"
    );
    let statement = sea_orm::Statement::from_string(db.get_database_backend(), sql);
    let rows = db.query_all_raw(statement).await.expect("a plan");
    let last_column = match app.backend {
        crate::support::Backend::Sqlite => 3,
        crate::support::Backend::Postgres => 0,
    };
    let lines = rows
        .iter()
        .map(|row| row.try_get_by_index::<String>(last_column).expect("a line"));
    lines.collect::<Vec<_>>().join("\n")
}
