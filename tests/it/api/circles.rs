//! `/v1/circles`

use serde_json::{Value, json};

use test_support::{
    factories::{assert_holds, timestamp},
    on_both,
};

/// A circle with every field set.
fn review_team() -> Value {
    json!({
        "name": "Review-Team.1", "display_name": "Review team", "description": "Reviews.\nAll.",
        "require_review": false, "auto_route": false, "max_members": 8,
        "settings": {"quorum": 2, "deep": {"list": [null, "ü"]}}
    })
}

/// The fields of a patch, all different.
fn changes() -> Value {
    json!({
        "name": "writers", "display_name": "Writers", "description": "", "status": "running",
        "require_review": true, "auto_route": true, "max_members": 100_000, "settings": {}
    })
}

#[tokio::test]
async fn a_circle_is_created_read_updated_and_deleted() {
    on_both(async |app| {
        let answer = app.post("/v1/circles", &review_team()).await;
        let location = answer.header("location").to_owned();
        assert_eq!(location, "/v1/circles/Review-Team.1");
        let mut created = answer.created();
        assert_holds(&created, &review_team());
        let fresh = json!({
            "status": "stopped", "is_active": true, "started_at": null, "stopped_at": null,
            "member_count": 0
        });
        assert_holds(&created, &fresh);
        assert_eq!(app.patch(&location, &json!({})).await.ok(), created);
        created["members"] = json!([]);
        assert_eq!(app.get(&location).await.ok(), created);

        let mut updated = app.patch(&location, &changes()).await.ok();
        assert_holds(&updated, &changes());
        assert_eq!(updated["id"], created["id"]);
        assert!(timestamp(&updated["updated_at"]) > timestamp(&created["updated_at"]));
        app.get(&location).await.problem(404, "not_found");
        updated["members"] = json!([]);
        assert_eq!(app.get("/v1/circles/writers").await.ok(), updated);

        app.delete("/v1/circles/writers").await.no_content();
        app.get("/v1/circles/writers")
            .await
            .problem(404, "not_found");
        app.delete("/v1/circles/writers")
            .await
            .problem(404, "not_found");
        let patch = app.patch("/v1/circles/writers", &changes()).await;
        patch.problem(404, "not_found");
        assert_eq!(app.total("/v1/circles").await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_circle_needs_no_more_than_a_name() {
    on_both(async |app| {
        let created = app.a_circle("team").await;
        let usual = json!({
            "display_name": null, "description": null, "require_review": true,
            "auto_route": true, "max_members": null, "settings": {}
        });
        assert_holds(&created, &usual);
        app.post("/v1/circles", &json!({}))
            .await
            .invalid(&["#/name"]);
    })
    .await;
}

#[tokio::test]
async fn null_clears_what_may_be_null_and_an_absent_field_stays() {
    on_both(async |app| {
        let created = app.post("/v1/circles", &review_team()).await.created();
        let path = "/v1/circles/Review-Team.1";
        let nullable = json!({"display_name": null, "description": null, "max_members": null});
        let mut expected = created;
        for field in nullable.as_object().expect("an object").keys() {
            expected[field] = Value::Null;
        }
        let cleared = app.patch(path, &nullable).await.ok();
        expected["updated_at"] = cleared["updated_at"].clone();
        assert_eq!(cleared, expected);

        let required = json!({
            "name": null, "status": null, "require_review": null, "auto_route": null,
            "settings": null
        });
        app.patch(path, &required).await.invalid(&[
            "#/name",
            "#/status",
            "#/require_review",
            "#/auto_route",
            "#/settings",
        ]);
        assert_eq!(app.patch(path, &json!({})).await.ok(), cleared);
    })
    .await;
}

#[tokio::test]
async fn a_circle_s_name_is_a_slug() {
    on_both(async |app| {
        for name in [
            "",
            " ",
            "a b",
            "-a",
            ".a",
            "a/b",
            "ü",
            "a\n",
            &"a".repeat(65),
        ] {
            let answer = app.post("/v1/circles", &json!({"name": name})).await;
            answer.invalid(&["#/name"]);
        }
        let widest = "a".repeat(64);
        app.a_circle(&widest).await;
        app.a_circle("9.A_b-").await;
        assert_eq!(app.listed("/v1/circles", "name").await, [&widest, "9.A_b-"]);
    })
    .await;
}

#[tokio::test]
async fn a_circle_s_name_is_unique_among_live_circles() {
    on_both(async |app| {
        app.a_circle("team").await;
        app.post("/v1/circles", &json!({"name": "team"}))
            .await
            .problem(409, "circle_name_taken");
        app.a_circle("other").await;
        app.patch(
            "/v1/circles/other",
            &json!({"name": "team", "status": "running"}),
        )
        .await
        .problem(409, "circle_name_taken");
        let other = app.get("/v1/circles/other").await.ok();
        assert_eq!(
            (&other["name"], &other["status"]),
            (&json!("other"), &json!("stopped"))
        );
        let same = json!({"name": "other"});
        app.patch("/v1/circles/other", &same).await.ok();
        assert_eq!(app.total("/v1/circles").await, 2);
    })
    .await;
}

#[tokio::test]
async fn a_deleted_circle_frees_its_name_and_stays_gone() {
    on_both(async |app| {
        let agent = app.an_agent("Ada").await;
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(app.a_circle("team").await["id"].clone());
            app.a_member("team", agent).await;
            app.delete("/v1/circles/team").await.no_content();
        }
        let newest = app.a_circle("team").await;
        assert!(!ids.contains(&newest["id"]));
        assert_eq!(newest["member_count"], 0);
        assert_eq!(app.get("/v1/circles/team").await.ok()["id"], newest["id"]);
        assert_eq!(
            app.listed("/v1/circles", "id").await,
            [newest["id"].clone()]
        );

        app.a_circle("other").await;
        app.delete("/v1/circles/team").await.no_content();
        let renamed = app
            .patch("/v1/circles/other", &json!({"name": "team"}))
            .await;
        assert_eq!(renamed.ok()["name"], "team");
    })
    .await;
}

#[tokio::test]
async fn a_circle_starts_and_stops_and_doing_so_twice_changes_nothing() {
    on_both(async |app| {
        app.a_circle("team").await;
        let stopped = app.post("/v1/circles/team/stop", &Value::Null).await.ok();
        assert_eq!(stopped["stopped_at"], Value::Null, "it never ran");

        let started = app.post("/v1/circles/team/start", &Value::Null).await.ok();
        assert_eq!(started["status"], "running");
        assert_eq!(started["started_at"], started["updated_at"]);
        let again = app.post("/v1/circles/team/start", &Value::Null).await.ok();
        assert_eq!(again, started);

        let stopped = app.post("/v1/circles/team/stop", &Value::Null).await.ok();
        assert_eq!(stopped["status"], "stopped");
        assert_eq!(stopped["started_at"], started["started_at"]);
        assert!(timestamp(&stopped["stopped_at"]) > timestamp(&stopped["started_at"]));
        let again = app.post("/v1/circles/team/stop", &Value::Null).await.ok();
        assert_eq!(again, stopped);

        let restarted = app.post("/v1/circles/team/start", &Value::Null).await.ok();
        assert!(timestamp(&restarted["started_at"]) > timestamp(&stopped["stopped_at"]));
        for action in ["start", "stop"] {
            let path = format!("/v1/circles/nobody/{action}");
            let answer = app.post(&path, &Value::Null).await;
            answer.problem(404, "not_found");
        }
    })
    .await;
}

#[tokio::test]
async fn a_patch_of_the_status_leaves_the_marks_of_starting_and_stopping() {
    on_both(async |app| {
        app.a_circle("team").await;
        let to = async |status: &str| {
            let patch = json!({"status": status});
            app.patch("/v1/circles/team", &patch).await.ok()
        };
        let paused = to("paused").await;
        assert_eq!(paused["status"], "paused");
        assert!(paused["started_at"].is_string());
        assert_eq!(paused["stopped_at"], Value::Null);

        let running = to("running").await;
        assert_eq!(running["started_at"], paused["started_at"], "it went on");
        let stopped = to("stopped").await;
        assert!(timestamp(&stopped["stopped_at"]) > timestamp(&stopped["started_at"]));
        app.patch("/v1/circles/team", &json!({"status": "asleep"}))
            .await
            .invalid(&["#/status"]);
    })
    .await;
}

#[tokio::test]
async fn circles_are_found_by_status_and_text_in_either_name() {
    on_both(async |app| {
        app.post("/v1/circles", &review_team()).await.created();
        app.a_circle("team").await;
        app.post("/v1/circles/team/start", &Value::Null).await.ok();
        app.a_circle("gone-team").await;
        app.delete("/v1/circles/gone-team").await.no_content();
        for (query, expected) in [
            ("status=running", &["team"][..]),
            ("status=stopped", &["Review-Team.1"]),
            ("status=paused", &[]),
            ("q=TEAM", &["Review-Team.1", "team"]),
            ("q=view%20t", &["Review-Team.1"]),
            ("q=_", &[]),
            ("q=team&status=running", &["team"]),
        ] {
            let found = app.listed(&format!("/v1/circles?{query}"), "name").await;
            assert_eq!(found, expected, "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_list_brings_members_along_and_nothing_else() {
    on_both(async |app| {
        app.a_circle("team").await;
        app.a_circle("empty").await;
        app.a_member("team", app.an_agent("Ada").await).await;

        let plain = app.get("/v1/circles").await.ok();
        assert_eq!(plain["data"][0].get("members"), None);
        let page = app.get("/v1/circles?include=members").await.ok();
        let roster = app.get("/v1/circles/team").await.ok();
        assert_eq!(page["data"][0], roster);
        assert_eq!(page["data"][1]["members"], json!([]));
        for include in ["bogus", "Members", "members,members", ""] {
            let path = format!("/v1/circles?include={include}");
            app.get(&path).await.invalid(&["query/include"]);
        }
    })
    .await;
}

#[tokio::test]
async fn the_member_count_is_of_active_members_everywhere() {
    on_both(async |app| {
        app.a_circle("other").await;
        app.a_circle("team").await;
        let mut agents = Vec::new();
        for name in ["a", "b", "c", "d"] {
            let agent = app.an_agent(name).await;
            app.a_member("team", agent).await;
            agents.push(agent);
        }
        app.delete(&format!("/v1/circles/team/members/{}", agents[0]))
            .await
            .no_content();
        app.delete(&format!("/v1/agents/{}", agents[1]))
            .await
            .no_content();

        assert_eq!(app.listed("/v1/circles", "member_count").await, [0, 2]);
        assert_eq!(app.get("/v1/circles/team").await.ok()["member_count"], 2);
        let change = json!({"auto_route": false});
        let patched = app.patch("/v1/circles/team", &change).await;
        assert_eq!(patched.ok()["member_count"], 2);
        let started = app.post("/v1/circles/team/start", &Value::Null).await;
        assert_eq!(started.ok()["member_count"], 2);
        let path = format!("/v1/agents/{}/circles", agents[2]);
        let page = app.get(&path).await.ok();
        assert_eq!(page["data"][0]["circle"]["member_count"], 2);
    })
    .await;
}

#[tokio::test]
async fn numbers_in_settings_come_back_as_they_were_sent_up_to_the_largest() {
    on_both(async |app| {
        app.a_circle("team").await;
        for number in [
            "1.7976931348623157e308",
            "1.797e308",
            "-0.1",
            "5e-324",
            "9007199254740993",
        ] {
            let settings: Value = number.parse().expect("a number");
            let body = json!({"settings": {"x": settings}});
            let patched = app.patch("/v1/circles/team", &body).await.ok();
            assert_eq!(patched["settings"], body["settings"], "{number}");
            let roster = app.get("/v1/circles/team").await.ok();
            assert_eq!(roster["settings"], body["settings"], "{number}");
        }
    })
    .await;
}
