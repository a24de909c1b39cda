//! Rules that hold for the requests of every operation.

use reqwest::Method;
use serde_json::{Value, json};

use super::{pointers, refused};
use test_support::{Answer, TestApp};

/// Every operation of `/openapi.json`: its method, its path with the parameters filled in, and its
/// description.
pub(super) async fn operations(app: &TestApp) -> Vec<(Method, String, Value)> {
    let description = app.get("/openapi.json").await.ok();
    let mut operations = Vec::new();
    for (path, item) in description["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let (mut path, mut operation) = (path.clone(), operation.clone());
            let declared = operation
                .get_mut("parameters")
                .and_then(Value::as_array_mut);
            for parameter in declared.into_iter().flatten() {
                let reference = parameter["$ref"]
                    .as_str()
                    .map(|it| it.trim_start_matches('#'));
                if let Some(component) = reference.and_then(|it| description.pointer(it)) {
                    *parameter = component.clone();
                }
            }
            for parameter in parameters(&operation, "path") {
                let name = parameter["name"].as_str().expect("a name");
                let value = if is_integer(parameter) { "1" } else { "x" };
                path = path.replace(&format!("{{{name}}}"), value);
            }
            let method = method.to_uppercase().parse().expect("a method");
            operations.push((method, path, operation));
        }
    }
    assert!(operations.len() > 25, "{}", operations.len());
    operations
}

fn parameters<'o>(operation: &'o Value, place: &str) -> Vec<&'o Value> {
    let all = operation["parameters"].as_array().into_iter().flatten();
    all.filter(|parameter| parameter["in"] == place).collect()
}

fn is_integer(parameter: &Value) -> bool {
    parameter["schema"]["type"] == "integer"
}

/// The response of an operation to this query and, if it takes one, this body.
async fn ask(
    app: &TestApp,
    (method, path, operation): &(Method, String, Value),
    query: &str,
    body: &Value,
) -> Answer {
    let takes_body = operation.get("requestBody").is_some();
    let path = format!("{path}?{query}");
    app.send(method.clone(), &path, takes_body.then_some(body))
        .await
}

#[tokio::test]
async fn an_unknown_query_parameter_is_refused_everywhere() {
    refused(async |app| {
        for operation in operations(app).await {
            let answer = ask(app, &operation, "bogus=1", &json!({})).await;
            let found = pointers(answer, 422, "invalid_request");
            assert!(found.contains(&"query/bogus".to_owned()), "{operation:?}");
        }
        for path in ["/openapi.json?bogus=1", "/docs?bogus=1"] {
            app.get(path).await.invalid(&["query/bogus"]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_repeated_query_parameter_is_refused_everywhere() {
    refused(async |app| {
        for operation in operations(app).await {
            for parameter in parameters(&operation.2, "query") {
                let name = parameter["name"].as_str().expect("a name");
                let twice = format!("{name}=1&{name}=1");
                let answer = ask(app, &operation, &twice, &json!({})).await;
                let problem = answer.problem(422, "invalid_request");
                let errors = problem["errors"].as_array().expect("errors");
                let repeated = json!({
                    "pointer": format!("query/{name}"), "detail": "is given more than once"
                });
                assert!(errors.contains(&repeated), "{operation:?}: {problem}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn an_unknown_field_is_refused_everywhere() {
    refused(async |app| {
        let mut asked = 0;
        for operation in operations(app).await {
            if operation.2.get("requestBody").is_some() {
                let answer = ask(app, &operation, "", &json!({"bogus": 1})).await;
                let found = pointers(answer, 422, "invalid_request");
                assert!(found.contains(&"#/bogus".to_owned()), "{operation:?}");
                asked += 1;
            }
        }
        assert!(asked >= 14, "{asked} operations take a body");
    })
    .await;
}
