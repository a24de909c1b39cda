//! Free JSON: kept as the text that was sent, on both databases.

use reqwest::Method;
use serde_json::json;

use test_support::{Answer, TestApp, factories::id, on_both};

/// Objects that a parser with binary numbers or sorted members would change.
const OBJECTS: [&str; 9] = [
    r#"{"zeta":1,"alpha":2,"b":{"z":1,"a":2}}"#,
    r#"{"n":[1e17,1E+17,1.0,1.50,0.1e1,-0,-0.0,0,100000000000000000]}"#,
    r#"{"n":[12345678901234567890123,-9223372036854775809,18446744073709551615,18446744073709551616]}"#,
    r#"{"n":[0.1000000000000000055511151231257827,1e-400,123456789.123456789123456789,5e-324]}"#,
    r#"{"s":["\u00e9","é","\/","\u001b","\ud83e\udd80",""],"":null,"\"":true}"#,
    r#"{"aa":1,"b":2,"B":3,"10":4,"9":5,"ä":6}"#,
    r#"{ "spaced" : [ 1 , 2 ] }"#,
    r#"{"$serde_json::private::Number":"12","$serde_json::private::RawValue":"x"}"#,
    "{}",
];

async fn send(app: &TestApp, method: Method, path: &str, body: String) -> Answer {
    let request = app.request(method, path);
    Answer::to(
        request
            .header("content-type", "application/json")
            .body(body),
    )
    .await
}

/// Checks that the response holds the field with exactly this text.
#[track_caller]
fn holds(answer: &Answer, field: &str, text: &str) {
    assert!((200..300).contains(&answer.status), "{}", answer.text);
    let expected = format!(r#""{field}":{text}"#);
    assert!(
        answer.text.contains(&expected),
        "{expected} is not in {}",
        answer.text
    );
}

#[tokio::test]
async fn free_objects_come_back_as_they_were_sent() {
    on_both(async |app| {
        let agent = app.an_agent("a").await;
        app.a_circle("team").await;
        app.a_member("team", agent).await;
        let provider = app.a_provider("p").await;
        let member = format!("/v1/circles/team/members/{agent}");
        for text in OBJECTS {
            for (path, field) in [
                (format!("/v1/agents/{agent}"), "metadata"),
                ("/v1/circles/team".to_owned(), "settings"),
                (format!("/v1/providers/{provider}"), "config"),
                (member.clone(), "permissions"),
            ] {
                let body = format!(r#"{{ "{field}" : {text} }}"#);
                let answer = send(app, Method::PATCH, &path, body).await;
                holds(&answer, field, text);
                if path != member {
                    holds(&app.get(&path).await, field, text);
                }
            }
            for path in [
                "/v1/circles/team",
                "/v1/circles?include=members",
                "/v1/circles/team/handles",
            ] {
                holds(&app.get(path).await, "permissions", text);
            }
            holds(&app.get("/v1/agents").await, "metadata", text);
            holds(&app.get("/v1/circles").await, "settings", text);
            holds(&app.get("/v1/providers").await, "config", text);
        }
    })
    .await;
}

#[tokio::test]
async fn free_objects_of_creates_and_bulk_changes_come_back_as_they_were_sent() {
    on_both(async |app| {
        let agent = app.an_agent("a").await;
        let topic = app.post("/v1/conversations", &json!({"topic": "t"})).await.created();
        let messages = format!("/v1/conversations/{}/messages", id(&topic));
        for (index, text) in OBJECTS.into_iter().enumerate() {
            let post = async |path: &str, body: String| send(app, Method::POST, path, body).await;
            let body = format!(r#"{{"name":"a","metadata":{text}}}"#);
            holds(&post("/v1/agents", body).await, "metadata", text);
            let body = format!(r#"{{"name":"c{index}","settings":{text}}}"#);
            holds(&post("/v1/circles", body).await, "settings", text);
            let body = format!(r#"{{"name":"p{index}","api_type":"x","config":{text}}}"#);
            holds(&post("/v1/providers", body).await, "config", text);

            let members = format!("/v1/circles/c{index}/members");
            let body = format!(r#"{{"agent_id":{agent},"permissions":{text}}}"#);
            holds(&post(&members, body).await, "permissions", text);
            let body = format!(
                r#"{{"operations":[{{"op":"update","agent_id":{agent},"permissions":{text},"temperature":null}}]}}"#
            );
            holds(&post(&format!("{members}:batch"), body).await, "permissions", text);
            let body = format!(r#"{{"members":[{{"agent_id":{agent},"permissions":{text}}}]}}"#);
            assert_eq!(send(app, Method::PUT, &members, body).await.status, 200);
            holds(&app.get(&members).await, "permissions", text);

            let body = format!(r#"{{"content":"x","tool_calls":[{text}, {{"second":{text}}}]}}"#);
            let said = post(&messages, body).await;
            holds(&said, "tool_calls", &format!(r#"[{text},{{"second":{text}}}]"#));
            let read = app.get(said.header("location")).await;
            assert_eq!(read.text, said.text);
        }
    })
    .await;
}

#[tokio::test]
async fn what_can_t_be_kept_is_refused() {
    on_both(async |app| {
        let post = async |metadata: &str| {
            let body = format!(r#"{{"name":"a","metadata":{metadata}}}"#);
            send(app, Method::POST, "/v1/agents", body).await
        };
        for (metadata, status, code) in [
            (r#"{"a":1,"a":2}"#, 400, "duplicate_key"),
            (r#"{"a":{"b":1,"\u0062":2}}"#, 400, "duplicate_key"),
            (r#"{"a":"\u0000"}"#, 422, "invalid_request"),
            (r#"{"a":1e400}"#, 400, "malformed_json"),
            (r#"{"a":"\ud800"}"#, 400, "malformed_json"),
            (r#"{"a":01}"#, 400, "malformed_json"),
            (r#""{}""#, 422, "invalid_request"),
            ("[]", 422, "invalid_request"),
        ] {
            post(metadata).await.problem(status, code);
        }
        let deep = |depth: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        let text = deep(120);
        holds(&post(&text).await, "metadata", &text);
        post(&deep(127)).await.problem(400, "malformed_json");
    })
    .await;
}
