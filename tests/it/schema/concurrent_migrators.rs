//! Migrators as processes: several running concurrently, and migrators that are killed.

use std::{
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use migration::runner;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};

use test_support::{
    Backend, TestDatabase, binary, connect_to,
    faults::{random_delay, report, usually_or_in_full},
};

fn start(database: &TestDatabase) -> Child {
    binary::command(&["migrate", "up", "--database-url", &database.url])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a migrator")
}

#[tokio::test]
async fn eight_migrators_at_once_apply_every_migration_once() {
    let rounds = usually_or_in_full(2, 50);
    for backend in [Backend::Sqlite, Backend::Postgres] {
        for _ in 0..rounds {
            let database = TestDatabase::create_empty(backend).await;
            let migrators: Vec<Child> = (0..8).map(|_| start(&database)).collect();
            let mut applied = Vec::new();
            for migrator in migrators {
                let output = migrator.wait_with_output().expect("an end");
                let complaint = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{backend:?}: {complaint}");
                let said = String::from_utf8(output.stdout).expect("text");
                applied.extend(
                    said.lines()
                        .filter_map(|line| Some(line.strip_prefix("applied  ")?.to_owned())),
                );
            }
            let db = connect_to(&database.url).await;
            let status = runner::status(&db).await.expect("a status");
            applied.sort();
            assert_eq!(applied, status.applied);
            assert!(status.pending.is_empty() && status.unknown.is_empty());
            db.close().await.expect("closed");
            database.remove().await;
        }
    }
    report(
        "8 migrators at once",
        &format!("{rounds} times on each database, none failed"),
    );
}

#[tokio::test]
async fn a_migrator_killed_at_any_moment_leaves_whole_migrations_and_the_next_goes_on() {
    let rounds = usually_or_in_full(4, 50);
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let whole = time_of_all(backend).await;
        let mut midway = 0;
        for _ in 0..rounds {
            let database = TestDatabase::create_empty(backend).await;
            let mut migrator = start(&database);
            tokio::time::sleep(random_delay(0..whole)).await;
            migrator.kill().expect("SIGKILL");
            migrator.wait().expect("an end");

            let db = connect_to(&database.url).await;
            let killed = runner::status(&db).await.expect("a status");
            midway += u32::from(!killed.applied.is_empty() && !killed.pending.is_empty());
            let args = ["migrate", "up", "--database-url", &database.url];
            binary::output_of(&args);
            let status = runner::status(&db).await.expect("a status");
            assert!(status.pending.is_empty(), "{status:?}");
            db.close().await.expect("closed");
            database.remove().await;
        }
        report(
            &format!("migrators killed on {backend:?}"),
            &format!("{rounds}, {midway} of them midway; the next one went on"),
        );
    }
}

/// How many milliseconds one migrator takes for all migrations.
async fn time_of_all(backend: Backend) -> u64 {
    let database = TestDatabase::create_empty(backend).await;
    let begun = Instant::now();
    binary::output_of(&["migrate", "up", "--database-url", &database.url]);
    let time = begun.elapsed().as_millis();
    database.remove().await;
    u64::try_from(time).expect("a time")
}

#[tokio::test]
async fn a_migrator_killed_inside_a_migration_leaves_nothing_of_it() {
    const WAITING: &str = "SELECT count(*) FROM pg_stat_activity \
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    const OTHERS: &str = "SELECT count(*) FROM pg_stat_activity \
        WHERE datname = current_database() AND application_name = 'circle-registry'";
    const INDEXES: &str = "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'";
    let database = TestDatabase::create(Backend::Postgres).await;
    let (db, held) = (
        connect_to(&database.url).await,
        connect_to(&database.url).await,
    );
    while runner::down(&db, Some(1)).await.expect("down") != ["m20261123_000012_index_sorts"] {}
    let before = runner::status(&db).await.expect("a status");
    let indexes = count(&db, INDEXES).await;

    // The migration creates indexes on five tables, and the last table is locked.
    let lock = "BEGIN; LOCK TABLE conversations IN ROW EXCLUSIVE MODE";
    held.execute_unprepared(lock).await.expect("the table");
    let mut migrator = start(&database);
    until(async || count(&db, WAITING).await == 1).await;
    migrator.kill().expect("SIGKILL");
    migrator.wait().expect("an end");
    held.execute_unprepared("ROLLBACK")
        .await
        .expect("it is let go");
    until(async || count(&db, OTHERS).await == 2).await;
    assert_eq!(count(&db, INDEXES).await, indexes);
    assert_eq!(runner::status(&db).await.expect("a status"), before);

    binary::output_of(&["migrate", "up", "--database-url", &database.url]);
    let after = runner::status(&db).await.expect("a status");
    assert!(after.pending.is_empty(), "{after:?}");
    assert!(count(&db, INDEXES).await > indexes);
    for db in [db, held] {
        db.close().await.expect("closed");
    }
    database.remove().await;
}

async fn count(db: &DatabaseConnection, sql: &str) -> i64 {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let row = db.query_one_raw(statement).await.expect(sql);
    row.expect("a row").try_get_by_index(0).expect("a number")
}

async fn until(condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition().await {
        assert!(Instant::now() < deadline, "it does not come to that");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
