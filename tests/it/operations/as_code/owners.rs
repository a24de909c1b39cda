//! Owners: what a document may delete, and what it leaves to others.

use serde_json::json;

use super::{Files, output_of, rows_of_all_tables, run};
use test_support::{TestApp, on_both_databases};

fn document(owner: &str, agents: &[&str]) -> String {
    let agents: Vec<String> = agents
        .iter()
        .map(|agent| format!("  - {agent}\n"))
        .collect();
    let owner = match owner {
        "" => String::new(),
        owner => format!("owner: {owner}\n"),
    };
    format!(
        "kind: CircleRegistry\nversion: 1\n{owner}agents:\n{}",
        agents.concat()
    )
}

#[tokio::test]
async fn prune_deletes_what_the_owner_has_and_nothing_of_others() {
    on_both_databases(async |database| {
        let app = TestApp::start(database.backend, database.settings()).await;
        app.an_agent("Theirs").await;
        let files = Files::new();
        let apply = |text: &str, more: &[&str]| {
            let file = files.write("document.yaml", text);
            output_of(&database.url, &[&["apply", &file, "--yes"], more].concat())
        };
        apply(&document("a", &["name: A1", "name: A2"]), &[]);
        apply(&document("b", &["name: B1"]), &[]);
        let one = document("a", &["name: A1"]);
        let report = apply(&one, &[]);
        assert!(
            report.contains("agent A2 is in no document of its owner; --prune deletes it"),
            "{report}"
        );
        assert_eq!(
            app.listed("/v1/agents", "name").await,
            ["Theirs", "A1", "A2", "B1"]
        );
        let report = apply(&one, &["--prune"]);
        assert!(
            report.starts_with("- agent A2\n0 to create, 0 to change, 1 to delete, 1 left alone\n"),
            "{report}"
        );
        assert_eq!(
            app.listed("/v1/agents", "name").await,
            ["Theirs", "A1", "B1"]
        );
        let member = files.write(
            "member.yaml",
            &format!(
                "{}circles: [{{name: c, members: [{{agent: A1}}]}}]\n",
                document("a", &["name: A3"])
            ),
        );
        let refused = run(&database.url, &["apply", &member, "--yes", "--prune"]);
        let said = files.named_in(&refused.stderr);
        assert!(
            said.contains("circles[0].members[0].agent: refers to \"A1\", which is deleted"),
            "{said}"
        );
        let report = apply(&document("", &["name: A1"]), &["--prune"]);
        assert!(
            report.starts_with("0 to create"),
            "documents without an owner delete nothing: {report}"
        );
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn what_an_owner_has_is_not_changed_by_others_unless_it_is_taken_over() {
    on_both_databases(async |database| {
        let app = TestApp::start(database.backend, database.settings()).await;
        app.an_agent("Old").await;
        let files = Files::new();
        let url = &database.url;
        let write =
            |owner: &str, agents: &[&str]| files.write("document.yaml", &document(owner, agents));
        // What has no owner is adopted, and the plan says so.
        let file = write("a", &["name: Old"]);
        let report = output_of(url, &["apply", &file, "--yes"]);
        assert!(
            report.starts_with("~ agent Old\n    + owner: \"a\"\n"),
            "{report}"
        );
        let entries = app.get("/v1/audit").await.ok();
        assert!(
            entries["data"].to_string().contains(r#"["owner"]"#),
            "{entries}"
        );
        for owner in ["b", ""] {
            // As it is, anyone may say so.
            let same = write(owner, &["name: Old"]);
            assert_eq!(
                run(url, &["plan", &same, "--exit-code"]).status.code(),
                Some(0)
            );
            let other = write(owner, &["{name: Old, role: New}"]);
            let refused = run(url, &["apply", &other, "--yes"]);
            let said = files.named_in(&refused.stderr);
            assert!(said.contains("agents[0]: belongs to \"a\""), "{said}");
        }
        let taken = write("b", &["{name: Old, role: New}"]);
        let report = output_of(url, &["apply", &taken, "--yes", "--take-over"]);
        assert!(
            report.contains("- owner: \"a\"\n    + owner: \"b\"\n"),
            "{report}"
        );
        let empty = files.write("empty.yaml", "kind: CircleRegistry\nversion: 1\nowner: a\n");
        let report = output_of(url, &["apply", &empty, "--yes", "--prune"]);
        assert!(report.contains("0 to delete"), "{report}");
        assert_eq!(app.get("/v1/agents/1").await.ok()["role"], "New");
        app.stop().await;
    })
    .await;
}

/// What a plan says that it can't delete.
fn blocked(report: &str) -> Vec<&str> {
    let lines = report.lines();
    lines.filter(|line| line.contains("can't be")).collect()
}

#[tokio::test]
async fn what_others_use_is_not_pruned_as_the_plan_says_and_then_nothing_is_done() {
    on_both_databases(async |database| {
        let app = TestApp::start(database.backend, database.settings()).await;
        let files = Files::new();
        let text = "kind: CircleRegistry\nversion: 1\nowner: a\n\
            providers:\n  - {name: p, api_type: openai}\n\
            models:\n  - {provider: P, model_name: m}\n  - {provider: p, model_name: n}\n\
            mcp_servers:\n  - {name: s, transport: stdio, command: s}\n\
            agents:\n  - {name: A, model: p/m, tools: [{type: mcp, server: s}]}\n\
            circles:\n  - name: c\n    members:\n      - agent: A\n";
        let file = files.write("document.yaml", text);
        output_of(&database.url, &["apply", &file, "--yes"]);
        for user in [
            json!({"name": "User", "model_id": 1, "fallback_model_ids": [2]}),
            json!({"name": "Other", "fallback_model_ids": [1], "tools": [{"type": "mcp", "server": "s"}]}),
        ] {
            app.post("/v1/agents", &user).await.created();
        }
        let model = json!({"provider_id": 1, "model_name": "x"});
        app.post("/v1/models", &model).await.created();
        let before = rows_of_all_tables(database).await;
        let empty = "kind: CircleRegistry\nversion: 1\nowner: a\nagents: [{name: B}]\n";
        let empty = files.write("empty.yaml", empty);
        let report = output_of(&database.url, &["plan", &empty, "--prune"]);
        let expected = [
            "model p/m can't be deleted: it is used by Other and 1 more",
            "model p/n can't be deleted: it is used by User",
            "MCP server s can't be deleted: it is used by Other",
            "provider p can't be deleted: it is used by x",
        ];
        assert_eq!(blocked(&report), expected, "{report}");
        let report = output_of(&database.url, &["plan", &empty]);
        assert!(blocked(&report).is_empty(), "{report}");
        let refused = run(&database.url, &["apply", &empty, "--yes", "--prune"]);
        let said = files.named_in(&refused.stderr);
        assert!(!refused.status.success(), "{said}");
        assert!(said.contains("agents use the server (Other)"), "{said}");
        assert_eq!(rows_of_all_tables(database).await, before);

        // What documents describe is not in the way, and nothing else is after these changes.
        let described = "agents: [{name: B}, {name: User}]\n";
        let described = format!("kind: CircleRegistry\nversion: 1\nowner: a\n{described}");
        let described = files.write("described.yaml", &described);
        let report = output_of(&database.url, &["plan", &described, "--prune"]);
        assert!(report.contains("p/m can't be deleted: it is used by Other\n"), "{report}");
        let unused = json!({"fallback_model_ids": [], "tools": []});
        app.patch("/v1/agents/3", &unused).await.ok();
        app.delete("/v1/models/3").await.no_content();
        let report = output_of(&database.url, &["apply", &described, "--yes", "--prune"]);
        assert!(blocked(&report).is_empty(), "{report}");
        for list in ["/v1/circles", "/v1/models", "/v1/providers", "/v1/mcp-servers"] {
            assert_eq!(app.total(list).await, 0, "{list}");
        }
        assert_eq!(app.listed("/v1/agents", "name").await, ["User", "Other", "B"]);
        app.stop().await;
    })
    .await;
}
