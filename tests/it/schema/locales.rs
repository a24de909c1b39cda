//! Whatever the locale of the database, names fold as in the program.

use migration::runner;
use sea_orm::ConnectionTrait;
use serde_json::json;

use test_support::{Backend, TestApp, TestDatabase, connect_to, texts_of};

const NAMES: &str = "SELECT name FROM providers ORDER BY id";

/// A database with a Turkish locale and the migrations before this one, and how many are left.
async fn before(migration: &str) -> (TestDatabase, u32) {
    let database = TestDatabase::create_turkish().await;
    let db = connect_to(&database.url).await;
    let pending = runner::status(&db).await.expect("a status").pending;
    let earlier = pending.iter().position(|name| name == migration);
    let earlier = u32::try_from(earlier.expect("it is one of them")).expect("few");
    let later = u32::try_from(pending.len()).expect("few") - earlier;
    runner::up(&db, Some(earlier)).await.expect("up");
    db.close().await.expect("closed");
    (database, later)
}

async fn take_name(app: &TestApp, name: &str) -> u16 {
    let provider = json!({"name": name, "api_type": "openai"});
    app.post("/v1/providers", &provider).await.status
}

#[tokio::test]
async fn names_that_differ_in_case_are_one_in_a_turkish_locale() {
    let (database, later) = before("m20261126_000010_fold_provider_names").await;
    let long = "I".repeat(64);
    let db = connect_to(&database.url).await;
    let insert = format!(
        "INSERT INTO providers (name, api_type, created_at, updated_at) \
         SELECT name, 'x', now(), now() FROM unnest(ARRAY['mistral', 'MISTRAL', '{}', '{long}', 'groq']) name",
        long.to_lowercase()
    );
    db.execute_unprepared(&insert)
        .await
        .expect("both are taken");
    let expected = [
        "mistral".to_owned(),
        "MISTRAL-2".to_owned(),
        long.to_lowercase(),
        format!("{}-4", &long[2..]),
        "groq".to_owned(),
    ];
    for _ in 0..2 {
        runner::up(&db, None).await.expect("up");
        assert_eq!(texts_of(&database.url, NAMES).await, expected);
        runner::down(&db, Some(later)).await.expect("down");
    }
    runner::up(&db, None).await.expect("up");
    db.close().await.expect("closed");
    let renamed = "SELECT resource || ' ' || resource_id FROM audit_entries ORDER BY id";
    assert_eq!(
        texts_of(&database.url, renamed).await,
        ["provider 2", "provider 4"]
    );

    let app = TestApp::start(Backend::Postgres, database.settings()).await;
    assert_eq!(take_name(&app, "Mistral").await, 409);
    assert_eq!(take_name(&app, "INFERENCE").await, 201);
    assert_eq!(take_name(&app, "inference").await, 409);
    app.stop().await;
    database.remove().await;
}
