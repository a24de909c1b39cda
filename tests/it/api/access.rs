//! Every operation, called with a key in every state that a key can be in.

use std::time::Duration;

use reqwest::{Method, header};
use serde_json::{Value, json};

use test_support::{
    Answer, Backend, TestApp, TestDatabase,
    binary::{self, Server},
    keys::TestKey,
    on_both, on_both_databases,
};

const SCOPES: [&str; 5] = ["read", "write", "publish", "admin", "handles"];

/// An operation of the description.
struct Operation {
    name: String,
    method: Method,
    path: String,
    takes_body: bool,
    /// The scope that it requires, or `any`; none if it is public.
    needs: Option<String>,
}

impl Operation {
    /// All operations, with paths to rows that do not exist.
    fn all(description: &Value) -> Vec<Self> {
        let paths = description["paths"].as_object().expect("paths");
        let items = paths.iter().map(|(path, item)| (path, item.as_object()));
        items
            .flat_map(|(path, item)| {
                let item = item.expect("an item").iter();
                item.map(move |(method, operation)| Self::new(path, method, operation))
            })
            .collect()
    }

    fn new(path: &str, method: &str, operation: &Value) -> Self {
        let segments = path.split('/').map(|segment| match segment {
            parameter if parameter.starts_with('{') => "999999",
            fixed => fixed,
        });
        let path = segments.collect::<Vec<_>>().join("/");
        let name = operation["operationId"].as_str().expect("an id").to_owned();
        let scope = operation["x-required-scope"].as_str().map(str::to_owned);
        let secured = operation["security"] == json!([{"bearer": []}]);
        assert!(secured || scope.is_none(), "{name}: a scope is a key's");
        let text = operation["description"].as_str().unwrap_or_default();
        if let Some(scope) = &scope {
            assert!(SCOPES.contains(&scope.as_str()), "{name}: {scope}");
            assert!(text.ends_with(&format!("Needs the scope `{scope}`.")));
        } else if secured {
            assert_eq!(name, "get_own_key");
            assert!(text.ends_with("Needs a key of any scope."));
        }
        let needs = scope.or_else(|| secured.then(|| "any".to_owned()));
        Self {
            name,
            method: method.to_uppercase().parse().expect("a method"),
            path,
            takes_body: operation.get("requestBody").is_some(),
            needs,
        }
    }

    /// The response to a request with this `Authorization`, or without it.
    async fn answer(&self, app: &TestApp, authorization: Option<&str>) -> Answer {
        let mut request = app.request(self.method.clone(), &self.path);
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        if self.takes_body {
            request = request.json(&json!({}));
        }
        Answer::to(request).await
    }
}

/// Whether a scope includes another, as docs/authentication.md says.
fn includes(scope: &str, needed: &str) -> bool {
    match scope {
        _ if needed == "any" => true,
        "admin" => true,
        "publish" => ["publish", "write", "read"].contains(&needed),
        "write" => needed == "write" || needed == "read",
        _ => scope == needed,
    }
}

fn refused(answer: Answer, status: u16, code: &str, challenge: &str, case: &str) {
    assert_eq!(answer.header("www-authenticate"), challenge, "{case}");
    let text = answer.text.clone();
    let problem = answer.problem(status, code);
    assert!(problem.get("errors").is_none(), "{case}: {text}");
}

/// A well-formed token of another service, for a key of the same id.
async fn a_stranger_s_token(key: &TestKey) -> String {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let app = TestApp::start(database.backend, database.settings()).await;
    let mut stranger = app.first_key().await;
    while stranger.id < key.id {
        let admin = stranger.clone();
        stranger = app.key_by(&admin, &["admin"]).await;
    }
    app.stop().await;
    database.remove().await;
    assert_eq!(stranger.id, key.id);
    assert_ne!(stranger.token, key.token);
    stranger.token
}

#[tokio::test]
async fn every_operation_asks_every_caller_for_exactly_the_scope_it_declares() {
    const CHALLENGE: &str = "Bearer realm=\"circle-registry\"";
    on_both(async |app| {
        let operations = Operation::all(&app.get("/openapi.json").await.ok());
        let public: Vec<&str> = operations
            .iter()
            .filter(|operation| operation.needs.is_none())
            .map(|operation| operation.name.as_str())
            .collect();
        assert_eq!(public, ["get_liveness", "get_readiness"]);

        let admin = app.first_key().await;
        let expired = app.key_by(&admin, &["admin"]).await;
        app.expire(&expired).await;
        let revoked = app.key_by(&admin, &["admin"]).await;
        let path = format!("/v1/keys/{}", revoked.id);
        let answer = app.ask(Method::DELETE, &path, None, &admin.token).await;
        answer.no_content();
        let stranger = a_stranger_s_token(&admin).await;
        let (start, last) = admin.token.split_at(admin.token.len() - 1);
        let mistyped = format!("{start}{}", if last == "0" { '1' } else { '0' });
        let not_good = [
            "Bearer".to_owned(),
            "Bearer nonsense".to_owned(),
            format!("Bearer {mistyped}"),
            format!("Bearer {stranger}"),
            format!("Bearer {}", expired.token),
            format!("Bearer {}", revoked.token),
            format!("bearer {}", revoked.token),
        ];
        let not_shown = [None, Some("Basic YTpi"), Some("Token abc")];
        let mut good = Vec::new();
        for scope in SCOPES {
            good.push((scope, app.key_by(&admin, &[scope]).await));
        }

        for operation in &operations {
            let name = &operation.name;
            let Some(needed) = operation.needs.as_deref() else {
                for authorization in [None, Some(not_good[3].as_str())] {
                    let answer = operation.answer(app, authorization).await;
                    assert_eq!(answer.status, 200, "{name} is public");
                }
                continue;
            };
            for authorization in not_shown {
                let case = format!("{name} with {authorization:?}");
                let answer = operation.answer(app, authorization).await;
                refused(answer, 401, "unauthenticated", CHALLENGE, &case);
            }
            let challenge = format!("{CHALLENGE}, error=\"invalid_token\"");
            for authorization in &not_good {
                let case = format!("{name} with {authorization}");
                let answer = operation.answer(app, Some(authorization)).await;
                refused(answer, 401, "unauthenticated", &challenge, &case);
            }
            let challenge =
                format!("{CHALLENGE}, error=\"insufficient_scope\", scope=\"{needed}\"");
            for (scope, key) in &good {
                let case = format!("{name} with the scope {scope}");
                let shown = format!("Bearer {}", key.token);
                let answer = operation.answer(app, Some(&shown)).await;
                if includes(scope, needed) {
                    assert!(
                        ![401, 403].contains(&answer.status),
                        "{case}: {}",
                        answer.text
                    );
                    assert_eq!(answer.header("www-authenticate"), "", "{case}");
                } else {
                    refused(answer, 403, "forbidden", &challenge, &case);
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn why_a_key_is_not_good_is_not_told() {
    on_both(async |app| {
        let admin = app.first_key().await;
        let expired = app.key_by(&admin, &["admin"]).await;
        app.expire(&expired).await;
        let mut told = Vec::new();
        for token in ["x", &expired.token, &a_stranger_s_token(&admin).await] {
            let answer = app.get_with("/v1/circles", token).await;
            let mut problem = answer.problem(401, "unauthenticated");
            problem["request_id"] = Value::Null;
            told.push(problem);
        }
        assert!(told.iter().all(|problem| *problem == told[0]), "{told:?}");
    })
    .await;
}

#[tokio::test]
async fn two_keys_in_one_request_are_none() {
    on_both(async |app| {
        let key = app.first_key().await;
        let request = app.request(Method::GET, "/v1/circles");
        let twice = request.bearer_auth(&key.token).bearer_auth(&key.token);
        Answer::to(twice).await.problem(401, "unauthenticated");
    })
    .await;
}

#[tokio::test]
async fn what_is_not_there_is_told_to_anyone() {
    on_both(async |app| {
        app.first_key().await;
        app.get("/v1/none").await.problem(404, "route_not_found");
        let answer = app.delete("/v1/circles").await;
        answer.problem(405, "method_not_allowed");
        for path in ["/docs", "/openapi.json", "/schemas/document.json"] {
            assert_eq!(app.get(path).await.status, 200, "{path}");
        }
    })
    .await;
}

#[tokio::test]
async fn who_may_not_is_told_so_before_anything_else_is_looked_at() {
    on_both(async |app| {
        let admin = app.first_key().await;
        let reader = app.key_by(&admin, &["read"]).await;
        for body in ["{", "{\"bogus\": 1}"] {
            let request = app.request(Method::POST, "/v1/circles");
            let request = request
                .header("content-type", "application/json")
                .body(body);
            Answer::to(request).await.problem(401, "unauthenticated");
            let request = app.request(Method::POST, "/v1/circles?bogus=1").body(body);
            let answer = Answer::to(request.bearer_auth(&reader.token)).await;
            answer.problem(403, "forbidden");
        }
        // The service reads a body that is too large and discards it, so that the response arrives.
        let large = vec![b' '; 3 << 20];
        let answer = app
            .post_text("/v1/circles", "application/json", large)
            .await;
        answer.problem(401, "unauthenticated");
    })
    .await;
}

#[tokio::test]
async fn a_key_costs_one_statement_and_a_mistyped_one_none() {
    on_both(async |app| {
        app.a_circle("team").await;
        let (_, without) = app.statements(app.get("/v1/circles/team")).await;
        let admin = app.first_key().await;
        app.use_is_recorded(&admin).await;
        for path in ["/v1/circles/team", "/v1/circles/team/handles"] {
            let ask = app.get_with(path, &admin.token);
            let (answer, with) = app.statements(ask).await;
            answer.ok();
            assert_eq!(with, without + 1, "{path}");
        }
        let mistyped = admin.token.replace("crk_1", "crk_2");
        for token in ["", "x", &mistyped] {
            let (answer, with) = app
                .statements(app.get_with("/v1/circles/team", token))
                .await;
            answer.problem(401, "unauthenticated");
            assert_eq!(with, 0, "{token}");
        }
    })
    .await;
}

#[tokio::test]
async fn statistics_are_open_until_keys_are_in_use_and_then_take_the_scope_read() {
    on_both_databases(async |database| {
        let server = Server::start_ready(&database.url, &[]).await;
        let ask = async |path: &str, token: Option<&str>| {
            let request = server.client().get(server.url(path));
            let request = match token {
                Some(token) => request.bearer_auth(token),
                None => request,
            };
            Answer::to(request).await
        };
        let paths = ["/v1/pool", "/v1/cache", "/metrics"];
        for path in paths {
            assert_eq!(ask(path, None).await.status, 200);
        }
        let create = |scope: &str| {
            let arguments = ["keys", "create", "--name", "k", "--scope", scope];
            binary::output_of(&[&arguments, &["--database-url", &database.url][..]].concat())
        };
        let (reading, handles) = (create("read"), create("handles"));
        tokio::time::sleep(Duration::from_millis(1100)).await;
        for path in paths {
            ask(path, None).await.problem(401, "unauthenticated");
            ask(path, Some(handles.trim()))
                .await
                .problem(403, "forbidden");
            assert_eq!(ask(path, Some(reading.trim())).await.status, 200);
        }
        for path in ["/livez", "/readyz"] {
            ask(path, None).await.ok();
        }
        drop(server);
        // A service that starts with keys in use knows them from its first request on.
        let server = Server::start_ready(&database.url, &[]).await;
        server.get("/v1/pool").await.problem(401, "unauthenticated");
    })
    .await;
}
