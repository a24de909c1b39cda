//! Three instances on one PostgreSQL, behind HAProxy.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use test_support::{
    Answer, Backend, TestDatabase,
    binary::Server,
    faults::usually_or_in_full,
    followers::{self, THE_END, follow_events},
    haproxy::HaProxy,
    postgres_server::free_port,
};

/// Longer than HAProxy takes to notice that an instance is not ready.
const SETTINGS: [&str; 4] = ["--shutdown-delay", "2s", "--db-acquire-timeout", "30s"];
const NOTICED: Duration = Duration::from_secs(1);

struct Instances {
    database: TestDatabase,
    servers: Vec<Server>,
    client: Client,
}

impl Instances {
    async fn start() -> Self {
        let database = TestDatabase::create(Backend::Postgres).await;
        let mut servers = Vec::new();
        for _ in 0..3 {
            let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
            servers.push(Server::start_at(address, &database.url, &SETTINGS).await);
        }
        Self {
            database,
            servers,
            client: Client::builder()
                .timeout(Duration::from_mins(1))
                .build()
                .expect("a client"),
        }
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.servers.iter().map(|server| server.address).collect()
    }

    fn to(&self, instance: usize, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, self.servers[instance].url(path))
    }

    async fn post(&self, instance: usize, path: &str, body: &Value) -> Value {
        Answer::to(self.to(instance, Method::POST, path).json(body))
            .await
            .created()
    }

    async fn a_team(&self) {
        self.post(0, "/v1/circles", &json!({"name": "team"})).await;
        self.post(0, "/v1/agents", &json!({"name": "Ada"})).await;
        let member = json!({"agent_id": 1});
        self.post(0, "/v1/circles/team/members", &member).await;
    }

    async fn restart(&mut self, instance: usize) {
        let server = self.servers.remove(instance);
        let address = server.address;
        server.signal("-TERM");
        let (code, log) = server.end().await;
        assert_eq!(code, Some(0), "{log}");
        let server = Server::start_at(address, &self.database.url, &SETTINGS).await;
        self.servers.insert(instance, server);
        tokio::time::sleep(NOTICED).await;
    }

    async fn remove(self) {
        drop(self.servers);
        self.database.remove().await;
    }
}

/// Clients that read and write through the balancer until they are stopped.
struct Load {
    stop: Arc<AtomicBool>,
    clients: JoinSet<u32>,
}

impl Load {
    fn start(proxy: &HaProxy, writes: bool) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for number in 0..4 {
            let (stop, roster) = (Arc::clone(&stop), proxy.url("/v1/circles/team"));
            let agent = proxy.url("/v1/agents/1");
            clients.spawn(async move {
                let client = Client::new();
                let mut requests = 0;
                while !stop.load(Ordering::Relaxed) {
                    Answer::to(client.get(&roster)).await.ok();
                    if writes {
                        let change = json!({"role": format!("role {number} {requests}")});
                        Answer::to(client.patch(&agent).json(&change)).await.ok();
                    }
                    requests += 1;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                requests
            });
        }
        Self { stop, clients }
    }

    /// Fails if a request did, and returns how many there were.
    async fn stop(self) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.join_all().await.into_iter().sum()
    }
}

#[tokio::test]
async fn a_rolling_restart_behind_a_balancer_costs_no_error() {
    let mut instances = Instances::start().await;
    instances.a_team().await;
    let proxy = HaProxy::start(&instances.addresses());
    tokio::time::sleep(NOTICED).await;
    let load = Load::start(&proxy, true);
    for _ in 0..usually_or_in_full(1, 5) {
        for instance in 0..3 {
            instances.restart(instance).await;
        }
    }
    let requests = load.stop().await;
    assert!(requests > 100, "{requests}");
    instances.remove().await;
}

#[tokio::test]
async fn followers_behind_a_balancer_miss_nothing_when_instances_restart() {
    let mut instances = Instances::start().await;
    let proxy = HaProxy::start(&instances.addresses());
    tokio::time::sleep(NOTICED).await;
    let start = followers::latest(&proxy.url("")).await;
    let mut all = JoinSet::new();
    for _ in 0..6 {
        all.spawn(follow_events(proxy.url(""), start.clone(), usize::MAX));
    }
    let mut expected = Vec::new();
    for instance in 0..3 {
        instances.restart(instance).await;
        for number in 0..5 {
            let name = format!("{instance}-{number}");
            let agent = json!({"name": name});
            instances
                .post((instance + 1) % 3, "/v1/agents", &agent)
                .await;
            expected.push(name);
        }
    }
    instances
        .post(0, "/v1/agents", &json!({"name": THE_END}))
        .await;
    expected.push(THE_END.to_owned());
    for seen in all.join_all().await {
        assert_eq!(seen, expected);
    }
    instances.remove().await;
}

#[tokio::test]
async fn an_instance_that_is_killed_costs_no_read() {
    let mut instances = Instances::start().await;
    instances.a_team().await;
    let proxy = HaProxy::start(&instances.addresses());
    tokio::time::sleep(NOTICED).await;
    let load = Load::start(&proxy, false);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let killed = instances.servers.remove(1);
    killed.signal("-KILL");
    killed.end().await;
    tokio::time::sleep(NOTICED).await;
    let requests = load.stop().await;
    assert!(requests > 50, "{requests}");
    instances.remove().await;
}

#[tokio::test]
async fn a_write_that_one_instance_answered_is_seen_by_all_at_once() {
    let instances = Instances::start().await;
    instances.a_team().await;
    let mut tags = vec![String::new(); 3];
    for round in 0..usually_or_in_full(60, 400) {
        let role = format!("role {round}");
        let change = instances.to(round % 3, Method::PATCH, "/v1/agents/1");
        Answer::to(change.json(&json!({"role": role}))).await.ok();
        for (instance, tag) in tags.iter_mut().enumerate() {
            let read = instances.to(instance, Method::GET, "/v1/circles/team");
            let answer = Answer::to(read.header("if-none-match", tag.as_str())).await;
            *tag = answer.header("etag").to_owned();
            assert_eq!(answer.ok()["members"][0]["agent_role"], role);
        }
    }
    assert!(tags.iter().all(|tag| *tag == tags[0]), "{tags:?}");
    instances.remove().await;
}

#[tokio::test]
async fn a_post_is_replayed_by_another_instance_after_its_own_was_killed() {
    let mut instances = Instances::start().await;
    let send = async |instances: &Instances, instance: usize| {
        let request = instances.to(instance, Method::POST, "/v1/agents");
        let request = request.header("idempotency-key", "once");
        Answer::to(request.json(&json!({"name": "Ada"}))).await
    };
    let first = send(&instances, 0).await.created();
    let killed = instances.servers.remove(0);
    killed.signal("-KILL");
    killed.end().await;
    for instance in 0..2 {
        let again = send(&instances, instance).await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(again.created(), first);
    }
    let agents = Answer::to(instances.to(0, Method::GET, "/v1/agents")).await;
    assert_eq!(agents.ok()["data"].as_array().map(Vec::len), Some(1));
    instances.remove().await;
}

#[tokio::test]
async fn a_key_that_one_instance_revoked_is_refused_by_all_at_once() {
    let instances = Instances::start().await;
    let admin = json!({"name": "admin", "scopes": ["admin"]});
    let admin = instances.post(0, "/v1/keys", &admin).await;
    let admin = admin["token"].as_str().expect("a token");
    let read = json!({"name": "reader", "scopes": ["read"]});
    for round in 0..usually_or_in_full(5, 50) {
        let create = instances
            .to(round % 3, Method::POST, "/v1/keys")
            .bearer_auth(admin);
        let created = Answer::to(create.json(&read)).await.created();
        let token = created["token"].as_str().expect("a token");
        for instance in 0..3 {
            let list = instances.to(instance, Method::GET, "/v1/agents");
            Answer::to(list.bearer_auth(token)).await.ok();
        }
        let path = format!("/v1/keys/{}", created["key"]["id"]);
        let revoke = instances.to((round + 1) % 3, Method::DELETE, &path);
        Answer::to(revoke.bearer_auth(admin)).await.no_content();
        for instance in 0..3 {
            let list = instances.to(instance, Method::GET, "/v1/agents");
            Answer::to(list.bearer_auth(token))
                .await
                .problem(401, "unauthenticated");
        }
    }
    instances.remove().await;
}
