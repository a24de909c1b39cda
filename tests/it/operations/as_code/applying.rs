//! Plans, and what applying them does.

use std::{fs, time::Duration};

use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::Value;
use tokio::task::spawn_blocking;

use super::{Files, a_registry, output_of, rows_of_all_tables, run};
use test_support::{TestApp, TestDatabase, connect_to, on_both_databases};

const EXAMPLE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/examples/as-code/review-team.yaml"
);

/// The first text in place of the second, which is there.
#[track_caller]
fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}: {text}");
    text.replacen(from, to, 1)
}

/// A registry, and the document of a circle in it.
async fn a_document(database: &TestDatabase) -> (TestApp, String) {
    let app = TestApp::start(database.backend, database.settings()).await;
    a_registry(&app).await;
    let document = output_of(&database.url, &["export", "--circle", "review"]);
    (app, document)
}

#[tokio::test]
async fn a_plan_says_what_would_be_done_and_changes_nothing() {
    on_both_databases(async |database| {
        let (app, document) = a_document(database).await;
        let files = Files::new();
        let edited = replaced(&document, "Be kind: always.", "Be brief.");
        let edited = replaced(&edited, "max_members: 5\n", "max_members: 6\n");
        let edited = replaced(&edited, "      - agent: crm-7\n        role: reviewer\n", "      - agent: New\n");
        let edited = replaced(&edited, "circles:\n", "  - name: New\ncircles:\n");
        let file = files.write("team.yaml", &edited);
        let before = rows_of_all_tables(database).await;
        let plan = run(&database.url, &["plan", &file]);
        let text = String::from_utf8_lossy(&plan.stdout);
        let (report, digest) = text.split_once("digest: ").expect("a digest");
        assert_eq!(
            report,
            "~ agent Ada\n    ~ system_prompt\n    @@ -1,3 +1,3 @@\n     You lead.\n     \n    -  Be kind: always.\n    \
             +  Be brief.\n+ agent New\n~ circle review\n    - max_members: 5\n    + max_members: 6\n    \
             - members[crm-7]: {\"agent\":\"crm-7\",\"role\":\"reviewer\",\"permissions\":{\"merge\":true}}\n    \
             + members[New]: {\"agent\":\"New\",\"permissions\":{\"merge\":true}}\n\
             1 to create, 2 to change, 0 to delete, 6 left alone\n"
        );
        assert_eq!((plan.status.code(), digest.trim().len()), (Some(0), 64));
        let plan = run(&database.url, &["plan", &file, "--exit-code", "--format", "json"]);
        assert_eq!(plan.status.code(), Some(2));
        let plan: Value = serde_json::from_slice(&plan.stdout).expect("JSON");
        assert_eq!(plan["digest"], digest.trim());
        assert_eq!(plan["changes"][2]["fields"][0]["after"], 6);
        assert_eq!(rows_of_all_tables(database).await, before);
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn applying_is_one_change_set_with_versions() {
    on_both_databases(async |database| {
        let (app, document) = a_document(database).await;
        let files = Files::new();
        let edited = replaced(&document, "Be kind: always.", "Be brief.");
        let edited = replaced(
            &edited,
            "input_price: \"2.5000000000\"",
            "input_price: \"3\"",
        );
        let edited = replaced(
            &edited,
            "      - agent: crm-7\n        role: reviewer\n",
            "      - agent: New\n",
        );
        let edited = replaced(
            &edited,
            "circles:\n",
            "  - name: New\n    tools:\n      - type: mcp\n        server: github\ncircles:\n",
        );
        let file = files.write("team.yaml", &edited);
        let refused = run(&database.url, &["apply", &file]);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(
            !refused.status.success() && said.contains("--yes"),
            "{said}"
        );
        let report = output_of(
            &database.url,
            &["apply", &file, "--yes", "--message", "brief"],
        );
        let (_, rest) = report.split_once("applied, as request ").expect("applied");
        let request = rest.split(' ').next().expect("an id");
        let entries = app.get("/v1/audit?limit=200").await.ok();
        let made: Vec<&Value> = entries["data"]
            .as_array()
            .expect("entries")
            .iter()
            .filter(|entry| entry["request_id"] == request)
            .collect();
        let mut shown: Vec<String> = made
            .iter()
            .map(|entry| {
                format!(
                    "{} {} {} {}",
                    entry["action"], entry["resource"], entry["name"], entry["fields"]
                )
                .replace('"', "")
            })
            .collect();
        shown.sort();
        assert_eq!(
            shown,
            [
                "create agent New []",
                "create member review/4 []",
                "delete member review/2 []",
                "update agent Ada [system_prompt]",
                "update model vendor/large [input_price]"
            ]
        );
        let versions = app.get("/v1/agents/1/versions").await.ok();
        assert_eq!(versions["data"][0]["number"], 2);
        assert_eq!(versions["data"][0]["message"], "brief");
        assert_eq!(
            app.get("/v1/agents/4/versions").await.ok()["data"][0]["number"],
            1
        );
        assert_eq!(
            app.get("/v1/agents/1").await.ok()["status"],
            "busy",
            "state stays"
        );
        assert_eq!(app.get("/v1/circles/review").await.ok()["member_count"], 2);
        assert_eq!(
            app.get("/v1/circles/review").await.ok()["status"],
            "running"
        );
        let users = app.get("/v1/mcp-servers/1/agents").await.ok();
        assert_eq!(users["data"].as_array().map(Vec::len), Some(2));
        let model = app.get("/v1/models/1").await.ok();
        assert!(
            model["priced_at"].is_string() && model["input_price"] == "3.0000000000",
            "{model}"
        );
        app.delete("/v1/mcp-servers/1")
            .await
            .problem(409, "mcp_server_in_use");
        // Once more: nothing is left to do.
        let again = output_of(&database.url, &["apply", &file, "--yes"]);
        assert!(
            again.contains("0 to create, 0 to change, 0 to delete, 9 left alone"),
            "{again}"
        );
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_member_that_returns_has_the_same_membership() {
    on_both_databases(async |database| {
        let (app, document) = a_document(database).await;
        let files = Files::new();
        let before = app.get("/v1/circles/review/members/2").await.ok();
        app.delete("/v1/circles/review/members/2")
            .await
            .no_content();
        let file = files.write("team.yaml", &document);
        let report = output_of(&database.url, &["apply", &file, "--yes"]);
        assert!(
            report.starts_with("~ circle review\n    + members[crm-7]: "),
            "{report}"
        );
        let returned = app.get("/v1/circles/review/members/2").await.ok();
        assert_eq!(returned["id"], before["id"]);
        assert_eq!(
            (&returned["role"], &returned["left_at"]),
            (&"reviewer".into(), &Value::Null)
        );
        assert!(returned["joined_at"].as_str() > before["joined_at"].as_str());
        let entries = app.get("/v1/audit?action=restore").await.ok();
        assert_eq!(entries["data"][0]["name"], "review/2");
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_plan_that_no_longer_holds_is_not_applied() {
    on_both_databases(async |database| {
        let (app, document) = a_document(database).await;
        let files = Files::new();
        let file = files.write(
            "team.yaml",
            &replaced(&document, "max_members: 5", "max_members: 6"),
        );
        let plan = output_of(&database.url, &["plan", &file, "--format", "json"]);
        let plan: Value = serde_json::from_str(&plan).expect("JSON");
        let digest = plan["digest"].as_str().expect("a digest");
        let change = serde_json::json!({"max_members": 7});
        app.patch("/v1/circles/review", &change).await.ok();
        let apply = ["apply", &file, "--yes", "--digest", digest];
        let refused = run(&database.url, &apply);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(
            !refused.status.success() && said.contains("is not the plan"),
            "{said}"
        );
        assert_eq!(app.get("/v1/circles/review").await.ok()["max_members"], 7);
        let change = serde_json::json!({"max_members": 5});
        app.patch("/v1/circles/review", &change).await.ok();
        output_of(&database.url, &apply);
        assert_eq!(app.get("/v1/circles/review").await.ok()["max_members"], 6);
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn applying_waits_for_a_change_that_is_being_made() {
    on_both_databases(async |database| {
        let (app, document) = a_document(database).await;
        let files = Files::new();
        let file = files.write("team.yaml", &replaced(&document, "Be kind: always.", "Be brief."));
        let db = connect_to(&database.url).await;
        let other = db.begin().await.expect("a transaction");
        for sql in [
            "UPDATE agents SET version = 2 WHERE id = 1",
            "INSERT INTO agent_versions (agent_id, number, definition, digest, created_at) \
             SELECT agent_id, 2, definition, digest, created_at FROM agent_versions WHERE agent_id = 1",
        ] {
            other.execute_unprepared(sql).await.expect(sql);
        }
        let url = database.url.clone();
        let apply = spawn_blocking(move || output_of(&url, &["apply", &file, "--yes"]));
        tokio::time::sleep(Duration::from_secs(2)).await;
        other.commit().await.expect("a commit");
        apply.await.expect("applied");
        let versions = app.listed("/v1/agents/1/versions", "number").await;
        assert_eq!(versions, [3, 2, 1]);
        db.close().await.expect("closed");
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_is_named_with_file_line_and_path() {
    on_both_databases(async |database| {
        let (app, document) = a_document(database).await;
        let files = Files::new();
        let before = rows_of_all_tables(database).await;
        let failure = |sources: &[&str]| {
            let refused = run(&database.url, &[&["apply", "--yes"], sources].concat());
            assert_eq!(refused.status.code(), Some(1));
            files.named_in(&refused.stderr)
        };
        let wrong = files.write(
            "wrong.yaml",
            "kind: CircleRegistry\nversion: 2\nagents:\n  - name: A\n    params:\n      top_p: 2\n  - nmae: B\n",
        );
        assert_eq!(
            failure(&[&wrong]),
            "error: wrong.yaml:2: version: must be from 1 to 1\nwrong.yaml:6: agents[0].params.top_p: must be from 0 to 1\n\
             wrong.yaml:7: agents[1].name: is required\nwrong.yaml:7: agents[1].nmae: is not a known field\n"
        );
        let one = files.write("one.yaml", "kind: CircleRegistry\nversion: 1\nagents:\n  - name: A\n    model: p/none\n    \
            tools:\n      - {type: mcp, server: none}\n---\n{kind: CircleRegistry, version: 1, circles: [{name: c, max_members: 1,\n  \
            members: [{agent: A}, {agent: Ada}, {agent: none}]}]}\n");
        let other = files.write("other.yaml", "kind: CircleRegistry\nversion: 1\nagents:\n  - name: A\n  - name: B\n    \
            fallback_models: [acme/vendor/large, acme/vendor/large]\nmcp_servers:\n  - name: s\n    transport: sse\n");
        assert_eq!(
            failure(&[&one, &other]),
            "error: other.yaml:8: mcp_servers[0].url: is required with this transport\n\
             one.yaml:7: agents[0].tools[0].server: there is no mcp_server named \"none\"\n\
             one.yaml:5: agents[0].model: there is no model named \"p/none\"\n\
             other.yaml:6: agents[1].fallback_models[1]: names the agent's own model, or one that is earlier in the list\n\
             one.yaml:10: circles[0].members[2].agent: there is no agent named \"none\"\n\
             one.yaml:10: circles[0].members: has more than the 1 members of max_members\n"
        );
        let twice = files.write("twice.yaml", &document);
        let said = failure(&[&twice, &twice]);
        assert!(said.contains("twice.yaml:4: providers[0]: has the name of twice.yaml:4: providers[0]\n"), "{said}");
        let secret = files.write("secret.yaml", "kind: CircleRegistry\nversion: 1\nagents:\n  - name: A\n    \
            metadata:\n      key: sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyzAA\n");
        let said = failure(&[&secret]);
        assert!(said.starts_with("error: secret.yaml:6: agents[0].metadata.key: "), "{said}");
        assert!(failure(&["/nowhere.yaml"]).contains("/nowhere.yaml can't be read"));
        assert!(failure(&[&files.write("empty.yaml", "---\n")]).contains("no document"));
        assert_eq!(rows_of_all_tables(database).await, before);
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn the_example_is_applied_and_stays_as_it_is() {
    on_both_databases(async |database| {
        output_of(&database.url, &["migrate", "up"]);
        output_of(&database.url, &["apply", EXAMPLE, "--yes"]);
        let plan = run(&database.url, &["plan", EXAMPLE, "--exit-code"]);
        assert_eq!(plan.status.code(), Some(0));
        assert!(fs::read_to_string(EXAMPLE).is_ok_and(|text| text.contains("owner: ")));
    })
    .await;
}
