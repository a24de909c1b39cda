//! The database no longer lets the service open a session: that is no error of the request, so it gets
//! 503. The probe gives the reason, and the log the database's code.

use std::time::Duration;

use sea_orm::ConnectionTrait;
use serde_json::json;
use test_support::{
    Answer, Backend, TestDatabase,
    binary::Server,
    connect_to,
    postgres::{self, LimitedRole},
};

/// A statement after which no more sessions are opened, its reverse, and how the refusal is reported.
struct Refusal {
    refuse: String,
    allow: String,
    code: &'static str,
    reason: &'static str,
}

fn refusals(user: &str, name: &str) -> [Refusal; 4] {
    [
        Refusal {
            refuse: format!("ALTER ROLE {user} PASSWORD 'rotated'"),
            allow: format!("ALTER ROLE {user} PASSWORD 'limited'"),
            code: "28P01",
            reason: "refuses the password",
        },
        Refusal {
            refuse: format!("ALTER ROLE {user} NOLOGIN"),
            allow: format!("ALTER ROLE {user} LOGIN"),
            code: "28000",
            reason: "does not let the service's user log in",
        },
        Refusal {
            refuse: format!("REVOKE CONNECT ON DATABASE {name} FROM PUBLIC"),
            allow: format!("GRANT CONNECT ON DATABASE {name} TO PUBLIC"),
            code: "42501",
            reason: "may not connect",
        },
        Refusal {
            refuse: format!("ALTER DATABASE {name} RENAME TO {name}_renamed"),
            allow: format!("ALTER DATABASE {name}_renamed RENAME TO {name}"),
            code: "3D000",
            reason: "no database of the configured name",
        },
    ]
}

fn assert_refused(answer: Answer, reason: &str) {
    assert_eq!(answer.header("retry-after"), "1");
    let problem = answer.problem(503, "database_unavailable");
    let detail = problem["detail"].as_str().expect("a detail");
    assert!(detail.contains(reason), "{detail}");
    assert!(!detail.contains("limited"), "{detail}");
    assert!(!detail.contains("circle_test"), "{detail}");
}

#[tokio::test]
async fn a_session_that_the_database_refuses_to_open_is_a_503_with_its_reason() {
    let database = TestDatabase::create(Backend::Postgres).await;
    let direct = connect_to(&database.url).await;
    let role = LimitedRole::create(&direct, &database.url).await;
    role.lift_limit(&direct).await;
    direct.close().await.expect("closed");
    let name = database.url.rsplit('/').next().expect("a name");
    let admin = postgres::connect("postgres").await;
    let server = Server::start_ready(&role.url, &[]).await;
    for refusal in refusals(&role.name, name) {
        // A database can't be renamed while a session is still ending.
        let refuse = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        );
        for attempt in 0.. {
            admin.execute_unprepared(&refuse).await.expect(&refuse);
            match admin.execute_unprepared(&refusal.refuse).await {
                Ok(_) => break,
                Err(error) => assert!(attempt < 100, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        admin.execute_unprepared(&refuse).await.expect(&refuse);
        assert_refused(server.get("/v1/circles").await, refusal.reason);
        let write = server.client().post(server.url("/v1/circles"));
        let write = write.json(&json!({"name": "refused"}));
        assert_refused(Answer::to(write).await, refusal.reason);
        assert_refused(server.get("/readyz").await, refusal.reason);
        server.wait_for_log(refusal.code).await;

        admin
            .execute_unprepared(&refusal.allow)
            .await
            .expect("allowed");
        server.get("/v1/circles").await.ok();
        server.get("/readyz").await.ok();
    }
    drop(server);
    admin.close().await.expect("closed");
    let direct = connect_to(&database.url).await;
    role.remove(&direct).await;
    direct.close().await.expect("closed");
    database.remove().await;
}
