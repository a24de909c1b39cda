//! Conditional requests: an ETag identifies a state, and a change can require one.

use reqwest::Method;
use serde_json::{Value, json};

use test_support::{Answer, TestApp, factories::id, on_both};

/// Creates a row of every resource, and returns their paths, each with a change.
async fn one_of_everything(app: &TestApp) -> Vec<(String, Value)> {
    let provider = app.a_provider("p").await;
    let model = app.a_model(provider, "m").await;
    let agent = app.an_agent("a").await;
    app.a_circle("team").await;
    app.a_member("team", agent).await;
    let conversation = json!({"topic": "t"});
    let conversation = id(&app.post("/v1/conversations", &conversation).await.created());
    vec![
        (
            format!("/v1/conversations/{conversation}"),
            json!({"topic": "u"}),
        ),
        (
            format!("/v1/circles/team/members/{agent}"),
            json!({"role": "lead"}),
        ),
        ("/v1/circles/team".to_owned(), json!({"description": "d"})),
        (format!("/v1/agents/{agent}"), json!({"role": "r"})),
        (format!("/v1/models/{model}"), json!({"model_alias": "x"})),
        (
            format!("/v1/providers/{provider}"),
            json!({"display_name": "P"}),
        ),
    ]
}

/// The state of the resource in its tag. The tag of a roster also has the state of the catalogue.
fn state_of(tag: &str) -> Vec<&str> {
    tag.trim_matches('"').split('-').take(2).collect()
}

#[tokio::test]
async fn a_thing_that_has_not_changed_is_not_sent_again() {
    on_both(async |app| {
        for (path, change) in one_of_everything(app).await {
            let answer = app.get(&path).await;
            let tag = answer.header("etag").to_owned();
            assert!(
                tag.starts_with('"') && tag.ends_with('"'),
                "{path}: {tag:?} is strong"
            );
            for named in [tag.as_str(), "*", &format!("\"0-0\", W/{tag}")] {
                let unchanged = app.get_if_none_match(&path, named).await;
                assert_eq!(
                    (unchanged.status, unchanged.text.as_str()),
                    (304, ""),
                    "{path}"
                );
                assert_eq!(unchanged.header("etag"), tag);
            }
            let patched = app.patch(&path, &change).await;
            let new_tag = patched.header("etag").to_owned();
            assert_ne!(new_tag, tag, "{path}");
            patched.ok();
            let changed = app.get_if_none_match(&path, &tag).await;
            assert_eq!(
                state_of(changed.header("etag")),
                state_of(&new_tag),
                "{path}"
            );
            changed.ok();
            assert_eq!(
                app.patch(&path, &json!({})).await.header("etag"),
                new_tag,
                "{path}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_change_from_an_old_state_is_refused_and_changes_nothing() {
    on_both(async |app| {
        for (path, change) in one_of_everything(app).await {
            let old = app.get(&path).await.header("etag").to_owned();
            let changed = app.patch_if_match(&path, &old, change.clone()).await;
            let new = changed.header("etag").to_owned();
            let body = changed.ok();
            for (answer, what) in [
                (
                    app.patch_if_match(&path, &old, change.clone()).await,
                    "a patch",
                ),
                (
                    app.patch_if_match(&path, &old, json!({})).await,
                    "an empty patch",
                ),
                (
                    app.patch_if_match(&path, "\"nonsense\"", change.clone())
                        .await,
                    "a foreign tag",
                ),
                (app.delete_if_match(&path, &old).await, "a delete"),
            ] {
                assert_eq!(answer.status, 412, "{what} of {path}");
                answer.problem(412, "precondition_failed");
            }
            let now = app.get(&path).await;
            assert_eq!(state_of(now.header("etag")), state_of(&new));
            assert_eq!(now.ok()["updated_at"], body["updated_at"]);
            app.patch_if_match(&path, "*", json!({})).await.ok();
        }
        // In an order in which they can be deleted.
        for path in [
            "/v1/conversations/1",
            "/v1/circles/team/members/1",
            "/v1/circles/team",
            "/v1/agents/1",
            "/v1/models/1",
            "/v1/providers/1",
        ] {
            let tag = app.get(path).await.header("etag").to_owned();
            app.delete_if_match(path, &tag).await.no_content();
            app.delete_if_match(path, &tag)
                .await
                .problem(404, "not_found");
            app.patch_if_match(path, &tag, json!({}))
                .await
                .problem(404, "not_found");
        }
    })
    .await;
}

#[tokio::test]
async fn of_many_changes_from_one_state_exactly_one_is_made() {
    on_both(async |app| {
        for (path, _) in one_of_everything(app).await {
            let tag = app.get(&path).await.header("etag").to_owned();
            let field = match path.rsplit('/').nth(1) {
                Some("conversations") => "topic",
                Some("members") => "competencies",
                Some("agents") => "role",
                Some("circles") => "description",
                Some("models") => "model_alias",
                _ => "display_name",
            };
            let values = ["lead", "member", "specialist", "reviewer", "observer"];
            // None of them is the value that the row has: setting that again would change nothing.
            let body = |value: &str| match field {
                "competencies" => json!({field: [value]}),
                _ => json!({field: value}),
            };
            let races = values
                .iter()
                .map(|value| app.patch_if_match(&path, &tag, body(value)));
            let answers = futures_util::future::join_all(races).await;
            let won = answers.iter().filter(|answer| answer.status == 200).count();
            let lost = answers.iter().filter(|answer| answer.status == 412).count();
            assert_eq!((won, lost), (1, 4), "{path}");
        }
    })
    .await;
}

/// Requests that change a circle or a conversation, in an order in which they succeed, with the resource whose state
/// each is held against.
fn held_against_another(agent: i64) -> Vec<(Method, &'static str, Value, &'static str)> {
    const TEAM: &str = "/v1/circles/team";
    const TALK: &str = "/v1/conversations/1";
    let operation = json!({"op": "update", "agent_id": agent, "role": "lead"});
    vec![
        (
            Method::POST,
            "/v1/circles/team/members",
            json!({"agent_id": agent}),
            TEAM,
        ),
        (
            Method::POST,
            "/v1/circles/team/members:batch",
            json!({"operations": [operation]}),
            TEAM,
        ),
        (
            Method::PUT,
            "/v1/circles/team/members",
            json!({"members": []}),
            TEAM,
        ),
        (Method::POST, "/v1/circles/team/start", Value::Null, TEAM),
        (Method::POST, "/v1/circles/team/stop", Value::Null, TEAM),
        (
            Method::POST,
            "/v1/conversations/1/participants",
            json!({"agent_id": agent}),
            TALK,
        ),
        (
            Method::POST,
            "/v1/conversations/1/messages",
            json!({"content": "hello"}),
            TALK,
        ),
    ]
}

#[tokio::test]
async fn a_change_of_a_part_is_held_against_the_state_of_the_whole() {
    on_both(async |app| {
        let agent = app.an_agent("a").await;
        app.a_circle("team").await;
        let conversation = json!({"topic": "t"});
        app.post("/v1/conversations", &conversation).await.created();
        for (method, path, body, whole) in held_against_another(agent) {
            let send = |tag: &str| {
                let request = app.request(method.clone(), path).header("if-match", tag);
                Answer::to(if body.is_null() {
                    request
                } else {
                    request.json(&body)
                })
            };
            let old = app.get(whole).await.header("etag").to_owned();
            let note = match whole {
                "/v1/circles/team" => json!({"description": path}),
                _ => json!({"summary": path}),
            };
            app.patch(whole, &note).await.ok();
            let tag = app.get(whole).await.header("etag").to_owned();
            send(&old).await.problem(412, "precondition_failed");
            assert_eq!(app.get(whole).await.header("etag"), tag, "{method} {path}");
            let answer = send(&tag).await;
            assert!(answer.status < 300, "{method} {path}: {}", answer.text);
        }
    })
    .await;
}

#[tokio::test]
async fn a_restoration_is_held_against_the_state_of_the_deleted_row() {
    on_both(async |app| {
        let agent = app.an_agent("a").await;
        app.a_circle("team").await;
        for path in [format!("/v1/agents/{agent}"), "/v1/circles/team".to_owned()] {
            let live = app.get(&path).await.header("etag").to_owned();
            app.delete(&path).await.no_content();
            let entry = app.get("/v1/audit?limit=1").await.ok()["data"][0].clone();
            let deleted = format!("\"{}-{}\"", entry["resource_id"], entry["revision"]);
            let restore = |tag: &str| {
                let path = format!("{path}/restore");
                Answer::to(app.request(Method::POST, &path).header("if-match", tag))
            };
            restore(&live).await.problem(412, "precondition_failed");
            app.get(&path).await.problem(404, "not_found");
            restore(&deleted).await.ok();
            restore(&deleted).await.problem(409, "not_deleted");
        }
    })
    .await;
}
