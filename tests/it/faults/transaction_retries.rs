//! Concurrent changes: a transaction that the database aborts is retried, within bounds, and no other
//! is.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseTransaction, Statement, TransactionTrait};
use serde_json::json;

use test_support::{Backend, TestApp, TestDatabase, connect_to, on_both, on_both_databases};

async fn run(db: &impl ConnectionTrait, statements: &[&str]) {
    for sql in statements {
        db.execute_unprepared(sql).await.expect(sql);
    }
}

/// The number that a statement returns.
async fn number(db: &impl ConnectionTrait, sql: &str) -> i64 {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let row = db
        .query_one_raw(statement)
        .await
        .expect(sql)
        .expect("a row");
    row.try_get_by_index(0).expect("a number")
}

/// Locks the circle, waits until the service, which has locked the agent, waits for the circle, and
/// then locks the agent: a deadlock. Returns whether PostgreSQL aborted the service's transaction.
async fn deadlock(database: &TestDatabase, ours: &DatabaseTransaction, agent: i64) -> bool {
    let watcher = connect_to(&database.url).await;
    let waiting = "SELECT count(*) FROM pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while number(&watcher, waiting).await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    watcher.close().await.expect("closed");
    let hold = format!("SELECT id FROM agents WHERE id = {agent} FOR UPDATE");
    ours.execute_unprepared(&hold).await.is_ok()
}

#[tokio::test]
async fn a_change_that_a_deadlock_broke_off_is_made_again() {
    const ROUNDS: usize = 10;
    on_both_databases(async |database| {
        if database.backend == Backend::Sqlite {
            return; // One writer at a time: no deadlock is possible.
        }
        let app = TestApp::start(database.backend, database.settings()).await;
        app.a_circle("team").await;
        let other = connect_to(&database.url).await;
        let mut gave_way = false;
        for round in 0..ROUNDS {
            let agent = app.an_agent("Ada").await;
            let ours = other.begin().await.expect("a transaction");
            run(&ours, &["SELECT id FROM circles FOR UPDATE"]).await;
            let body = json!({"agent_id": agent});
            let adding = app.post("/v1/circles/team/members", &body);
            let in_its_way = async {
                let gave_way = deadlock(database, &ours, agent).await;
                ours.rollback().await.expect("the end of it");
                gave_way
            };
            let (answer, service_gave_way) = tokio::join!(adding, in_its_way);
            answer.created();
            let entries = format!("/v1/audit?resource=member&action=create&limit={ROUNDS}");
            let entries = app.listed(&entries, "id").await;
            assert_eq!(
                entries.len(),
                round + 1,
                "one for each, however often it was tried"
            );
            gave_way = service_gave_way;
            // PostgreSQL aborts the transaction that detects the deadlock first, which may be ours.
            if gave_way {
                break;
            }
        }
        assert!(gave_way, "the service was never the one to give way");
        other.close().await.expect("closed");
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_writer_s_place_that_is_taken_is_tried_for_again() {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let mut settings = database.settings();
    settings.database.db_lock_timeout = Duration::from_millis(500);
    let app = TestApp::start(database.backend, settings).await;
    let other = connect_to(&database.url).await;
    run(&other, &["BEGIN IMMEDIATE"]).await;
    let body = json!({"name": "Ada"});
    let held = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        run(&other, &["COMMIT"]).await;
    };
    let (answer, ()) = tokio::join!(app.post("/v1/agents", &body), held);
    answer.created();
    assert_eq!(app.total("/v1/agents").await, 1);
    assert_eq!(app.total("/v1/audit").await, 1);

    run(&other, &["BEGIN IMMEDIATE"]).await;
    let answer = app.post("/v1/agents", &body).await;
    assert_eq!(answer.header("retry-after"), "1");
    answer.problem(503, "contended");
    run(&other, &["ROLLBACK"]).await;
    app.post("/v1/agents", &body).await.created();
    assert_eq!(app.total("/v1/agents").await, 2);
    other.close().await.expect("closed");
    app.stop().await;
    database.remove().await;
}

/// A trigger on PostgreSQL that raises `error` for the first `times` agents that are created, at the
/// INSERT or at the COMMIT.
async fn disturb(db: &impl ConnectionTrait, error: &str, times: i64, timing: &str) {
    let function = format!(
        "CREATE FUNCTION disturb() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF nextval('tries') <= {times} THEN {error} END IF; RETURN NULL; END $$"
    );
    let trigger = format!(
        "CREATE CONSTRAINT TRIGGER disturb AFTER INSERT ON agents {timing} \
         FOR EACH ROW EXECUTE FUNCTION disturb()"
    );
    run(db, &["CREATE SEQUENCE tries", &function, &trigger]).await;
}

const AT_INSERT: &str = "NOT DEFERRABLE";
const AT_COMMIT: &str = "DEFERRABLE INITIALLY DEFERRED";

/// The status and the code of a response to a new agent with this trigger, and the number of attempts.
async fn disturbed(error: &str, times: i64, timing: &str) -> (u16, String, i64) {
    let database = TestDatabase::create(Backend::Postgres).await;
    let app = TestApp::start(database.backend, database.settings()).await;
    let db = connect_to(&database.url).await;
    disturb(&db, error, times, timing).await;
    let answer = app.post("/v1/agents", &json!({"name": "Ada"})).await;
    let tries = number(&db, "SELECT last_value FROM tries").await;
    let made = i64::from(answer.status == 201);
    assert_eq!(app.total("/v1/agents").await, made);
    assert_eq!(app.total("/v1/audit").await, made);
    db.close().await.expect("closed");
    app.stop().await;
    database.remove().await;
    let code = answer.body["code"].as_str().unwrap_or_default();
    (answer.status, code.to_owned(), tries)
}

#[tokio::test]
async fn a_transaction_that_can_t_be_serialized_is_begun_again_within_bounds() {
    const SERIALIZATION: &str = "RAISE EXCEPTION 'again' USING ERRCODE = '40001';";
    for timing in [AT_INSERT, AT_COMMIT] {
        let (status, _, tries) = disturbed(SERIALIZATION, 2, timing).await;
        assert_eq!((status, tries), (201, 3), "{timing}");
        let (status, code, tries) = disturbed(SERIALIZATION, 99, timing).await;
        assert_eq!(
            (status, code.as_str(), tries),
            (503, "contended", 6),
            "{timing}"
        );
    }
}

#[tokio::test]
async fn a_commit_that_may_have_gone_through_is_not_made_again() {
    const CUT_OFF: &str = "PERFORM pg_terminate_backend(pg_backend_pid());";
    let (status, code, tries) = disturbed(CUT_OFF, 99, AT_COMMIT).await;
    assert_eq!(
        (status, code.as_str(), tries),
        (503, "database_unavailable", 1)
    );
}

#[tokio::test]
async fn what_is_wrong_for_good_is_tried_once() {
    on_both(async |app| {
        let db = app.database.connection();
        match app.backend {
            Backend::Sqlite => {
                let trigger = "CREATE TRIGGER disturb AFTER INSERT ON agents \
                               BEGIN SELECT RAISE(ABORT, 'never'); END";
                run(db, &[trigger]).await;
            }
            Backend::Postgres => disturb(db, "RAISE EXCEPTION 'never';", 99, AT_INSERT).await,
        }
        let body = json!({"name": "Ada"});
        // The first request also checks whether there are keys.
        app.get("/v1/agents").await.ok();
        let (answer, statements) = app.statements(app.post("/v1/agents", &body)).await;
        answer.problem(500, "internal");
        assert_eq!(statements, 1);
    })
    .await;
}
