//! A `begin()` that nobody waits for to its end. sqlx 0.9 does not take back a BEGIN that is on its
//! way to PostgreSQL: the session goes back to the pool inside a transaction that nobody knows of,
//! and what others write by it is never committed.
//!
//! Three things keep that from us, each of which hides that another is missing, so that each has a
//! test here that fails without it: unsafe requests run to their end (`http::detach`), a transaction
//! begins in a task of its own (`Database::begin`), and a session that comes back inside a
//! transaction is closed (`hooks`).

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

/// How late PostgreSQL's answers are while a `begin()` is dropped.
const LATE: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_mins(1);

/// A database behind a proxy, with a table for what is written.
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

    /// Drops a `begin()` when PostgreSQL has been asked, and before it has answered.
    async fn drop_midway(&self, begin: impl Future) {
        let asked = self.proxy.a_begin();
        self.proxy.hold_answers_back(LATE);
        {
            let (begin, asked) = (pin!(begin), pin!(timeout(PATIENCE, asked)));
            tokio::select! {
                _ = begin => panic!("it was answered too soon"),
                asked = asked => asked.expect("it was asked"),
            }
        }
        self.proxy.hold_answers_back(Duration::ZERO);
    }

    /// What of the notes others can see.
    async fn notes(&self) -> Vec<String> {
        texts_of(&self.database.url, "SELECT note FROM notes ORDER BY note").await
    }

    /// The sessions of others that sit in a transaction.
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

/// The session that a pool of one works with.
async fn session(db: &impl ConnectionTrait) -> i32 {
    let sql = Statement::from_string(db.get_database_backend(), "SELECT pg_backend_pid()");
    let row = db.query_one_raw(sql).await.expect("an answer");
    row.expect("a row").try_get_by_index(0).expect("a number")
}

async fn pool_of_one(url: &str, suspicion: &Distrust) -> DatabaseConnection {
    let settings = settings_for(url).database;
    let target = Target::from_settings(&settings).expect("a target");
    connection::open_with_distrust(&settings, &target, PoolSize::ONE, suspicion)
        .await
        .expect("a pool")
}

/// Where this fails, the driver has learnt to take a BEGIN back, and we can do with less.
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

/// What is written by the pool's only session is there for others, which it was not by the one before.
async fn has_a_new_session(scene: Scene, db: DatabaseConnection, before: i32) {
    write(&db, "answered").await;
    assert_eq!(scene.notes().await, ["answered"]);
    assert_eq!(scene.in_transaction().await, [""; 0]);
    assert_ne!(session(&db).await, before, "another session");
    db.close().await.expect("closed");
    scene.clear().await;
}

/// Fails where `hooks` believes every session that comes back.
#[tokio::test]
async fn a_session_that_comes_back_with_a_begin_under_way_is_closed() {
    let scene = Scene::set().await;
    let db = pool_of_one(&scene.url, &Distrust::default()).await;
    let before = session(&db).await;
    scene.drop_midway(db.begin()).await;
    has_a_new_session(scene, db, before).await;
}

/// The answer is there when the session comes back, so that nothing about it looks unfinished. Fails
/// where `hooks` does not ask a session whether it is in a transaction.
#[tokio::test]
async fn a_session_that_comes_back_inside_a_transaction_is_closed_where_there_is_suspicion() {
    let scene = Scene::set().await;
    let suspicion = Distrust::default();
    let db = pool_of_one(&scene.url, &suspicion).await;
    let before = session(&db).await;
    {
        let mut begin = pin!(db.begin());
        let asked = scene.proxy.a_begin();
        scene.proxy.hold_answers_back(LATE);
        tokio::select! {
            _ = &mut begin => panic!("it was answered too soon"),
            asked = timeout(PATIENCE, asked) => asked.expect("it was asked"),
        }
        // The answer arrives, and nobody looks.
        sleep(3 * LATE).await;
        scene.proxy.hold_answers_back(Duration::ZERO);
        suspicion.raise();
    }
    has_a_new_session(scene, db, before).await;
}

/// Fails where `Database::begin` has no task of its own: then the session is found in a transaction
/// when it comes back, and closed, if it is found at all.
#[tokio::test]
async fn a_transaction_that_nobody_waits_for_begins_and_ends_all_the_same() {
    let scene = Scene::set().await;
    let mut settings = settings_for(&scene.url).database;
    (settings.db_pool_min, settings.db_pool_max) = (Some(1), Some(1));
    let database = circle_registry::database::Database::open(&settings).await;
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
    database.close(PATIENCE).await;
    scene.clear().await;
}

/// Fails where `http::detach` does not run unsafe methods in a task: then what the client reset in
/// the middle is dropped with it.
#[tokio::test]
async fn a_write_that_its_client_resets_while_it_begins_runs_to_its_end() {
    let scene = Scene::set().await;
    let server = Server::start_ready(&scene.url, &["--db-pool-max", "4"]).await;
    // Of a connection that is reset the server learns when it answers; of a stream, at once.
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

/// SQLite's driver takes back what nobody waits for, also where the BEGIN waits for its place while
/// it is dropped. Nothing of ours is needed there; this says so as long as it is true.
#[tokio::test]
async fn on_sqlite_a_begin_that_is_dropped_leaves_nothing_behind() {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let direct = connect_to(&database.url).await;
    let made = direct.execute_unprepared("CREATE TABLE notes (note text NOT NULL)");
    made.await.expect("a table");
    let db = pool_of_one(&database.url, &Distrust::default()).await;
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
