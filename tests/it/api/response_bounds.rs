//! How large a response may be, and how much memory all of them may take.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use test_support::{TestApp, factories::column, on_both, on_both_databases};

/// The largest response that is not streamed, and one row more.
const MAX_RESPONSE: usize = (8 << 20) + (1 << 20);

/// A text of the bound of prompts that takes four bytes a character.
fn long_text() -> String {
    "\u{1F980}".repeat(100_000)
}

/// Agents of 800 kB each.
async fn large_agents(app: &TestApp, count: usize) -> Vec<i64> {
    let text = long_text();
    let mut ids = Vec::new();
    for index in 0..count {
        let name = format!("agent {index:02}");
        let body = json!({"name": name, "system_prompt": text, "base_prompt": text});
        let created = app.post("/v1/agents", &body).await.created();
        ids.push(created["id"].as_i64().expect("an id"));
    }
    ids
}

/// All ids of a list, and the number of its pages, none of which is too large.
async fn read_all(app: &TestApp, list: &str) -> (Vec<Value>, usize) {
    let (mut ids, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let answer = app.get(&format!("{list}{cursor}")).await;
        assert!(
            answer.text.len() < MAX_RESPONSE,
            "{list}: {}",
            answer.text.len()
        );
        let page = answer.ok();
        ids.extend(column(&page, "id").into_iter().cloned());
        pages += 1;
        let Some(next) = page["next_cursor"].as_str() else {
            return (ids, pages);
        };
        assert_ne!(page["data"], json!([]), "{list}");
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test]
async fn a_page_ends_before_it_is_larger_than_a_response_may_be() {
    on_both(async |app| {
        let created: BTreeSet<String> = large_agents(app, 13)
            .await
            .iter()
            .map(i64::to_string)
            .collect();
        for list in [
            "limit=200",
            "sort=-name&limit=200",
            "include=model&limit=200",
        ] {
            let (ids, pages) = read_all(app, &format!("/v1/agents?{list}")).await;
            assert_eq!((ids.len(), pages), (13, 2), "{list}");
            let ids: BTreeSet<String> = ids.iter().map(Value::to_string).collect();
            assert_eq!(ids, created, "{list}");
        }
        // Rows of a page that fits are not cut.
        let (_, pages) = read_all(app, "/v1/agents?limit=10").await;
        assert_eq!(pages, 2);
        let page = app.get("/v1/agents?limit=1").await.ok();
        assert_eq!(page["data"].as_array().map(Vec::len), Some(1));
    })
    .await;
}

#[tokio::test]
async fn characters_that_json_escapes_count_as_what_they_become() {
    on_both(async |app| {
        let text = "\u{1}".repeat(100_000);
        for _ in 0..9 {
            let body = json!({"name": "Ada", "system_prompt": text});
            app.post("/v1/agents", &body).await.created();
            app.patch("/v1/agents/1", &json!({"base_prompt": text}))
                .await
                .ok();
        }
        for id in 2..=9 {
            let path = format!("/v1/agents/{id}");
            app.patch(&path, &json!({"base_prompt": text})).await.ok();
        }
        let (ids, pages) = read_all(app, "/v1/agents?limit=200").await;
        assert_eq!((ids.len(), pages), (9, 2));
    })
    .await;
}

#[tokio::test]
async fn a_circle_that_is_too_large_is_refused_whole_and_read_in_parts() {
    on_both(async |app| {
        let agents = large_agents(app, 13).await;
        app.a_circle("large").await;
        app.a_circle("small").await;
        for agent in &agents {
            app.a_member("large", *agent).await;
        }
        for path in [
            "/v1/circles/large",
            "/v1/circles/large?include_inactive=true",
            "/v1/circles/large/handles",
            "/v1/circles?include=members",
        ] {
            app.get(path).await.problem(422, "response_too_large");
        }
        app.get("/v1/circles/small").await.ok();
        // More often than there are connections: none is lost in the middle of its rows.
        for _ in 0..25 {
            let published = app.post("/v1/circles/large/releases", &json!({})).await;
            published.problem(422, "response_too_large");
        }
        let published = app.post("/v1/circles/small/releases", &json!({})).await;
        published.created();
        let (members, _) = read_all(app, "/v1/circles/large/members?limit=200").await;
        assert_eq!(members.len(), 13);
        app.get(&format!("/v1/agents/{}/handle", agents[0]))
            .await
            .ok();
        let members = app.get("/v1/agents?limit=1").await.ok();
        assert!(members["next_cursor"].is_string());
    })
    .await;
}

#[tokio::test]
async fn a_list_with_members_ends_before_the_circle_that_does_not_fit() {
    on_both(async |app| {
        let agents = large_agents(app, 6).await;
        for circle in ["a", "b", "c"] {
            app.a_circle(circle).await;
            for agent in &agents {
                app.a_member(circle, *agent).await;
            }
        }
        for sort in ["id", "-name"] {
            let list = format!("/v1/circles?include=members&sort={sort}&limit=200");
            let (ids, pages) = read_all(app, &list).await;
            assert_eq!((ids.len(), pages), (3, 3), "{sort}");
        }
    })
    .await;
}

#[tokio::test]
async fn handles_count_what_the_circle_adds_to_every_prompt() {
    on_both(async |app| {
        let circle = json!({
            "name": "team", "settings": {"instructions": long_text()}, "require_review": false
        });
        app.post("/v1/circles", &circle).await.created();
        let model = app.a_provider("acme").await;
        let model = app.a_model(model, "acme-1").await;
        for index in 0..25 {
            let agent = app.an_agent_on(&format!("agent {index}"), model).await;
            app.a_member("team", agent).await;
        }
        app.get("/v1/circles/team/handles")
            .await
            .problem(422, "response_too_large");
        app.get("/v1/circles/team").await.ok();
        // The statement sends what the circle adds once, and lint answers without the prompts.
        app.get("/v1/circles/team/lint").await.ok();
    })
    .await;
}

#[tokio::test]
async fn instructions_have_the_bound_of_prompts() {
    on_both(async |app| {
        let description = app.get("/openapi.json").await.ok();
        let bound = &description["components"]["schemas"]["CircleCreate"]["properties"]["project_context"]["maxLength"];
        let bound = usize::try_from(bound.as_u64().expect("a bound")).expect("a length");
        let circle = |name: &str, length: usize| {
            json!({"name": name, "settings": {"instructions": "é".repeat(length)}})
        };
        app.post("/v1/circles", &circle("long", bound + 1))
            .await
            .invalid(&["#/settings/instructions"]);
        app.post("/v1/circles", &circle("team", bound)).await.created();
        app.patch("/v1/circles/team", &circle("team", bound + 1))
            .await
            .invalid(&["#/settings/instructions"]);
        app.patch("/v1/circles/team", &circle("team", bound)).await.ok();
        let free = json!({"settings": {"instructions": ["no text"], "notes": "x".repeat(bound + 1)}});
        app.patch("/v1/circles/team", &free).await.ok();
    })
    .await;
}

#[tokio::test]
async fn a_transcript_of_any_length_is_streamed() {
    on_both(async |app| {
        let conversation = json!({"topic": "t"});
        app.post("/v1/conversations", &conversation).await.created();
        let message = json!({"content": long_text()});
        for _ in 0..25 {
            app.post("/v1/conversations/1/messages", &message)
                .await
                .created();
        }
        let transcript = app.get("/v1/conversations/1/transcript").await;
        assert_eq!(transcript.status, 200);
        assert_eq!(transcript.text.matches('\u{1F980}').count(), 25 * 100_000);
        let (_, pages) = read_all(app, "/v1/conversations/1/messages?limit=200").await;
        assert_eq!(pages, 2);
    })
    .await;
}

async fn ask_without_reading(app: &TestApp, path: &str) -> TcpStream {
    let address = app.base.trim_start_matches("http://");
    let socket = TcpSocket::new_v4().expect("a socket");
    // The kernel would take all of the response.
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    let to = address.parse().expect("an address");
    let mut stream = socket.connect(to).await.expect("a connection");
    let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("a request");
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.expect("a status");
    assert!(status.starts_with(b"HTTP/1.1 "));
    stream
}

#[tokio::test]
async fn responses_that_are_not_read_leave_room_for_small_ones_and_for_those_after_them() {
    on_both_databases(async |database| {
        let mut settings = database.settings();
        settings.server.response_memory_mib = 48;
        settings.server.response_read_timeout = Duration::from_mins(5);
        let app = TestApp::start(database.backend, settings).await;
        large_agents(&app, 11).await;
        let list = "/v1/agents?limit=200";
        app.get(list).await.ok();
        let mut unread = Vec::new();
        for _ in 0..4 {
            unread.push(ask_without_reading(&app, list).await);
        }
        app.get(list).await.problem(503, "overloaded");
        app.get("/v1/circles").await.ok();
        drop(unread);
        let ended = Instant::now();
        while app.get(list).await.status != 200 {
            assert!(ended.elapsed() < Duration::from_secs(10), "memory is kept");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        app.stop().await;
    })
    .await;
}
