//! Parameters in the path and in the query.

use reqwest::Method;
use serde_json::json;

use super::{RESOURCES, refused};

#[tokio::test]
async fn a_parameter_of_the_wrong_type_is_refused() {
    refused(async |app| {
        for (path, expected) in [
            ("/v1/providers?is_local=yes", "query/is_local"),
            ("/v1/providers?count=1", "query/count"),
            ("/v1/models?provider_id=0", "query/provider_id"),
            ("/v1/models?provider_id=p", "query/provider_id"),
            ("/v1/models?is_deprecated=", "query/is_deprecated"),
            ("/v1/agents?status=asleep", "query/status"),
            ("/v1/agents?status=Idle", "query/status"),
            ("/v1/agents?model_id=9223372036854775808", "query/model_id"),
            ("/v1/agents?skill=", "query/skill"),
            ("/v1/agents?q", "query/q"),
            ("/v1/circles?status=", "query/status"),
            ("/v1/circles?count=TRUE", "query/count"),
            ("/v1/circles/x?include_inactive=0", "query/include_inactive"),
            ("/v1/circles/x/members?role=boss", "query/role"),
            ("/v1/agents/1/circles?limit=1e1", "query/limit"),
        ] {
            app.get(path).await.invalid(&[expected]);
        }
        let answer = app.delete("/v1/providers/1?cascade=yes").await;
        answer.invalid(&["query/cascade"]);
    })
    .await;
}

#[tokio::test]
async fn a_text_to_search_for_has_200_characters_at_most() {
    refused(async |app| {
        for (list, _) in &RESOURCES[..4] {
            app.get(&format!("{list}?q={}", "%C3%BC".repeat(200)))
                .await
                .ok();
            app.get(&format!("{list}?q={}", "%C3%BC".repeat(201)))
                .await
                .invalid(&["query/q"]);
        }
    })
    .await;
}

#[tokio::test]
async fn an_unknown_parameter_is_refused_beside_all_else_that_is_wrong() {
    refused(async |app| {
        let path = "/v1/agents?bogus=1&Limit=1&limit=0&model_id=x&%66oo=1&";
        app.get(path).await.invalid(&[
            "query/bogus",
            "query/Limit",
            "query/limit",
            "query/model_id",
            "query/foo",
        ]);
    })
    .await;
}

#[tokio::test]
async fn a_parameter_that_is_given_twice_is_refused() {
    refused(async |app| {
        for (path, expected) in [
            ("/v1/agents?limit=1&limit=1", "query/limit"),
            ("/v1/agents?q=a&skill=b&%71=c", "query/q"),
            (
                "/v1/circles?include=members&include=members",
                "query/include",
            ),
        ] {
            app.get(path).await.invalid(&[expected]);
        }
        let answer = app
            .delete("/v1/providers/1?cascade=true&cascade=true")
            .await;
        answer.invalid(&["query/cascade"]);
    })
    .await;
}

#[tokio::test]
async fn an_id_is_a_positive_64_bit_integer() {
    refused(async |app| {
        for id in [
            "0",
            "-1",
            "abc",
            "1.0",
            "9223372036854775808",
            "1%20",
            "%00",
        ] {
            for (path, expected) in [
                (format!("/v1/providers/{id}"), "path/id"),
                (format!("/v1/models/{id}"), "path/id"),
                (format!("/v1/agents/{id}"), "path/id"),
                (format!("/v1/circles/x/members/{id}"), "path/agent_id"),
            ] {
                app.get(&path).await.invalid(&[expected]);
                app.patch(&path, &json!({})).await.invalid(&[expected]);
                app.delete(&path).await.invalid(&[expected]);
            }
            let path = format!("/v1/agents/{id}/circles");
            app.get(&path).await.invalid(&["path/id"]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_nul_character_or_broken_text_in_a_path_is_refused() {
    refused(async |app| {
        for name in ["%00", "x%00", "%FF", "%C3"] {
            let circle = format!("/v1/circles/{name}");
            let body = json!({"agent_id": 1});
            app.get(&circle).await.invalid(&["path/circle_name"]);
            app.patch(&circle, &json!({}))
                .await
                .invalid(&["path/circle_name"]);
            app.delete(&circle).await.invalid(&["path/circle_name"]);
            for action in ["start", "stop"] {
                let path = format!("{circle}/{action}");
                let answer = app.send(Method::POST, &path, None).await;
                answer.invalid(&["path/circle_name"]);
            }
            let members = format!("{circle}/members");
            app.get(&members).await.invalid(&["path/circle_name"]);
            app.post(&members, &body)
                .await
                .invalid(&["path/circle_name"]);
            let member = format!("{members}/1");
            app.delete(&member).await.invalid(&["path/circle_name"]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_nul_character_in_the_query_is_refused() {
    refused(async |app| {
        for (list, _) in &RESOURCES[..4] {
            let path = format!("{list}?q=a%00b");
            app.get(&path).await.invalid(&["query/q"]);
        }
        for parameter in [
            "skill",
            "competency",
            "status",
            "model_id",
            "cursor",
            "limit",
        ] {
            let path = format!("/v1/agents?{parameter}=%00");
            let pointer = format!("query/{parameter}");
            app.get(&path).await.invalid(&[&pointer]);
        }
        app.get("/v1/models?mode=%00")
            .await
            .invalid(&["query/mode"]);
        app.get("/v1/agents?%00=1").await.invalid(&["query/\0"]);
    })
    .await;
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    refused(async |app| {
        for path in [
            "/v1/providers/17",
            "/v1/models/17",
            "/v1/agents/17",
            "/v1/agents/9223372036854775807",
            "/v1/circles/nobody",
            "/v1/circles/X",
            "/v1/circles/a%2Fb",
            "/v1/circles/%27%20OR%201=1",
            "/v1/circles/x/members/17",
            "/v1/circles/nobody/members/1",
        ] {
            app.get(path).await.problem(404, "not_found");
            app.patch(path, &json!({})).await.problem(404, "not_found");
            app.delete(path).await.problem(404, "not_found");
        }
        for path in ["/v1/agents/17/circles", "/v1/circles/nobody/members"] {
            app.get(path).await.problem(404, "not_found");
        }
        for path in ["/v1/circles/nobody/start", "/v1/circles/nobody/stop"] {
            let answer = app.send(Method::POST, path, None).await;
            answer.problem(404, "not_found");
        }
    })
    .await;
}
