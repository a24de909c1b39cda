//! What many circles show: a change of it sets the revision of each, or of the catalogue in their place.

use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::json;

use test_support::{
    Answer, Backend, TestApp, TestDatabase, connect_to, factories::circles_with_all_agents,
    on_both_databases, texts_of,
};

async fn tag_of(app: &TestApp, circle: &str) -> String {
    let answer = app.get(&format!("/v1/circles/{circle}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.header("etag").to_owned()
}

/// The circle's revision and that of the catalogue.
fn revisions_in(tag: &str) -> (String, String) {
    let parts: Vec<&str> = tag.trim_matches('"').split('-').collect();
    (parts[1].to_owned(), parts[2].to_owned())
}

#[tokio::test]
async fn an_agent_in_up_to_2500_circles_sets_the_revision_of_each_and_of_no_other() {
    on_both_databases(async |database| {
        let app = TestApp::start(database.backend, database.settings()).await;
        app.an_agent("Ada").await;
        circles_with_all_agents(app.database.connection(), 2_500).await;
        app.a_circle("without").await;
        let (before, other) = (tag_of(&app, "c2500").await, tag_of(&app, "without").await);
        app.patch("/v1/agents/1", &json!({"status": "busy"}))
            .await
            .ok();
        let after = tag_of(&app, "c2500").await;
        assert_ne!(revisions_in(&before).0, revisions_in(&after).0);
        assert_eq!(tag_of(&app, "without").await, other);

        // One circle more.
        app.a_member("without", 1).await;
        let before = tag_of(&app, "c1").await;
        app.patch("/v1/agents/1", &json!({"status": "offline"}))
            .await
            .ok();
        let after = tag_of(&app, "c1").await;
        assert_eq!(revisions_in(&before).0, revisions_in(&after).0);
        assert_ne!(revisions_in(&before).1, revisions_in(&after).1);
        let roster = app
            .get_if_none_match("/v1/circles/without", &other)
            .await
            .ok();
        assert_eq!(roster["members"][0]["agent_status"], "offline");
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn changes_of_two_agents_in_the_same_circles_never_deadlock() {
    let database = TestDatabase::create(Backend::Postgres).await;
    let app = TestApp::start(database.backend, database.settings()).await;
    for name in ["Ada", "Bob"] {
        app.an_agent(name).await;
    }
    let direct = connect_to(&database.url).await;
    circles_with_all_agents(&direct, 300).await;
    // The rows of circles are no longer in the order of ids.
    for number in [7, 3, 11, 2] {
        let sql = format!("UPDATE circles SET description = 'x' WHERE id % {number} = 0");
        direct.execute_unprepared(&sql).await.expect("an update");
    }
    let change = async |agent: i64| {
        let db = connect_to(&database.url).await;
        for number in 0..200 {
            let sql = format!("UPDATE agents SET role = 'role {number}' WHERE id = {agent}");
            db.execute_unprepared(&sql).await.expect("no deadlock");
        }
        db.close().await.expect("closed");
    };
    tokio::join!(change(1), change(2));
    direct.close().await.expect("closed");
    app.stop().await;
    database.remove().await;
}

#[tokio::test]
async fn a_model_can_be_changed_during_a_long_import_and_each_commit_changes_the_tags() {
    let database = TestDatabase::create(Backend::Postgres).await;
    let app = TestApp::start(database.backend, database.settings()).await;
    let provider = app.a_provider("p").await;
    for name in ["m", "n"] {
        let model = app.a_model(provider, name).await;
        app.an_agent_on(name, model).await;
    }
    circles_with_all_agents(app.database.connection(), 1).await;
    let first = tag_of(&app, "c1").await;
    let direct = connect_to(&database.url).await;
    let import = direct.begin().await.expect("a transaction");
    let update = "UPDATE models SET model_alias = 'imported' WHERE id = 1";
    import.execute_unprepared(update).await.expect("an update");
    let request = app.request(reqwest::Method::PATCH, "/v1/models/2");
    Answer::to(request.json(&json!({"model_alias": "mine"})))
        .await
        .ok();
    let second = tag_of(&app, "c1").await;
    import.commit().await.expect("the import ends");
    let third = tag_of(&app, "c1").await;
    assert!(
        first != second && second != third,
        "{first} {second} {third}"
    );
    let roster = app.get("/v1/circles/c1").await.ok();
    let aliases: Vec<_> = (0..2)
        .map(|member| &roster["members"][member]["model_alias"])
        .collect();
    assert_eq!(aliases, ["imported", "mine"]);
    direct.close().await.expect("closed");
    app.stop().await;
    database.remove().await;
}

#[tokio::test]
async fn a_transaction_that_changes_many_models_sets_the_catalogue_s_revision_once() {
    let database = TestDatabase::create(Backend::Postgres).await;
    let app = TestApp::start(database.backend, database.settings()).await;
    let provider = app.a_provider("p").await;
    for number in 0..50 {
        app.a_model(provider, &format!("m{number}")).await;
    }
    let direct = connect_to(&database.url).await;
    let update = "UPDATE models SET model_alias = 'new'";
    direct.execute_unprepared(update).await.expect("an update");
    // A row that was written once in its transaction has no version between the old one and this one.
    let versions = "SELECT (pg_stat_get_tuples_updated(oid) + pg_stat_get_xact_tuples_updated(oid))::text \
                    FROM pg_class WHERE relname = 'catalog_revision'";
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let written = texts_of(&database.url, versions).await;
        if written == ["1"] {
            break;
        }
        assert!(
            written == ["0"] && std::time::Instant::now() < deadline,
            "{written:?}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    direct.close().await.expect("closed");
    app.stop().await;
    database.remove().await;
}
