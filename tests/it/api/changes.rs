//! The feed of changes: its order, its cursors, its filters, and who may read what.

use std::time::Duration;

use reqwest::Method;
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::{Value, json};

use test_support::{
    Backend, TestApp, TestDatabase, binary, connect_to, factories::column, on_both,
    on_both_databases,
};

/// What a page says of each change: the action, the kind and the name.
fn told(page: &Value) -> Vec<String> {
    let changes = page["data"].as_array().expect("a page").iter();
    let words = changes.map(|change| {
        let word = |field: &str| change[field].as_str().unwrap_or("-").to_owned();
        format!("{} {} {}", word("action"), word("resource"), word("name"))
    });
    words.collect()
}

fn next(page: &Value) -> &str {
    page["next_cursor"].as_str().expect("a cursor")
}

/// All that follows a cursor. Transactions of other tests on the same server may hold it back for a moment.
async fn following(app: &TestApp, query: &str, cursor: &str, count: usize) -> Value {
    for _ in 0..500 {
        let path = format!("/v1/changes?limit=200&after={cursor}{query}");
        let page = app.get(&path).await.ok();
        if told(&page).len() >= count {
            return page;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{count} changes do not come");
}

/// A cursor after all that has been changed so far.
async fn settled(app: &TestApp) -> String {
    for _ in 0..500 {
        let page = app.get("/v1/changes?after=latest").await.ok();
        if page["held_back_since"].is_null() {
            return next(&page).to_owned();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("another transaction runs for too long");
}

#[tokio::test]
async fn every_change_is_told_once_and_in_order_and_deletions_are_too() {
    on_both(async |app| {
        let start = settled(app).await;
        let agent = app.an_agent("Ada").await;
        let circle = app.a_circle("team").await;
        app.a_member("team", agent).await;
        let change = app
            .request(Method::PATCH, "/v1/circles/team")
            .header("x-request-id", "mine")
            .json(&json!({"description": "secret plans"}));
        test_support::Answer::to(change).await.ok();
        app.delete(&format!("/v1/agents/{agent}"))
            .await
            .no_content();
        app.delete("/v1/circles/team").await.no_content();
        let expected = [
            "create agent Ada",
            "create circle team",
            "create member team/1",
            "update circle team",
            "delete agent Ada",
            "delete member team/1",
            "delete circle team",
        ];
        let page = following(app, "", &start, expected.len()).await;
        assert_eq!(told(&page), expected);
        assert!(!page.to_string().contains("plans"), "values are told");
        let update = &page["data"][3];
        assert_eq!(update["request_id"], "mine");
        assert_eq!(update["resource_id"], circle["id"]);
        assert_eq!(update["circle_id"], circle["id"]);
        assert!(update["revision"].as_i64() > circle["revision"].as_i64());
        assert!(update["at"].as_str() >= circle["created_at"].as_str());
        assert_eq!(page["data"][0]["circle_id"], Value::Null);

        // Page by page, and from the cursor of each change.
        let mut cursor = start.clone();
        for (index, change) in expected.iter().enumerate() {
            let page = app
                .get(&format!("/v1/changes?limit=1&after={cursor}"))
                .await
                .ok();
            assert_eq!(told(&page), [*change]);
            assert_eq!(page["data"][0]["cursor"], page["next_cursor"]);
            assert_eq!(page["has_more"], true, "{index}");
            next(&page).clone_into(&mut cursor);
        }
        let page = app.get(&format!("/v1/changes?after={cursor}")).await.ok();
        assert_eq!(
            (&page["data"], &page["has_more"]),
            (&json!([]), &json!(false))
        );
        assert_eq!(page["next_cursor"], cursor);
    })
    .await;
}

#[tokio::test]
async fn without_a_cursor_the_feed_starts_with_what_is_kept_and_with_latest_after_it() {
    on_both(async |app| {
        let empty = app.get("/v1/changes?after=latest").await.ok();
        assert_eq!(
            (&empty["data"], &empty["has_more"]),
            (&json!([]), &json!(false))
        );
        assert_eq!(
            app.get("/v1/changes").await.ok()["next_cursor"],
            empty["next_cursor"]
        );
        app.an_agent("Ada").await;
        let latest = settled(app).await;
        let all = app.get("/v1/changes").await.ok();
        assert_eq!(told(&all), ["create agent Ada"]);
        assert_eq!(next(&all), latest);
        let from_the_first = following(app, "", next(&empty), 1).await;
        assert_eq!(from_the_first["data"], all["data"]);
        app.an_agent("Bob").await;
        let page = following(app, "", &latest, 1).await;
        assert_eq!(told(&page), ["create agent Bob"]);
    })
    .await;
}

#[tokio::test]
async fn a_circle_is_followed_with_all_that_belongs_to_it_and_through_a_rename() {
    on_both(async |app| {
        let start = settled(app).await;
        let agent = app.an_agent("Ada").await;
        let circle = app.a_circle("team").await["id"].clone();
        app.a_circle("other").await;
        app.a_member("team", agent).await;
        app.a_member("other", agent).await;
        app.post("/v1/circles/team/releases", &json!({}))
            .await
            .created();
        let label = json!({"release": 1});
        let path = "/v1/circles/team/labels/production";
        app.send(Method::PUT, path, Some(&label)).await.created();
        let conversation = json!({"circle": "team", "topic": "t", "participants": [agent]});
        app.post("/v1/conversations", &conversation).await.created();
        let message = json!({"content": "hello"});
        app.post("/v1/conversations/1/messages", &message)
            .await
            .created();
        let second = app.an_agent("Bob").await;
        let participant = json!({"agent_id": second});
        app.post("/v1/conversations/1/participants", &participant)
            .await
            .created();
        app.patch("/v1/circles/team", &json!({"name": "crew"}))
            .await
            .ok();
        let batch = json!({"operations": [{"op": "add", "agent_id": second}]});
        app.post("/v1/circles/crew/members:batch", &batch)
            .await
            .ok();
        let replaced = json!({"members": [{"agent_id": second}]});
        app.send(Method::PUT, "/v1/circles/crew/members", Some(&replaced))
            .await
            .ok();
        app.delete(&format!("/v1/agents/{second}"))
            .await
            .no_content();
        let expected = [
            "create circle team",
            "create member team/1",
            "create release team/1",
            "create label team/production",
            "create conversation -",
            "create message 1/1",
            "create participant 1/2",
            "update circle crew",
            "create member crew/2",
            "delete member crew/1",
            "delete member crew/2",
        ];
        let by_id = format!("&circle_id={circle}");
        for filter in [by_id.as_str(), "&circle=crew"] {
            let page = following(app, filter, &start, expected.len()).await;
            assert_eq!(told(&page), expected);
            assert!(column(&page, "circle_id").iter().all(|id| **id == circle));
        }
        app.get("/v1/changes?circle=team")
            .await
            .problem(404, "not_found");
        app.get("/v1/changes?circle=crew&circle_id=1")
            .await
            .invalid(&["query/circle_id"]);

        let members = following(app, &format!("{by_id}&resource=member,label"), &start, 5).await;
        let wanted = |told: &&&str| told.contains(" member ") || told.contains(" label ");
        let wanted: Vec<&str> = expected.iter().filter(wanted).copied().collect();
        assert_eq!(told(&members), wanted);

        app.delete("/v1/circles/crew").await.no_content();
        let page = following(app, &by_id, next(&members), 1).await;
        assert_eq!(told(&page), ["delete circle crew"]);
    })
    .await;
}

#[tokio::test]
async fn what_a_filter_leaves_out_is_not_looked_through_again() {
    on_both_databases(async |database| {
        let app = TestApp::start(database.backend, database.settings()).await;
        let start = settled(&app).await;
        let db = connect_to(&database.url).await;
        let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10500) \
            INSERT INTO audit_entries (at, action, resource) \
            SELECT '2026-01-02T03:04:05.000000+00:00', 'update', 'model' FROM n";
        db.execute_unprepared(fill).await.expect("rows");
        db.close().await.expect("closed");
        app.an_agent("Ada").await;
        let end = settled(&app).await;
        let ask = async |cursor: &str| {
            let path = format!("/v1/changes?resource=agent&after={cursor}");
            app.get(&path).await.ok()
        };
        let page = ask(&start).await;
        assert_eq!((told(&page), &page["has_more"]), (Vec::new(), &json!(true)));
        let page = ask(next(&page)).await;
        assert_eq!(told(&page), ["create agent Ada"]);
        assert_eq!((next(&page), &page["has_more"]), (end.as_str(), &json!(false)));

        app.a_circle("team").await;
        let end = settled(&app).await;
        let page = ask(next(&page)).await;
        assert_eq!((told(&page), next(&page)), (Vec::new(), end.as_str()));
        let (page, statements) = app.statements(ask(&end)).await;
        assert_eq!((told(&page), statements), (Vec::new(), 1));
        let (_, statements) = app.statements(ask(&start)).await;
        assert_eq!(statements, 2);
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn changes_of_keys_are_told_to_administrators_only() {
    on_both(async |app| {
        let admin = app.first_key().await;
        let reader = app.key_by(&admin, &["read"]).await;
        app.ask(
            Method::POST,
            "/v1/circles",
            Some(&json!({"name": "team"})),
            &admin.token,
        )
        .await
        .created();
        for _ in 0..500 {
            let page = app.get_with("/v1/changes", &admin.token).await.ok();
            if page["held_back_since"].is_null() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let all = app.get_with("/v1/changes", &admin.token).await.ok();
        assert_eq!(
            told(&all),
            [
                "create key the first",
                "create key read",
                "create circle team"
            ]
        );
        let shown = app.get_with("/v1/changes", &reader.token).await.ok();
        assert_eq!(told(&shown), ["create circle team"]);
        assert_eq!(next(&shown), next(&all));
        for hidden in ["key", "audit", "circle,key"] {
            let path = format!("/v1/changes?resource={hidden}");
            app.get_with(&path, &reader.token)
                .await
                .problem(403, "forbidden");
            app.get_with(&path, &admin.token).await.ok();
        }
    })
    .await;
}

#[tokio::test]
async fn a_text_that_is_no_cursor_is_refused() {
    on_both(async |app| {
        app.an_agent("Ada").await;
        app.an_agent("Bob").await;
        let other_list = app.get("/v1/agents?limit=1").await.ok();
        for text in ["first", "AwAA", next(&other_list)] {
            let path = format!("/v1/changes?after={text}");
            app.get(&path).await.invalid(&["query/after"]);
        }
    })
    .await;
}

const LONG_AGO: &str = "'2020-01-02T03:04:05.000000+00:00'";

fn prune(database: &TestDatabase) {
    let arguments = [
        "prune",
        "--database-url",
        &database.url,
        "--keep-audit",
        "90d",
        "--yes",
    ];
    binary::output_of(&arguments);
}

#[tokio::test]
async fn a_cursor_is_good_up_to_the_last_change_that_was_pruned_and_gone_before() {
    on_both_databases(async |database| {
        let app = TestApp::start(database.backend, database.settings()).await;
        let start = settled(&app).await;
        let db = connect_to(&database.url).await;
        let mut cursors = Vec::new();
        for (at, name) in [(LONG_AGO, "first"), (LONG_AGO, "second"), ("'2999-01-02T03:04:05.000000+00:00'", "kept")] {
            let sql = format!(
                "INSERT INTO audit_entries (at, action, resource, name) VALUES ({at}, 'update', 'agent', '{name}')"
            );
            db.execute_unprepared(&sql).await.expect(&sql);
            cursors.push(settled(&app).await);
        }
        db.close().await.expect("closed");
        assert_eq!(told(&app.get("/v1/changes").await.ok()).len(), 3);
        // Old ones may be pruned while they are read, so a third statement checks that they were not.
        for (cursor, expected) in [(&cursors[0], 3), (&cursors[2], 1)] {
            let path = format!("/v1/changes?after={cursor}");
            let (_, statements) = app.statements(app.get(&path)).await;
            assert_eq!(statements, expected);
        }
        prune(database);
        for gone in [&start, &cursors[0]] {
            let path = format!("/v1/changes?after={gone}");
            app.get(&path).await.problem(410, "cursor_expired");
        }
        let expected = ["update agent kept", "prune audit before 20"];
        let last_pruned = following(&app, "", &cursors[1], 2).await;
        for (change, expected) in told(&last_pruned).iter().zip(expected) {
            assert!(change.starts_with(expected), "{change}");
        }
        assert_eq!(app.get("/v1/changes").await.ok()["data"], last_pruned["data"]);
        let after_kept = following(&app, "", &cursors[2], 1).await;
        assert_eq!(after_kept["data"][0], last_pruned["data"][1]);
        // There is nothing more to prune, so the boundary stays.
        prune(database);
        following(&app, "", &cursors[1], 2).await;
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_transaction_that_is_open_holds_back_what_is_committed_after_it() {
    let database = TestDatabase::create(Backend::Postgres).await;
    let app = TestApp::start(Backend::Postgres, database.settings()).await;
    let start = settled(&app).await;
    let db = connect_to(&database.url).await;
    let open = db.begin().await.expect("a transaction");
    let insert = "INSERT INTO audit_entries (at, action, resource, name) VALUES (now(), 'update', 'agent', 'first')";
    open.execute_unprepared(insert).await.expect(insert);
    app.an_agent("second").await;
    let page = app.get(&format!("/v1/changes?after={start}")).await.ok();
    assert_eq!(told(&page), Vec::<String>::new());
    assert_eq!(page["next_cursor"], start);
    let made = app.get("/v1/audit?action=create").await.ok()["data"][0]["at"].clone();
    assert_eq!(page["held_back_since"], made);
    assert_eq!(
        app.get("/readyz").await.ok()["changes_held_back_since"],
        made
    );
    open.commit().await.expect("a commit");
    let page = following(&app, "", &start, 2).await;
    assert_eq!(told(&page), ["update agent first", "create agent second"]);
    settled(&app).await;
    assert_eq!(
        app.get("/readyz").await.ok()["changes_held_back_since"],
        Value::Null
    );
    db.close().await.expect("closed");
    app.stop().await;
    database.remove().await;
}
