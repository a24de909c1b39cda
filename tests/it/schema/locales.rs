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

#[tokio::test]
async fn models_that_a_turkish_locale_kept_under_a_list_s_name_are_renamed() {
    const MODELS: &str = "SELECT p.name || ' ' || m.model_name || ' ' || coalesce(m.catalog_key, '-') \
         FROM models m JOIN providers p ON p.id = m.provider_id ORDER BY p.id, m.model_name";
    let (database, _) = before("m20261125_000001_name_models").await;
    let db = connect_to(&database.url).await;
    let run = async |sql: &str| {
        db.execute_unprepared(sql).await.expect(sql);
    };
    run(
        "INSERT INTO providers (name, api_type, created_at, updated_at) \
         SELECT name, 'x', now(), now() FROM unnest(ARRAY['MISTRAL', 'groq', 'AI21-eu']) name",
    )
    .await;
    run("INSERT INTO models (provider_id, model_name, created_at, updated_at) \
         SELECT p, m, now(), now() FROM (VALUES (1, 'mistral/large'), (1, 'mistral/again'), \
         (1, 'mistral/own'), (1, 'mistral/'), (1, 'openai/x'), (1, 'mistral/moved'), (1, 'Mistral/case'), \
         (2, 'groq/y'), (3, 'ai21/z')) AS m(p, m)")
    .await;
    run(
        "INSERT INTO agents (name, model_id, created_at, updated_at) \
         SELECT 'a', id, now(), now() FROM models WHERE model_name = 'mistral/again'",
    )
    .await;
    run(
        "INSERT INTO audit_entries (at, action, resource, resource_id) \
         SELECT now(), 'create', 'model', id FROM models WHERE model_name = 'mistral/own'",
    )
    .await;
    // As the build before left it: what the locale folds as the program does was renamed, the rest was not.
    let pending = runner::status(&db).await.expect("a status").pending;
    let repair = pending
        .iter()
        .position(|name| name == "m20261126_000057_fold_model_routes_additive");
    let before = u32::try_from(repair.expect("it is one of them")).expect("few");
    runner::up(&db, Some(before)).await.expect("up");
    // An import has added one model under its right name, and a person renamed another.
    run(
        "INSERT INTO models (provider_id, model_name, catalog_key, created_at, updated_at) VALUES \
         (1, 'again', 'mistral/again', now(), now()), (1, 'mine', 'mistral/moved', now(), now())",
    )
    .await;
    let kept = [
        "MISTRAL again mistral/again",
        "MISTRAL mine mistral/moved",
        "MISTRAL mistral/ -",
        "MISTRAL mistral/again -",
        "MISTRAL Mistral/case -",
        "MISTRAL mistral/large -",
        "MISTRAL mistral/moved -",
        "MISTRAL mistral/own -",
        "MISTRAL openai/x -",
        "groq y groq/y",
        "AI21-eu ai21/z -",
    ];
    let sorted = |mut rows: Vec<String>| {
        rows.sort();
        rows
    };
    let found = async || sorted(texts_of(&database.url, MODELS).await);
    assert_eq!(found().await, sorted(kept.map(str::to_owned).to_vec()));
    let changed = "SELECT CAST(count(*) AS text) FROM models WHERE revision < 1000000000000000";
    runner::up(&db, Some(1)).await.expect("up");
    let renamed = [
        "MISTRAL again mistral/again",
        "MISTRAL case Mistral/case",
        "MISTRAL large mistral/large",
        "MISTRAL mine mistral/moved",
        "MISTRAL mistral/ -",
        "MISTRAL mistral/own -",
        "MISTRAL moved -",
        "MISTRAL openai/x -",
        "groq y groq/y",
        "AI21-eu z ai21/z",
    ];
    assert_eq!(found().await, sorted(renamed.map(str::to_owned).to_vec()));
    let agents =
        "SELECT a.name || ' ' || m.model_name FROM agents a JOIN models m ON m.id = a.model_id";
    assert_eq!(texts_of(&database.url, agents).await, ["a again"]);
    let untouched = texts_of(&database.url, changed).await;
    runner::down(&db, Some(1)).await.expect("down");
    runner::up(&db, None).await.expect("up again");
    assert_eq!(found().await, sorted(renamed.map(str::to_owned).to_vec()));
    assert_eq!(
        texts_of(&database.url, changed).await,
        untouched,
        "nothing is left to rename"
    );
    let entries = "SELECT CAST(count(*) AS text) FROM audit_entries WHERE resource = 'catalog'";
    assert_eq!(texts_of(&database.url, entries).await, ["2"]);
    db.close().await.expect("closed");
    database.remove().await;
}
