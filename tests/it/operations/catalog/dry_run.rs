//! A dry run changes nothing, and a file has a bound.

use std::{fs, path::Path};

use migration::runner;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::json;
use tempfile::TempDir;

use super::{import, on_app, write_list};
use test_support::{Backend, TestDatabase, binary, connect_to, on_both_databases};

/// How many tables there are.
async fn tables(db: &DatabaseConnection) -> usize {
    let sql = match db.get_database_backend() {
        sea_orm::DbBackend::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table'",
        _ => "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
    };
    let statement = Statement::from_string(db.get_database_backend(), sql);
    db.query_all_raw(statement).await.expect(sql).len()
}

#[tokio::test]
async fn a_dry_run_on_an_empty_database_says_what_it_would_do_and_makes_nothing() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let database = TestDatabase::create_empty(backend).await;
        let folder = TempDir::new().expect("a folder");
        let list = write_list(&folder, &json!({"groq/a": {"litellm_provider": "groq"}}));
        let said = import(&database, &list, &["--dry-run"]);
        for line in [
            "models     1 added",
            "the database is empty",
            "nothing was written",
        ] {
            assert!(said.contains(line), "{said}");
        }
        let builtin = [
            "catalog",
            "import",
            "--builtin",
            "--dry-run",
            "--database-url",
            &database.url,
        ];
        assert!(binary::output_of(&builtin).contains("providers  27 added"));
        if backend == Backend::Sqlite {
            let file = database.url.strip_prefix("sqlite:").expect("a file");
            assert!(!Path::new(file).exists(), "no file is made");
            fs::write(file, "").expect("an empty file");
            import(&database, &list, &["--dry-run"]);
            assert_eq!(fs::metadata(file).expect("the file").len(), 0);
        } else {
            let db = connect_to(&database.url).await;
            assert_eq!(tables(&db).await, 0);
            db.close().await.expect("closed");
        }
        database.remove().await;
    }
}

#[tokio::test]
async fn a_dry_run_on_an_old_schema_asks_for_a_migration() {
    on_both_databases(async |database| {
        let folder = TempDir::new().expect("a folder");
        let list = write_list(&folder, &json!({"groq/a": {"litellm_provider": "groq"}}));
        let db = connect_to(&database.url).await;
        runner::up(&db, None).await.expect("up");
        runner::down(&db, Some(1)).await.expect("down");
        let list = list.to_str().expect("a path");
        let arguments = [
            "catalog",
            "import",
            list,
            "--dry-run",
            "--database-url",
            &database.url,
        ];
        let output = binary::run(&arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && said.contains("circle-registry migrate up"),
            "{said}"
        );
        let pending = runner::status(&db).await.expect("a status").pending;
        assert_eq!(pending.len(), 1);
        db.close().await.expect("closed");
    })
    .await;
}

#[tokio::test]
async fn a_dry_run_takes_no_ids() {
    on_both_databases(async |database| {
        let folder = TempDir::new().expect("a folder");
        let list =
            json!({"groq/a": {"litellm_provider": "groq"}, "x": {"litellm_provider": "openai"}});
        let list = write_list(&folder, &list);
        on_app(database, async |app| {
            let said = import(database, &list, &["--dry-run"]);
            assert!(
                said.contains("providers  2 added") && said.contains("models     2 added"),
                "{said}"
            );
            let provider = app.a_provider("p").await;
            assert_eq!((provider, app.a_model(provider, "m").await), (1, 1));
        })
        .await;
    })
    .await;
}

#[test]
fn a_file_that_never_ends_is_refused() {
    let folder = TempDir::new().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("test.db").display());
    let output = binary::run(&["catalog", "import", "/dev/zero", "--database-url", &url]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("larger than 67108864 bytes"),
        "{said}"
    );
    assert!(!folder.path().join("test.db").exists());
}
