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

#[tokio::test]
async fn what_others_use_is_not_pruned_and_then_nothing_is_done() {
    on_both_databases(async |database| {
        let app = TestApp::start(database.backend, database.settings()).await;
        let files = Files::new();
        let text = "kind: CircleRegistry\nversion: 1\nowner: a\nproviders:\n  - {name: p, api_type: openai}\nmodels:\n  \
            - {provider: P, model_name: m}\nagents:\n  - name: A\ncircles:\n  - name: c\n    members:\n      - agent: A\n";
        let file = files.write("document.yaml", text);
        output_of(&database.url, &["apply", &file, "--yes"]);
        let user = json!({"name": "User", "model_id": 1});
        app.post("/v1/agents", &user).await.created();
        let before = rows_of_all_tables(database).await;
        let empty = files.write("empty.yaml", "kind: CircleRegistry\nversion: 1\nowner: a\nagents: [{name: B}]\n");
        let refused = run(&database.url, &["apply", &empty, "--yes", "--prune"]);
        let said = files.named_in(&refused.stderr);
        assert!(!refused.status.success() && said.contains("agents use the model (User)"), "{said}");
        assert_eq!(rows_of_all_tables(database).await, before);
        app.patch("/v1/agents/2", &json!({"model_id": null})).await.ok();
        output_of(&database.url, &["apply", &empty, "--yes", "--prune"]);
        for list in ["/v1/circles", "/v1/models", "/v1/providers"] {
            assert_eq!(app.total(list).await, 0, "{list}");
        }
        assert_eq!(app.listed("/v1/agents", "name").await, ["User", "B"]);
        app.stop().await;
    })
    .await;
}
