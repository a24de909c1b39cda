//! A copy that is killed.

use std::{
    process::Stdio,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use sea_orm::ConnectionTrait;
use serde_json::json;

use test_support::{
    Backend, TestApp, TestDatabase, binary, connect_to, factories::circles_with_all_agents,
    texts_of,
};

use super::{BOTH_WAYS, contents, copy};

const KILLS: u32 = 20;

/// A service on a database with some thousand rows.
pub(super) async fn with_many_rows(database: &TestDatabase) -> TestApp {
    let app = TestApp::start(database.backend, database.settings()).await;
    for name in ["a", "b", "c", "d", "e", "f"] {
        app.an_agent(name).await;
    }
    let db = connect_to(&database.url).await;
    circles_with_all_agents(&db, 300).await;
    let entries = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) \
         INSERT INTO audit_entries (at, action, resource, resource_id, fields) \
         SELECT '2026-01-02T03:04:05.678901+00:00', 'update', 'agent', i, '[\"name\"]' FROM n";
    db.execute_unprepared(entries).await.expect("entries");
    db.close().await.expect("closed");
    app
}

/// Runs a copy and kills it after this time. Whether it was still running then.
fn kill_after(from: &TestDatabase, to: &TestDatabase, time: Duration) -> bool {
    let mut copy = binary::command(&["copy", "--from", &from.url, "--to", &to.url])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs");
    thread::sleep(time);
    let is_running = copy.try_wait().expect("the process").is_none();
    let _ = copy.kill();
    copy.wait().expect("its end");
    is_running
}

async fn is_unfinished(database: &TestDatabase) -> bool {
    let sql = match database.backend {
        Backend::Sqlite => "SELECT name FROM sqlite_master WHERE name = 'unfinished_copy'",
        Backend::Postgres => "SELECT relname::text FROM pg_class WHERE relname = 'unfinished_copy'",
    };
    !texts_of(&database.url, sql).await.is_empty()
}

/// Changes what a copy that begins now has to do otherwise: names change places, and rows with others that refer to them go.
async fn change(app: &TestApp) {
    let agents = [(1, "x"), (2, "a"), (1, "b")];
    for (id, name) in agents {
        app.patch(&format!("/v1/agents/{id}"), &json!({"name": name}))
            .await
            .ok();
    }
    app.delete("/v1/agents/3").await.no_content();
    let db = app.database.connection();
    for sql in [
        "DELETE FROM circles WHERE name = 'c9'",
        "UPDATE circles SET description = 'changed' WHERE name LIKE 'c1%'",
    ] {
        db.execute_unprepared(sql).await.expect(sql);
    }
    app.an_agent("new").await;
}

#[tokio::test]
async fn a_copy_that_is_killed_at_any_moment_is_continued_by_the_same_command() {
    for (from, to) in BOTH_WAYS {
        let source = TestDatabase::create(from).await;
        let app = with_many_rows(&source).await;
        let reference = TestDatabase::create_empty(to).await;
        let started = Instant::now();
        copy(&source, &reference);
        let duration = started.elapsed();
        reference.remove().await;

        let target = TestDatabase::create_empty(to).await;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let mut seed = now.expect("after 1970").subsec_nanos();
        let (mut kills, mut unfinished) = (0, 0);
        while kills < KILLS {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let share = f64::from(seed) / f64::from(u32::MAX);
            if kill_after(&source, &target, duration.mul_f64(0.9 * share)) {
                kills += 1;
                unfinished += u32::from(is_unfinished(&target).await);
                if kills == KILLS / 2 {
                    change(&app).await;
                }
            } else {
                // It was done before. The next one begins again.
                binary::output_of(&["migrate", "fresh", "--yes", "--database-url", &target.url]);
            }
        }
        assert!(unfinished > 0, "no kill was in the middle");
        app.stop().await;

        finish(&source, &target).await;
        let reference = TestDatabase::create_empty(to).await;
        copy(&source, &reference);
        let (expected, copied) = (contents(&reference).await, contents(&target).await);
        for (table, rows) in &expected {
            assert!(*rows == copied[table], "{from:?}: {table} differs");
        }
        let examined = binary::output_of(&["doctor", "--database-url", &target.url]);
        assert!(!examined.contains("error"), "{examined}");
        // The triggers and foreign keys are those of a database into which nothing was copied.
        assert_eq!(guards(&target).await, guards(&reference).await);
        for database in [source, target, reference] {
            database.remove().await;
        }
    }
}

/// Continues a copy. The last kill may have come when it was done, and its process had not ended.
async fn finish(source: &TestDatabase, target: &TestDatabase) {
    let was_unfinished = is_unfinished(target).await;
    let output = binary::run(&["copy", "--from", &source.url, "--to", &target.url]);
    let said = String::from_utf8_lossy(&output.stderr);
    let was_done = !was_unfinished && said.contains("is not empty");
    assert!(output.status.success() || was_done, "{said}");
}

async fn guards(database: &TestDatabase) -> Vec<String> {
    let sql = match database.backend {
        Backend::Sqlite => "SELECT sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name",
        Backend::Postgres => {
            "SELECT tgenabled::text || pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal \
             UNION ALL SELECT conname::text || pg_get_constraintdef(oid) FROM pg_constraint ORDER BY 1"
        }
    };
    texts_of(&database.url, sql).await
}
