//! A standby is promoted: its log has another history from then on than that of the old primary.

use std::time::Duration;

use super::*;

async fn wait_until_ready(app: &TestApp) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while app.get("/readyz").await.status != 200 {
        assert!(Instant::now() < deadline, "it does not get ready");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_standby_of_the_lost_primary_answers_nothing_that_was_written_to_the_new_one() {
    let mut cluster = Cluster::start(2).await;
    let [mut ahead, mut promoted] =
        <[PostgresServer; 2]>::try_from(std::mem::take(&mut cluster.standbys)).expect("two");
    let primaries = [&cluster.primary, &promoted];
    let url = PostgresServer::url_of_all(&primaries, "postgres", "read-write");
    let mut settings = settings_for(&url);
    settings.replicas.read_database_url = vec![url_of(&ahead)];
    settings.replicas.replica_max_lag = Duration::from_mins(10);
    let app = TestApp::start(Backend::Postgres, settings.clone()).await;
    let reader = TestApp::start(Backend::Postgres, settings).await;
    wait_until_fit(&reader, 1).await;
    let agent = app.an_agent("Ada").await;
    let path = format!("/v1/agents/{agent}");
    promoted.has_replayed(&cluster.primary).await;

    // The one gets far more of the old primary's log than the other, which is promoted.
    promoted.stop_immediately();
    for number in 0..200 {
        set_role(&app, agent, &format!("lost {number}")).await;
    }
    ahead.has_replayed(&cluster.primary).await;
    cluster.primary.stop_immediately();
    promoted.start_ready().await;
    promoted.promote().await;
    wait_until_ready(&app).await;
    wait_until_ready(&reader).await;

    // Its log is longer than the new primary's, but has another history.
    for number in 0..20 {
        let new = format!("kept {number}");
        let position = set_role(&app, agent, &new).await;
        assert!(position.starts_with("2-"), "{position}");
        assert_eq!(role(get(&app, &path)).await, new);
        let told = get(&reader, &path).header(POSITION, &position);
        assert_eq!(role(told).await, new);
    }
    // As long as its lag is allowed, it can be read.
    let lost = from_replica(&reader, &path, PLAIN).await;
    assert_eq!(lost.ok()["role"], "lost 199");
    app.stop().await;
    reader.stop().await;
    ahead.stop_immediately();
}

#[tokio::test]
async fn a_standby_that_follows_the_new_primary_is_read_again() {
    let mut cluster = Cluster::start(2).await;
    let mut standbys = std::mem::take(&mut cluster.standbys);
    let (mut follower, promoted) = (standbys.remove(0), standbys.remove(0));
    let primaries = [&cluster.primary, &promoted];
    let url = PostgresServer::url_of_all(&primaries, "postgres", "read-write");
    let mut settings = settings_for(&url);
    settings.replicas.read_database_url = vec![url_of(&follower)];
    settings.replicas.replica_max_lag = Duration::from_secs(2);
    let app = TestApp::start(Backend::Postgres, settings).await;
    wait_until_fit(&app, 1).await;
    let agent = app.an_agent("Ada").await;
    let path = format!("/v1/agents/{agent}");
    // It must not have more than the other one when that is promoted.
    follower.stop_immediately();
    wait_until_fit(&app, 0).await;
    promoted.has_replayed(&cluster.primary).await;
    cluster.primary.stop_immediately();
    promoted.promote().await;
    wait_until_ready(&app).await;
    let position = set_role(&app, agent, "new").await;
    assert!(position.starts_with("2-"), "{position}");
    assert_eq!(role(get(&app, &path)).await, "new");

    follower.follow(&promoted);
    follower.start_ready().await;
    wait_until_fit(&app, 1).await;
    let before = reads(&app, "replica").await;
    let deadline = Instant::now() + Duration::from_mins(1);
    while reads(&app, "replica").await <= before {
        assert_eq!(role(get(&app, &path)).await, "new");
        assert!(Instant::now() < deadline, "the replica is not read");
    }
    app.stop().await;
}
