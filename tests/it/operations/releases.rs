//! Releases on the command line: their differences, and how many are kept.

use reqwest::Method;
use serde_json::json;

use test_support::{TestApp, TestDatabase, binary, on_both_databases};

const RELEASES: &str = "/v1/circles/team/releases";

/// A circle with this many releases.
async fn a_circle_with_releases(database: &TestDatabase, name: &str, count: usize) -> TestApp {
    let app = TestApp::start(database.backend, database.settings()).await;
    let agent = json!({"name": "Ada", "system_prompt": "You lead.\nBe kind.\n"});
    let agent = app.post("/v1/agents", &agent).await.created();
    app.a_circle(name).await;
    app.a_member(name, agent["id"].as_i64().expect("an id"))
        .await;
    for number in 0..count {
        let change = json!({"description": format!("{number}")});
        app.patch(&format!("/v1/circles/{name}"), &change)
            .await
            .ok();
        let path = format!("/v1/circles/{name}/releases");
        app.post(&path, &json!({})).await.created();
    }
    app
}

#[tokio::test]
async fn a_difference_is_an_exit_code_and_text() {
    on_both_databases(async |database| {
        let app = a_circle_with_releases(database, "team", 1).await;
        let diff = |arguments: &[&str]| {
            let command = ["circle", "diff", "team"];
            let url = ["--database-url", &database.url];
            let output = binary::run(&[&command, arguments, &url].concat());
            let said = [output.stdout, output.stderr].concat();
            (output.status.code(), String::from_utf8(said).expect("text"))
        };
        assert_eq!(diff(&["1"]), (Some(0), String::new()));
        let edit = json!({"system_prompt": "You lead.\nBe brief.\n"});
        app.patch("/v1/agents/1", &edit).await.ok();
        let expected = "changed: Ada (agent 1)\n~ agents[1].system_prompt\n@@ -1,2 +1,2 @@\n \
                        You lead.\n-Be kind.\n+Be brief.\n- agents[1].version: 1\n+ agents[1].version: 2\n";
        for arguments in [&["1"][..], &["1", "live"]] {
            assert_eq!(diff(arguments), (Some(1), expected.to_owned()));
        }
        app.post(RELEASES, &json!({"labels": ["staging"]})).await.created();
        assert_eq!(diff(&["1", "staging"]), (Some(1), expected.to_owned()));
        assert_eq!(diff(&["staging", "2"]), (Some(0), String::new()));
        for (arguments, why) in [
            (["9", "live"], "there is no release team/9"),
            (["1", "production"], "there is no label team/production"),
            (["1", "-a"], ""),
            (["1", "9a"], "start with a letter"),
        ] {
            let (code, said) = diff(&arguments);
            assert!(code == Some(2) && said.contains(why), "{said}");
        }
        app.stop().await;
    })
    .await;
}

fn prune(database: &TestDatabase, more: &[&str]) -> String {
    let arguments = ["prune", "--database-url", &database.url];
    binary::output_of(&[&arguments[..], more].concat())
}

#[tokio::test]
async fn the_newest_releases_are_kept_and_those_with_a_label() {
    on_both_databases(async |database| {
        let app = a_circle_with_releases(database, "team", 8).await;
        app.a_circle("small").await;
        app.post("/v1/circles/small/releases", &json!({}))
            .await
            .created();
        let label = "/v1/circles/team/labels/production";
        app.send(Method::PUT, label, Some(&json!({"release": 2})))
            .await
            .created();
        app.delete(&format!("{RELEASES}/7")).await.no_content();

        assert!(prune(database, &[]).contains("releases: all are kept"));
        let report = prune(database, &["--keep-releases", "3"]);
        assert!(
            report.contains("releases: would delete 3 beyond the newest 3 of their circle"),
            "{report}"
        );
        assert_eq!(app.total(RELEASES).await, 7);
        let report = prune(database, &["--keep-releases", "3", "--yes"]);
        assert!(
            report.contains("releases: deleted 3 beyond the newest 3"),
            "{report}"
        );
        assert_eq!(app.listed(RELEASES, "number").await, [8, 6, 5, 2]);
        assert_eq!(app.total("/v1/circles/small/releases").await, 1);
        let entries = app.get("/v1/audit?action=prune").await.ok();
        assert_eq!(entries["data"].as_array().map(Vec::len), Some(1));
        assert_eq!(entries["data"][0]["resource"], "release");
        assert_eq!(
            entries["data"][0]["name"],
            "beyond the newest 3 of their circle"
        );
        assert!(prune(database, &["--keep-releases", "3"]).contains("would delete 0 "));

        // A deleted circle's, too.
        app.delete("/v1/circles/team").await.no_content();
        let report = prune(database, &["--keep-releases", "1", "--yes"]);
        assert!(report.contains("releases: deleted 2 "), "{report}");
        app.send(Method::POST, "/v1/circles/team/restore", None)
            .await
            .ok();
        assert_eq!(app.listed(RELEASES, "number").await, [8, 2]);
        app.stop().await;
    })
    .await;
}
