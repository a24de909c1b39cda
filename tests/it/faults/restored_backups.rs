//! A backup that is restored: the changes since it was made are lost, and no client or cache may take a
//! later state for a lost one.

use std::fs;

use sea_orm::ConnectionTrait;
use serde_json::json;
use tempfile::TempDir;

use test_support::{Backend, TestApp, TestDatabase, on_both_databases, postgres_server::run_tool};

struct Backup {
    folder: TempDir,
}

impl Backup {
    fn path(&self) -> String {
        self.folder.path().join("backup").display().to_string()
    }

    async fn make(database: &TestDatabase, app: &TestApp) -> Self {
        let backup = Self {
            folder: TempDir::new().expect("a folder"),
        };
        let path = backup.path();
        match database.backend {
            Backend::Sqlite => {
                let copy = format!("VACUUM INTO '{path}'");
                let db = app.database.connection();
                db.execute_unprepared(&copy).await.expect("a copy");
            }
            Backend::Postgres => run_tool("pg_dump", &["-Fc", "-f", &path, "-d", &database.url]),
        }
        backup
    }

    /// Restores the backup. PostgreSQL restores it while the service runs.
    async fn restore(self, database: &TestDatabase, app: TestApp) -> TestApp {
        let path = self.path();
        if database.backend == Backend::Postgres {
            let url = &database.url;
            let transaction = "--single-transaction";
            run_tool("pg_restore", &["--clean", transaction, "-d", url, &path]);
            return app;
        }
        app.stop().await;
        let file = database.url.strip_prefix("sqlite:").expect("a file");
        for rest in ["-wal", "-shm"] {
            let _ = fs::remove_file(format!("{file}{rest}"));
        }
        fs::copy(path, file).expect("the file comes back");
        TestApp::start(database.backend, database.settings()).await
    }
}

async fn tag_of(app: &TestApp, path: &str) -> String {
    app.get(path).await.header("etag").to_owned()
}

#[tokio::test]
async fn a_state_that_a_restored_backup_has_lost_is_never_taken_for_a_later_one() {
    on_both_databases(async |database| {
        let app = TestApp::start(database.backend, database.settings()).await;
        let provider = app.a_provider("p").await;
        let model = app.a_model(provider, "m").await;
        let (first, second) = (
            app.an_agent_on("Ada", model).await,
            app.an_agent("Bob").await,
        );
        app.a_circle("team").await;
        let conversation = json!({"circle": "team", "topic": "t"});
        let created = app.post("/v1/conversations", &conversation).await.created();
        let passed_on = app.an_agent("Cleo").await;
        let round = json!({
            "topic": "r", "participants": [second, passed_on], "turn_strategy": "round_robin"
        });
        app.post("/v1/conversations", &round).await.created();
        let says = json!({"agent_id": second, "content": "Your turn."});
        app.post("/v1/conversations/2/messages", &says)
            .await
            .created();
        let passed_on = format!("/v1/agents/{passed_on}");
        let backup = Backup::make(database, &app).await;

        let changes = [
            (
                "/v1/providers/1",
                json!({"display_name": "lost"}),
                json!({"display_name": "new"}),
            ),
            (
                "/v1/models/1",
                json!({"model_alias": "lost"}),
                json!({"model_alias": "new"}),
            ),
            (
                "/v1/agents/1",
                json!({"role": "lost"}),
                json!({"role": "new"}),
            ),
            (
                "/v1/conversations/1",
                json!({"topic": "lost"}),
                json!({"topic": "new"}),
            ),
        ];
        assert_eq!(created["id"], 1);
        let mut lost = Vec::new();
        for (path, change, _) in &changes {
            app.patch(path, change).await.ok();
            lost.push((*path, tag_of(&app, path).await));
        }
        app.a_member("team", first).await;
        app.a_circle("another").await;
        app.delete(&passed_on).await.no_content();
        lost.push((
            "/v1/conversations/2",
            tag_of(&app, "/v1/conversations/2").await,
        ));
        for path in ["/v1/circles/team", "/v1/circles/another"] {
            lost.push((path, tag_of(&app, path).await));
        }

        let app = backup.restore(database, app).await;
        for (path, _, change) in &changes {
            app.patch(path, change).await.ok();
        }
        app.a_member("team", second).await;
        app.a_circle("another").await;
        app.delete(&passed_on).await.no_content();
        for (path, tag) in &lost {
            let now = app.get_if_none_match(path, tag).await;
            assert!(!now.text.contains("lost"), "{path}: {}", now.text);
            now.ok();
            app.patch_if_match(path, tag, json!({}))
                .await
                .problem(412, "precondition_failed");
        }
        let roster = app.get("/v1/circles/team").await.ok();
        assert_eq!(roster["members"][0]["agent_id"], json!(second));
        assert_eq!(roster["member_count"], 1);
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_cursor_of_changes_that_a_restored_backup_has_lost_is_gone_and_an_earlier_one_is_good() {
    on_both_databases(async |database| {
        let app = TestApp::start(database.backend, database.settings()).await;
        // Transactions of other tests on the same server may hold back the feed for a moment.
        let after = async |app: &TestApp, cursor: &str, name: &str| loop {
            let path = format!("/v1/changes?after={cursor}");
            let page = app.get(&path).await.ok();
            let changes = page["data"].as_array().expect("a page");
            let names: Vec<&str> = changes
                .iter()
                .filter_map(|change| change["name"].as_str())
                .collect();
            if names.last() == Some(&name) {
                let next = page["next_cursor"].as_str().expect("a cursor");
                return (names.join(" "), next.to_owned());
            }
        };
        let start = app.get("/v1/changes?after=latest").await.ok();
        let start = start["next_cursor"].as_str().expect("a cursor");
        app.an_agent("kept").await;
        let (_, kept) = after(&app, start, "kept").await;
        let backup = Backup::make(database, &app).await;
        app.an_agent("lost").await;
        let (_, lost) = after(&app, start, "lost").await;

        let app = backup.restore(database, app).await;
        let path = format!("/v1/changes?after={lost}");
        app.get(&path).await.problem(410, "cursor_expired");
        app.an_agent("later").await;
        app.get(&path).await.problem(410, "cursor_expired");
        assert_eq!(after(&app, &kept, "later").await.0, "later");
        app.stop().await;
    })
    .await;
}
