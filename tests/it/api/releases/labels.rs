//! Labels, and their history.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::{RELEASES, a_team, edit, point, publish};
use test_support::{
    Answer, TestApp,
    factories::{column, timestamp},
    on_both,
};

const LABEL: &str = "/v1/circles/team/labels/production";

/// Two releases.
async fn two_releases(app: &TestApp) {
    let agent = a_team(app).await;
    publish(app, json!({})).await;
    edit(app, agent, "Be brief.").await;
    publish(app, json!({})).await;
}

/// Points the label to a release on a condition.
async fn point_if(app: &TestApp, condition: (&str, &str), release: i64) -> Answer {
    let request = app.request(Method::PUT, LABEL);
    let request = request.header(condition.0, condition.1);
    Answer::to(request.json(&json!({"release": release}))).await
}

#[tokio::test]
async fn a_label_is_created_moved_and_deleted() {
    on_both(async |app| {
        two_releases(app).await;
        app.get(LABEL).await.problem(404, "not_found");
        let answer = point(app, "production", 1).await;
        assert_eq!(answer.header("location"), LABEL);
        let created = answer.created();
        assert_eq!(
            (&created["name"], &created["release"]),
            (&json!("production"), &json!(1))
        );
        assert_eq!(app.get(LABEL).await.ok(), created);
        let moved = point(app, "production", 2).await.ok();
        assert_eq!(moved["release"], 2);
        let second = app.get(&format!("{RELEASES}/2")).await.ok();
        assert_eq!(moved["digest"], second["digest"]);
        assert_eq!(moved["created_at"], created["created_at"]);
        assert!(timestamp(&moved["updated_at"]) > timestamp(&created["updated_at"]));
        let (same, statements) = app.statements(point(app, "production", 2)).await;
        assert_eq!((same.ok(), statements), (moved.clone(), 2));
        point(app, "beta", 1).await.created();
        let page = app.get("/v1/circles/team/labels?count=true").await.ok();
        assert_eq!(column(&page, "name"), ["production", "beta"]);
        assert_eq!(page["total"], 2);
        let first = app.get("/v1/circles/team/labels?limit=1").await.ok();
        let cursor = first["next_cursor"].as_str().expect("a second page");
        let rest = format!("/v1/circles/team/labels?cursor={cursor}");
        assert_eq!(app.listed(&rest, "name").await, ["beta"]);
        app.delete(LABEL).await.no_content();
        app.delete(LABEL).await.problem(404, "not_found");
        app.get("/v1/circles/team/handles?label=production")
            .await
            .problem(404, "not_found");
        for name in ["live", "7", "-a", "a%20b", &"x".repeat(65)] {
            point(app, name, 1).await.invalid(&["path/label"]);
        }
        point(app, "production", 3).await.invalid(&["#/release"]);
    })
    .await;
}

#[tokio::test]
async fn a_label_is_read_by_the_name_that_its_circle_has_now() {
    on_both(async |app| {
        two_releases(app).await;
        point(app, "production", 1).await.created();
        let handles = |circle: &str| format!("/v1/circles/{circle}/handles?label=production");
        let tag = app.get(&handles("team")).await.header("etag").to_owned();
        let rename = json!({"name": "crew"});
        app.patch("/v1/circles/team", &rename).await.ok();
        let missing = app.get_if_none_match(&handles("team"), &tag).await;
        missing.problem(404, "not_found");
        let renamed = app.get_if_none_match(&handles("crew"), &tag).await;
        assert_eq!(renamed.status, 304);

        app.a_circle("team").await;
        let missing = app.get(&handles("team")).await.problem(404, "not_found");
        assert_eq!(missing["detail"], "There is no label team/production.");
        app.delete("/v1/circles/crew").await.no_content();
        let missing = app.get(&handles("crew")).await.problem(404, "not_found");
        assert_eq!(missing["detail"], "There is no circle crew.");
        app.send(Method::POST, "/v1/circles/crew/restore", None)
            .await
            .ok();
        assert_eq!(app.get(&handles("crew")).await.header("etag"), tag);
    })
    .await;
}

#[tokio::test]
async fn a_label_is_moved_only_from_the_state_that_is_asked_for() {
    on_both(async |app| {
        two_releases(app).await;
        let failed = |answer: Answer| answer.problem(412, "precondition_failed");
        failed(point_if(app, ("if-match", "*"), 1).await);
        failed(point_if(app, ("if-match", "\"1-1\""), 1).await);
        let created = point_if(app, ("if-none-match", "*"), 1).await;
        let tag = created.header("etag").to_owned();
        created.created();
        failed(point_if(app, ("if-none-match", "*"), 2).await);
        failed(point_if(app, ("if-none-match", "*"), 1).await);
        point_if(app, ("if-none-match", &tag), 2)
            .await
            .invalid(&["header/If-None-Match"]);
        assert_eq!(app.get(LABEL).await.header("etag"), tag);
        let moved = point_if(app, ("if-match", &tag), 2).await;
        let new_tag = moved.header("etag").to_owned();
        assert_eq!(moved.ok()["release"], 2);
        failed(point_if(app, ("if-match", &tag), 1).await);
        failed(app.delete_if_match(LABEL, &tag).await);
        assert_eq!(app.get_if_none_match(LABEL, &new_tag).await.status, 304);
        app.delete_if_match(LABEL, &new_tag).await.no_content();
        // The tag of a label that was deleted is not that of another of its name.
        point(app, "production", 2).await.created();
        failed(point_if(app, ("if-match", &new_tag), 1).await);
    })
    .await;
}

#[tokio::test]
async fn the_history_says_what_a_label_pointed_to() {
    on_both(async |app| {
        two_releases(app).await;
        let history = format!("{LABEL}/history");
        assert_eq!(app.get(&history).await.ok()["data"], json!([]));
        let request_id = point(app, "production", 1)
            .await
            .header("x-request-id")
            .to_owned();
        point(app, "production", 2).await.ok();
        point(app, "production", 2).await.ok();
        app.delete(LABEL).await.no_content();
        point(app, "production", 1).await.created();
        publish(app, json!({"labels": ["production"]})).await;

        let page = app.get(&history).await.ok();
        let moves: Vec<(&Value, &Value)> = column(&page, "from_release")
            .into_iter()
            .zip(column(&page, "to_release"))
            .collect();
        let (none, one, two) = (json!(null), json!(1), json!(2));
        let expected = [
            (&one, &two),
            (&none, &one),
            (&two, &none),
            (&one, &two),
            (&none, &one),
        ];
        assert_eq!(moves, expected);
        assert_eq!(page["data"][4]["request_id"], json!(request_id));
        let times: Vec<_> = column(&page, "at").into_iter().map(timestamp).collect();
        assert!(
            times.is_sorted_by(|later, earlier| later > earlier),
            "{times:?}"
        );
        for (index, (_, to)) in moves.iter().enumerate() {
            let at = page["data"][index]["at"].as_str().expect("a time");
            let then = app.get(&format!("{history}?limit=1&at={at}")).await.ok();
            assert_eq!(then["data"][0]["to_release"], **to, "{index}");
        }
        let before = times[4] - chrono::TimeDelta::microseconds(1);
        let before = before.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        let then = app.get(&format!("{history}?at={before}")).await.ok();
        assert_eq!(then["data"], json!([]));
        let first = app.get(&format!("{history}?limit=2")).await.ok();
        let cursor = first["next_cursor"].as_str().expect("a second page");
        let rest = app.get(&format!("{history}?cursor={cursor}")).await.ok();
        assert_eq!(
            rest["data"].as_array().expect("a page")[..],
            page["data"].as_array().expect("a page")[2..]
        );
    })
    .await;
}

#[tokio::test]
async fn a_circle_has_a_hundred_labels_at_most_also_if_they_are_created_at_once() {
    on_both(async |app| {
        two_releases(app).await;
        let names: Vec<String> = (1..100).map(|label| format!("label-{label}")).collect();
        publish(app, json!({"labels": names})).await;
        let others = (0..8).map(async |other| {
            let answer = point(app, &format!("other-{other}"), 1).await;
            (answer.status, answer.body["code"].clone())
        });
        let answers = join_all(others).await;
        let refused = (409, json!("too_many_labels"));
        let count = |status| answers.iter().filter(|answer| answer.0 == status).count();
        assert_eq!((count(201), count(409)), (1, 7), "{answers:?}");
        assert_eq!(
            answers.iter().filter(|answer| **answer == refused).count(),
            7
        );
        assert_eq!(app.total("/v1/circles/team/labels").await, 100);

        // Nothing is published with a label too many, and those that there are can be moved.
        app.patch("/v1/agents/1", &json!({"system_prompt": "You follow."}))
            .await
            .ok();
        let body = json!({"labels": ["label-1", "one-more"]});
        app.post(RELEASES, &body)
            .await
            .problem(409, "too_many_labels");
        assert_eq!(app.total(RELEASES).await, 2);
        point(app, "label-1", 1).await.ok();
        app.delete("/v1/circles/team/labels/label-1")
            .await
            .no_content();
        point(app, "one-more", 1).await.created();
    })
    .await;
}
