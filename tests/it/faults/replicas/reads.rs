//! What a replica answers, and what the primary does.

use std::time::{Duration, Instant};

use serde_json::json;

use super::*;

/// Services of one cluster whose only standby no longer replays what the primary writes.
struct Stale {
    cluster: Cluster,
    writer: TestApp,
    reader: TestApp,
    agent: i64,
}

impl Stale {
    async fn start() -> Self {
        let cluster = Cluster::start(1).await;
        let writer = cluster.app().await;
        let agent = writer.an_agent("Ada").await;
        writer.a_circle("team").await;
        writer.a_member("team", agent).await;
        set_role(&writer, agent, "old").await;
        // Its lag is not measured against that of this machine.
        let url = [url_of(&cluster.standbys[0])];
        let patient = |settings: &mut Settings| {
            settings.replicas.replica_max_lag = Duration::from_mins(10);
        };
        let reader = cluster.app_reading(&url, patient).await;
        let path = format!("/v1/agents/{agent}");
        while role(get(&reader, &path)).await != "old" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        pause_replay(&cluster.standbys[0]).await;
        Self {
            cluster,
            writer,
            reader,
            agent,
        }
    }

    fn path(&self) -> String {
        format!("/v1/agents/{}", self.agent)
    }

    async fn stop(self) {
        self.writer.stop().await;
        self.reader.stop().await;
    }
}

#[tokio::test]
async fn a_client_sees_its_own_write_and_others_may_see_what_a_replica_has() {
    let stale = Stale::start().await;
    let position = set_role(&stale.writer, stale.agent, "new").await;
    let path = stale.path();
    // The instance that wrote it knows.
    assert_eq!(role(get(&stale.writer, &path)).await, "new");
    // Another one is told by the client, or gives what the replica has.
    let shown = from_replica(&stale.reader, &path, PLAIN).await;
    assert_eq!(shown.ok()["role"], "old");
    let told = get(&stale.reader, &path).header(POSITION, &position);
    assert_eq!(role(told).await, "new");
    let newest = get(&stale.reader, &path).header("cache-control", "no-cache");
    assert_eq!(role(newest).await, "new");
    for unreadable in ["soon", "9-0/0"] {
        let told = get(&stale.reader, &path).header(POSITION, unreadable);
        assert_eq!(role(told).await, "new", "{unreadable}");
    }
    let shown = from_replica(&stale.reader, &path, PLAIN).await;
    assert_eq!(shown.ok()["role"], "old");
    assert!(reads(&stale.reader, "behind").await >= 1.0);
    assert!(reads(&stale.writer, "behind").await >= 1.0);

    resume_replay(&stale.cluster.standbys[0]).await;
    let deadline = Instant::now() + Duration::from_mins(1);
    while role(get(&stale.reader, &path)).await != "new" {
        assert!(Instant::now() < deadline, "the replica does not get there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let told = from_replica(&stale.reader, &path, (POSITION, &position)).await;
    assert_eq!(told.ok()["role"], "new", "the replica has it now");
    stale.stop().await;
}

#[tokio::test]
async fn rosters_and_their_cache_and_tags_are_of_the_state_that_is_read() {
    let stale = Stale::start().await;
    let roster = "/v1/circles/team";
    let old = from_replica(&stale.reader, roster, PLAIN).await;
    let old_tag = old.header("etag").to_owned();
    let position = set_role(&stale.writer, stale.agent, "new").await;
    for _ in 0..3 {
        let told = get(&stale.reader, roster).header(POSITION, &position);
        let new = Answer::to(told.header("if-none-match", &old_tag)).await;
        assert_ne!(new.header("etag"), old_tag);
        assert_eq!(new.ok()["members"][0]["agent_role"], "new");
        let untold = from_replica(&stale.reader, roster, PLAIN).await;
        assert_eq!(untold.header("etag"), old_tag);
        assert_eq!(untold.ok()["members"][0]["agent_role"], "old");
        let same = from_replica(&stale.reader, roster, ("if-none-match", &old_tag)).await;
        assert_eq!(same.status, 304);
    }
    // A change of the state that the replica showed is refused: it is not the current one.
    let path = stale.path();
    let shown = from_replica(&stale.reader, &path, PLAIN).await;
    let change = stale.reader.request(Method::PATCH, &path);
    let change = change.header("if-match", shown.header("etag"));
    Answer::to(change.json(&json!({"role": "mine"})))
        .await
        .problem(412, "precondition_failed");
    stale.stop().await;
}

#[tokio::test]
async fn what_a_replica_does_not_have_yet_is_found_and_no_poller_misses_a_change() {
    let stale = Stale::start().await;
    let since = get(
        &stale.reader,
        "/v1/agents?updated_since=2026-01-01T00:00:00Z",
    );
    let since = Answer::to(since).await.ok();
    let watermark = since["watermark"].as_str().expect("a watermark").to_owned();
    let grace = stale.writer.an_agent("Grace").await;

    let listed = from_replica(&stale.reader, "/v1/agents", PLAIN).await.ok();
    let count = listed["data"].as_array().map(Vec::len);
    assert_eq!(count, Some(1), "a list may be of the replica's state");
    let path = format!("/v1/agents/{grace}");
    assert_eq!(stale.reader.get(&path).await.ok()["name"], "Grace");
    assert_eq!(stale.reader.get("/v1/agents/404").await.status, 404);
    let polled = format!("/v1/agents?updated_since={watermark}");
    let polled = stale.reader.listed(&polled, "name").await;
    assert!(polled.contains(&json!("Grace")), "{polled:?}");
    // Who was told of it finds it.
    let feed = stale.reader.get("/v1/changes?limit=100").await;
    assert!(feed.header(POSITION).contains("-0/"), "{:?}", feed.headers);
    let listed = stale.reader.listed("/v1/agents", "name").await;
    assert_eq!(listed, ["Ada", "Grace"]);
    let feed = feed.ok();
    let last = feed["data"].as_array().and_then(|changes| changes.last());
    assert_eq!(last.expect("a change")["name"], "Grace", "{feed}");
    stale.stop().await;
}

#[tokio::test]
async fn a_replica_that_lags_too_far_is_not_read_until_it_has_caught_up() {
    let cluster = Cluster::start(1).await;
    let writer = cluster.app().await;
    let agent = writer.an_agent("Ada").await;
    let path = format!("/v1/agents/{agent}");
    set_role(&writer, agent, "old").await;
    let url = [url_of(&cluster.standbys[0])];
    let strict = |settings: &mut Settings| {
        settings.replicas.replica_max_lag = Duration::from_secs(2);
    };
    let reader = cluster.app_reading(&url, strict).await;
    pause_replay(&cluster.standbys[0]).await;
    set_role(&writer, agent, "new").await;
    wait_until_fit(&reader, 0).await;
    assert_eq!(role(get(&reader, &path)).await, "new");
    assert!(reads(&reader, "unfit").await >= 1.0);
    // What the writer keeps for its clients lasts as long as the replica may be read.
    assert_eq!(role(get(&writer, &path)).await, "new");

    resume_replay(&cluster.standbys[0]).await;
    wait_until_fit(&reader, 1).await;
    let caught_up = from_replica(&reader, &path, PLAIN).await;
    assert_eq!(caught_up.ok()["role"], "new");
    let lag = metric(&reader, "circle_registry_replica_lag_seconds", "").await;
    assert!((0.0..=2.0).contains(&lag), "{lag}");
    writer.stop().await;
    reader.stop().await;
}

#[tokio::test]
async fn every_kind_of_read_can_be_answered_by_a_replica() {
    let cluster = Cluster::start(1).await;
    let writer = cluster.app().await;
    let provider = writer.a_provider("acme").await;
    let model = writer.a_model(provider, "small").await;
    let agent = writer.an_agent_on("Ada", model).await;
    writer.a_circle("team").await;
    writer.a_member("team", agent).await;
    let release = writer.post("/v1/circles/team/releases", &json!({})).await;
    release.created();
    let topic = json!({"topic": "a plan"});
    writer.post("/v1/conversations", &topic).await.created();
    let position = set_role(&writer, agent, "lead").await;
    let reader = cluster.app().await;
    for path in [
        "/v1/circles",
        "/v1/circles?include=members",
        "/v1/circles/team",
        "/v1/circles/team/members",
        "/v1/circles/team/handles",
        "/v1/circles/team/lint",
        "/v1/circles/team/export?format=claude",
        "/v1/circles/team/releases",
        "/v1/circles/team/releases/1",
        "/v1/circles/team/releases/1/handles",
        "/v1/circles/team/releases/1/diff?against=live",
        "/v1/circles/team/labels",
        "/v1/agents/1/versions",
        "/v1/agents/1/circles",
        "/v1/models?q=small&count=true",
        "/v1/models/1",
        "/v1/providers/1/models",
        "/v1/conversations/1",
        "/v1/conversations/1/transcript",
        "/v1/documents/export",
        "/v1/audit",
        "/v1/keys",
    ] {
        let answer = from_replica(&reader, path, (POSITION, &position)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    }
    writer.stop().await;
    reader.stop().await;
}
