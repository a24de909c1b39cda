//! The audit trail: every change records its entry in its own transaction, and nothing else records one.

mod steps;

use std::collections::{BTreeSet, HashMap};

use entity::audit_entry;
use reqwest::Method;
use sea_orm::{ConnectionTrait, EntityTrait, PaginatorTrait};
use serde_json::{Value, json};

use self::steps::{CANARY, steps};
use test_support::{Answer, Backend, TestApp, TestDatabase, binary, on_both, on_both_databases};

/// The entries after the one with this id, oldest first.
async fn entries_after(app: &TestApp, last: i64) -> Vec<Value> {
    let page = app.get("/v1/audit?order=asc&limit=200").await.ok();
    let entries = page["data"].as_array().expect("a page").iter();
    let is_new = |entry: &&Value| entry["id"].as_i64().expect("an id") > last;
    entries.filter(is_new).cloned().collect()
}

/// Entries in the notation of the steps. `seen` are the last revisions of resources in earlier entries.
fn texts_of(entries: &[Value], seen: &mut HashMap<(String, i64), i64>) -> Vec<String> {
    entries.iter().map(|entry| text_of(entry, seen)).collect()
}

fn text_of(entry: &Value, seen: &mut HashMap<(String, i64), i64>) -> String {
    let text = |field: &str| entry[field].as_str().unwrap_or("-").to_owned();
    let fields = entry["fields"].as_array().expect("a list");
    let fields: Vec<&str> = fields.iter().filter_map(Value::as_str).collect();
    let fields = if fields.is_empty() {
        "-".to_owned()
    } else {
        fields.join(",")
    };
    let revision = entry["revision"].as_i64().map_or("-", |revision| {
        let id = entry["resource_id"].as_i64().expect("an id");
        match seen.insert((text("resource"), id), revision) {
            Some(before) if before >= revision => "not greater",
            _ => "+",
        }
    });
    let (action, resource, name) = (text("action"), text("resource"), text("name"));
    format!("{action} {resource} {name} {fields} {revision}")
}

#[tokio::test]
async fn every_operation_that_changes_something_leaves_its_entry_and_a_refused_one_none() {
    on_both(async |app| {
        let (mut last, mut seen) = (0, HashMap::new());
        for step in steps() {
            let operation = step.operation;
            let answer = step.send(app, step.path, step.body.as_ref()).await;
            assert!(
                (200..300).contains(&answer.status),
                "{operation}: {}",
                answer.text
            );
            let left = entries_after(app, last).await;
            assert_eq!(texts_of(&left, &mut seen), step.entries, "{operation}");
            for entry in &left {
                assert_eq!(entry["request_id"], answer.header("x-request-id"));
                assert_eq!(entry["key_id"], Value::Null);
                assert_eq!(entry["client_address"], "127.0.0.1", "{operation}");
                assert_eq!(entry["at"], left[0]["at"], "{operation}");
                last = entry["id"].as_i64().expect("an id");
            }

            let body = step.refused_body.as_ref();
            let refused = step.send(app, step.refused_path, body).await;
            assert!(refused.status >= 400, "{operation}: {}", refused.text);
            let left = entries_after(app, last).await;
            assert!(left.is_empty(), "{operation} was refused: {left:?}");
        }
        let all = app.get("/v1/audit?limit=200").await;
        assert!(!all.text.contains(CANARY), "{}", all.text);
    })
    .await;
}

/// The one change that may ask for its resource not to be there.
const TAKES_IF_NONE_MATCH: &str = "replace_label";

#[tokio::test]
async fn no_change_is_made_against_a_precondition() {
    on_both(async |app| {
        for step in steps() {
            let (operation, count) = (step.operation, app.total("/v1/audit").await);
            let send = |name, value: &str| {
                let mut request = app.request(step.method(), step.path).header(name, value);
                if let Some(body) = &step.body {
                    request = request.json(body);
                }
                Answer::to(request)
            };
            let stale = send("if-match", "\"1-2\"").await;
            match stale.status {
                412 => stale.problem(412, "precondition_failed"),
                _ => stale.invalid(&["header/If-Match"]),
            };
            if operation != TAKES_IF_NONE_MATCH {
                let none = send("if-none-match", "*").await;
                none.invalid(&["header/If-None-Match"]);
            }
            assert_eq!(app.total("/v1/audit").await, count, "{operation}");
            let made = step.send(app, step.path, step.body.as_ref()).await;
            assert!(made.status < 300, "{operation}: {}", made.text);
        }
        app.delete_if_match("/v1/keys/1", "\"1-1\"")
            .await
            .invalid(&["header/If-Match"]);
    })
    .await;
}

#[tokio::test]
async fn the_steps_are_all_there_is() {
    let openapi = include_str!("../../../../openapi.json");
    let openapi: Value = serde_json::from_str(openapi).expect("the description");
    let paths = openapi["paths"].as_object().expect("paths").values();
    let operations = paths.flat_map(|path| path.as_object().expect("operations"));
    let changing: BTreeSet<&str> = operations
        .filter(|(method, _)| *method != "get")
        .map(|(_, operation)| operation["operationId"].as_str().expect("an id"))
        .collect();
    let steps = steps();
    let mut walked: BTreeSet<&str> = steps.iter().map(|step| step.operation).collect();
    // These have a test of their own, because a key changes who may call the other operations.
    walked.extend(["create_key", "revoke_key"]);
    // They change nothing.
    walked.extend(["get_model_cost", "plan_documents", "test_webhook"]);
    assert_eq!(walked, changing);
}

#[tokio::test]
async fn an_entry_tells_the_key_and_never_its_token() {
    on_both(async |app| {
        let new = json!({"name": "operator", "scopes": ["admin"]});
        let created = app.post("/v1/keys", &new).await.created();
        let token = created["token"].as_str().expect("a token");
        let send = |method: Method, path: &str, body: Option<&Value>| {
            let mut request = app.request(method, path).bearer_auth(token);
            if let Some(body) = body {
                request = request.json(body);
            }
            Answer::to(request)
        };
        let past =
            json!({"name": "late", "scopes": ["read"], "expires_at": "2001-01-01T00:00:00Z"});
        send(Method::POST, "/v1/keys", Some(&past))
            .await
            .invalid(&["#/expires_at"]);
        let other = json!({"name": "other", "scopes": ["read"]});
        send(Method::POST, "/v1/keys", Some(&other)).await.created();
        for _ in 0..2 {
            send(Method::DELETE, "/v1/keys/2", None).await.no_content();
        }
        send(Method::DELETE, "/v1/keys/99", None)
            .await
            .problem(404, "not_found");
        let agent = json!({"name": "Ada"});
        send(Method::POST, "/v1/agents", Some(&agent))
            .await
            .created();

        let audit = send(Method::GET, "/v1/audit?order=asc", None).await;
        assert!(!audit.text.contains("crk_"), "{}", audit.text);
        let entries = audit.ok();
        let entries = entries["data"].as_array().expect("a page");
        assert_eq!(
            texts_of(entries, &mut HashMap::new()),
            [
                "create key operator - -",
                "create key other - -",
                "revoke key other - -",
                "create agent Ada - +"
            ]
        );
        let keys: Vec<&Value> = entries.iter().map(|entry| &entry["key_id"]).collect();
        assert_eq!(json!(keys), json!([null, 1, 1, 1]));
        let by_key = send(Method::GET, "/v1/audit?key_id=1&count=true", None).await;
        assert_eq!(by_key.ok()["total"], 3);
    })
    .await;
}

#[tokio::test]
async fn what_changes_nothing_leaves_nothing() {
    on_both(async |app| {
        let agent = app.an_agent("Ada").await;
        app.a_provider("p").await;
        app.a_circle("team").await;
        app.a_member("team", agent).await;
        let post = |key: &'static str| {
            let request = app.request(Method::POST, "/v1/agents");
            let request = request.header("idempotency-key", key);
            Answer::to(request.json(&json!({"name": "Linus"})))
        };
        post("once").await.created();
        app.post("/v1/circles/team/start", &json!({})).await.ok();
        let before = entries_after(app, 0).await.len();

        post("once").await.created();
        app.post("/v1/circles/team/start", &json!({})).await.ok();
        for path in [
            "/v1/agents/1",
            "/v1/providers/1",
            "/v1/circles/team",
            "/v1/circles/team/members/1",
        ] {
            app.patch(path, &json!({})).await.ok();
        }
        let same = json!({"members": [{"agent_id": agent}]});
        let path = "/v1/circles/team/members";
        app.send(Method::PUT, path, Some(&same)).await.ok();
        let update = json!({"op": "update", "agent_id": agent, "role": "member"});
        let batch = json!({"operations": [update, {"op": "remove", "agent_id": 99}]});
        let path = "/v1/circles/team/members:batch?partial=true";
        app.post(path, &batch).await.ok();
        assert_eq!(entries_after(app, 0).await.len(), before);
    })
    .await;
}

#[tokio::test]
async fn an_entry_is_never_changed_deleted_or_replaced() {
    on_both(async |app| {
        app.an_agent("Ada").await;
        let db = app.database.connection();
        let before = audit_entry::Entity::find().all(db).await.expect("entries");
        assert_eq!(before.len(), 1);
        let replace = match app.backend {
            Backend::Sqlite => {
                "INSERT OR REPLACE INTO audit_entries SELECT id, at, key_id, 'nothing', resource, \
                 resource_id, name, fields, revision, request_id, client_address, circle_id FROM audit_entries"
            }
            Backend::Postgres => "TRUNCATE audit_entries",
        };
        for sql in [
            "UPDATE audit_entries SET action = 'nothing'",
            "DELETE FROM audit_entries",
            replace,
        ] {
            let refused = db.execute_unprepared(sql).await;
            let reason = refused.expect_err(sql).to_string();
            assert!(reason.contains("audit entries are never"), "{reason}");
        }
        let after = audit_entry::Entity::find().all(db).await.expect("entries");
        assert_eq!(after, before);
    })
    .await;
}

#[tokio::test]
async fn the_audit_is_read_in_pages_from_either_end_and_filtered() {
    on_both(async |app| {
        app.a_provider("p").await;
        for name in ["a", "b", "c"] {
            app.an_agent(name).await;
        }
        app.patch("/v1/agents/2", &json!({"status": "busy"}))
            .await
            .ok();
        app.delete("/v1/agents/2").await.no_content();

        let names = |query: &'static str| app.listed(query, "name");
        assert_eq!(names("/v1/audit").await, ["b", "b", "c", "b", "a", "p"]);
        assert_eq!(
            names("/v1/audit?order=asc").await,
            ["p", "a", "b", "c", "b", "b"]
        );
        assert_eq!(app.total("/v1/audit").await, 6);
        for (order, expected) in [("asc", "pabcbb"), ("desc", "bbcbap")] {
            let mut seen = String::new();
            let mut cursor = String::new();
            loop {
                let path = format!("/v1/audit?limit=4&order={order}{cursor}");
                let (answer, statements) = app.statements(app.get(&path)).await;
                assert_eq!(statements, 1);
                let page = answer.ok();
                let rows = page["data"].as_array().expect("a page");
                seen.extend(rows.iter().filter_map(|row| row["name"].as_str()));
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            assert_eq!(seen, expected, "{order}");
        }

        let newest = app.get("/v1/audit?limit=1").await.ok();
        let at = newest["data"][0]["at"].as_str().expect("a timestamp");
        for (filter, total) in [
            ("resource=agent", 5),
            ("resource=provider", 1),
            ("resource=nothing", 0),
            ("resource=agent&resource_id=2", 3),
            ("resource=provider&resource_id=2", 0),
            ("action=create", 4),
            ("action=update&resource=agent", 1),
            ("key_id=1", 0),
            ("name=b", 3),
            ("name=B", 0),
            ("name=b&action=update", 1),
            ("name=team%2F1", 0),
            (&format!("since={at}"), 1),
            (&format!("until={at}"), 5),
            ("since=2999-01-01T00:00:00Z", 0),
        ] {
            assert_eq!(
                app.total(&format!("/v1/audit?{filter}")).await,
                total,
                "{filter}"
            );
        }
        app.get("/v1/audit?resource_id=2")
            .await
            .invalid(&["query/resource_id"]);
        app.get("/v1/audit?resource=Agent")
            .await
            .invalid(&["query/resource"]);
    })
    .await;
}

#[tokio::test]
async fn an_import_is_one_entry_and_none_where_it_changes_nothing() {
    on_both_databases(async |database: &TestDatabase| {
        let import = |more: &[&str]| {
            let url = database.url.as_str();
            let mut arguments = vec!["catalog", "import", "--builtin", "--database-url", url];
            arguments.extend(more);
            binary::output_of(&arguments);
        };
        import(&["--dry-run"]);
        import(&[]);
        import(&[]);
        let app = TestApp::start(database.backend, database.settings()).await;
        let db = app.database.connection();
        assert_eq!(audit_entry::Entity::find().count(db).await, Ok(1));
        let entries = entries_after(&app, 0).await;
        assert_eq!(
            text_of(&entries[0], &mut HashMap::new()),
            "import catalog - providers -"
        );
        for field in ["request_id", "client_address"] {
            assert_eq!(entries[0][field], Value::Null);
        }
        app.stop().await;
    })
    .await;
}
