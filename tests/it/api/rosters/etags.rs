//! The ETag of a roster, which changes with all that the roster shows.

use std::collections::HashMap;

use serde_json::json;

use super::{
    random_writes::{Numbers, World},
    tag_and_body, without_cache,
};
use test_support::{TestApp, on_both, on_both_databases};

#[tokio::test]
async fn an_unchanged_roster_takes_one_small_statement() {
    on_both(async |app| {
        app.a_circle("team").await;
        for number in 0..20 {
            let agent = app.an_agent(&format!("agent {number}")).await;
            app.a_member("team", agent).await;
        }
        let tag = app.get("/v1/circles/team").await.header("etag").to_owned();
        let (answer, statements) = app
            .statements(app.get_if_none_match("/v1/circles/team", &tag))
            .await;
        assert_eq!((answer.status, statements), (304, 1));
        let (answer, statements) = app
            .statements(app.get_if_none_match("/v1/circles/team", "\"0-0\""))
            .await;
        assert_eq!(
            (answer.ok()["member_count"].clone(), statements),
            (json!(20), 1)
        );
        app.get_if_none_match("/v1/circles/none", &tag)
            .await
            .problem(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn a_roster_with_memberships_that_ended_has_a_tag_of_its_own() {
    on_both(async |app| {
        app.a_circle("team").await;
        let (stays, left) = (app.an_agent("stays").await, app.an_agent("left").await);
        for agent in [stays, left] {
            app.a_member("team", agent).await;
        }
        let member = format!("/v1/circles/team/members/{left}");
        app.delete(&member).await.no_content();
        let path = "/v1/circles/team?include_inactive=true";
        let tag = app.get(path).await.header("etag").to_owned();
        assert_ne!(tag, app.get("/v1/circles/team").await.header("etag"));
        assert_eq!(app.get_if_none_match(path, &tag).await.status, 304);

        // Changes of former members do not change the circle's revision.
        let agent = format!("/v1/agents/{left}");
        app.patch(&agent, &json!({"role": "gone"})).await.ok();
        let changed = app.get_if_none_match(path, &tag).await;
        let new_tag = changed.header("etag").to_owned();
        assert_ne!(new_tag, tag);
        assert_eq!(changed.ok()["members"][1]["agent_role"], "gone");

        let change = json!({"description": "d"});
        app.patch_if_match("/v1/circles/team", &new_tag, change.clone())
            .await
            .ok();
        app.patch_if_match("/v1/circles/team", &new_tag, change)
            .await
            .problem(412, "precondition_failed");
    })
    .await;
}

/// How many random writes the test makes; `ROSTER_WRITES` sets another number.
fn writes() -> u64 {
    let given = std::env::var("ROSTER_WRITES").ok();
    given.and_then(|given| given.parse().ok()).unwrap_or(600)
}

/// Makes random writes to what rosters and handles show and to what they do not, and compares the ETags of two circles'
/// rosters and handles, and of two agents, with their bodies after every write.
#[tokio::test]
async fn a_tag_changes_with_its_body_and_a_roster_s_otherwise_only_with_the_catalogue() {
    on_both_databases(async |database| {
        let app = TestApp::start(database.backend, without_cache(database)).await;
        let world = World::create(&app).await;
        let mut numbers = Numbers(2026);
        let mut seen: HashMap<String, (String, String)> = HashMap::new();
        let (mut changes, mut same) = (0, 0);
        let circles = ["/v1/circles/one", "/v1/circles/two"];
        let handles = circles.map(|path| format!("{path}/handles"));
        let agents = [0, 1].map(|index| world.agent_path(index));
        let watched = [circles.map(str::to_owned), handles, agents].concat();
        for write in 0..writes() {
            let what = world.write(&app, &mut numbers, write).await;
            for path in &watched {
                let now = tag_and_body(&app, path).await;
                if let Some(before) = seen.insert(path.clone(), now.clone()) {
                    let (tag_changed, body_changed) = (before.0 != now.0, before.1 != now.1);
                    // All rosters have new tags when a model or provider changes.
                    let may_differ = circles.contains(&&**path)
                        && (what.contains("/v1/models") || what.contains("/v1/providers"));
                    assert!(
                        tag_changed == body_changed || (tag_changed && may_differ),
                        "{what} and {path}\n{before:?}\n{now:?}"
                    );
                    if tag_changed { changes += 1 } else { same += 1 }
                }
            }
        }
        assert!(
            changes > writes() / 4 && same > writes() / 4,
            "{changes} changes, {same} not"
        );
        app.stop().await;
    })
    .await;
}
