//! Releases and labels under concurrent changes.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use test_support::{
    Answer, TestApp, TestDatabase, faults::usually_or_in_full, on_both, on_both_databases,
};

const RELEASES: &str = "/v1/circles/team/releases";
const LABEL: &str = "/v1/circles/team/labels/production";

#[tokio::test]
async fn concurrent_publishers_leave_no_gap_between_numbers() {
    on_both(async |app| {
        app.a_circle("team").await;
        let agents: Vec<i64> = join_all((0..8).map(|_| app.an_agent("a"))).await;
        for agent in &agents {
            app.a_member("team", *agent).await;
        }
        let publish = async |agent: i64| {
            for round in 0..6 {
                let path = format!("/v1/agents/{agent}");
                app.patch(&path, &json!({"role": format!("{round}")}))
                    .await
                    .ok();
                let answer = app.post(RELEASES, &json!({"labels": ["last"]})).await;
                assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
            }
        };
        join_all(agents.iter().map(|agent| publish(*agent))).await;
        let mut numbers = app.listed(&format!("{RELEASES}?limit=200"), "number").await;
        numbers.reverse();
        let expected: Vec<Value> = (1..=numbers.len()).map(|number| json!(number)).collect();
        assert_eq!(numbers, expected);
        assert!(numbers.len() >= 6, "{numbers:?}");
        let digests = app.listed(&format!("{RELEASES}?limit=200"), "digest").await;
        let mut distinct: Vec<String> = digests.iter().map(Value::to_string).collect();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), digests.len());
    })
    .await;
}

/// Two agents have a tool of one server and run on one model. Each change is one of both agents, so that a release
/// in which they differ would be a mixture.
#[tokio::test]
async fn a_release_mixes_no_states() {
    on_both(async |app| {
        a_team_of_twins(app).await;
        let stop = AtomicBool::new(false);
        let change = async |path: &str, bodies: [Value; 2]| {
            let mut changes = 0;
            while !stop.load(Ordering::Relaxed) {
                app.patch(path, &bodies[changes % 2]).await.ok();
                changes += 1;
            }
            changes
        };
        let names = [json!({"name": "two"}), json!({"name": "one"})];
        let urls = [
            json!({"url": "https://mcp.example/1"}),
            json!({"url": "https://mcp.example/2"}),
        ];
        let back_and_forth = async {
            let mut changes = 0;
            while !stop.load(Ordering::Relaxed) {
                let (from, to) = (1 + changes % 2, 2 - changes % 2);
                let path = format!("/v1/models/{from}/repoint");
                app.post(&path, &json!({"to": to})).await.ok();
                changes += 1;
            }
            changes
        };
        let publish = async {
            let mut releases = 0;
            for _ in 0..usually_or_in_full(40, 400) {
                let published = app.post(RELEASES, &json!({})).await;
                assert!(matches!(published.status, 200 | 201), "{}", published.text);
                releases += i64::from(published.status == 201);
                check_twins(app, &published.body["number"]).await;
            }
            stop.store(true, Ordering::Relaxed);
            releases
        };
        let (renamed, moved, repointed, releases) = tokio::join!(
            change("/v1/mcp-servers/1", names),
            change("/v1/mcp-servers/2", urls),
            back_and_forth,
            publish
        );
        assert!(
            renamed > 5 && moved > 5 && repointed > 5 && releases > 5,
            "{renamed} {moved} {repointed} {releases}"
        );
    })
    .await;
}

async fn a_team_of_twins(app: &TestApp) {
    let provider = app.a_provider("acme").await;
    for name in ["m", "n"] {
        app.a_model(provider, name).await;
    }
    for name in ["one", "other"] {
        let server = json!({"name": name, "transport": "sse", "url": "https://mcp.example/0"});
        app.post("/v1/mcp-servers", &server).await.created();
    }
    app.a_circle("team").await;
    for name in ["Castor", "Pollux"] {
        let tools = json!([{"type": "mcp", "server": "one"}, {"type": "mcp", "server": "other"}]);
        let agent = json!({"name": name, "model_id": 1, "tools": tools});
        let agent = app.post("/v1/agents", &agent).await.created();
        app.a_member("team", agent["id"].as_i64().expect("an id"))
            .await;
    }
}

/// The agents of a release agree with each other, with its models and servers, and with its handles.
async fn check_twins(app: &TestApp, number: &Value) {
    let release = app.get(&format!("{RELEASES}/{number}")).await.ok();
    let team = &release["team"];
    let (castor, pollux) = (&team["agents"][0], &team["agents"][1]);
    for field in ["tools", "model_id", "version"] {
        assert_eq!(castor[field], pollux[field], "{field}: {team}");
    }
    assert_eq!(castor["model_id"], team["models"][0]["id"], "{team}");
    for server in [0, 1] {
        assert_eq!(
            castor["tools"][server]["server"], team["mcp_servers"][server]["name"],
            "{team}"
        );
    }
    let handles = app.get(&format!("{RELEASES}/{number}/handles")).await.ok();
    for handle in [&handles["handles"][0], &handles["handles"][1]] {
        assert_eq!(handle["model"], team["models"][0]["model_name"]);
        for server in [0, 1] {
            for field in ["name", "url"] {
                assert_eq!(
                    handle["tools"][server]["server"][field],
                    team["mcp_servers"][server][field]
                );
            }
        }
    }
}

/// More than two, so that an answer that is one move too old is told from one that is early.
const TARGETS: i64 = 7;

/// The release that the label points to after a move.
fn target(number: i64) -> i64 {
    1 + number % TARGETS
}

/// Moves a label to and fro by way of two instances, each with two readers.
async fn moves(database: &TestDatabase, count: i64) {
    let one = TestApp::start(database.backend, database.settings()).await;
    let other = TestApp::start(database.backend, database.settings()).await;
    one.a_circle("team").await;
    let mut tags = HashMap::new();
    for release in 1..=TARGETS {
        let context = json!({"project_context": format!("Release {release}.")});
        one.patch("/v1/circles/team", &context).await.ok();
        let published = one.post(RELEASES, &json!({})).await.created();
        tags.insert(
            format!("\"{}\"", published["digest"].as_str().expect("a digest")),
            release,
        );
    }
    let point = async |app: &TestApp, number: i64| {
        let body = json!({"release": target(number)});
        let answer = app.send(Method::PUT, LABEL, Some(&body)).await;
        assert!(answer.status < 300, "{}", answer.text);
    };
    point(&one, 0).await;
    let progress = Arc::new(Progress::default());
    let mut readers = JoinSet::new();
    for app in [&one, &other, &one, &other] {
        let url = format!("{}/v1/circles/team/handles?label=production", app.base);
        let (progress, tags) = (Arc::clone(&progress), tags.clone());
        readers.spawn(async move { read_until(&url, count, &tags, &progress).await });
    }
    for number in 1..=count {
        progress.begun.store(number, Ordering::SeqCst);
        point(if number % 3 == 0 { &other } else { &one }, number).await;
        progress.acknowledged.store(number, Ordering::SeqCst);
    }
    let reads: u32 = readers.join_all().await.into_iter().sum();
    assert!(reads > 100, "{reads}");
    one.stop().await;
    other.stop().await;
}

/// The numbers of the last move that was begun, and of the last that was acknowledged.
#[derive(Default)]
struct Progress {
    begun: AtomicI64,
    acknowledged: AtomicI64,
}

/// Reads until the last move is acknowledged. An answer shows what the label pointed to after the last move that was
/// acknowledged before the question, or after a later one that had begun before the answer.
async fn read_until(
    url: &str,
    count: i64,
    tags: &HashMap<String, i64>,
    progress: &Progress,
) -> u32 {
    let client = Client::new();
    let (mut known, mut reads) = (String::new(), 0);
    loop {
        let before = progress.acknowledged.load(Ordering::SeqCst);
        let answer = Answer::to(client.get(url).header("if-none-match", &known)).await;
        let after = progress.begun.load(Ordering::SeqCst);
        assert!(matches!(answer.status, 200 | 304), "{}", answer.text);
        answer.header("etag").clone_into(&mut known);
        let is_current = (before..=after).any(|number| tags[&known] == target(number));
        assert!(
            is_current,
            "release {} between the moves {before} and {after}",
            tags[&known]
        );
        reads += 1;
        if before == count {
            return reads;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// `FAULTS=full cargo test --test it no_answer_is_older` moves it 10,000 times.
#[tokio::test]
async fn no_answer_is_older_than_the_last_acknowledged_move() {
    on_both_databases(async |database| {
        moves(database, usually_or_in_full(300, 10_000)).await;
    })
    .await;
}
