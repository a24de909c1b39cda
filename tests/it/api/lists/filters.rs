//! Filters that several lists share: by ids, and by the time of the last change.

use serde_json::json;

use super::{LISTS, three_agents};
use test_support::{TestApp, factories::timestamp, on_both};

#[tokio::test]
async fn agents_are_found_by_their_ids_and_unknown_ones_are_absent() {
    on_both(async |app| {
        let ([a, b, c], _) = three_agents(app).await;
        for (ids, expected) in [
            (format!("{c},{a}"), &["a", "c"][..]),
            (format!("{b}"), &["b"]),
            (format!("{b},{b},1000"), &["b"]),
            ("1000,9223372036854775808".to_owned(), &[]),
            (format!("{a},{b}&q=b"), &["b"]),
        ] {
            let path = format!("/v1/agents?ids={ids}");
            assert_eq!(app.listed(&path, "name").await, expected, "{ids}");
        }
        let path = format!("/v1/agents?ids={a},{c}&limit=1");
        let first = app.get(&format!("{path}&count=true")).await.ok();
        assert_eq!(first["total"], 2);
        let cursor = first["next_cursor"].as_str().expect("a cursor");
        let second = format!("{path}&cursor={cursor}");
        assert_eq!(app.listed(&second, "name").await, ["c"]);

        app.delete(&format!("/v1/agents/{a}")).await.no_content();
        let path = format!("/v1/agents?ids={a},{b}");
        assert_eq!(app.listed(&path, "name").await, ["b"], "{a} was deleted");
    })
    .await;
}

#[tokio::test]
async fn ids_are_1_to_200_with_commas_in_between() {
    on_both(async |app| {
        let agent = app.an_agent("a").await;
        let list = |count: usize| vec![agent.to_string(); count].join(",");
        let path = format!("/v1/agents?ids={}", list(200));
        let (answer, statements) = app.statements(app.get(&path)).await;
        assert_eq!(answer.ok()["data"][0]["id"], agent);
        assert_eq!(statements, 1);
        let largest = vec![i64::MAX.to_string(); 200].join(",");
        app.get(&format!("/v1/agents?ids={largest}")).await.ok();
        for ids in ["", ",", "1,", "1,,2", "0", "-1", "x", "1 ,2", &list(201)] {
            let answer = app.get(&format!("/v1/agents?ids={ids}")).await;
            answer.invalid(&["query/ids"]);
        }
    })
    .await;
}

/// Creates a row of this name in each of the lists.
pub(super) async fn one_in_each(app: &TestApp, name: &str) {
    let provider = app.a_provider(name).await;
    app.a_model(provider, name).await;
    app.an_agent(name).await;
    app.a_circle(name).await;
    let body = json!({"topic": name});
    app.post("/v1/conversations", &body).await.created();
}

fn in_query(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[tokio::test]
async fn rows_are_found_by_their_exact_names() {
    on_both(async |app| {
        let name = "Ada-été 100%_x";
        for name in [name, "ada", "b"] {
            let circle = json!({"name": name});
            let slug = if name.is_ascii() { name } else { "ada-x" };
            let provider = app.a_provider(slug).await;
            app.a_model(provider, name).await;
            app.an_agent(name).await;
            app.an_agent(name).await;
            app.a_circle(slug).await;
            app.post("/v1/conversations", &json!({"topic": circle["name"]}))
                .await
                .created();
        }
        for (list, name, expected) in [
            ("/v1/models", name, 1),
            ("/v1/agents", name, 2),
            ("/v1/conversations", name, 1),
            ("/v1/providers", "ada-x", 1),
            ("/v1/circles", "ada-x", 1),
            ("/v1/agents", "ada", 2),
            ("/v1/agents", "Ada", 0),
            ("/v1/agents", "Ada-été", 0),
            ("/v1/agents", "Ada-été 100_%x", 0),
        ] {
            for sort in ["", "&sort=name", "&sort=-created_at"] {
                let path = format!("{list}?name={}{sort}", in_query(name));
                assert_eq!(app.total(&path).await, expected, "{path}");
                let (answer, statements) = app.statements(app.get(&path)).await;
                let rows = answer.ok()["data"].as_array().map(Vec::len);
                assert_eq!((rows, statements), (Some(expected), 1), "{path}");
            }
        }
        app.get("/v1/agents?name=").await.invalid(&["query/name"]);
        app.get("/v1/keys?name=operator").await.ok();
    })
    .await;
}

#[tokio::test]
async fn what_was_changed_since_a_moment_is_found_that_moment_included() {
    on_both(async |app| {
        for name in ["a", "b", "c"] {
            one_in_each(app, name).await;
        }
        for (list, name) in LISTS {
            let all = app.get(list).await.ok();
            let first = &all["data"][0];
            let path = match list {
                "/v1/circles" => "/v1/circles/a".to_owned(),
                _ => format!("{list}/{}", first["id"]),
            };
            app.patch(&path, &json!({name: "changed"})).await.ok();
            let row = &all["data"][1];
            let since = row["updated_at"].as_str().expect("a text");
            let later = timestamp(&row["updated_at"]) + chrono::TimeDelta::microseconds(1);
            let elsewhere = timestamp(&row["updated_at"])
                .with_timezone(&chrono::FixedOffset::east_opt(7200).expect("an offset"));
            for (since, expected) in [
                (since.to_owned(), &["changed", "b", "c"][..]),
                (elsewhere.to_rfc3339(), &["changed", "b", "c"]),
                (later.to_rfc3339(), &["changed", "c"]),
                ("0001-01-01T00:00:00Z".to_owned(), &["changed", "b", "c"]),
                ("9999-12-31T23:59:59Z".to_owned(), &[]),
            ] {
                let query = format!("{list}?updated_since={}", in_query(&since));
                assert_eq!(app.listed(&query, name).await, expected, "{query}");
                assert_eq!(app.total(&query).await, expected.len(), "{query}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_moment_without_an_offset_is_refused_with_an_example() {
    on_both(async |app| {
        for (list, _) in LISTS {
            for text in [
                "",
                "2026-01-31",
                "2026-01-31T12:00:00",
                "2026-01-31T12:00:00+02:00",
                "1767225600",
                "yesterday",
            ] {
                let answer = app.get(&format!("{list}?updated_since={text}")).await;
                let problem = answer.invalid(&["query/updated_since"]);
                let detail = problem["errors"][0]["detail"].as_str().expect("a text");
                assert!(detail.contains("2026-01-31T12:00:00Z"), "{detail}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn deleted_circles_and_agents_are_listed_if_asked_for_with_the_time_of_their_deletion() {
    on_both(async |app| {
        app.a_circle("kept").await;
        app.a_circle("gone").await;
        let kept = app.an_agent("kept").await;
        let gone = app.an_agent("gone").await;
        app.a_member("gone", kept).await;
        let before = app.get(&format!("/v1/agents/{gone}")).await.ok()["updated_at"].clone();
        app.delete("/v1/circles/gone").await.no_content();
        app.delete(&format!("/v1/agents/{gone}")).await.no_content();
        for (list, include) in [("/v1/circles", "members"), ("/v1/agents", "model")] {
            for more in [String::new(), format!("&include={include}")] {
                let names = app.listed(&format!("{list}?limit=200{more}"), "name").await;
                assert_eq!(names, ["kept"]);
                let path = format!("{list}?include_deleted=true&count=true&sort=-updated_at{more}");
                let page = app.get(&path).await.ok();
                assert_eq!(page["total"], 2);
                let (deleted, other) = (&page["data"][0], &page["data"][1]);
                assert_eq!(
                    (&deleted["name"], &deleted["is_active"]),
                    (&json!("gone"), &json!(false))
                );
                assert_eq!(
                    (&other["name"], &other["is_active"]),
                    (&json!("kept"), &json!(true))
                );
            }
        }
        let since = format!(
            "/v1/agents?include_deleted=true&updated_since={}",
            before.as_str().expect("a time").replace('+', "%2B")
        );
        let page = app.get(&since).await.ok();
        let deleted = page["data"]
            .as_array()
            .expect("a page")
            .last()
            .expect("an agent");
        assert_eq!(deleted["name"], "gone");
        assert!(deleted["updated_at"].as_str() > before.as_str());
        app.get("/v1/providers?include_deleted=true")
            .await
            .invalid(&["query/include_deleted"]);
    })
    .await;
}
