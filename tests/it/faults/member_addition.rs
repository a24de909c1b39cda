//! Adding a member in one statement, as on PostgreSQL: the result is that of a transaction, whatever
//! happens to the session.

use std::time::Duration;

use futures_util::future::join_all;
use sea_orm::{ConnectionTrait, DatabaseConnection, TransactionTrait};
use serde_json::{Value, json};
use tokio::time::sleep;

use test_support::{
    Answer, Backend, TestApp, TestDatabase, connect_to, end_sessions_on, on_both, proxy::Proxy,
    settings_for, texts_of,
};

const TEAM: &str = "/v1/circles/team/members";

async fn entries(app: &TestApp) -> Vec<Value> {
    let page = app.get("/v1/audit?resource=member&order=asc").await.ok();
    page["data"].as_array().expect("a list").clone()
}

async fn run(db: &impl ConnectionTrait, sql: &str) {
    db.execute_unprepared(sql).await.expect(sql);
}

async fn start_on_postgres(database: &TestDatabase, url: &str, sessions: u32) -> TestApp {
    let mut settings = settings_for(url);
    settings.database.db_pool_max = Some(sessions);
    let app = TestApp::start(database.backend, settings).await;
    app.a_circle("team").await;
    app
}

#[tokio::test]
async fn an_addition_to_postgresql_is_one_statement_with_its_audit_entry() {
    on_both(async |app| {
        app.a_circle("team").await;
        let provider = app.a_provider("anthropic").await;
        let model = app.a_model(provider, "claude").await;
        let agents = [
            app.an_agent("Ada").await,
            app.an_agent_on("Bob", model).await,
        ];
        for agent in agents {
            let body = json!({"agent_id": agent, "role": "lead", "competencies": ["rust"]});
            let (answer, statements) = app.statements(app.post(TEAM, &body)).await;
            assert_eq!(statements == 1, app.backend == Backend::Postgres);
            let added = answer.created();
            let path = format!("{TEAM}/{agent}");
            assert_eq!(app.get(&path).await.ok(), added);
        }
        let by_transaction = app.an_agent("Cleo").await;
        let request = app.request(reqwest::Method::POST, TEAM);
        let request = request
            .header("Idempotency-Key", "k")
            .json(&json!({"agent_id": by_transaction}));
        Answer::to(request).await.created();
        let entries = entries(app).await;
        assert_eq!(entries.len(), 3);
        let shape = |entry: &Value| {
            let mut entry = entry.clone();
            for differs in ["id", "at", "resource_id", "name", "revision", "request_id"] {
                let value = entry.as_object_mut().expect("an object").remove(differs);
                assert!(value.is_some_and(|value| !value.is_null()), "{differs}");
            }
            entry
        };
        for (entry, agent) in entries.iter().zip(agents) {
            assert_eq!(entry["name"], format!("team/{agent}"));
            assert_eq!(shape(entry), shape(&entries[2]));
        }
    })
    .await;
}

#[tokio::test]
async fn a_circle_with_a_limit_takes_whom_it_has_room_for_in_one_statement_too() {
    on_both(async |app| {
        let circle = json!({"name": "team", "max_members": 2});
        app.post("/v1/circles", &circle).await.created();
        for _ in 0..2 {
            let body = json!({"agent_id": app.an_agent("Ada").await});
            let (answer, statements) = app.statements(app.post(TEAM, &body)).await;
            answer.created();
            assert_eq!(statements == 1, app.backend == Backend::Postgres);
        }
        let body = json!({"agent_id": app.an_agent("Bob").await});
        app.post(TEAM, &body).await.problem(409, "circle_full");
        assert_eq!(app.get("/v1/circles/team").await.ok()["member_count"], 2);
        assert_eq!(app.listed("/v1/circles", "member_count").await, [2]);
    })
    .await;
}

#[tokio::test]
async fn additions_by_sessions_that_were_ended_meanwhile_cost_nobody_an_error() {
    let database = TestDatabase::create(Backend::Postgres).await;
    let app = start_on_postgres(&database, &database.url, 4).await;
    for _ in 0..3 {
        let agents = join_all((0..8).map(|_| app.an_agent("Ada"))).await;
        join_all((0..4).map(|_| app.get("/v1/circles"))).await;
        end_sessions_on(&database.url).await;
        let added = agents.iter().map(async |agent| {
            let body = json!({"agent_id": agent});
            app.post(TEAM, &body).await
        });
        for answer in join_all(added).await {
            answer.created();
        }
    }
    assert_eq!(entries(&app).await.len(), 24);
    app.stop().await;
    database.remove().await;
}

/// Waits until `count` sessions wait for a lock.
async fn waiting(database: &TestDatabase, count: usize) {
    let sql = "SELECT query FROM pg_stat_activity \
               WHERE datname = current_database() AND wait_event_type = 'Lock'";
    for _ in 0..500 {
        if texts_of(&database.url, sql).await.len() == count {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("{count} sessions never waited for a lock");
}

#[tokio::test]
async fn an_addition_whose_answer_was_lost_is_found_and_not_made_twice() {
    let database = TestDatabase::create(Backend::Postgres).await;
    let proxy = Proxy::to(&database.url).await;
    let app = start_on_postgres(&database, &proxy.url_of(&database.url), 4).await;
    let agent = app.an_agent("Ada").await;
    let direct = connect_to(&database.url).await;
    let holder = direct.begin().await.expect("a transaction");
    run(&holder, "SELECT id FROM circles FOR UPDATE").await;
    let body = json!({"agent_id": agent});
    let added = app.post(TEAM, &body);
    let lost = async {
        waiting(&database, 1).await;
        proxy.thaw_new_connections();
        // The statement continues on the server, before the one that looks for its result.
        waiting(&database, 2).await;
        holder.rollback().await.expect("the end of it");
    };
    let (answer, ()) = tokio::join!(added, lost);
    let added = answer.created();
    assert_eq!(app.get(&format!("{TEAM}/{agent}")).await.ok(), added);
    assert_eq!(entries(&app).await.len(), 1);
    app.post(TEAM, &body).await.problem(409, "member_exists");
    direct.close().await.expect("closed");
    app.stop().await;
    database.remove().await;
}

#[tokio::test]
async fn an_addition_by_a_session_that_is_in_a_transaction_by_mistake_is_there_for_others() {
    let database = TestDatabase::create(Backend::Postgres).await;
    let app = start_on_postgres(&database, &database.url, 1).await;
    let agent = app.an_agent("Ada").await;
    run(app.database.connection(), "BEGIN").await;
    sleep(Duration::from_millis(500)).await;
    app.post(TEAM, &json!({"agent_id": agent})).await.created();
    for table in ["members", "audit_entries WHERE resource = 'member'"] {
        let sql = format!("SELECT count(*)::text FROM {table}");
        assert_eq!(texts_of(&database.url, &sql).await, ["1"], "{table}");
    }
    app.stop().await;
    database.remove().await;
}

/// Terminates the session that adds a member at its COMMIT, the first `times` times.
async fn end_at_commit(db: &DatabaseConnection, times: u64) {
    let function = format!(
        "CREATE FUNCTION end_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF nextval('tries') <= {times} THEN PERFORM pg_terminate_backend(pg_backend_pid()); \
         END IF; RETURN NULL; END $$"
    );
    let trigger = "CREATE CONSTRAINT TRIGGER end_it AFTER INSERT ON members \
                   DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION end_it()";
    for sql in ["CREATE SEQUENCE tries", &function, trigger] {
        run(db, sql).await;
    }
}

#[tokio::test]
async fn an_addition_that_broke_off_at_its_end_is_made_by_a_transaction_and_once() {
    for (times, status, made) in [(1, 201, 1), (99, 503, 0)] {
        let database = TestDatabase::create(Backend::Postgres).await;
        let app = start_on_postgres(&database, &database.url, 4).await;
        let agent = app.an_agent("Ada").await;
        let direct = connect_to(&database.url).await;
        end_at_commit(&direct, times).await;
        let answer = app.post(TEAM, &json!({"agent_id": agent})).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        assert_eq!(entries(&app).await.len(), made);
        assert_eq!(app.listed(TEAM, "id").await.len(), made);
        let tries = "SELECT last_value::text FROM tries";
        assert_eq!(texts_of(&database.url, tries).await, ["2"]);
        direct.close().await.expect("closed");
        app.stop().await;
        database.remove().await;
    }
}
