//! Free JSON that earlier versions stored, and what the columns accept.

use migration::runner;
use sea_orm::ConnectionTrait;

use super::{before, insert_early_rows, run, texts};

const ALL: [&str; 5] = [
    "SELECT CAST(config AS text) FROM providers",
    "SELECT CAST(metadata AS text) FROM agents",
    "SELECT CAST(settings AS text) FROM circles",
    "SELECT CAST(permissions AS text) FROM members",
    "SELECT CAST(tool_calls AS text) FROM messages",
];

#[tokio::test]
async fn free_json_stays_when_its_type_changes_and_invalid_json_is_refused() {
    before("m20261126_000042_keep_json_text", async |db| {
        insert_early_rows(db).await;
        run(
            db,
            &[
                "UPDATE providers SET config = '{\"a\": 1}'",
                "UPDATE agents SET metadata = '{\"a\": [1.50, \"x\"]}'",
                "UPDATE circles SET settings = '{\"instructions\": \"x\"}'",
                "UPDATE members SET permissions = '{\"merge\": true}'",
                "UPDATE messages SET tool_calls = '[{\"name\": \"grep\"}]'",
            ],
        )
        .await;
        let stored = async || {
            let mut all = Vec::new();
            for sql in ALL {
                all.extend(texts(db, sql).await);
            }
            all
        };
        let before = stored().await;
        assert_eq!(before[4], r#"[{"name": "grep"}]"#);
        let revision = "SELECT CAST(revision AS text) FROM circles";
        for _ in 0..2 {
            runner::up(db, Some(1)).await.expect("up");
            assert_eq!(stored().await, before);
            let shown = texts(db, revision).await;
            run(
                db,
                &["UPDATE members SET permissions = '{\"b\":1,\"a\":2}'"],
            )
            .await;
            assert_ne!(
                texts(db, revision).await,
                shown,
                "the triggers are still there"
            );
            run(
                db,
                &["UPDATE members SET permissions = '{\"merge\": true}'"],
            )
            .await;
            if db.get_database_backend() == sea_orm::DbBackend::Postgres {
                let invalid = db
                    .execute_unprepared("UPDATE agents SET metadata = '{'")
                    .await;
                assert!(invalid.is_err());
            }
            insert_early_rows_again(db).await;
            runner::down(db, Some(1)).await.expect("down");
            assert_eq!(stored().await, before);
        }
    })
    .await;
}

/// The defaults are still there.
async fn insert_early_rows_again(db: &sea_orm::DatabaseConnection) {
    let agent = "INSERT INTO agents (name, created_at, updated_at) VALUES ('b', $now, $now)";
    run(db, &[agent]).await;
    let metadata = "SELECT CAST(metadata AS text) FROM agents WHERE name = 'b'";
    assert_eq!(texts(db, metadata).await, ["{}"]);
    run(db, &["DELETE FROM agents WHERE name = 'b'"]).await;
}
