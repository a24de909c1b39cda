//! Databases that are not this program's are refused before anything in them is changed.

use std::fs;

use circle_registry::app::{Application, StartError};
use migration::runner;
use sea_orm::ConnectionTrait;

use test_support::{Backend, TestDatabase, binary, connect_to, on_both_databases, texts_of};

const RECORDS: &str = "CREATE TABLE seaql_migrations (version varchar NOT NULL PRIMARY KEY, applied_at bigint NOT NULL)";

/// Runs statements as another application would: on SQLite without a write-ahead log.
async fn run_as_another(database: &TestDatabase, statements: &[&str]) {
    let db = connect_to(&database.url).await;
    if database.backend == Backend::Sqlite {
        db.execute_unprepared("PRAGMA journal_mode = DELETE")
            .await
            .expect("another mode");
    }
    for sql in statements {
        db.execute_unprepared(sql).await.expect(sql);
    }
    db.close().await.expect("closed");
}

/// All that a database holds: on SQLite the bytes of its file, on PostgreSQL its relations and functions.
async fn contents(database: &TestDatabase) -> Vec<String> {
    match database.backend {
        Backend::Sqlite => {
            let file = database.url.strip_prefix("sqlite:").expect("a file");
            vec![format!("{:?}", fs::read(file).expect("the file"))]
        }
        Backend::Postgres => {
            let sql = "SELECT relkind::text || relname || reltuples FROM pg_class \
                       WHERE relnamespace = 'public'::regnamespace \
                       UNION ALL SELECT proname::text FROM pg_proc \
                       WHERE pronamespace = 'public'::regnamespace ORDER BY 1";
            texts_of(&database.url, sql).await
        }
    }
}

/// What a command says when it fails.
#[track_caller]
fn complaint(arguments: &[&str], database: &TestDatabase) -> String {
    let arguments = [arguments, &["--database-url", &database.url]].concat();
    let output = binary::run(&arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8(said).expect("text")
}

#[tokio::test]
async fn another_application_s_database_is_refused_unchanged_and_said_to_be_one() {
    const THEIRS: [&[&str]; 5] = [
        &[
            RECORDS,
            "INSERT INTO seaql_migrations VALUES ('m20220101_000001_create_posts', 0)",
            "CREATE TABLE posts (id integer PRIMARY KEY)",
        ],
        &["CREATE TABLE models (id integer PRIMARY KEY)"],
        &[
            "CREATE TABLE orders (id integer)",
            "CREATE VIEW circles AS SELECT id FROM orders",
        ],
        // Half of this program's tables, and no record of how they came to be.
        &[
            "CREATE TABLE providers (id integer PRIMARY KEY)",
            "CREATE TABLE agents (id integer PRIMARY KEY)",
            RECORDS,
        ],
        &[
            "CREATE TABLE a1 (i integer)",
            "CREATE TABLE a2 (i integer)",
            "CREATE TABLE a3 (i integer)",
            "CREATE TABLE a4 (i integer)",
            "CREATE TABLE a5 (i integer)",
            "CREATE TABLE a6 (i integer)",
        ],
    ];
    const NAMED: [&str; 5] = [
        "m20220101_000001_create_posts and the tables posts,",
        "the tables models,",
        "the tables circles, orders,",
        "the tables agents, providers,",
        "a4, a5 and 1 more,",
    ];
    for backend in [Backend::Sqlite, Backend::Postgres] {
        for (statements, named) in THEIRS.into_iter().zip(NAMED) {
            let database = TestDatabase::create_empty(backend).await;
            run_as_another(&database, statements).await;
            let before = contents(&database).await;
            for command in [
                &["serve", "--bind", "127.0.0.1:0"][..],
                &["serve", "--bind", "127.0.0.1:0", "--no-migrate"],
                &["migrate", "up"],
                &["migrate", "down", "--yes"],
                &["migrate", "fresh", "--yes"],
                &["keys", "create", "--name", "k", "--scope", "admin"],
                &["catalog", "import", "--builtin"],
                &["catalog", "import", "--builtin", "--dry-run"],
                &["doctor"],
            ] {
                let said = complaint(command, &database);
                assert!(
                    said.contains("not this program's") && said.contains(named),
                    "{said}"
                );
            }
            assert_eq!(contents(&database).await, before, "{named}");
            database.remove().await;
        }
    }
}

#[tokio::test]
async fn tables_of_extensions_are_no_other_application_s() {
    let database = TestDatabase::create_empty(Backend::Postgres).await;
    let db = connect_to(&database.url).await;
    db.execute_unprepared("CREATE EXTENSION pg_stat_statements")
        .await
        .expect("its views");
    runner::up(&db, None).await.expect("up");
    db.close().await.expect("closed");
    database.remove().await;
}

#[tokio::test]
async fn a_schema_that_has_lost_a_table_is_refused() {
    on_both_databases(async |database| {
        let db = connect_to(&database.url).await;
        runner::up(&db, None).await.expect("up");
        let refusal = async |sql: &str| {
            db.execute_unprepared(sql).await.expect(sql);
            let Err(StartError::Schema(error)) = Application::start(database.settings()).await
            else {
                panic!("the service starts after {sql}");
            };
            error.to_string()
        };
        let said = refusal("DROP TABLE messages").await;
        assert!(
            said.contains("lacks tables") && said.contains("(messages)"),
            "{said}"
        );
        db.close().await.expect("closed");
    })
    .await;
}
