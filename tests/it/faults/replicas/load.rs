//! Three instances, a primary and two standbys, one of which is lost.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use reqwest::Client;
use test_support::{
    binary::Server,
    faults::{report, usually_or_in_full},
};
use tokio::task::JoinSet;

use super::*;

const CLIENTS: usize = 8;

/// One client of three instances. Each write is read on any of them, with the position of the write.
async fn write_and_read(
    bases: Arc<[String]>,
    agent: i64,
    rounds: usize,
    done: Arc<AtomicUsize>,
) -> usize {
    let client = Client::new();
    let path = format!("/v1/agents/{agent}");
    let mut stale = 0;
    for round in 0..rounds {
        let role = format!("role {round}");
        let writer = format!("{}{path}", bases[round % 3]);
        let write = client.patch(writer).json(&json!({"role": role}));
        let answer = Answer::to(write).await;
        let position = answer.header(POSITION).to_owned();
        answer.ok();
        let reader = format!("{}{path}", bases[(round / 3) % 3]);
        let read = client.get(reader).header(POSITION, position);
        if Answer::to(read).await.ok()["role"] != role {
            stale += 1;
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
    stale
}

async fn reads_of(server: &Server, outcome: &str) -> f64 {
    let text = server.get("/metrics").await.text;
    let series = format!("circle_registry_replica_reads_total{{outcome=\"{outcome}\"}} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&series));
    value.map_or(0.0, |value| value.parse().expect("a number"))
}

#[tokio::test]
async fn no_write_is_missing_in_the_next_read_on_any_instance_though_a_standby_is_lost() {
    let rounds = usually_or_in_full(100, 1250);
    let mut cluster = Cluster::start(2).await;
    let replicas: Vec<String> = cluster.standbys.iter().map(url_of).collect();
    let replicas = replicas.join(" ");
    let more = [
        "--read-database-url",
        &replicas,
        "--rate-limit-writes",
        "0",
        "--rate-limit-reads",
        "0",
    ];
    let mut servers = Vec::new();
    for _ in 0..3 {
        servers.push(Server::start_ready(&url_of(&cluster.primary), &more).await);
    }
    let mut agents = Vec::new();
    for number in 0..CLIENTS {
        let name = json!({"name": format!("agent {number}")});
        let create = servers[0]
            .client()
            .post(servers[0].url("/v1/agents"))
            .json(&name);
        let created = Answer::to(create).await.created();
        agents.push(created["id"].as_i64().expect("an id"));
    }
    for server in &servers {
        server.wait_for_log("fit to be read").await;
    }
    let bases: Arc<[String]> = servers.iter().map(|server| server.url("")).collect();
    let (done, mut clients) = (Arc::new(AtomicUsize::default()), JoinSet::new());
    for agent in agents {
        let bases = Arc::clone(&bases);
        clients.spawn(write_and_read(bases, agent, rounds, Arc::clone(&done)));
    }
    let deadline = Instant::now() + Duration::from_mins(5);
    while done.load(Ordering::Relaxed) < CLIENTS * rounds / 2 {
        assert!(Instant::now() < deadline, "the clients do not get on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    cluster.standbys[1].stop_immediately();
    let stale: usize = clients.join_all().await.into_iter().sum();
    let (mut by_replicas, mut behind) = (0.0, 0.0);
    for server in &servers {
        by_replicas += reads_of(server, "replica").await;
        behind += reads_of(server, "behind").await;
    }
    report(
        "reads of replicas",
        &format!(
            "{} writes, each read at once: {stale} stale; {by_replicas} reads by replicas, {behind} by the primary because \
         no replica was there yet",
            CLIENTS * rounds
        ),
    );
    assert_eq!(stale, 0);
    assert!(by_replicas > 50.0, "{by_replicas}");
}
