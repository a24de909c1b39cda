//! A `begin()` that is cancelled. sqlx 0.9 does not take back a BEGIN that is on its way to PostgreSQL:
//! the session returns to the pool inside a transaction, and later writes on it are never committed.
//!
//! Three defences prevent that. Each hides the absence of another, so each has a test here that fails
//! without it: unsafe requests run to completion (`middleware::run_to_completion`), a transaction
//! begins in a task of its own (`Database::begin`), and a session that returns inside a transaction is
//! closed (`hooks`).

use std::{pin::pin, time::Duration};

use migration::{
    connection::{self, PoolSize, Target},
    database::hooks::Distrust,
};
use reqwest::Client;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, SqliteTransactionMode,
    Statement, TransactionOptions, TransactionTrait,
};
use serde_json::json;
use tokio::time::{sleep, timeout};

use test_support::{
    Backend, TestDatabase, binary::Server, connect_to, faults::usually_or_in_full, proxy::Proxy,
    settings_for, texts_of,
};

/// The delay of PostgreSQL's answers while a `begin()` is dropped.
const ANSWER_DELAY: Duration = Duration::from_millis(300);
const BEGIN_TIMEOUT: Duration = Duration::from_mins(1);

/// A database behind a proxy, with a table `notes`.
struct Scene {
    database: TestDatabase,
    proxy: Proxy,
    url: String,
}

impl Scene {
    async fn set() -> Self {
        let database = TestDatabase::create(Backend::Postgres).await;
        let proxy = Proxy::to(&database.url).await;
        let direct = connect_to(&database.url).await;
        let made = direct.execute_unprepared("CREATE TABLE notes (note text NOT NULL)");
        made.await.expect("a table");
        direct.close().await.expect("closed");
        Self {
            url: proxy.url_of(&database.url),
            database,
            proxy,
        }
    }

    /// Drops a `begin()` after PostgreSQL has received it and before it has answered.
    async fn drop_midway(&self, begin: impl Future) {
        let asked = self.proxy.next_begin();
        self.proxy.delay_answers(ANSWER_DELAY);
        {
            let (begin, asked) = (pin!(begin), pin!(timeout(BEGIN_TIMEOUT, asked)));
            tokio::select! {
                _ = begin => panic!("it was answered too soon"),
                asked = asked => asked.expect("it was asked"),
            }
        }
        self.proxy.delay_answers(Duration::ZERO);
    }

    /// The notes that are committed.
    async fn notes(&self) -> Vec<String> {
        texts_of(&self.database.url, "SELECT note FROM notes ORDER BY note").await
    }

    /// The other sessions that are inside a transaction.
    async fn in_transaction(&self) -> Vec<String> {
        texts_of(
            &self.database.url,
            "SELECT query FROM pg_stat_activity WHERE datname = current_database() \
             AND state LIKE 'idle in transaction%'",
        )
        .await
    }

    async fn clear(self) {
        drop(self.proxy);
        self.database.remove().await;
    }
}

async fn write(db: &impl ConnectionTrait, note: &str) {
    let sql = format!("INSERT INTO notes (note) VALUES ('{note}')");
    assert_eq!(
        db.execute_unprepared(&sql)
            .await
            .expect("written")
            .rows_affected(),
        1
    );
}

/// The backend process of the only session of a pool.
async fn session(db: &impl ConnectionTrait) -> i32 {
    let sql = Statement::from_string(db.get_database_backend(), "SELECT pg_backend_pid()");
    let row = db.query_one_raw(sql).await.expect("an answer");
    row.expect("a row").try_get_by_index(0).expect("a number")
}

fn pool_of_one(url: &str, suspicion: &Distrust) -> DatabaseConnection {
    let settings = settings_for(url).database;
    let target = Target::from_settings(&settings).expect("a target");
    connection::open_with_distrust(&settings, &target, PoolSize::ONE, suspicion)
}

/// If this fails, the driver takes a BEGIN back, and some of the defences can go.
#[tokio::test]
async fn the_driver_alone_loses_what_is_written_after_a_begin_that_was_dropped() {
    let scene = Scene::set().await;
    let mut options = ConnectOptions::new(&scene.url);
    options.max_connections(1).sqlx_logging(false);
    options.test_before_acquire(false);
    let db = Database::connect(options).await.expect("a pool");
    let before = session(&db).await;
    scene.drop_midway(db.begin()).await;
    write(&db, "answered").await;
    assert_eq!(session(&db).await, before);
    assert_eq!(scene.notes().await, [""; 0], "nobody else sees it");
    assert_eq!(scene.in_transaction().await.len(), 1);
    db.close().await.expect("closed");
    scene.clear().await;
}

/// The pool has replaced its only session, and what the new one writes is committed.
async fn has_a_new_session(scene: Scene, db: DatabaseConnection, before: i32) {
    write(&db, "answered").await;
    assert_eq!(scene.notes().await, ["answered"]);
    assert_eq!(scene.in_transaction().await, [""; 0]);
    assert_ne!(session(&db).await, before, "another session");
    db.close().await.expect("closed");
    scene.clear().await;
}

/// Fails if `hooks` trusts every session that returns.
#[tokio::test]
async fn a_session_that_comes_back_with_a_begin_under_way_is_closed() {
    let scene = Scene::set().await;
    let db = pool_of_one(&scene.url, &Distrust::default());
    let before = session(&db).await;
    scene.drop_midway(db.begin()).await;
    has_a_new_session(scene, db, before).await;
}

/// The answer has arrived when the session returns, so the session looks clean. Fails if `hooks` does
/// not ask a session whether it is in a transaction.
#[tokio::test]
async fn a_session_that_comes_back_inside_a_transaction_is_closed_where_there_is_suspicion() {
    let scene = Scene::set().await;
    let suspicion = Distrust::default();
    let db = pool_of_one(&scene.url, &suspicion);
    let before = session(&db).await;
    {
        let mut begin = pin!(db.begin());
        let asked = scene.proxy.next_begin();
        scene.proxy.delay_answers(ANSWER_DELAY);
        tokio::select! {
            _ = &mut begin => panic!("it was answered too soon"),
            asked = timeout(BEGIN_TIMEOUT, asked) => asked.expect("it was asked"),
        }
        // The answer arrives and is not read.
        sleep(3 * ANSWER_DELAY).await;
        scene.proxy.delay_answers(Duration::ZERO);
        suspicion.raise();
    }
    has_a_new_session(scene, db, before).await;
}

/// Fails if `Database::begin` does not spawn a task: then the session returns inside a transaction, and
/// is closed if that is noticed.
#[tokio::test]
async fn a_transaction_that_nobody_waits_for_begins_and_ends_all_the_same() {
    let scene = Scene::set().await;
    let mut settings = settings_for(&scene.url).database;
    (settings.db_pool_min, settings.db_pool_max) = (Some(1), Some(1));
    let database = circle_registry::database::Database::open(&settings);
    let database = database.expect("a pool");
    let db = database.connection();
    let before = session(db).await;
    for round in 0..usually_or_in_full(3, 100) {
        scene.drop_midway(database.begin_write()).await;
        write(db, &format!("answered-{round:03}")).await;
        assert_eq!(session(db).await, before, "its session is as good as ever");
        assert_eq!(scene.notes().await.len(), round + 1);
        assert_eq!(scene.in_transaction().await, [""; 0]);
    }
    database.close(BEGIN_TIMEOUT).await;
    scene.clear().await;
}

/// Fails if `RunToCompletion` does not run unsafe methods in a task: then a reset drops the write.
#[tokio::test]
async fn a_write_that_its_client_resets_while_it_begins_runs_to_its_end() {
    let scene = Scene::set().await;
    let server = Server::start_ready(&scene.url, &["--db-pool-max", "4"]).await;
    // The server notices the reset of a connection when it answers, but that of a stream at once.
    let client = Client::builder().http2_prior_knowledge().build();
    let client = client.expect("a client");
    let rounds = usually_or_in_full(3, 100);
    for round in 0..rounds {
        let body = json!({"name": format!("reset-{round:03}"), "api_type": "openai"});
        let request = client.post(server.url("/v1/providers")).json(&body);
        scene.drop_midway(request.send()).await;
    }
    let sql = "SELECT name FROM providers WHERE name LIKE 'reset-%'";
    for _ in 0..100 {
        if texts_of(&scene.database.url, sql).await.len() == rounds {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    let done = texts_of(&scene.database.url, sql).await.len();
    assert_eq!(done, rounds, "writes were dropped in the middle");
    drop(server);
    scene.database.remove().await;
}

/// SQLite's driver rolls back a BEGIN that is dropped, also one that waits for the lock of the writer.
/// No defence is needed there, which this test confirms.
#[tokio::test]
async fn on_sqlite_a_begin_that_is_dropped_leaves_nothing_behind() {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let direct = connect_to(&database.url).await;
    let made = direct.execute_unprepared("CREATE TABLE notes (note text NOT NULL)");
    made.await.expect("a table");
    let db = pool_of_one(&database.url, &Distrust::default());
    let immediate = || TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let rounds = usually_or_in_full(10, 200);
    for round in 0..rounds {
        let holder = direct.begin_with_options(immediate()).await;
        let holder = holder.expect("the writer's place");
        let wait = Duration::from_millis(5 * (round % 10));
        let begun = timeout(wait, db.begin_with_options(immediate())).await;
        assert!(begun.is_err(), "the place is taken");
        holder.rollback().await.expect("the place is free");
        write(&db, "by the one that was dropped").await;
        write(&direct, "by another").await;
    }
    let notes = texts_of(&database.url, "SELECT note FROM notes").await;
    assert_eq!(notes.len() as u64, 2 * rounds);
    for db in [db, direct] {
        db.close().await.expect("closed");
    }
    database.remove().await;
}
