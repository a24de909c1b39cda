//! Protected labels, with keys of several scopes.

use reqwest::Method;
use serde_json::{Value, json};

use super::{RELEASES, a_team, publish};
use test_support::{Answer, TestApp, keys::TestKey, on_both};

const CIRCLE: &str = "/v1/circles/team";
const PRODUCTION: &str = "/v1/circles/team/labels/production";
const STAGING: &str = "/v1/circles/team/labels/staging";

struct Keys {
    write: TestKey,
    publish: TestKey,
}

/// A circle that protects `production`, with a release that both labels point to.
async fn a_protected_team(app: &TestApp) -> Keys {
    a_team(app).await;
    let protect = json!({"protected_labels": ["production"]});
    app.patch(CIRCLE, &protect).await.ok();
    publish(app, json!({"labels": ["production", "staging"]})).await;
    app.patch(CIRCLE, &json!({"description": "Another."}))
        .await
        .ok();
    let admin = app.first_key().await;
    Keys {
        write: app.key_by(&admin, &["write"]).await,
        publish: app.key_by(&admin, &["publish"]).await,
    }
}

#[tokio::test]
async fn what_concerns_protected_labels_takes_the_scope_publish() {
    on_both(async |app| {
        let Keys { write, publish } = a_protected_team(app).await;
        let requests: [(Method, &str, Option<Value>); 8] = [
            (
                Method::POST,
                RELEASES,
                Some(json!({"labels": ["staging", "production"]})),
            ),
            (Method::PUT, PRODUCTION, Some(json!({"release": 1}))),
            (Method::DELETE, PRODUCTION, None),
            (Method::PUT, PRODUCTION, Some(json!({"release": 2}))),
            (
                Method::PATCH,
                CIRCLE,
                Some(json!({"protected_labels": ["production", "beta"]})),
            ),
            (Method::PATCH, CIRCLE, Some(json!({"name": "renamed"}))),
            (
                Method::POST,
                "/v1/circles",
                Some(json!({"name": "new", "protected_labels": ["a"]})),
            ),
            (Method::DELETE, "/v1/circles/renamed", None),
        ];
        for (method, path, body) in requests {
            let case = format!("{method} {path} {body:?}");
            let ask = |key: &TestKey| {
                let mut request = app.request(method.clone(), path).bearer_auth(&key.token);
                if let Some(body) = &body {
                    request = request.json(body);
                }
                Answer::to(request)
            };
            let refused = ask(&write).await;
            let challenge =
                r#"Bearer realm="circle-registry", error="insufficient_scope", scope="publish""#;
            assert_eq!(refused.header("www-authenticate"), challenge, "{case}");
            refused.problem(403, "forbidden");
            let answer = ask(&publish).await;
            assert!(answer.status < 300, "{case}: {}", answer.text);
        }
    })
    .await;
}

#[tokio::test]
async fn a_refused_publication_leaves_nothing() {
    on_both(async |app| {
        let Keys { write, publish } = a_protected_team(app).await;
        let labels = json!({"labels": ["beta", "production"]});
        let refused = app.ask(Method::POST, RELEASES, Some(&labels), &write.token);
        refused.await.problem(403, "forbidden");
        let list = app.get_with(RELEASES, &publish.token).await.ok();
        assert_eq!(list["data"].as_array().map(Vec::len), Some(1));
        let beta = app.get_with("/v1/circles/team/labels/beta", &publish.token);
        beta.await.problem(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn what_protects_nothing_takes_no_more_than_write() {
    on_both(async |app| {
        let Keys { write, .. } = a_protected_team(app).await;
        let none = json!({"name": "new", "protected_labels": []});
        for (method, path, body) in [
            (Method::POST, RELEASES, Some(json!({"labels": ["staging"]}))),
            (Method::PUT, STAGING, Some(json!({"release": 1}))),
            // No change.
            (Method::PUT, PRODUCTION, Some(json!({"release": 1}))),
            (
                Method::PATCH,
                CIRCLE,
                Some(json!({"protected_labels": ["production"], "name": "team"})),
            ),
            (
                Method::PATCH,
                CIRCLE,
                Some(json!({"description": "Its own."})),
            ),
            (Method::POST, "/v1/circles", Some(none)),
            (
                Method::PATCH,
                "/v1/circles/new",
                Some(json!({"name": "newer"})),
            ),
            (Method::DELETE, "/v1/circles/newer", None),
            (Method::DELETE, STAGING, None),
        ] {
            let answer = app.ask(method, path, body.as_ref(), &write.token).await;
            assert!(answer.status < 300, "{path}: {}", answer.text);
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_protected_is_named_as_labels_are() {
    on_both(async |app| {
        app.a_circle("team").await;
        for (list, place) in [
            (json!(["Production "]), "#/protected_labels/0"),
            (json!(["a", "live"]), "#/protected_labels/1"),
        ] {
            let body = json!({"protected_labels": list});
            app.patch(CIRCLE, &body).await.invalid(&[place]);
            let body = json!({"name": "new", "protected_labels": list});
            app.post("/v1/circles", &body).await.invalid(&[place]);
        }
    })
    .await;
}
