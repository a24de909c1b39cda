//! Which changes leave a version, and what it holds.

use reqwest::Method;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use super::{count, definition_of, listed, version};
use test_support::{TestApp, factories::assert_holds, factories::id, on_both};

#[tokio::test]
async fn every_change_of_a_definition_leaves_a_version_and_no_other_change_does() {
    on_both(async |app| {
        let body = json!({"name": "Ada", "metadata": {"a": 1, "b": {"c": [1.5], "d": null}}});
        let created = app
            .post("/v1/agents?message=first%20try", &body)
            .await
            .created();
        assert_eq!(created["version"], 1);
        let agent = id(&created);
        let path = format!("/v1/agents/{agent}");
        for (change, versions) in [
            (json!({"status": "busy"}), 1),
            (json!({"name": "Ada", "role": null}), 1),
            (
                json!({"metadata": {"b": {"d": null, "c": [1.5]}, "a": 1}}),
                1,
            ),
            (
                json!({"metadata": {"b": {"d": null, "c": [1.5]}, "a": 1.0}}),
                1,
            ),
            (json!({"role": "reviewer", "status": "idle"}), 2),
            (json!({"role": "reviewer"}), 2),
            (json!({"metadata": {"a": 123_456_789_012_345_678_i64}}), 3),
            (json!({"metadata": {"a": 123_456_789_012_345_679_i64}}), 4),
            (json!({"temperature": 0.5}), 5),
            (json!({"skill_names": ["rust"]}), 6),
            (
                json!({"tools": [{"type": "builtin", "name": "web_search"}]}),
                7,
            ),
            (json!({"external_id": "ada@x"}), 8),
        ] {
            let changed = app
                .patch(&format!("{path}?message=why"), &change)
                .await
                .ok();
            assert_eq!(changed["version"], versions, "{change}");
            assert_eq!(count(app, agent).await, versions, "{change}");
            let newest = version(app, agent, versions).await;
            if changed["version"] != 1 {
                assert_eq!(newest["definition"], definition_of(&changed));
            }
        }
        let put = json!({"name": "Ada", "external_id": "ada@x"});
        let by_external_id = "/v1/agents/by-external-id/ada@x?message=reset";
        for _ in 0..2 {
            app.send(Method::PUT, by_external_id, Some(&put)).await.ok();
            assert_eq!(count(app, agent).await, 9);
        }
        let versions = listed(app, agent).await;
        let messages: Vec<&Value> = versions.iter().map(|version| &version["message"]).collect();
        let why = vec![json!("why"); 7];
        let expected = [&[json!("reset")][..], &why, &[json!("first try")]].concat();
        assert_eq!(messages, expected.iter().collect::<Vec<_>>());
        assert!(
            versions
                .iter()
                .all(|version| version.get("definition").is_none())
        );

        app.delete(&path).await.no_content();
        for gone in ["versions", "versions/1", "versions/2/diff"] {
            app.get(&format!("{path}/{gone}"))
                .await
                .problem(404, "not_found");
        }
        app.send(Method::POST, &format!("{path}/restore"), None)
            .await
            .ok();
        assert_eq!(count(app, agent).await, 9);
        app.get(&format!("{path}/versions/10"))
            .await
            .problem(404, "not_found");
        app.get("/v1/agents/99/versions")
            .await
            .problem(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn an_agent_put_by_its_external_id_has_a_first_version() {
    on_both(async |app| {
        let path = "/v1/agents/by-external-id/ada@x?message=new";
        let created = app
            .send(Method::PUT, path, Some(&json!({"name": "Ada"})))
            .await
            .created();
        let first = version(app, id(&created), 1).await;
        assert_eq!(first["definition"], definition_of(&created));
        assert_holds(
            &first,
            &json!({"number": 1, "message": "new", "key_id": null}),
        );
        assert!(first["created_at"].as_str() >= created["created_at"].as_str());
    })
    .await;
}

#[tokio::test]
async fn a_version_names_the_key_that_made_it() {
    on_both(async |app| {
        let admin = app.first_key().await;
        let body = json!({"name": "Ada"});
        let created = app
            .ask(Method::POST, "/v1/agents", Some(&body), &admin.token)
            .await
            .created();
        let agent = id(&created);
        let writer = app.key_by(&admin, &["write"]).await;
        let path = format!("/v1/agents/{agent}");
        let change = json!({"name": "Eve"});
        app.ask(Method::PATCH, &path, Some(&change), &writer.token)
            .await
            .ok();
        let page = app
            .get_with(&format!("{path}/versions"), &writer.token)
            .await
            .ok();
        let keys: Vec<_> = page["data"]
            .as_array()
            .expect("rows")
            .iter()
            .map(|row| row["key_id"].as_i64())
            .collect();
        assert_eq!(keys, [Some(writer.id), Some(admin.id)]);
    })
    .await;
}

#[tokio::test]
async fn a_version_costs_one_statement_and_no_version_none() {
    on_both(async |app| {
        let agent = app.an_agent("Ada").await;
        let path = format!("/v1/agents/{agent}");
        let statements = async |change: Value| {
            let (answer, statements) = app.statements(app.patch(&path, &change)).await;
            answer.ok();
            statements
        };
        let of_status = statements(json!({"status": "busy"})).await;
        assert_eq!(
            of_status, 3,
            "the row is locked and changed, and the audit gets an entry"
        );
        assert_eq!(statements(json!({"role": "tester"})).await, of_status + 1);
        assert_eq!(statements(json!({"role": "tester"})).await, 1);
        let body = json!({"name": "Eve"});
        let create = app.statements(app.post("/v1/agents", &body));
        assert_eq!(
            create.await.1,
            3,
            "the row, its version and the audit's entry"
        );
    })
    .await;
}

#[tokio::test]
async fn the_digests_of_definitions_are_pinned_for_every_order_of_keys() {
    const EMPTY: &str = "0bffe9c65fae5c1f5c9d83d2c9010f0861ce928c3e3249376f8394c3f14c1501";
    const FULL: &str = "10c34b250dd898ce96ffadd6f1d2e0f70ffbdc0b39aaf9e1d355914a976ae5b4";
    on_both(async |app| {
        let digest = async |body: &str| {
            let created = app.post_text("/v1/agents", "application/json", body.to_owned()).await;
            let first = version(app, id(&created.created()), 1).await;
            first["digest"].as_str().expect("a digest").to_owned()
        };
        assert_eq!(digest(r#"{"name": "Ada"}"#).await, EMPTY);
        for body in [
            r#"{"name": "Ada", "temperature": 0.7, "skill_names": ["é", "b"],
                "metadata": {"id": 9007199254740993, "a": {"x": 1.50, "\ud83d\ude00": [], "\ufb33": null}},
                "params": {"top_p": 0.9, "extra": {"b": 1, "a": 1e2}}}"#,
            r#"{"params": {"extra": {"a": 100, "b": 1.0}, "top_p": 0.9}, "skill_names": ["\u00e9", "b"],
                "metadata": {"a": {"\ufb33": null, "\ud83d\ude00": [], "x": 1.5}, "id": 9007199254740993},
                "temperature": 0.70, "name": "Ada"}"#,
        ] {
            assert_eq!(digest(body).await, FULL, "{body}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_version_is_cached_and_its_tag_is_the_digest() {
    on_both(async |app| {
        let agent = app.an_agent("Ada").await;
        let path = format!("/v1/agents/{agent}/versions/1");
        let (answer, statements) = app.statements(app.get(&path)).await;
        assert_eq!(statements, 1);
        assert_eq!(
            answer.header("cache-control"),
            "private, max-age=31536000, immutable"
        );
        let tag = answer.header("etag").to_owned();
        assert_eq!(
            tag,
            format!("\"{}\"", answer.ok()["digest"].as_str().expect("a digest"))
        );
        let again = app.get_if_none_match(&path, &tag).await;
        assert_eq!((again.status, again.header("etag")), (304, tag.as_str()));
    })
    .await;
}

#[tokio::test]
async fn versions_are_listed_in_pages() {
    on_both(async |app| {
        let agent = five_versions(app).await;
        let mut found = Vec::new();
        let mut path = format!("/v1/agents/{agent}/versions?limit=2&count=true");
        loop {
            let (answer, statements) = app.statements(app.get(&path)).await;
            assert_eq!(statements, 2, "the page and the count");
            let page = answer.ok();
            assert_eq!(page["total"], 5);
            found.extend(
                page["data"]
                    .as_array()
                    .expect("rows")
                    .iter()
                    .map(|row| row["number"].as_i64()),
            );
            let Some(cursor) = page["next_cursor"].as_str() else {
                break;
            };
            path = format!("/v1/agents/{agent}/versions?limit=2&count=true&cursor={cursor}");
        }
        assert_eq!(found, [Some(5), Some(4), Some(3), Some(2), Some(1)]);
    })
    .await;
}

async fn five_versions(app: &TestApp) -> i64 {
    let agent = app.an_agent("Ada").await;
    for number in 2..=5 {
        let change = json!({"role": format!("role {number}")});
        app.patch(&format!("/v1/agents/{agent}"), &change)
            .await
            .ok();
    }
    agent
}

#[tokio::test]
async fn a_message_is_one_line_of_bounded_length() {
    on_both(async |app| {
        let agent = app.an_agent("Ada").await;
        let path = |message: &str| format!("/v1/agents/{agent}?message={message}");
        for message in ["", &"x".repeat(501), "a%0Ab", "a%1B%5B2J", "%E2%80%AE"] {
            let change = json!({"role": "tester"});
            app.patch(&path(message), &change)
                .await
                .invalid(&["query/message"]);
        }
        let secret = path("sk-ant-api03-Zq3vT9xKpL2mWc8RnY5bJd7HfGs1AeUi");
        let change = json!({"role": "tester"});
        app.patch(&secret, &change)
            .await
            .invalid(&["query/message"]);
        app.patch(&path(&"x".repeat(500)), &change).await.ok();
        assert_eq!(count(app, agent).await, 2);
    })
    .await;
}

/// An instance of the build before adds agents without a version while others already write them.
#[tokio::test]
async fn an_agent_without_a_version_gets_its_first_one_with_the_next_change() {
    on_both(async |app| {
        let sql = "INSERT INTO agents (name, created_at, updated_at) \
            VALUES ('Ada', '2026-01-02T03:04:05+00:00', '2026-01-02T03:04:05+00:00')";
        app.database
            .connection()
            .execute_unprepared(sql)
            .await
            .expect(sql);
        assert_eq!(count(app, 1).await, 0);
        app.get("/v1/agents/1/versions/1")
            .await
            .problem(404, "not_found");
        assert_eq!(
            app.get("/v1/agents/1/handle").await.ok()["agent_version"],
            0
        );
        app.patch("/v1/agents/1", &json!({"status": "busy"}))
            .await
            .ok();
        assert_eq!(count(app, 1).await, 0);
        let changed = app
            .patch("/v1/agents/1", &json!({"role": "tester"}))
            .await
            .ok();
        assert_eq!(count(app, 1).await, 1);
        assert_eq!(
            version(app, 1, 1).await["definition"],
            definition_of(&changed)
        );
    })
    .await;
}
