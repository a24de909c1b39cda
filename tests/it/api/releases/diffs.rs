//! What differs between releases.

use serde_json::{Value, json};

use super::{RELEASES, a_team, edit, publish};
use test_support::{TestApp, factories::column, on_both};

async fn diff(app: &TestApp, release: i64, against: &str) -> Value {
    let path = format!("{RELEASES}/{release}/diff?against={against}");
    app.get(&path).await.ok()
}

#[tokio::test]
async fn a_release_is_compared_field_by_field() {
    on_both(async |app| {
        let agent = a_team(app).await;
        publish(app, json!({"labels": ["production"]})).await;
        edit(app, agent, "Be brief.").await;
        let live = diff(app, 1, "live").await;
        let (path, version) = (
            format!("agents[{agent}].system_prompt"),
            format!("agents[{agent}].version"),
        );
        let text = "@@ -1,2 +1,2 @@\n You lead.\n-Be kind.\n+Be brief.\n";
        let expected = json!({
            "number": 1, "against": "live", "joined": [], "left": [],
            "changed": [{"agent_id": agent, "name": "Ada"}],
            "changes": [
                {"path": path, "diff": text},
                {"path": version, "before": 1, "after": 2},
            ],
        });
        assert_eq!(live, expected);
        publish(app, json!({})).await;
        assert_eq!(diff(app, 1, "live").await["changes"], expected["changes"]);
        let second = app.get(&format!("{RELEASES}/2/diff")).await.ok();
        assert_eq!(
            (&second["against"], &second["changes"]),
            (&json!("1"), &expected["changes"])
        );
        assert_eq!(diff(app, 2, "1").await, second);
        let labelled = diff(app, 2, "production").await;
        assert_eq!(
            (&labelled["against"], &labelled["changes"]),
            (&json!("production"), &expected["changes"])
        );
        let back = diff(app, 1, "2").await;
        assert_eq!(
            back["changes"][0]["diff"],
            "@@ -1,2 +1,2 @@\n You lead.\n-Be brief.\n+Be kind.\n"
        );
        assert_eq!(diff(app, 2, "live").await["changes"], json!([]));
        assert_eq!(diff(app, 2, "2").await["changes"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn members_join_leave_and_change() {
    on_both(async |app| {
        let ada = a_team(app).await;
        let eve = app.an_agent("Eve").await;
        app.a_member("team", eve).await;
        publish(app, json!({})).await;
        app.delete(&format!("/v1/circles/team/members/{eve}"))
            .await
            .no_content();
        let linus = app.an_agent("Linus").await;
        app.a_member("team", linus).await;
        let lead = json!({"role": "lead"});
        app.patch(&format!("/v1/circles/team/members/{ada}"), &lead)
            .await
            .ok();
        let live = diff(app, 1, "live").await;
        let named = |id: i64, name: &str| json!([{"agent_id": id, "name": name}]);
        assert_eq!(live["joined"], named(linus, "Linus"));
        assert_eq!(live["left"], named(eve, "Eve"));
        assert_eq!(live["changed"], named(ada, "Ada"));
        let change = json!({"path": "members[1].role", "before": "member", "after": "lead"});
        let changes = live["changes"].as_array().expect("changes");
        assert!(changes.contains(&change), "{changes:?}");
    })
    .await;
}

#[tokio::test]
async fn the_first_release_is_compared_with_nothing() {
    on_both(async |app| {
        a_team(app).await;
        publish(app, json!({})).await;
        let first = app.get(&format!("{RELEASES}/1/diff")).await.ok();
        assert_eq!(first["against"], Value::Null);
        assert_eq!(first["joined"][0]["name"], "Ada");
        let page = json!({"data": first["changes"]});
        let mut parts: Vec<&str> = column(&page, "path")
            .into_iter()
            .filter_map(Value::as_str)
            .collect();
        parts.sort_unstable();
        assert_eq!(
            parts,
            [
                "agents[1]",
                "circle",
                "mcp_servers[1]",
                "members[1]",
                "models[1]",
                "providers[1]"
            ]
        );
        for (against, code) in [("9", "not_found"), ("staging", "not_found")] {
            app.get(&format!("{RELEASES}/1/diff?against={against}"))
                .await
                .problem(404, code);
        }
        for against in ["-a", "9a", ""] {
            let path = format!("{RELEASES}/1/diff?against={against}");
            app.get(&path).await.invalid(&["query/against"]);
        }
    })
    .await;
}
