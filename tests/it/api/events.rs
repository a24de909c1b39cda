//! The feed of changes as server-sent events: what they say, where they begin, and what ends them.

use std::time::{Duration, Instant};

use reqwest::Method;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use tokio::time::sleep;

use test_support::{
    Answer, Backend, TestApp, connect_to,
    events::{EventBlock, EventReader},
    keys::TestKey,
    on_both, on_both_databases,
};

/// What comes with the change that was just made comes soon.
const SOON: Duration = Duration::from_secs(5);

async fn follow(app: &TestApp, query: &str) -> EventReader {
    EventReader::open(app.request(Method::GET, &format!("/v1/events{query}"))).await
}

async fn follow_after(app: &TestApp, id: &str, query: &str) -> EventReader {
    let request = app.request(Method::GET, &format!("/v1/events{query}"));
    EventReader::open(request.header("last-event-id", id)).await
}

async fn follow_with(app: &TestApp, query: &str, key: &TestKey) -> EventReader {
    let request = app.request(Method::GET, &format!("/v1/events{query}"));
    EventReader::open(request.bearer_auth(&key.token)).await
}

async fn next(stream: &mut EventReader) -> EventBlock {
    let block = stream.try_next().await.expect("a sound stream");
    block.expect("a block")
}

/// A cursor after all that has been changed so far.
async fn latest(app: &TestApp) -> String {
    let page = app.get("/v1/changes?after=latest").await.ok();
    page["next_cursor"].as_str().expect("a cursor").to_owned()
}

#[tokio::test]
async fn each_change_is_one_event_with_its_cursor_as_id() {
    on_both(async |app| {
        let mut stream = follow(app, "").await;
        for (name, value) in [
            ("content-type", "text/event-stream"),
            ("cache-control", "no-cache"),
            ("x-accel-buffering", "no"),
        ] {
            assert_eq!(stream.headers()[name], value);
        }
        let beginning = next(&mut stream).await;
        let start = beginning.id.expect("a place to begin from");
        assert!(
            beginning
                .retry
                .is_some_and(|time| (1000..2000).contains(&time))
        );

        let agent = app.an_agent("Ada").await;
        let asked = Instant::now();
        let mut told = vec![stream.next_event().await.expect("an event")];
        assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
        app.a_circle("team").await;
        app.a_member("team", agent).await;
        app.delete("/v1/circles/team").await.no_content();
        while told.len() < 4 {
            told.push(stream.next_event().await.expect("an event"));
        }
        let page = app.get(&format!("/v1/changes?after={start}")).await.ok();
        let data: Vec<Value> = told.iter().map(|event| event.data.clone()).collect();
        assert_eq!(page["data"], json!(data));
        for event in &told {
            assert_eq!(event.event, "change");
            assert_eq!(event.data["cursor"], json!(event.id));
        }

        let head = Answer::to(app.request(Method::HEAD, "/v1/events")).await;
        assert_eq!(
            (head.status, head.header("content-type")),
            (200, "text/event-stream")
        );
        // From any of them, and from the beginning, there is what followed.
        let ids = [&start]
            .into_iter()
            .chain(told.iter().filter_map(|event| event.id.as_ref()));
        for (index, id) in ids.enumerate() {
            for mut again in [
                follow_after(app, id, "?after=latest").await,
                follow(app, &format!("?after={id}")).await,
            ] {
                for expected in &told[index..] {
                    assert_eq!(again.next_event().await.as_ref(), Some(expected));
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_stream_without_a_cursor_begins_with_what_is_committed_from_now_on() {
    on_both(async |app| {
        app.an_agent("before").await;
        let start = latest(app).await;
        for query in ["", "?after=latest"] {
            let mut stream = follow(app, query).await;
            assert!(next(&mut stream).await.id.is_some(), "{query}");
            let name = format!("since{query}");
            app.an_agent(&name).await;
            // What was held back for a moment by transactions on the same server may come first.
            let mut told = stream.names(1).await;
            if told == ["before"] {
                told = stream.names(1).await;
            }
            assert_eq!(told, [name]);
        }
        let mut stream = follow_after(app, &start, "").await;
        while stream.names(1).await != ["since?after=latest"] {}
    })
    .await;
}

#[tokio::test]
async fn events_are_filtered_as_pages_are_when_they_are_new_and_when_they_are_not() {
    on_both(async |app| {
        let start = latest(app).await;
        let circle = app.a_circle("team").await["id"].clone();
        let queries = [
            ("?resource=member,circle", &["team", "team/1", "other"][..]),
            ("?circle=team", &["team", "team/1"]),
            (&format!("?circle_id={circle}&resource=member"), &["team/1"]),
            ("", &["team", "Ada", "team/1", "other"]),
        ];
        let mut live = Vec::new();
        for (query, _) in queries {
            live.push(follow_after(app, &start, query).await);
        }
        let agent = app.an_agent("Ada").await;
        app.a_member("team", agent).await;
        app.a_circle("other").await;
        app.an_agent("last").await;
        for ((query, expected), mut live) in queries.into_iter().zip(live) {
            assert_eq!(live.names(expected.len()).await, expected, "{query}");
            let mut later = follow_after(app, &start, query).await;
            assert_eq!(later.names(expected.len()).await, expected, "{query}");
        }
        let admin = app.first_key().await;
        let reader = app.key_by(&admin, &["read"]).await;
        let [mut all, mut shown] = [
            follow_with(app, "", &admin).await,
            follow_with(app, "", &reader).await,
        ];
        let key = app.key_by(&admin, &["write"]).await;
        let agent = json!({"name": "shown"});
        app.ask(Method::POST, "/v1/agents", Some(&agent), &key.token)
            .await
            .created();
        let told = async |stream: &mut EventReader| {
            let mut told = Vec::new();
            while told.last().is_none_or(|name| name != "shown") {
                told.extend(stream.names(1).await);
            }
            told
        };
        assert!(told(&mut all).await.contains(&"write".to_owned()));
        assert_eq!(told(&mut shown).await, ["shown"]);
        app.get_with("/v1/events?resource=key", &reader.token)
            .await
            .problem(403, "forbidden");
    })
    .await;
}

async fn fill(url: &str, resource: &str, count: usize) {
    let db = connect_to(url).await;
    let fill = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
         INSERT INTO audit_entries (at, action, resource, name) \
         SELECT '2026-01-02T03:04:05.000000+00:00', 'update', '{resource}', 'n' || i FROM n"
    );
    db.execute_unprepared(&fill).await.expect(&fill);
    db.close().await.expect("closed");
}

#[tokio::test]
async fn a_follower_that_is_far_behind_catches_up_and_then_hears_of_what_is_new() {
    on_both_databases(async |database| {
        let app = TestApp::start(database.backend, database.settings()).await;
        let start = latest(&app).await;
        fill(&database.url, "agent", 400).await;
        fill(&database.url, "model", 20_500).await;
        let mut all = follow_after(&app, &start, "").await;
        let mut circles = follow_after(&app, &start, "?resource=circle").await;
        // The filter leaves out more than two reads look through, so there is a place to continue from before there is an event.
        next(&mut circles).await;
        let place = next(&mut circles).await;
        assert!(place.event.is_empty() && place.id.is_some(), "{place:?}");
        let expected: Vec<String> = (1..=400).map(|number| format!("n{number}")).collect();
        assert_eq!(all.names(400).await, expected);
        all.names(20_500).await;
        app.a_circle("team").await;
        assert_eq!(all.names(1).await, ["team"]);
        assert_eq!(circles.names(1).await, ["team"]);
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_quiet_stream_has_a_heartbeat_that_moves_the_place_to_continue_from() {
    on_both(async |app| {
        let started = Instant::now();
        let mut stream = follow(app, "?resource=circle").await;
        let mut idle = follow(app, "?resource=circle&circle_id=999").await;
        let start = next(&mut stream).await.id;
        next(&mut idle).await;
        app.an_agent("Ada").await;
        let heartbeat = next(&mut stream).await;
        let moved = next(&mut stream).await;
        let elapsed = started.elapsed();
        let expected = Duration::from_secs(14)..Duration::from_secs(25);
        assert!(expected.contains(&elapsed), "{elapsed:?}");
        assert_eq!(heartbeat.comment.as_deref(), Some("heartbeat"));
        assert_eq!((&heartbeat.id, heartbeat.event.as_str()), (&None, ""));
        assert_ne!(moved.id, start);
        assert_eq!(moved.id, Some(latest(app).await));
        assert_eq!(next(&mut idle).await.comment, heartbeat.comment);
    })
    .await;
}

#[tokio::test]
async fn what_can_t_be_followed_is_refused_before_the_stream_begins() {
    on_both_databases(async |database| {
        let mut settings = database.settings();
        settings.server.max_event_streams = 2;
        let app = TestApp::start(database.backend, settings).await;
        let ask = async |id: &str| {
            let request = app.request(Method::GET, "/v1/events");
            Answer::to(request.header("last-event-id", id)).await
        };
        for text in ["first", "AwAA", ""] {
            ask(text).await.invalid(&["header/Last-Event-ID"]);
        }
        let request = app.request(Method::GET, "/v1/events");
        let request = request.header("last-event-id", b"\xff".as_slice());
        Answer::to(request).await.problem(400, "unreadable_header");
        app.get("/v1/events?after=first")
            .await
            .invalid(&["query/after"]);
        app.get("/v1/events?circle=nobody")
            .await
            .problem(404, "not_found");
        // A well-formed cursor, of a change that is not there.
        let gone = "AwAAAAAAAAAAAAAAAAAAAAIABmEvmQ0g6Q";
        ask(gone).await.problem(410, "cursor_expired");

        let streams = [follow(&app, "").await, follow(&app, "").await];
        let metrics = app.get("/metrics").await.text;
        assert!(
            metrics.contains("circle_registry_event_streams 2\n"),
            "{metrics}"
        );
        let refused = app.get("/v1/events").await;
        assert_eq!(refused.header("retry-after"), "1");
        refused.problem(503, "too_many_streams");
        app.get("/v1/changes").await.ok();
        drop(streams);
        // That their clients are gone is seen when the next changes are sent.
        let deadline = Instant::now() + Duration::from_secs(30);
        while app.get("/v1/events").await.status == 503 {
            assert!(Instant::now() < deadline, "the streams are not ended");
            app.an_agent("Bob").await;
            sleep(Duration::from_millis(100)).await;
        }
        app.stop().await;
    })
    .await;
}

/// The end of a stream whose caller may no longer read.
async fn ends_within(stream: &mut EventReader, limit: Duration) {
    let started = Instant::now();
    let problem = loop {
        let event = stream.next_event().await.expect("a problem");
        if event.event == "problem" {
            break event.data;
        }
    };
    assert_eq!(problem["code"], "unauthenticated", "{problem}");
    assert_eq!(problem["status"], 401);
    assert_eq!(
        problem["request_id"],
        stream.headers()["x-request-id"].to_str().expect("text")
    );
    assert_eq!(stream.next_event().await, None);
    assert!(started.elapsed() < limit, "{:?}", started.elapsed());
}

#[tokio::test]
async fn the_streams_of_a_key_that_is_revoked_or_expired_end_within_five_seconds() {
    const LIMIT: Duration = Duration::from_secs(5);
    on_both(async |app| {
        let mut keyless = follow(app, "").await;
        let admin = app.first_key().await;
        ends_within(&mut keyless, LIMIT).await;
        let [revoked, expired, kept] = [
            app.key_by(&admin, &["read"]).await,
            app.key_by(&admin, &["read"]).await,
            app.key_by(&admin, &["read"]).await,
        ];
        let mut streams = [
            follow_with(app, "", &revoked).await,
            follow_with(app, "?resource=circle", &revoked).await,
            follow_with(app, "", &expired).await,
        ];
        let mut stays = follow_with(app, "", &kept).await;
        let path = format!("/v1/keys/{}", revoked.id);
        app.ask(Method::DELETE, &path, None, &admin.token)
            .await
            .no_content();
        app.expire(&expired).await;
        let started = Instant::now();
        for stream in &mut streams {
            ends_within(stream, LIMIT.saturating_sub(started.elapsed())).await;
        }
        let agent = json!({"name": "later"});
        app.ask(Method::POST, "/v1/agents", Some(&agent), &admin.token)
            .await
            .created();
        assert_eq!(stays.names(1).await, ["later"]);
        app.get_with("/v1/events", &revoked.token)
            .await
            .problem(401, "unauthenticated");
    })
    .await;
}

/// A change of this very instance is sent before the next read by the clock.
async fn assert_wakes(app: &TestApp, stream: &mut EventReader) {
    let statements = || app.database.statistics().statements;
    let before = statements();
    while statements() == before {
        sleep(Duration::from_millis(5)).await;
    }
    let read = Instant::now();
    app.an_agent("Ada").await;
    assert_eq!(stream.names(1).await, ["Ada"]);
    assert!(
        read.elapsed() < Duration::from_millis(700),
        "{:?}",
        read.elapsed()
    );
}

#[tokio::test]
async fn at_rest_an_instance_reads_once_a_second_for_all_streams_and_not_at_all_without() {
    on_both_databases(async |database| {
        let app = TestApp::start(database.backend, database.settings()).await;
        let during = Duration::from_secs(4);
        let ((), statements) = app.statements(sleep(during)).await;
        assert_eq!(statements, 0);
        let mut streams = Vec::new();
        for _ in 0..50 {
            let mut stream = follow(&app, "").await;
            next(&mut stream).await;
            streams.push(stream);
        }
        // Until other tests on the same server hold nothing back.
        let at_rest = async || app.statements(sleep(during)).await.1;
        let mut statements = at_rest().await;
        for _ in 0..20 {
            if statements <= 5 {
                break;
            }
            statements = at_rest().await;
        }
        assert!((2..=5).contains(&statements), "{statements} in {during:?}");
        if app.backend == Backend::Sqlite {
            assert_wakes(&app, &mut streams[0]).await;
        }
        drop(streams);
        app.stop().await;
    })
    .await;
}
