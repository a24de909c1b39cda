//! `circle-registry copy`.

mod concurrent_writes;
mod filled;
mod kills;
mod refusals;

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use test_support::{Answer, Backend, TestApp, TestDatabase, binary, keys::TestKey, texts_of};

use filled::{BY_ITS_BYTES, all_that_is_read, filled};

const BOTH_WAYS: [(Backend, Backend); 2] = [
    (Backend::Sqlite, Backend::Postgres),
    (Backend::Postgres, Backend::Sqlite),
];
const ALL_WAYS: [(Backend, Backend); 4] = [
    BOTH_WAYS[0],
    BOTH_WAYS[1],
    (Backend::Sqlite, Backend::Sqlite),
    (Backend::Postgres, Backend::Postgres),
];

/// Copies, and returns the report.
#[track_caller]
fn copy(from: &TestDatabase, to: &TestDatabase) -> Value {
    let arguments = [
        "copy", "--from", &from.url, "--to", &to.url, "--format", "json",
    ];
    let report: Value = serde_json::from_str(&binary::output_of(&arguments)).expect("a report");
    assert_eq!(report["identical"], true, "{report}");
    for table in report["tables"].as_array().expect("tables") {
        assert_eq!(table["source"], table["target"], "{table}");
    }
    report
}

/// The rows of all tables as the database shows them, in no order, without what each database numbers for itself.
async fn contents(database: &TestDatabase) -> BTreeMap<String, BTreeSet<String>> {
    let mut contents = BTreeMap::new();
    for table in tables_of(database).await {
        let sql = match database.backend {
            Backend::Sqlite => {
                let columns = format!(
                    "SELECT group_concat('quote(\"' || name || '\")', ' || '','' || ') \
                     FROM pragma_table_info('{table}')"
                );
                let columns = texts_of(&database.url, &columns).await.remove(0);
                format!("SELECT {columns} FROM \"{table}\"")
            }
            Backend::Postgres => {
                format!(
                    "SELECT (to_jsonb(t) - 'transaction_id' - 'cluster')::text FROM \"{table}\" t"
                )
            }
        };
        let rows = texts_of(&database.url, &sql).await;
        contents.insert(table, rows.into_iter().collect());
    }
    contents
}

async fn tables_of(database: &TestDatabase) -> Vec<String> {
    let sql = match database.backend {
        Backend::Sqlite => {
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' \
             AND name <> 'seaql_migrations' ORDER BY name"
        }
        Backend::Postgres => {
            "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public' \
             AND table_name <> 'seaql_migrations' ORDER BY table_name"
        }
    };
    texts_of(&database.url, sql).await
}

#[tokio::test]
async fn a_copy_serves_what_its_source_served_and_goes_on_where_that_ended() {
    for (from, to) in ALL_WAYS {
        let source = TestDatabase::create(from).await;
        let target = TestDatabase::create_empty(to).await;
        let (app, key) = filled(&source).await;
        let mut before = all_that_is_read(&app, &key).await;
        let feed = whole_feed(&app, &key).await;
        let cursor = feed["next_cursor"].as_str().expect("a cursor").to_owned();
        if from == Backend::Postgres {
            // As it is when something was pruned.
            let pruned = "UPDATE change_feed SET after_transaction_id = 1";
            let done = app.database.connection().execute_unprepared(pruned).await;
            done.expect(pruned);
        }
        // The source still serves.
        let report = copy(&source, &target);
        for table in report["tables"].as_array().expect("tables") {
            assert!(
                table["source"]["rows"].as_u64() > Some(0),
                "{from:?}: no rows in {table}"
            );
        }
        app.stop().await;

        let app = TestApp::start(to, target.settings()).await;
        let mut after = all_that_is_read(&app, &key).await;
        if from != to {
            for (path, tag, _) in before.iter_mut().chain(&mut after) {
                if *path == BY_ITS_BYTES {
                    tag.clear();
                }
            }
        }
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(before, after, "{from:?} to {to:?}");
        }
        known_tags_hold(&app, &key, &before).await;
        let again = whole_feed(&app, &key).await;
        assert_eq!(names(&feed), names(&again));
        writes_go_on(&app, &key).await;
        the_feed_goes_on(&app, &key, &cursor, (from, to)).await;
        app.stop().await;
        let examined = binary::output_of(&["doctor", "--database-url", &target.url]);
        assert!(
            examined.contains("derived       values agree with the rows")
                && !examined.contains("error"),
            "{examined}"
        );
        source.remove().await;
        target.remove().await;
    }
}

/// The feed once nothing is held back, as by transactions of other tests on the same server.
async fn whole_feed(app: &TestApp, key: &TestKey) -> Value {
    for _ in 0..1500 {
        let page = app.get_with("/v1/changes?limit=200", &key.token).await.ok();
        if page["held_back_since"].is_null() {
            return page;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the changes do not come");
}

/// The changes of a page, by their ids and names.
fn names(page: &Value) -> Vec<String> {
    let changes = page["data"].as_array().expect("a page").iter();
    let name =
        |change: &Value| format!("{} {} {}", change["at"], change["resource"], change["name"]);
    changes.map(name).collect()
}

/// A client that has a response from the source gets 304 from the copy.
async fn known_tags_hold(app: &TestApp, key: &TestKey, read: &[(&str, String, Value)]) {
    let mut held = 0;
    for (path, tag, _) in read.iter().filter(|(_, tag, _)| !tag.is_empty()) {
        let request = app.request(Method::GET, path).bearer_auth(&key.token);
        let answer = Answer::to(request.header("if-none-match", tag)).await;
        assert_eq!(answer.status, 304, "{path}");
        held += 1;
    }
    assert!(held > 5, "only {held} have tags");
}

/// Writes succeed, with ids that were never given.
async fn writes_go_on(app: &TestApp, key: &TestKey) {
    let provider = json!({"name": "next", "api_type": "openai"});
    let ask = async |path: &str, body: &Value| {
        app.ask(Method::POST, path, Some(body), &key.token)
            .await
            .created()
    };
    assert_eq!(
        ask("/v1/providers", &provider).await["id"],
        3,
        "2 was given and deleted"
    );
    let message = json!({"content": "on"});
    assert_eq!(
        ask("/v1/conversations/1/messages", &message).await["number"],
        4
    );
    ask("/v1/circles/team/members", &json!({"agent_id": 2})).await;
    let circles = app.get_with("/v1/circles", &key.token).await.ok();
    let team = circles["data"].as_array().expect("a page").iter();
    let team = team.clone().find(|circle| circle["name"] == "team");
    assert_eq!(
        team.expect("the team")["member_count"],
        2,
        "triggers count again"
    );
}

/// A follower hears of the next change and nothing else or, where PostgreSQL's numbers are gone, that it has to begin again.
async fn the_feed_goes_on(app: &TestApp, key: &TestKey, cursor: &str, way: (Backend, Backend)) {
    let path = format!("/v1/changes?limit=200&after={cursor}");
    if way == (Backend::Postgres, Backend::Sqlite) {
        let answer = app.get_with(&path, &key.token).await;
        answer.problem(410, "cursor_expired");
        let page = app.get_with("/v1/changes?limit=200", &key.token).await.ok();
        assert_eq!(page["has_more"], false);
        let changed = changed_kinds(&page);
        assert_eq!(
            changed[changed.len() - 3..],
            ["provider", "message", "member"]
        );
        let cursor = page["next_cursor"].as_str().expect("a cursor");
        app.ask(Method::DELETE, "/v1/providers/3", None, &key.token)
            .await
            .no_content();
        let path = format!("/v1/changes?after={cursor}");
        let page = app.get_with(&path, &key.token).await.ok();
        assert_eq!(changed_kinds(&page), ["provider"]);
        return;
    }
    for _ in 0..1500 {
        let page = app.get_with(&path, &key.token).await.ok();
        let changed = changed_kinds(&page);
        if changed.len() >= 3 {
            assert_eq!(changed, ["provider", "message", "member"]);
            return;
        }
        // Transactions of other tests on the same server hold it back.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the changes do not come");
}

/// The kinds of what a page says was changed.
fn changed_kinds(page: &Value) -> Vec<&str> {
    let changes = page["data"].as_array().expect("a page").iter();
    changes
        .filter_map(|change| change["resource"].as_str())
        .collect()
}

#[tokio::test]
async fn what_goes_to_the_other_database_and_back_is_what_it_was() {
    for (from, through) in BOTH_WAYS {
        let [source, between, back] = [from, through, from].map(TestDatabase::create_empty);
        let (source, between, back) = (source.await, between.await, back.await);
        let (app, _) = filled(&source).await;
        app.stop().await;
        copy(&source, &between);
        copy(&between, &back);
        let (before, after) = (contents(&source).await, contents(&back).await);
        assert_eq!(
            before.keys().collect::<Vec<_>>(),
            after.keys().collect::<Vec<_>>()
        );
        for (table, rows) in &before {
            // Migrations write times with more zeros than the service; PostgreSQL orders the members of JSON in models.
            let is_exact = from == Backend::Postgres
                || !["audit_retention", "change_feed", "models"].contains(&&**table);
            if is_exact && table != "change_feed" {
                assert_eq!(*rows, after[table], "{table}");
            }
            assert_eq!(rows.len(), after[table].len(), "{table}");
        }
        for database in [source, between, back] {
            database.remove().await;
        }
    }
}

#[tokio::test]
async fn every_table_of_the_schema_is_copied() {
    for (from, to) in BOTH_WAYS {
        let source = TestDatabase::create(from).await;
        let target = TestDatabase::create_empty(to).await;
        binary::output_of(&["migrate", "up", "--database-url", &source.url]);
        let report = copy(&source, &target);
        let tables = report["tables"].as_array().expect("tables").iter();
        let mut copied: Vec<&str> = tables.filter_map(|table| table["table"].as_str()).collect();
        copied.sort_unstable();
        for database in [&source, &target] {
            assert_eq!(copied, tables_of(database).await);
        }
        source.remove().await;
        target.remove().await;
    }
}
