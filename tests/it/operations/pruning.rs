//! `circle-registry prune`, and the audit entries that no one can delete.

use sea_orm::ConnectionTrait;
use serde_json::json;

use test_support::{
    Backend, TestApp, TestDatabase, binary, connect_to, on_both_databases, texts_of,
};

const LONG_AGO: &str = "'2020-01-02T03:04:05.000000+00:00'";
const KEEP: [&str; 4] = ["--keep-audit", "90d", "--keep-conversations", "30d"];

fn prune(database: &TestDatabase, more: &[&str]) -> String {
    let mut arguments = vec!["prune", "--database-url", &database.url];
    arguments.extend(more);
    binary::output_of(&arguments)
}

async fn run(database: &TestDatabase, sql: &str) -> Result<(), String> {
    let db = connect_to(&database.url).await;
    let done = db.execute_unprepared(sql).await;
    db.close().await.expect("closed");
    done.map(drop).map_err(|error| error.to_string())
}

/// A database with 12,000 old audit entries, an old and a new completed conversation and an old active one, all
/// with messages, and two idempotency keys, one of them expired.
async fn filled(database: &TestDatabase) -> TestApp {
    let app = TestApp::start(database.backend, database.settings()).await;
    app.a_circle("team").await;
    for topic in ["old", "new", "active"] {
        let conversation = json!({"circle": "team", "topic": topic});
        let created = app.post("/v1/conversations", &conversation).await.created();
        let path = format!("/v1/conversations/{}", created["id"]);
        let message = json!({"content": "hello"});
        app.post(&format!("{path}/messages"), &message)
            .await
            .created();
        if topic != "active" {
            app.patch(&path, &json!({"status": "completed"})).await.ok();
        }
    }
    for key in ["old", "new"] {
        let request = app.request(reqwest::Method::POST, "/v1/agents");
        let request = request
            .json(&json!({"name": key}))
            .header("idempotency-key", key);
        test_support::Answer::to(request).await.created();
    }
    for sql in [
        format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000) \
             INSERT INTO audit_entries (at, action, resource) SELECT {LONG_AGO}, 'update', 'agent' FROM n"
        ),
        format!("UPDATE conversations SET updated_at = {LONG_AGO} WHERE topic <> 'new'"),
        format!("UPDATE idempotency_keys SET created_at = {LONG_AGO} WHERE key = 'old'"),
    ] {
        run(database, &sql).await.expect("rows");
    }
    app
}

async fn counts(database: &TestDatabase) -> Vec<String> {
    let mut counts = Vec::new();
    for table in [
        "audit_entries",
        "conversations",
        "messages",
        "idempotency_keys",
    ] {
        let sql = format!("SELECT CAST(count(*) AS text) FROM {table}");
        counts.extend(texts_of(&database.url, &sql).await);
    }
    counts
}

#[tokio::test]
async fn pruning_deletes_what_is_older_than_it_is_kept_and_only_if_asked_to() {
    on_both_databases(async |database| {
        let app = filled(database).await;
        let before = counts(database).await;
        assert_eq!(before, ["12011", "3", "3", "2"]);
        let report = prune(database, &KEEP);
        for line in [
            "audit entries: would delete 12000 from before 20",
            "completed conversations: would delete 1 from before 20",
            "idempotency keys: would delete 1 from before 20",
            "nothing was deleted; --yes deletes it",
        ] {
            assert!(report.contains(line), "{report}");
        }
        assert_eq!(counts(database).await, before);

        let report = prune(database, &[&KEEP[..], &["--yes"]].concat());
        assert!(
            report.contains("audit entries: deleted 12000 from before 20"),
            "{report}"
        );
        // Two entries say what was deleted.
        assert_eq!(counts(database).await, ["13", "2", "2", "1"]);
        let topics = texts_of(&database.url, "SELECT topic FROM conversations ORDER BY id").await;
        assert_eq!(topics, ["new", "active"]);
        let entries = app.get("/v1/audit?action=prune&order=asc").await.ok();
        for (entry, resource) in entries["data"]
            .as_array()
            .expect("a page")
            .iter()
            .zip(["audit", "conversation"])
        {
            assert_eq!(entry["resource"], resource);
            assert!(
                entry["name"]
                    .as_str()
                    .is_some_and(|name| name.starts_with("before 20"))
            );
        }
        let report = prune(database, &[&KEEP[..], &["--yes"]].concat());
        assert!(
            report.contains("audit entries: deleted 0 from before"),
            "{report}"
        );
        assert_eq!(counts(database).await[0], "13");
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn without_a_retention_everything_but_expired_idempotency_keys_is_kept() {
    on_both_databases(async |database| {
        let app = filled(database).await;
        let report = prune(database, &["--yes"]);
        assert!(report.contains("audit entries: all are kept"), "{report}");
        assert_eq!(counts(database).await, ["12011", "3", "3", "1"]);
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn no_writer_deletes_or_changes_an_audit_entry_before_its_retention_ends() {
    on_both_databases(async |database| {
        let app = filled(database).await;
        let soon = match database.backend {
            Backend::Sqlite => "strftime('%Y-%m-%dT%H:%M:%f000+00:00', 'now', '-29 days')",
            Backend::Postgres => "now() - interval '29 days'",
        };
        for refused in [
            "DELETE FROM audit_entries WHERE at < '2021-01-01'",
            "UPDATE audit_entries SET action = 'x' WHERE at < '2021-01-01'",
            &format!("UPDATE audit_retention SET deletable_before = {soon}"),
            "DELETE FROM audit_retention",
        ] {
            let error = run(database, refused).await.expect_err(refused);
            assert!(
                error.contains("audit entries") || error.contains("retention"),
                "{error}"
            );
        }
        let allow =
            "UPDATE audit_retention SET deletable_before = '2021-01-01T00:00:00.000000+00:00'";
        run(database, allow).await.expect("it may grow");
        let back =
            "UPDATE audit_retention SET deletable_before = '2020-01-01T00:00:00.000000+00:00'";
        run(database, back).await.expect_err("it never shrinks");
        run(database, "DELETE FROM audit_entries")
            .await
            .expect_err("there are recent ones");
        run(
            database,
            "DELETE FROM audit_entries WHERE at < '2021-01-01'",
        )
        .await
        .expect("old ones");
        assert_eq!(counts(database).await[0], "11");
        app.stop().await;
    })
    .await;
}

#[test]
fn audit_entries_are_kept_for_thirty_days_at_least() {
    for time in ["29d", "0s", "40000d", "soon"] {
        let output = binary::run(&[
            "prune",
            "--keep-audit",
            time,
            "--database-url",
            "sqlite::memory:",
        ]);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && errors.contains("--keep-audit"),
            "{time}: {errors}"
        );
    }
}
