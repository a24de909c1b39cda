//! Compressed responses, and their entity tags.

use std::io::Read;

use flate2::read::GzDecoder;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use test_support::{Answer, TestApp, on_both, on_both_databases};

/// A team with an agent whose prompt is worth compressing.
async fn a_team(app: &TestApp) {
    let prompt = "Review what changed, and say what is missing. ".repeat(100);
    let agent = json!({"name": "Ada", "system_prompt": prompt, "model_id": null});
    app.post("/v1/agents", &agent).await.created();
    app.a_circle("team").await;
    app.a_member("team", 1).await;
}

fn compressed(app: &TestApp, method: Method, path: &str) -> RequestBuilder {
    let request = app.request(method, path);
    request.header("accept-encoding", "br, gzip;q=0.9")
}

async fn send(request: RequestBuilder) -> Response {
    request.send().await.expect("an answer")
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    let value = response.headers().get(name);
    value.map_or("", |value| value.to_str().expect("text"))
}

async fn unpacked(response: Response) -> String {
    assert_eq!(header(&response, "content-encoding"), "gzip");
    let body = response.bytes().await.expect("a body");
    let mut text = String::new();
    let mut decoder = GzDecoder::new(&*body);
    decoder.read_to_string(&mut text).expect("gzip");
    assert!(
        2 * body.len() < text.len(),
        "{} of {}",
        body.len(),
        text.len()
    );
    text
}

#[tokio::test]
async fn a_response_is_compressed_for_those_that_accept_it_and_is_the_same() {
    on_both(async |app| {
        a_team(app).await;
        for path in [
            "/v1/agents/1",
            "/v1/agents?limit=200",
            "/v1/circles/team",
            "/v1/circles/team",
            "/v1/circles/team?include_inactive=true",
            "/v1/circles?include=members",
            "/v1/circles/team/handles",
            "/v1/agents/1/handle",
        ] {
            let plain = app.get(path).await;
            assert_eq!(plain.header("content-encoding"), "", "{path}");
            assert_eq!(plain.header("vary"), "Accept-Encoding", "{path}");
            let response = send(compressed(app, Method::GET, path)).await;
            assert_eq!(header(&response, "vary"), "Accept-Encoding", "{path}");
            assert_eq!(header(&response, "content-type"), "application/json");
            assert_eq!(unpacked(response).await, plain.text, "{path}");
        }
        for path in ["/livez", "/v1/circles/nothing", "/v1/circles/team/lint"] {
            let response = send(compressed(app, Method::GET, path)).await;
            assert_eq!(header(&response, "content-encoding"), "", "{path}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_tag_of_a_compressed_response_is_its_own_and_works_as_any_other() {
    on_both(async |app| {
        a_team(app).await;
        for path in [
            "/v1/agents/1",
            "/v1/circles/team",
            "/v1/circles/team?include_inactive=true",
            "/v1/circles/team/handles",
            "/v1/agents/1/handle",
            "/openapi.json",
            "/docs",
        ] {
            let plain = app.get(path).await.header("etag").to_owned();
            let response = send(compressed(app, Method::GET, path)).await;
            let packed = header(&response, "etag").to_owned();
            let start = plain.strip_suffix('"').expect("a quoted tag");
            assert_eq!(packed, format!("{start}-gzip\""), "{path}");
            for (request, tags, named) in [
                (compressed(app, Method::GET, path), packed.clone(), &packed),
                (
                    compressed(app, Method::GET, path),
                    format!("W/{packed}"),
                    &packed,
                ),
                (
                    compressed(app, Method::GET, path),
                    format!("\"1-1\", {packed}"),
                    &packed,
                ),
                (compressed(app, Method::GET, path), plain.clone(), &plain),
                (app.request(Method::GET, path), packed.clone(), &packed),
                (app.request(Method::GET, path), plain.clone(), &plain),
                (
                    app.request(Method::GET, path),
                    format!("{plain}, {packed}"),
                    &plain,
                ),
            ] {
                let request = request.header("if-none-match", &tags);
                let (answer, statements) = app.statements(Answer::to(request)).await;
                assert_eq!(
                    (answer.status, answer.text.as_str()),
                    (304, ""),
                    "{path} {tags}"
                );
                assert_eq!(answer.header("etag"), named, "{path} {tags}");
                assert_eq!(answer.header("vary"), "Accept-Encoding", "{path}");
                assert!(statements <= 1, "{path} {tags}: {statements}");
            }
            let other = packed.replacen('"', "\"0", 1);
            let request = compressed(app, Method::GET, path).header("if-none-match", &other);
            assert_eq!(send(request).await.status(), 200, "{path} {other}");
        }
        let tag = |response: &Response| header(response, "etag").to_owned();
        let first = tag(&send(compressed(app, Method::GET, "/v1/agents/1")).await);
        let update = |tag: &str| {
            let request = compressed(app, Method::PATCH, "/v1/agents/1").header("if-match", tag);
            request.json(&json!({"status": if tag == first { "busy" } else { "idle" }}))
        };
        let response = send(update(&first)).await;
        let second = tag(&response);
        assert!(second.ends_with("-gzip\"") && second != first, "{second}");
        let agent: Value = serde_json::from_str(&unpacked(response).await).expect("JSON");
        assert_eq!(agent["status"], "busy");
        Answer::to(update(&first))
            .await
            .problem(412, "precondition_failed");
        assert_eq!(send(update(&second)).await.status(), 200);
    })
    .await;
}

#[tokio::test]
async fn a_write_is_answered_and_replayed_compressed_or_not() {
    on_both(async |app| {
        let agent = json!({"name": "Ada", "system_prompt": "Review. ".repeat(400)});
        let once = |request: RequestBuilder| request.header("idempotency-key", "k").json(&agent);
        let first = send(once(compressed(app, Method::POST, "/v1/agents"))).await;
        assert_eq!(first.status(), 201);
        let first = unpacked(first).await;
        let plain = Answer::to(once(app.request(Method::POST, "/v1/agents"))).await;
        assert_eq!(
            (plain.text.as_str(), plain.header("idempotency-replayed")),
            (&*first, "true")
        );
        let again = send(once(compressed(app, Method::POST, "/v1/agents"))).await;
        assert_eq!(header(&again, "idempotency-replayed"), "true");
        assert_eq!(unpacked(again).await, first);
    })
    .await;
}

#[tokio::test]
async fn a_transcript_is_streamed_as_it_is() {
    on_both(async |app| {
        app.post("/v1/conversations", &json!({"topic": "t"}))
            .await
            .created();
        let message = json!({"content": "Review. ".repeat(400)});
        let messages = "/v1/conversations/1/messages";
        app.post(messages, &message).await.created();
        let transcript = send(compressed(
            app,
            Method::GET,
            "/v1/conversations/1/transcript",
        ))
        .await;
        assert_eq!(header(&transcript, "content-encoding"), "");
        let text = transcript.text().await.expect("text");
        assert!(text.contains("Review. Review."), "{text}");
    })
    .await;
}

#[tokio::test]
async fn compression_can_be_turned_off_and_tags_of_before_still_name_what_they_named() {
    on_both_databases(async |database| {
        let app = TestApp::start(database.backend, database.settings()).await;
        a_team(&app).await;
        let path = "/v1/circles/team";
        let response = send(compressed(&app, Method::GET, path)).await;
        let packed = header(&response, "etag").to_owned();
        app.stop().await;
        let mut settings = database.settings();
        settings.server.no_compression = true;
        let app = TestApp::start(database.backend, settings).await;
        for path in [path, "/docs"] {
            let response = send(compressed(&app, Method::GET, path)).await;
            let of = |name| header(&response, name).to_owned();
            assert_eq!(
                (of("content-encoding"), of("vary")),
                Default::default(),
                "{path}"
            );
        }
        let known = compressed(&app, Method::GET, path).header("if-none-match", &packed);
        let known = send(known).await;
        assert_eq!(
            (known.status().as_u16(), header(&known, "etag")),
            (304, &*packed)
        );
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_roster_that_is_kept_is_kept_compressed_too() {
    on_both(async |app| {
        a_team(app).await;
        let bytes = async || {
            app.get("/v1/cache").await.ok()["bytes"]
                .as_u64()
                .expect("bytes")
        };
        app.get("/v1/circles/team").await.ok();
        let plain = bytes().await;
        for _ in 0..2 {
            send(compressed(app, Method::GET, "/v1/circles/team")).await;
            let both = bytes().await;
            assert!(plain < both && both < 2 * plain, "{plain}, {both}");
        }
        let cache = app.get("/v1/cache").await.ok();
        assert_eq!((&cache["hits"], &cache["misses"]), (&json!(2), &json!(1)));
    })
    .await;
}
