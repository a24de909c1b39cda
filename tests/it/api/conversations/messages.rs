//! Messages: what may be appended, how they are numbered and read.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::a_conversation;
use test_support::{factories::column, on_both};

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
async fn a_message_may_only_call_tools_and_then_keeps_the_turn() {
    on_both(async |app| {
        for strategy in ["round_robin", "mention_based", "free_form"] {
            let agents = [app.an_agent("a").await, app.an_agent("b").await];
            let body = json!({"topic": "t", "participants": agents, "turn_strategy": strategy});
            let path = format!("/v1/conversations/{}", a_conversation(app, body).await);
            let messages = format!("{path}/messages");
            let call = json!([{"name": "grep"}]);
            for content in [json!({}), json!({"content": null}), json!({"content": ""})] {
                let mut body = json!({"agent_id": agents[0]});
                body.as_object_mut()
                    .expect("an object")
                    .extend(content.as_object().expect("an object").clone());
                app.post(&messages, &body).await.invalid(&["#/content"]);
                body["tool_calls"] = call.clone();
                let said = app.post(&messages, &body).await.created();
                assert_eq!((&said["content"], &said["tool_calls"]), (&json!(""), &call));
                let next = if strategy == "free_form" {
                    json!([])
                } else {
                    json!([agents[0]])
                };
                assert_eq!(app.get(&path).await.ok()["next_speakers"], next);
                for author in ["tool", "system"] {
                    app.post(&messages, &json!({"author": author, "content": "x"}))
                        .await
                        .created();
                    assert_eq!(app.get(&path).await.ok()["next_speakers"], next, "{author}");
                }
            }
            app.post(
                &messages,
                &json!({"agent_id": agents[0], "content": "done"}),
            )
            .await
            .created();
            let next = if strategy == "round_robin" {
                json!([agents[1]])
            } else {
                json!([])
            };
            assert_eq!(app.get(&path).await.ok()["next_speakers"], next);
        }
    })
    .await;
}

#[tokio::test]
async fn a_message_is_an_agent_s_a_user_s_a_tool_s_or_the_system_s() {
    on_both(async |app| {
        let agent = app.an_agent("Ada").await;
        let body = json!({"topic": "t", "participants": [agent]});
        let path = format!(
            "/v1/conversations/{}/messages",
            a_conversation(app, body).await
        );
        for (body, author, name) in [
            (json!({"agent_id": agent}), "agent", "Ada"),
            (
                json!({"agent_id": agent, "author": "agent"}),
                "agent",
                "Ada",
            ),
            (json!({}), "user", "user"),
            (
                json!({"author": "user", "author_name": "Eve"}),
                "user",
                "Eve",
            ),
            (json!({"author": "tool"}), "tool", "tool"),
            (
                json!({"author": "tool", "author_name": "grep", "agent_id": null}),
                "tool",
                "grep",
            ),
            (json!({"author": "system"}), "system", "system"),
        ] {
            let mut body = body;
            body["content"] = json!("x");
            let said = app.post(&path, &body).await.created();
            assert_eq!(
                (&said["author"], &said["author_name"]),
                (&json!(author), &json!(name))
            );
            let number = &said["number"];
            assert_eq!(app.get(&format!("{path}/{number}")).await.ok(), said);
        }
        for (body, pointer) in [
            (json!({"author": "agent"}), "#/agent_id"),
            (json!({"author": "user", "agent_id": agent}), "#/agent_id"),
            (json!({"author": "tool", "agent_id": agent}), "#/agent_id"),
            (json!({"author": "assistant"}), "#/author"),
        ] {
            let mut body = body;
            body["content"] = json!("x");
            app.post(&path, &body).await.invalid(&[pointer]);
        }
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
                    // Too many concurrent requests: nothing was written, and the client should retry.
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
