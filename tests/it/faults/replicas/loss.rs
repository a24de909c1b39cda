//! Replicas that stop, fall silent or can't be reached.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use test_support::proxy::Proxy;
use tokio::task::JoinSet;

use super::*;

/// Clients that read until they are stopped. Every read must succeed.
struct Readers {
    stop: Arc<AtomicBool>,
    /// How many reads of each client were answered.
    answered: Arc<[AtomicU32; 4]>,
    /// How long the longest read of each took.
    clients: JoinSet<Duration>,
}

impl Readers {
    fn start(app: &TestApp) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(<[AtomicU32; 4]>::default());
        let mut clients = JoinSet::new();
        for client in 0..answered.len() {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            let request = get(app, "/v1/circles/team");
            clients.spawn(async move {
                let mut longest = Duration::ZERO;
                while !stop.load(Ordering::Relaxed) {
                    let started = Instant::now();
                    let request = request.try_clone().expect("a request without a body");
                    Answer::to(request).await.ok();
                    longest = longest.max(started.elapsed());
                    answered[client].fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                longest
            });
        }
        Self {
            stop,
            answered,
            clients,
        }
    }

    fn answered(&self) -> Vec<u32> {
        let counts = self.answered.iter();
        counts.map(|count| count.load(Ordering::Relaxed)).collect()
    }

    /// Waits until another read of each client was answered.
    async fn get_on(&self) {
        let before = self.answered();
        let deadline = Instant::now() + Duration::from_secs(30);
        while self
            .answered()
            .iter()
            .zip(&before)
            .any(|(now, before)| now == before)
        {
            assert!(Instant::now() < deadline, "a read waits");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// How many reads there were, and how long the longest one took.
    async fn stop(self) -> (u32, Duration) {
        self.stop.store(true, Ordering::Relaxed);
        let longest = self.clients.join_all().await.into_iter().max();
        let counts = self
            .answered
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        (counts.sum(), longest.unwrap_or_default())
    }
}

#[tokio::test]
async fn replicas_that_stop_and_return_cost_no_read() {
    let mut cluster = Cluster::start(2).await;
    let app = cluster.app().await;
    app.a_circle("team").await;
    let readers = Readers::start(&app);
    for _ in 0..2 {
        for index in 0..2 {
            cluster.standbys[index].stop_immediately();
            wait_until_fit(&app, 1).await;
            cluster.standbys[index].start_ready().await;
            wait_until_fit(&app, 2).await;
        }
    }
    for standby in &mut cluster.standbys {
        standby.stop_immediately();
    }
    wait_until_fit(&app, 0).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (count, _) = readers.stop().await;
    assert!(count > 100, "{count}");
    assert!(reads(&app, "replica").await > 50.0);
    assert!(reads(&app, "unfit").await > 1.0);
    assert_eq!(app.get("/readyz").await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn reads_under_way_on_a_replica_that_falls_silent_are_answered_by_the_primary() {
    let cluster = Cluster::start(1).await;
    let url = url_of(&cluster.standbys[0]);
    let proxy = Proxy::to(&url).await;
    let app = cluster.app_reading(&[proxy.url_of(&url)], |_| {}).await;
    app.a_circle("team").await;
    let readers = Readers::start(&app);
    for _ in 0..2 {
        while reads(&app, "replica").await < 20.0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        proxy.freeze();
        wait_until_fit(&app, 0).await;
        // Those that were under way have an answer while it is still silent.
        readers.get_on().await;
        proxy.thaw_new_connections();
        wait_until_fit(&app, 1).await;
    }
    let (count, longest) = readers.stop().await;
    assert!(count > 50, "{count}");
    assert!(longest < Duration::from_secs(20), "{longest:?}");
    app.stop().await;
}

#[tokio::test]
async fn a_service_starts_without_its_replicas_and_reads_them_once_they_are_there() {
    let mut cluster = Cluster::start(1).await;
    cluster.standbys[0].stop_immediately();
    let mut settings = settings_for(&url_of(&cluster.primary));
    settings.replicas.read_database_url = vec![url_of(&cluster.standbys[0])];
    let app = TestApp::start(Backend::Postgres, settings).await;
    app.a_circle("team").await;
    app.get("/v1/circles/team").await.ok();
    assert_eq!(reads(&app, "replica").await.to_string(), "0");
    cluster.standbys[0].start_ready().await;
    wait_until_fit(&app, 1).await;
    let deadline = Instant::now() + Duration::from_mins(1);
    while reads(&app, "replica").await < 1.0 {
        app.get("/v1/circles/team").await.ok();
        assert!(Instant::now() < deadline, "the replica is not read");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    app.stop().await;
}

#[tokio::test]
async fn a_server_that_is_no_standby_is_not_read() {
    let cluster = Cluster::start(0).await;
    let mut settings = settings_for(&url_of(&cluster.primary));
    settings.replicas.read_database_url = vec![url_of(&cluster.primary)];
    let app = TestApp::start(Backend::Postgres, settings).await;
    app.a_circle("team").await;
    // Longer than it takes to ask it.
    tokio::time::sleep(Duration::from_secs(2)).await;
    app.get("/v1/circles/team").await.ok();
    assert_eq!(reads(&app, "replica").await.to_string(), "0");
    assert!(reads(&app, "unfit").await >= 1.0);
    app.stop().await;
}
