//! `/v1/mcp-servers`, and the tools of agents that name servers.

use serde_json::{Value, json};

use test_support::{
    TestApp,
    factories::{assert_holds, id, timestamp},
    on_both,
};

use super::handles::post;

fn github() -> Value {
    json!({
        "name": "github", "display_name": "GitHub", "description": "Issues and code.",
        "transport": "streamable_http", "url": "https://mcp.example/github",
        "headers": {"Authorization": "Bearer ${GITHUB_TOKEN}", "X-Org": "${ORG}"}
    })
}

fn files() -> Value {
    json!({
        "name": "files", "transport": "stdio", "command": "npx",
        "args": ["-y", "@modelcontextprotocol/server-filesystem", "/srv"],
        "env": {"LOG_LEVEL": "${LOG_LEVEL}"}
    })
}

/// A server with this name, and its id.
pub(super) async fn a_server(app: &TestApp, name: &str) -> i64 {
    let body = json!({"name": name, "transport": "sse", "url": "https://mcp.example/sse"});
    post(app, "/v1/mcp-servers", body).await
}

#[tokio::test]
async fn an_mcp_server_is_created_read_updated_and_deleted() {
    on_both(async |app| {
        for new in [github(), files()] {
            let answer = app.post("/v1/mcp-servers", &new).await;
            let location = answer.header("location").to_owned();
            let created = answer.created();
            assert_eq!(location, format!("/v1/mcp-servers/{}", created["id"]));
            assert_holds(&created, &new);
            assert_eq!(app.get(&location).await.ok(), created);

            let patch = json!({"name": format!("{}-2", new["name"].as_str().expect("a name")), "display_name": null});
            let updated = app.patch(&location, &patch).await.ok();
            assert_holds(&updated, &patch);
            assert_eq!(updated["transport"], created["transport"]);
            assert!(timestamp(&updated["updated_at"]) > timestamp(&created["updated_at"]));
            assert_eq!(app.patch(&location, &json!({})).await.ok(), updated);

            app.delete(&location).await.no_content();
            app.get(&location).await.problem(404, "not_found");
            app.delete(&location).await.problem(404, "not_found");
            app.patch(&location, &patch).await.problem(404, "not_found");
            app.get(&format!("{location}/agents")).await.problem(404, "not_found");
        }
        let (a, b) = (a_server(app, "a").await, a_server(app, "b").await);
        assert_eq!(app.listed("/v1/mcp-servers?sort=-name", "id").await, [b, a]);
        assert_eq!(app.listed("/v1/mcp-servers?q=B", "id").await, [b]);
        assert_eq!(app.total("/v1/mcp-servers?transport=stdio").await, 0);
        let taken = json!({"name": "a", "transport": "stdio", "command": "a"});
        let problem = app.post("/v1/mcp-servers", &taken).await;
        problem.problem(409, "mcp_server_name_taken");
        let path = format!("/v1/mcp-servers/{b}");
        let problem = app.patch(&path, &json!({"name": "a"})).await;
        problem.problem(409, "mcp_server_name_taken");
    })
    .await;
}

#[tokio::test]
async fn a_server_has_the_fields_of_its_transport_and_no_others() {
    on_both(async |app| {
        let stdio = json!({"name": "s", "transport": "stdio"});
        let with = |base: &Value, fields: Value| {
            let mut body = base.clone();
            let fields = fields.as_object().expect("fields").clone();
            body.as_object_mut().expect("a body").extend(fields);
            body
        };
        let command = with(&stdio, json!({"command": "mcp"}));
        let http =
            json!({"name": "s", "transport": "streamable_http", "url": "https://mcp.example"});
        for (body, pointers) in [
            (stdio.clone(), &["#/command"][..]),
            (
                with(&command, json!({"url": "https://mcp.example"})),
                &["#/url"],
            ),
            (
                with(&command, json!({"headers": {"X": "${Y}"}})),
                &["#/headers"],
            ),
            (with(&http, json!({"url": null})), &["#/url"]),
            (
                with(
                    &http,
                    json!({"command": "mcp", "args": ["x"], "env": {"A": "B"}}),
                ),
                &["#/args", "#/command", "#/env"],
            ),
            (
                with(&http, json!({"url": "https://me@mcp.example"})),
                &["#/url"],
            ),
            (with(&http, json!({"url": "ftp://mcp.example"})), &["#/url"]),
            (
                with(&http, json!({"headers": {"X Y": "${Y}"}})),
                &["#/headers"],
            ),
            (
                with(&command, json!({"env": {"A-B": "${Y}", "": "${Z}"}})),
                &["#/env"],
            ),
            (
                with(&http, json!({"transport": "websocket"})),
                &["#/transport"],
            ),
        ] {
            app.post("/v1/mcp-servers", &body).await.invalid(pointers);
        }
        let path = format!(
            "/v1/mcp-servers/{}",
            post(app, "/v1/mcp-servers", http).await
        );
        let moved = json!({"transport": "stdio", "command": "mcp"});
        app.patch(&path, &moved).await.invalid(&["#/url"]);
        let moved = with(&moved, json!({"url": null}));
        assert_holds(&app.patch(&path, &moved).await.ok(), &moved);
    })
    .await;
}

#[tokio::test]
async fn values_of_variables_are_never_stored_only_their_names() {
    on_both(async |app| {
        for (field, value) in [
            ("env", "debug level 3"),
            ("env", "${A}${B}"),
            ("env", "${A"),
            ("env", "$A"),
            ("headers", "Bearer abcdef0123456789"),
            ("headers", "Bearer ${TOKEN} x"),
            ("headers", "8f3a61c02b7de945"),
        ] {
            let mut body = if field == "env" { files() } else { github() };
            body[field] = json!({"NAME": value});
            let answer = app.post("/v1/mcp-servers", &body).await;
            answer.invalid(&[&*format!("#/{field}/NAME")]);
        }
        let mut body = github();
        body["headers"] = json!({"Authorization": "GITHUB_TOKEN", "X-Key": "Token ${KEY}"});
        let created = app.post("/v1/mcp-servers", &body).await.created();
        let stored = json!({"Authorization": "${GITHUB_TOKEN}", "X-Key": "Token ${KEY}"});
        assert_eq!(created["headers"], stored);
        let path = format!("/v1/mcp-servers/{}", created["id"]);
        let patch = json!({"headers": body["headers"]});
        assert_eq!(app.patch(&path, &patch).await.ok(), created, "no change");
        let argument = json!({"name": "x", "transport": "stdio", "command": "x", "args": ["--api-key", "8f3a61c02b7de945f"]});
        app.post("/v1/mcp-servers", &argument).await.invalid(&["#/args/1"]);
    })
    .await;
}

fn uses(server: &str) -> Value {
    json!([
        {"type": "function", "name": "f", "parameters": {"server": server, "n": 1e17}},
        {"type": "mcp", "server": server, "allow": ["read"]}
    ])
}

#[tokio::test]
async fn a_renamed_server_has_its_new_name_in_every_agent_that_uses_it() {
    on_both(async |app| {
        let server = a_server(app, "old").await;
        a_server(app, "other").await;
        let mut agents = Vec::new();
        for name in ["a", "b", "deleted"] {
            let body = json!({"name": name, "tools": uses("old")});
            agents.push(id(&app.post("/v1/agents", &body).await.created()));
        }
        app.a_circle("team").await;
        app.a_member("team", agents[2]).await;
        let other = json!({"name": "c", "tools": [{"type": "mcp", "server": "other"}]});
        let other = app.post("/v1/agents", &other).await.created();
        app.delete(&format!("/v1/agents/{}", agents[2]))
            .await
            .no_content();
        let path = format!("/v1/agents/{}", agents[0]);
        let tag = app.get(&path).await.header("etag").to_owned();

        let server_path = format!("/v1/mcp-servers/{server}");
        app.patch(&server_path, &json!({"name": "new"})).await.ok();
        let mut renamed = uses("old");
        renamed[1]["server"] = "new".into();
        let after = app.get(&path).await;
        assert_ne!(after.header("etag"), tag);
        assert_eq!(after.ok()["tools"], renamed, "and only the server");
        let entry = &app.get("/v1/audit?limit=1").await.ok()["data"][0];
        assert_eq!(
            (&entry["resource"], &entry["action"], &entry["fields"]),
            (&json!("agent"), &json!("update"), &json!(["tools"]))
        );
        let restored = app
            .post(
                &format!("/v1/agents/{}/restore?memberships=true", agents[2]),
                &json!({}),
            )
            .await
            .ok();
        assert_eq!(restored["tools"], renamed);
        assert_eq!(app.total("/v1/circles/team/members").await, 1);
        let same = app.get(&format!("/v1/agents/{}", other["id"])).await.ok();
        assert_eq!(same, other);

        assert_eq!(
            app.listed(&format!("{server_path}/agents"), "id").await,
            agents
        );
        let listed = app
            .listed(&format!("/v1/agents?mcp_server_id={server}"), "id")
            .await;
        assert_eq!(listed, agents);
    })
    .await;
}

#[tokio::test]
async fn a_server_goes_when_no_agent_uses_it_and_restored_agents_go_without_it() {
    on_both(async |app| {
        let server = a_server(app, "github").await;
        let path = format!("/v1/mcp-servers/{server}");
        let agent = json!({"name": "Ada", "tools": uses("github")});
        let agent = app.post("/v1/agents", &agent).await.created();
        let agent_path = format!("/v1/agents/{}", agent["id"]);
        let problem = app.delete(&path).await.problem(409, "mcp_server_in_use");
        assert!(
            problem["detail"]
                .as_str()
                .expect("a detail")
                .contains("Ada")
        );

        app.delete(&agent_path).await.no_content();
        app.delete(&path).await.no_content();
        let restored = app
            .post(&format!("{agent_path}/restore"), &json!({}))
            .await
            .ok();
        assert_eq!(restored["tools"], json!([uses("github")[0]]));
        app.get(&format!("{agent_path}/handle")).await.ok();

        let server = a_server(app, "github").await;
        app.patch(&agent_path, &json!({"tools": uses("github")}))
            .await
            .ok();
        let path = format!("/v1/mcp-servers/{server}");
        app.delete(&path).await.problem(409, "mcp_server_in_use");
        app.patch(&agent_path, &json!({"tools": []})).await.ok();
        app.delete(&path).await.no_content();
    })
    .await;
}

/// Renames a server while agents begin to use it, stop and are renamed.
#[tokio::test]
async fn agents_name_a_server_as_it_is_called_whatever_happens_at_once() {
    on_both(async |app| {
        let server = a_server(app, "server-0").await;
        let mut agents = Vec::new();
        for number in 0..4 {
            let body = json!({"name": format!("agent {number}"), "tools": uses("server-0")});
            agents.push(post(app, "/v1/agents", body).await);
        }
        let rename = async {
            for number in 1..=12 {
                let body = json!({"name": format!("server-{number}")});
                app.patch(&format!("/v1/mcp-servers/{server}"), &body)
                    .await
                    .ok();
            }
        };
        let change = async |agent: i64| {
            for number in 0..12 {
                let path = format!("/v1/agents/{agent}");
                let tools = match number % 3 {
                    0 => json!([]),
                    // Refused if the server has another name by then.
                    _ => uses(&format!("server-{number}")),
                };
                let answer = app.patch(&path, &json!({"tools": tools})).await;
                assert!(matches!(answer.status, 200 | 422), "{}", answer.text);
            }
        };
        futures_util::join!(
            rename,
            futures_util::future::join_all(agents.iter().map(|agent| change(*agent)))
        );
        for agent in &agents {
            let path = format!("/v1/agents/{agent}");
            let tools = app.get(&path).await.ok()["tools"].clone();
            let used = tools.as_array().is_some_and(|tools| tools.len() == 2);
            assert!(!used || tools[1]["server"] == "server-12", "{tools}");
            let listed = format!("/v1/mcp-servers/{server}/agents");
            let listed = app.listed(&listed, "id").await;
            assert_eq!(listed.contains(&json!(agent)), used);
            app.get(&format!("{path}/handle")).await.ok();
        }
    })
    .await;
}
