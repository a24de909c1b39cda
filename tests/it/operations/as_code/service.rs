//! The documents' commands on a service, over HTTP.

use std::process::Output;

use serde_json::{Value, json};

use super::{Files, a_registry, output_of, rows_of_all_tables, run};
use test_support::{
    Answer, TestApp, TestDatabase,
    binary::{self, Server},
    on_both, on_both_databases,
};

/// A key of the database with a scope.
fn key(database: &TestDatabase, scope: &str) -> String {
    let create = ["keys", "create", "--name", scope, "--scope", scope];
    output_of(&database.url, &create).trim().to_owned()
}

/// Runs a command on the service at the address, with a key.
fn run_on(address: &str, key: &str, command: &[&str]) -> Output {
    let mut program = binary::command(&[command, &["--server", address]].concat());
    binary::finish(program.env("CIRCLE_REGISTRY_API_KEY", key))
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

#[tokio::test]
async fn a_service_exports_plans_and_applies_as_its_database_does() {
    on_both_databases(async |database| {
        let app = TestApp::start(database.backend, database.settings()).await;
        a_registry(&app).await;
        app.stop().await;
        let admin = key(database, "admin");
        let server = Server::start_ready(&database.url, &[]).await;
        let on = |command: &[&str]| run_on(&server.url("/"), &admin, command);
        for export in [
            vec!["export", "--circle", "review"],
            vec![
                "export", "--circle", "review", "--circle", "empty", "--format", "json",
            ],
            vec!["export", "--owner", "platform"],
        ] {
            let output = on(&export);
            assert_eq!(text(&output.stderr), "");
            assert_eq!(text(&output.stdout), output_of(&database.url, &export));
        }

        let document = output_of(&database.url, &["export", "--circle", "review"]);
        let files = Files::new();
        let edited = document.replacen("max_members: 5\n", "max_members: 6\n", 1);
        assert_ne!(edited, document);
        let file = files.write("team.yaml", &edited);
        let before = rows_of_all_tables(database).await;
        let plan = ["plan", &file, "--exit-code"];
        let (by_service, by_database) = (on(&plan), run(&database.url, &plan));
        assert_eq!(by_service.status.code(), Some(2));
        assert_eq!(text(&by_service.stdout), text(&by_database.stdout));
        let json = on(&["plan", &file, "--format", "json"]);
        let json: Value = serde_json::from_slice(&json.stdout).expect("JSON");
        assert_eq!(json["changes"][0]["fields"][0]["after"], 6);
        assert_eq!(rows_of_all_tables(database).await, before);

        let refused = on(&["apply", &file, "--yes", "--digest", &"0".repeat(64)]);
        assert!(
            text(&refused.stderr).contains("plan again. (409 plan_changed)"),
            "{}",
            text(&refused.stderr)
        );
        assert_eq!(rows_of_all_tables(database).await, before);
        let applied = on(&["apply", &file, "--yes", "--message", "more room"]);
        assert_eq!(applied.status.code(), Some(0), "{}", text(&applied.stderr));
        let said = text(&applied.stdout);
        let (_, id) = said
            .split_once("applied, as request ")
            .expect("the request");
        let id = id.split(' ').next().unwrap_or_default();
        let path = server.url("/v1/audit?limit=1");
        let entries = Answer::to(server.client().get(path).bearer_auth(&admin))
            .await
            .ok();
        assert_eq!(
            (
                &entries["data"][0]["request_id"],
                &entries["data"][0]["name"]
            ),
            (&json!(id), &json!("review"))
        );
        assert_eq!(on(&["plan", &file, "--exit-code"]).status.code(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn what_a_service_refuses_is_said_with_its_place() {
    on_both_databases(async |database| {
        let [admin, reader] = ["admin", "read"].map(|scope| key(database, scope));
        let server = Server::start_ready(&database.url, &[]).await;
        let files = Files::new();
        let file = files.write(
            "team.yaml",
            "kind: CircleRegistry\nversion: 1\nagents:\n  - name: Ada\n    model: acme/none\n",
        );
        let said = |address: &str, key: &str, command: &[&str]| {
            let output = run_on(address, key, command);
            assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
            files.named_in(&output.stderr)
        };
        let url = server.url("");
        let refused = said(&url, &admin, &["plan", &file]);
        assert!(
            refused.contains("team.yaml:5: agents[0].model:"),
            "{refused}"
        );

        let file = files.write(
            "fine.yaml",
            "kind: CircleRegistry\nversion: 1\nagents:\n  - name: Ada\n",
        );
        let apply = ["apply", &file, "--yes"];
        let refused = run_on(&url, &reader, &apply);
        assert!(
            text(&refused.stderr).contains("(403 forbidden)"),
            "{}",
            text(&refused.stderr)
        );
        let refused = said(&url, "crk_wrong", &["plan", &file]);
        assert!(refused.contains("(401 unauthenticated)"), "{refused}");
        assert!(!refused.contains("crk_wrong"), "{refused}");
        let refused = said(&url, &admin, &["export", "--circle", "nowhere"]);
        assert!(
            refused.contains("There is no circle nowhere. (404 not_found)"),
            "{refused}"
        );
        let refused = said(&server.url("/docs#"), &admin, &["plan", &file]);
        assert!(refused.contains("(404 route_not_found)"), "{refused}");
        let refused = said("http://127.0.0.1:1", &admin, &["plan", &file]);
        assert!(refused.contains("can't be reached"), "{refused}");
        let refused = said("ftp://127.0.0.1", &admin, &["plan", &file]);
        assert!(refused.contains("--server must be an address"), "{refused}");
        drop(server);
    })
    .await;
}

#[tokio::test]
async fn an_export_over_http_takes_the_same_statements_for_any_number_of_members() {
    const EXPORT: &str = "/v1/documents/export?circles=team";
    on_both(async |app| {
        app.a_circle("team").await;
        let mut statements = Vec::new();
        for count in [1, 30] {
            for number in 0..count {
                let agent = app.an_agent(&format!("a{count}-{number}")).await;
                app.a_member("team", agent).await;
            }
            let (document, counted) = app.statements(app.get(EXPORT)).await;
            let document = document.ok();
            assert_eq!(document["kind"], "CircleRegistry");
            statements.push(counted);
        }
        assert_eq!(statements, [6, 6], "each of them once");
        app.get("/v1/documents/export?circles=team,none")
            .await
            .problem(404, "not_found");
        app.get("/v1/documents/export?circles=,")
            .await
            .invalid(&["query/circles"]);
        app.an_agent("a1-0").await;
        app.get("/v1/documents/export")
            .await
            .problem(409, "agent_name_ambiguous");
    })
    .await;
}
