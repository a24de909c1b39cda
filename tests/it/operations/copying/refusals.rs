//! What is not copied, and what an unfinished copy refuses.

use std::{process::Output, time::Duration};

use sea_orm::ConnectionTrait;
use tokio::{task::spawn_blocking, time::sleep};

use test_support::{Backend, TestApp, TestDatabase, binary, connect_to, on_both_databases};

use super::{BOTH_WAYS, contents, copy, kills::with_many_rows};

async fn run(database: &TestDatabase, sql: &str) {
    let db = connect_to(&database.url).await;
    db.execute_unprepared(sql).await.expect(sql);
    db.close().await.expect("closed");
}

fn try_copy(from: &str, to: &str) -> Output {
    binary::run(&["copy", "--from", from, "--to", to])
}

/// What a copy that is refused says.
#[track_caller]
fn refusal(from: &str, to: &str) -> String {
    let output = try_copy(from, to);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

fn migrate(database: &TestDatabase, command: &[&str]) -> String {
    let command = [&["migrate"], command, &["--database-url", &database.url]].concat();
    binary::output_of(&command)
}

#[tokio::test]
async fn a_target_with_rows_or_of_another_application_stays_as_it_is() {
    on_both_databases(async |source| {
        migrate(source, &["up"]);
        for backend in [Backend::Sqlite, Backend::Postgres] {
            let target = TestDatabase::create(backend).await;
            let app = TestApp::start(backend, target.settings()).await;
            app.a_provider("kept").await;
            app.stop().await;
            let before = contents(&target).await;
            let said = refusal(&source.url, &target.url);
            assert!(
                said.contains("the target is not empty: it has rows in providers, audit_entries;"),
                "{said}"
            );
            assert_eq!(contents(&target).await, before);
            target.remove().await;

            let target = TestDatabase::create_empty(backend).await;
            run(&target, "CREATE TABLE orders (id integer)").await;
            let said = refusal(&source.url, &target.url);
            assert!(
                said.contains("the target: ") && said.contains("tables orders"),
                "{said}"
            );
            target.remove().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_source_that_is_not_of_this_build_is_refused_before_the_target_is_touched() {
    on_both_databases(async |source| {
        let target = TestDatabase::create_empty(Backend::Sqlite).await;
        let refused = |expected: &str| {
            let said = refusal(&source.url, &target.url);
            assert!(said.contains(expected), "{said}");
            let file = target.url.strip_prefix("sqlite:").expect("a file");
            assert!(
                !std::path::Path::new(file).exists(),
                "{expected}: it is made"
            );
        };
        migrate(source, &["up"]);
        migrate(source, &["down", "-n", "2", "--yes"]);
        refused("the source: 2 migrations are not applied yet");
        migrate(source, &["up"]);
        let record = "INSERT INTO seaql_migrations VALUES ('m99999999_000001_more_additive', 0)";
        run(source, record).await;
        refused("the source: the database's schema is newer");
        run(
            source,
            "DELETE FROM seaql_migrations WHERE version LIKE 'm9%'",
        )
        .await;
        run(source, "CREATE TABLE unfinished_copy (id integer)").await;
        refused("the source: a copy into the database has not ended");
        target.remove().await;
    })
    .await;
}

#[tokio::test]
async fn a_column_that_would_be_lost_is_named() {
    on_both_databases(async |source| {
        migrate(source, &["up"]);
        run(source, "ALTER TABLE agents ADD COLUMN nickname text").await;
        let target = TestDatabase::create_empty(Backend::Sqlite).await;
        let said = refusal(&source.url, &target.url);
        assert!(said.contains("(agents.nickname)"), "{said}");
        target.remove().await;
    })
    .await;
}

#[test]
fn addresses_are_refused_by_the_option_that_has_them_and_never_shown() {
    for (from, to, option) in [
        ("mysql://me:hunter2@host/name", "sqlite:x.db", "--from"),
        ("sqlite:x.db", "postgres://me:hunter2@host", "--to"),
        (
            "sqlite:x.db",
            "postgres://me@host/name?sslpassword=hunter2",
            "--to",
        ),
    ] {
        let said = refusal(from, to);
        assert!(said.contains(option) && !said.contains("hunter2"), "{said}");
    }
    let said = refusal("sqlite::memory:", "sqlite:x.db");
    assert!(
        said.contains("the source is a database in memory"),
        "{said}"
    );
    let said = refusal("sqlite:no-such-file.db", "sqlite::memory:");
    assert!(
        said.contains("the target is a database in memory"),
        "{said}"
    );
    let said = refusal("sqlite:no-such-file.db", "sqlite:x.db");
    assert!(
        said.contains("the source") && !std::path::Path::new("x.db").exists(),
        "{said}"
    );
}

#[tokio::test]
async fn a_table_that_differs_in_the_end_fails_the_copy_and_keeps_the_service_from_starting() {
    let source = TestDatabase::create(Backend::Postgres).await;
    let target = TestDatabase::create(Backend::Postgres).await;
    let app = TestApp::start(Backend::Postgres, source.settings()).await;
    for name in ["p", "gone"] {
        app.a_provider(name).await;
    }
    let model =
        serde_json::json!({"provider_id": 1, "model_name": "m", "default_temperature": 0.7});
    app.post("/v1/models", &model).await.created();
    app.stop().await;
    run(
        &target,
        "ALTER TABLE models ALTER COLUMN default_temperature TYPE real",
    )
    .await;

    let output = try_copy(&source.url, &target.url);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("not the same: models; the copy is not finished"),
        "{said}"
    );
    refuses_to_serve(&target);

    // What made it differ is gone: the same command copies what is left, and what was changed and deleted since.
    let back = "ALTER TABLE models ALTER COLUMN default_temperature TYPE double precision";
    run(&target, back).await;
    for change in [
        "DELETE FROM providers WHERE name = 'gone'",
        "UPDATE providers SET name = 'renamed'",
    ] {
        run(&source, change).await;
    }
    copy(&source, &target);
    let app = TestApp::start(Backend::Postgres, target.settings()).await;
    assert_eq!(app.listed("/v1/providers", "name").await, ["renamed"]);
    assert_eq!(
        app.get("/v1/models/1").await.ok()["default_temperature"],
        0.7
    );
    app.stop().await;
    source.remove().await;
    target.remove().await;
}

/// Every command says that a copy has not ended.
#[track_caller]
fn refuses_to_serve(target: &TestDatabase) {
    for command in [
        &["serve", "--bind", "127.0.0.1:0"][..],
        &["migrate", "up"],
        &["migrate", "down", "--yes"],
        &["doctor"],
        &["prune"],
    ] {
        let output = binary::run(&[command, &["--database-url", &target.url]].concat());
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(
            said.contains("a copy into the database has not ended"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn an_unfinished_copy_is_continued_by_the_build_that_began_it_or_deleted() {
    for (from, to) in BOTH_WAYS {
        let source = TestDatabase::create(from).await;
        let target = TestDatabase::create_empty(to).await;
        migrate(&source, &["up"]);
        migrate(&target, &["up"]);
        for sql in [
            "CREATE TABLE unfinished_copy (id bigint PRIMARY KEY, kind text NOT NULL, content text NOT NULL)",
            "INSERT INTO unfinished_copy VALUES (0, 'token', 'x'), (1, 'build', 'another')",
        ] {
            run(&target, sql).await;
        }
        refuses_to_serve(&target);
        let said = refusal(&source.url, &target.url);
        assert!(said.contains("was begun by another build"), "{said}");
        migrate(&target, &["fresh", "--yes"]);
        copy(&source, &target);
        source.remove().await;
        target.remove().await;
    }
}

/// Has another run begin as soon as one has. What the first one says in the end; `None` if it was done before.
async fn overtaken(source: &TestDatabase, target: &TestDatabase) -> Option<Output> {
    let take_over = "UPDATE unfinished_copy SET content = 'another' WHERE kind = 'token'";
    let db = connect_to(&target.url).await;
    let (from, to) = (source.url.clone(), target.url.clone());
    let running = spawn_blocking(move || try_copy(&from, &to));
    let mut has_begun = false;
    while !has_begun && !running.is_finished() {
        let taken = db.execute_unprepared(take_over).await;
        has_begun = taken.is_ok_and(|taken| taken.rows_affected() == 1);
        sleep(Duration::from_millis(1)).await;
    }
    db.close().await.expect("closed");
    let output = running.await.expect("its end");
    has_begun.then_some(output)
}

#[tokio::test]
async fn a_run_ends_when_another_one_takes_over() {
    for (from, to) in BOTH_WAYS {
        let source = TestDatabase::create(from).await;
        let app = with_many_rows(&source).await;
        app.stop().await;
        let target = TestDatabase::create_empty(to).await;
        for attempt in 0.. {
            migrate(&target, &["fresh", "--yes"]);
            if let Some(output) = overtaken(&source, &target).await {
                let said = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(1), "{said}");
                assert!(
                    said.contains("another copy into the target has begun"),
                    "{said}"
                );
                break;
            }
            assert!(attempt < 20, "it is always done first");
        }
        refuses_to_serve(&target);
        copy(&source, &target);
        source.remove().await;
        target.remove().await;
    }
}
