//! Releases on the command line: their differences, and how many are kept.

use reqwest::Method;
use sea_orm::ConnectionTrait;
use serde_json::json;

use test_support::{TestApp, TestDatabase, binary, connect_to, on_both_databases};

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

/// Moves of a label in the first days of 2020: where it pointed to from each day on.
async fn moved_long_ago(database: &TestDatabase, label: &str, releases: &[Option<i64>]) {
    const FIRST_DAY: i64 = 1_577_836_800;
    let db = connect_to(&database.url).await;
    for (day, release) in (1_i64..).zip(releases) {
        let revision = (FIRST_DAY + 86_400 * (day - 1)) * 1_000_000;
        let release = release.map_or("NULL".to_owned(), |release| release.to_string());
        let sql = format!(
            "INSERT INTO circle_label_moves (circle_id, label, revision, at, to_release) \
             VALUES (1, '{label}', {revision}, '2020-01-0{day}T00:00:00+00:00', {release})"
        );
        db.execute_unprepared(&sql).await.expect(&sql);
    }
    db.close().await.expect("closed");
}

#[tokio::test]
async fn moves_of_labels_go_by_age_and_what_a_label_pointed_to_since_then_stays_known() {
    on_both_databases(async |database| {
        let app = a_circle_with_releases(database, "team", 3).await;
        moved_long_ago(database, "production", &[Some(1), Some(2), None, Some(3)]).await;
        moved_long_ago(database, "gone", &[Some(1), Some(2), None]).await;
        let labels = "/v1/circles/team/labels";
        for release in [1, 2] {
            let body = json!({"release": release});
            app.send(Method::PUT, &format!("{labels}/production"), Some(&body))
                .await;
        }
        assert!(prune(database, &[]).contains("moves of labels: all are kept"));
        let keep = ["--keep-audit", "90d"];
        let report = prune(database, &keep);
        let expected = "moves of labels: would delete 6 from before 20";
        assert!(report.contains(expected), "{report}");
        let report = prune(database, &[&keep[..], &["--yes"]].concat());
        let expected = "moves of labels: deleted 6 from before 20";
        assert!(report.contains(expected), "{report}");
        let history = format!("{labels}/production/history");
        assert_eq!(app.listed(&history, "to_release").await, [2, 1, 3]);
        let then = app.get(&format!("{history}?at=2021-01-01T00:00:00Z")).await;
        assert_eq!(then.ok()["data"][0]["to_release"], 3);
        assert_eq!(app.total(&format!("{labels}/gone/history")).await, 0);
        let entries = app.get("/v1/audit?action=prune").await.ok();
        assert_eq!(entries["data"].as_array().map(Vec::len), Some(1));
        assert_eq!(entries["data"][0]["resource"], "label");
        app.stop().await;
    })
    .await;
}
