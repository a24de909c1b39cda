//! Transcripts, and conversations of many messages.

use std::time::Instant;

use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;

use super::a_conversation;
use test_support::{Backend, TestApp, on_both};

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

/// Inserts ten thousand messages into a conversation by SQL.
async fn fill(app: &TestApp, conversation: i64) {
    let db = app.database.connection();
    let sql = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) \
         INSERT INTO messages (conversation_id, number, author, author_name, content, created_at) \
         SELECT {conversation}, i, 'user', 'u', 'message ' || i, '2026-01-02T03:04:05+00:00' FROM n"
    );
    let sql = match app.backend {
        Backend::Sqlite => sql,
        Backend::Postgres => sql.replace("'2026-01-02T03:04:05+00:00'", "now()"),
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

/// The database's plan for the last messages of a conversation.
async fn plan_of_last_page(app: &TestApp, conversation: i64) -> String {
    let db = app.database.connection();
    db.execute_unprepared("ANALYZE").await.expect("statistics");
    let explain = match app.backend {
        Backend::Sqlite => "EXPLAIN QUERY PLAN",
        Backend::Postgres => "EXPLAIN",
    };
    let sql = format!(
        "{explain} SELECT * FROM messages WHERE conversation_id = {conversation} ORDER BY number DESC LIMIT 11"
    );
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let rows = db.query_all_raw(statement).await.expect("a plan");
    let last_column = match app.backend {
        Backend::Sqlite => 3,
        Backend::Postgres => 0,
    };
    let lines = rows
        .iter()
        .map(|row| row.try_get_by_index::<String>(last_column).expect("a line"));
    lines.collect::<Vec<_>>().join("\n")
}
