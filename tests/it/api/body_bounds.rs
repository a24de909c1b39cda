//! What a body can make validation do: time and memory grow with the body, and the response is bounded.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use test_support::{
    Answer, Backend, TestApp, TestDatabase,
    binary::Server,
    faults::{report, usually_or_in_full},
    on_both,
};

const MAX_BODY: usize = 2 << 20;
const AGENTS: &str = "/v1/agents";

async fn post(app: &TestApp, path: &str, body: String) -> Answer {
    assert!(body.len() <= MAX_BODY, "{}", body.len());
    app.post_text(path, "application/json", body).await
}

/// `part` as often as fits between the two ends of a body of the largest size, with commas between.
fn filled(start: &str, part: &str, end: &str) -> String {
    let room = MAX_BODY - start.len() - end.len();
    let parts = vec![part; (room + 1) / (part.len() + 1)];
    format!("{start}{}{end}", parts.join(","))
}

/// The problem lists a hundred errors, and its detail says how many there are in all.
#[track_caller]
fn lists_a_hundred_of(problem: &Value, all: usize) {
    let errors = problem["errors"].as_array().expect("errors");
    assert_eq!(errors.len(), 100);
    let detail = problem["detail"].as_str().expect("a detail");
    let more = format!("the first 100 of them, and there are {} more", all - 100);
    assert!(detail.contains(&more), "{detail}");
}

#[tokio::test]
async fn a_hundred_errors_are_listed_and_the_others_are_counted() {
    on_both(async |app| {
        let skills: Vec<i32> = (0..250).collect();
        let body = json!({"name": "Ada", "skill_names": skills});
        let problem = app
            .post(AGENTS, &body)
            .await
            .problem(422, "invalid_request");
        // Each is no string, and together they are too many.
        lists_a_hundred_of(&problem, 251);
        assert_eq!(problem["errors"][99]["pointer"], "#/skill_names/98");

        let body = format!("{{\"metadata\":[{}]}}", vec!["\"\\u0000\""; 101].join(","));
        let problem = post(app, AGENTS, body).await;
        lists_a_hundred_of(&problem.problem(422, "invalid_request"), 101);

        let body = format!("{{{}}}", vec!["\"name\":1"; 151].join(","));
        let problem = post(app, AGENTS, body).await;
        lists_a_hundred_of(&problem.problem(400, "duplicate_key"), 150);

        let query = vec!["sort=nonsense"; 121].join("&");
        let problem = app.get(&format!("{AGENTS}?{query}")).await;
        lists_a_hundred_of(&problem.problem(422, "invalid_request"), 121);

        let key = ["sk-ant-api03-", "Zq3vT9xKpL2mWc8RnY5bJd7HfGs1AeUi"].concat();
        let body = json!({"name": "Ada", "metadata": {"list": vec![key; 130]}});
        let problem = app
            .post(AGENTS, &body)
            .await
            .problem(422, "invalid_request");
        lists_a_hundred_of(&problem, 130);
        assert!(app.get(AGENTS).await.ok()["data"] == json!([]));
    })
    .await;
}

#[tokio::test]
async fn exactly_a_hundred_errors_are_all_there_are() {
    on_both(async |app| {
        let body = json!({"name": "Ada", "skill_names": vec![1; 100]});
        let problem = app
            .post(AGENTS, &body)
            .await
            .problem(422, "invalid_request");
        assert_eq!(problem["errors"].as_array().map(Vec::len), Some(100));
        let detail = problem["detail"].as_str().expect("a detail");
        assert!(!detail.contains("more"), "{detail}");
    })
    .await;
}

#[tokio::test]
async fn a_batch_lists_a_hundred_of_its_failures() {
    on_both(async |app| {
        app.a_circle("team").await;
        let operations: Vec<Value> = (1..=500)
            .map(|agent| json!({"op": "remove", "agent_id": agent}))
            .collect();
        let body = json!({"operations": operations});
        let answer = app.post("/v1/circles/team/members:batch", &body).await;
        lists_a_hundred_of(&answer.problem(409, "batch_failed"), 500);
    })
    .await;
}

#[tokio::test]
async fn names_in_free_json_have_at_most_256_characters() {
    on_both(async |app| {
        let fits = "\u{1F980}".repeat(256);
        let body = json!({"name": "Ada", "metadata": {(&fits): [{(&fits): 1}]}});
        app.post(AGENTS, &body).await.created();

        let long = format!("{fits}x");
        let body = json!({"metadata": {(&long): 1, "deep": [{"er": {(&long): 1}}]}});
        let pointers = ["#/metadata", "#/metadata/deep/0/er"];
        app.patch("/v1/agents/1", &body).await.invalid(&pointers);

        app.a_circle("team").await;
        app.a_provider("acme").await;
        let free = json!({(&long): 1});
        for (path, field) in [("circles/team", "settings"), ("providers/1", "config")] {
            let pointer = format!("#/{field}");
            let (path, body) = (format!("/v1/{path}"), json!({(field): free}));
            app.patch(&path, &body).await.invalid(&[&pointer]);
        }
        let body = json!({"agent_id": 1, "permissions": free});
        let answer = app.post("/v1/circles/team/members", &body).await;
        answer.invalid(&["#/permissions"]);
        let conversation = json!({"topic": "t"});
        app.post("/v1/conversations", &conversation).await.created();
        let body = json!({"content": "x", "tool_calls": [{}, free]});
        let answer = app.post("/v1/conversations/1/messages", &body).await;
        answer.invalid(&["#/tool_calls/1"]);
    })
    .await;
}

#[tokio::test]
async fn a_pointer_is_never_longer_than_two_thousand_bytes() {
    on_both(async |app| {
        let long = "n".repeat(500_000);
        let body = format!(
            "{{\"metadata\":{{\"{long}\":[{}]}}}}",
            vec!["\"\\u0000\""; 300].join(",")
        );
        let answer = post(app, AGENTS, body).await;
        assert!(answer.text.len() < 50_000, "{}", answer.text.len());
        let problem = answer.problem(422, "invalid_request");
        lists_a_hundred_of(&problem, 300);
        assert_eq!(problem["errors"][0]["pointer"], "#/metadata");

        let body = format!("{{\"{long}\":1}}");
        post(app, AGENTS, body).await.invalid(&["#", "#/name"]);
    })
    .await;
}

/// The bodies that take a check the most, each of more than a mebibyte.
fn worst_bodies() -> Vec<(&'static str, String)> {
    const FREE: &str = "{\"name\":\"x\",\"metadata\":{\"k\":[";
    let name = "k".repeat(100_000);
    let long_name = format!("{{\"name\":\"x\",\"metadata\":{{\"{name}\":[");
    let filler = "-".repeat(1_300_000);
    let full_of = |part: &str, values: usize| {
        let parts = vec![part; 49_990 / values].join(",");
        format!("{FREE}{parts},\"{filler}\"]}}}}")
    };
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    vec![
        (
            "NULs under a long name",
            filled(&long_name, "\"\\u0000\"", "]}}"),
        ),
        ("numbers under a long name", filled(&long_name, "1", "]}}")),
        ("too many numbers", filled(FREE, "1", "]}}")),
        ("as many numbers as may be", full_of("1", 1)),
        ("empty objects", full_of("{}", 1)),
        ("small objects", full_of("{\"a\":1}", 2)),
        ("small lists", full_of("[1]", 2)),
        ("deep lists", full_of(&deep, 100)),
        (
            "a key twice",
            filled(
                "{\"name\":\"x\",\"metadata\":{",
                "\"aaaaaaaaaaaaaaaa\":1",
                "}}",
            ),
        ),
        (
            "strings for one number",
            filled("{\"model_id\":[", "\"xxxxxxxxxxxxxxxxxx\"", "]}"),
        ),
        (
            "wrong skills",
            filled("{\"skill_names\":[", "1234567890123456789012", "]}"),
        ),
        (
            "one string of NULs",
            filled(FREE, &format!("\"{}\"", "\\u0000".repeat(170_000)), "]}}"),
        ),
        (
            "JSON in a text",
            filled(&format!("{FREE}\"["), "1", "]\"]}}"),
        ),
        (
            "as much JSON in a text as may be",
            full_of("\"[[[[[[[[[[1]]]]]]]]]]\"", 4),
        ),
        (
            "keys",
            filled(&format!("{FREE}\""), "sk-ant-sk-ant-", "\"]}}"),
        ),
    ]
}

#[tokio::test]
async fn the_worst_bodies_take_little_time_and_memory() {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let server = Server::start_ready(&database.url, &["--log", "warn"]).await;
    for (kind, body) in worst_bodies() {
        assert!(
            body.len() <= MAX_BODY && body.len() > MAX_BODY / 2,
            "{kind}"
        );
        let cpu = server.process().cpu();
        let started = Instant::now();
        let request = server.client().post(server.url(AGENTS)).body(body);
        let request = request.header("content-type", "application/json");
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        let (elapsed, cpu) = (
            started.elapsed(),
            server.process().cpu().saturating_sub(cpu),
        );
        let peak = server.process().peak_memory() >> 20;
        report(
            kind,
            &format!(
                "{status}, {} bytes, {elapsed:?}, {cpu:?} of CPU, peak {peak} MiB",
                text.len()
            ),
        );
        assert!(
            status.is_client_error() || status.is_success(),
            "{kind}: {status}"
        );
        assert!(text.len() < 2 * MAX_BODY, "{kind}: {}", text.len());
        // Of a debug build, which takes about ten times as long as an optimized build.
        let limit = usually_or_in_full(4, 1);
        assert!(cpu < Duration::from_secs(limit), "{kind}: {cpu:?}");
        assert!(peak < 256, "{kind}: {peak} MiB");
    }
    drop(server);
    database.remove().await;
}

#[tokio::test]
async fn a_prompt_of_the_greatest_length_fits_in_any_script() {
    const LONGEST: usize = 500_000;
    on_both(async |app| {
        for character in ["x", "é", "团", "\u{1F980}"] {
            let prompt = character.repeat(LONGEST);
            let agent = json!({"name": "Ada", "system_prompt": prompt});
            let created = app.post(AGENTS, &agent).await.created();
            let handle = format!("{AGENTS}/{}/handle", created["id"]);
            let handle = app.get(&handle).await.ok();
            assert!(handle["system_prompt"] == prompt, "{character}");
        }
        let agent = json!({"name": "Ada", "system_prompt": "x".repeat(LONGEST + 1)});
        let refused = app.post(AGENTS, &agent).await;
        refused.invalid(&["#/system_prompt"]);
    })
    .await;
}
