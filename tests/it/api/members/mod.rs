//! Members of a circle, `/v1/circles/{name}/members`. This file has the requests for a single member.

mod batch;
mod concurrency;
mod replacement;

use reqwest::Method;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use test_support::{
    Answer, TestApp,
    factories::{assert_holds, timestamp},
    on_both,
};

const MEMBERS: &str = "/v1/circles/team/members";
const WITH_INACTIVE: &str = "/v1/circles/team/members?include_inactive=true";
const BATCH: &str = "/v1/circles/team/members:batch";
const PARTIAL: &str = "/v1/circles/team/members:batch?partial=true";

/// Creates the circle `team` with the agent Ada in it, and returns her id.
async fn a_team(app: &TestApp) -> i64 {
    app.a_circle("team").await;
    let agent = app.an_agent("Ada").await;
    app.a_member("team", agent).await;
    agent
}

async fn add(app: &TestApp, agent_id: i64) -> Answer {
    app.post(MEMBERS, &json!({"agent_id": agent_id})).await
}

/// Creates agents with one statement.
async fn agents(app: &TestApp, count: i64) -> Vec<i64> {
    let first = app.an_agent("agent").await;
    let more = format!(
        "INSERT INTO agents (name, created_at, updated_at) \
         WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
         SELECT 'agent ' || i, created_at, updated_at FROM agents, n \
         WHERE id = {first} AND i <= {count} ORDER BY i"
    );
    let db = app.database.connection();
    db.execute_unprepared(&more).await.expect("agents");
    (first..first + count).collect()
}

/// Creates the circle `team` with these agents in it.
async fn a_team_of(app: &TestApp, agents: &[i64]) {
    app.a_circle("team").await;
    if !agents.is_empty() {
        batch(app, BATCH, each("add", agents)).await.ok();
    }
}

async fn batch(app: &TestApp, path: &str, operations: Vec<Value>) -> Answer {
    app.post(path, &json!({"operations": operations})).await
}

/// The same operation for each of these agents.
fn each(op: &str, agents: &[i64]) -> Vec<Value> {
    let operations = agents.iter().map(|id| json!({"op": op, "agent_id": id}));
    operations.collect()
}

async fn replace(app: &TestApp, members: Value) -> Answer {
    let body = json!({"members": members});
    app.send(Method::PUT, MEMBERS, Some(&body)).await
}

/// These agents, without any other fields.
fn plain(agents: &[i64]) -> Value {
    agents.iter().map(|id| json!({"agent_id": id})).collect()
}

/// One field of all results of a batch.
fn results<'b>(body: &'b Value, field: &str) -> Vec<&'b Value> {
    let results = body["results"].as_array().expect("results");
    results.iter().map(|result| &result[field]).collect()
}

/// The errors of a batch that failed as a whole: pointers and details.
#[track_caller]
fn batch_errors(answer: Answer) -> Vec<(String, String)> {
    let problem = answer.problem(409, "batch_failed");
    let errors = problem["errors"].as_array().expect("errors");
    let text = |error: &Value, field: &str| error[field].as_str().expect("a text").to_owned();
    errors
        .iter()
        .map(|error| (text(error, "pointer"), text(error, "detail")))
        .collect()
}

#[tokio::test]
async fn a_member_is_added_read_updated_and_removed() {
    on_both(async |app| {
        let circle = app.a_circle("team").await;
        let agent = app.an_agent("Ada").await;
        let new = json!({
            "agent_id": agent, "role": "reviewer", "competencies": ["rust", "日本語"],
            "can_review": ["sql"], "permissions": {"merge": true, "paths": ["src", null]}
        });
        let answer = app.post(MEMBERS, &new).await;
        let location = answer.header("location").to_owned();
        assert_eq!(location, format!("{MEMBERS}/{agent}"));
        let added = answer.created();
        assert_holds(&added, &new);
        assert_eq!(added["circle_id"], circle["id"]);
        assert_eq!(
            (&added["is_active"], &added["left_at"]),
            (&json!(true), &Value::Null)
        );
        assert_eq!(app.get(&location).await.ok(), added);
        assert_eq!(app.patch(&location, &json!({})).await.ok(), added);

        let patch = json!({
            "role": "lead", "competencies": [], "can_review": ["a", "b"], "permissions": {}
        });
        let updated = app.patch(&location, &patch).await.ok();
        assert_holds(&updated, &patch);
        assert_eq!(updated["joined_at"], added["joined_at"]);
        assert_eq!(app.get(&location).await.ok(), updated);

        app.delete(&location).await.no_content();
        app.get(&location).await.problem(404, "not_found");
        app.delete(&location).await.problem(404, "not_found");
        app.patch(&location, &patch).await.problem(404, "not_found");
        app.patch(&location, &json!({}))
            .await
            .problem(404, "not_found");
        app.get(&format!("/v1/agents/{agent}")).await.ok();
    })
    .await;
}

#[tokio::test]
async fn a_member_needs_no_more_than_an_agent() {
    on_both(async |app| {
        app.a_circle("team").await;
        let added = add(app, app.an_agent("Ada").await).await.created();
        let usual = json!({
            "role": "member", "competencies": [], "can_review": [], "permissions": {}
        });
        assert_holds(&added, &usual);
        app.post(MEMBERS, &json!({})).await.invalid(&["#/agent_id"]);
    })
    .await;
}

#[tokio::test]
async fn nothing_of_a_member_can_be_null() {
    on_both(async |app| {
        let path = format!("{MEMBERS}/{}", a_team(app).await);
        let before = app.get(&path).await.ok();
        let nulls = json!({
            "role": null, "competencies": null, "can_review": null, "permissions": null
        });
        app.patch(&path, &nulls).await.invalid(&[
            "#/role",
            "#/competencies",
            "#/can_review",
            "#/permissions",
        ]);
        app.patch(&path, &json!({"role": "boss", "agent_id": 2}))
            .await
            .invalid(&["#/role", "#/agent_id"]);
        assert_eq!(app.get(&path).await.ok(), before);
    })
    .await;
}

#[tokio::test]
async fn an_agent_is_in_a_circle_once() {
    on_both(async |app| {
        let agent = a_team(app).await;
        let before = app.get(MEMBERS).await.ok();
        let again = json!({"agent_id": agent, "role": "lead"});
        app.post(MEMBERS, &again)
            .await
            .problem(409, "member_exists");
        assert_eq!(app.get(MEMBERS).await.ok(), before);

        app.a_circle("other").await;
        app.a_member("other", agent).await;
    })
    .await;
}

#[tokio::test]
async fn only_an_agent_that_exists_can_be_added() {
    on_both(async |app| {
        app.a_circle("team").await;
        add(app, 17).await.invalid(&["#/agent_id"]);
        let deleted = app.an_agent("Ada").await;
        app.delete(&format!("/v1/agents/{deleted}"))
            .await
            .no_content();
        add(app, deleted).await.invalid(&["#/agent_id"]);
        assert_eq!(app.total(MEMBERS).await, 0);
    })
    .await;
}

#[tokio::test]
async fn an_unknown_circle_or_member_is_not_found() {
    on_both(async |app| {
        let agent = a_team(app).await;
        app.a_circle("deleted").await;
        app.a_member("deleted", agent).await;
        app.delete("/v1/circles/deleted").await.no_content();
        let body = json!({"agent_id": agent});
        let patch = json!({"role": "lead"});
        for circle in ["nobody", "deleted", "TEAM"] {
            let members = format!("/v1/circles/{circle}/members");
            let member = format!("{members}/{agent}");
            app.get(&members).await.problem(404, "not_found");
            app.post(&members, &body).await.problem(404, "not_found");
            app.get(&member).await.problem(404, "not_found");
            app.patch(&member, &patch).await.problem(404, "not_found");
            app.delete(&member).await.problem(404, "not_found");
        }
        let stranger = format!("{MEMBERS}/{}", app.an_agent("Bob").await);
        app.get(&stranger).await.problem(404, "not_found");
        app.patch(&stranger, &patch).await.problem(404, "not_found");
        app.delete(&stranger).await.problem(404, "not_found");
        assert_eq!(app.listed(MEMBERS, "role").await, ["member"]);
    })
    .await;
}

#[tokio::test]
async fn a_full_circle_takes_nobody_until_a_place_is_free() {
    on_both(async |app| {
        app.post("/v1/circles", &json!({"name": "team", "max_members": 1}))
            .await
            .created();
        let (first, second) = (app.an_agent("a").await, app.an_agent("b").await);
        add(app, first).await.created();
        let before = app.get("/v1/circles/team").await.ok();
        add(app, second).await.problem(409, "circle_full");
        assert_eq!(app.get("/v1/circles/team").await.ok(), before);
        add(app, first).await.problem(409, "member_exists");

        app.delete(&format!("{MEMBERS}/{first}")).await.no_content();
        add(app, second).await.created();
        add(app, first).await.problem(409, "circle_full");
        assert_eq!(
            app.total(&format!("{MEMBERS}?include_inactive=true")).await,
            2
        );
    })
    .await;
}

#[tokio::test]
async fn a_new_limit_leaves_the_members_and_takes_no_more() {
    on_both(async |app| {
        a_team(app).await;
        add(app, app.an_agent("b").await).await.created();
        let limit = json!({"max_members": 1});
        let circle = app.patch("/v1/circles/team", &limit).await.ok();
        assert_eq!(circle["member_count"], 2);
        let third = app.an_agent("c").await;
        add(app, third).await.problem(409, "circle_full");

        let unlimited = json!({"max_members": null});
        app.patch("/v1/circles/team", &unlimited).await.ok();
        add(app, third).await.created();
    })
    .await;
}

#[tokio::test]
async fn coming_back_restores_the_old_membership() {
    on_both(async |app| {
        app.a_circle("team").await;
        let agent = app.an_agent("Ada").await;
        let first = json!({"agent_id": agent, "role": "lead", "competencies": ["rust"]});
        let joined = app.post(MEMBERS, &first).await.created();
        app.delete(&format!("{MEMBERS}/{agent}")).await.no_content();

        let second = json!({"agent_id": agent, "can_review": ["sql"]});
        let back = app.post(MEMBERS, &second).await.created();
        assert_eq!(back["id"], joined["id"]);
        let expected = json!({
            "role": "member", "competencies": [], "can_review": ["sql"], "is_active": true,
            "left_at": null
        });
        assert_holds(&back, &expected);
        assert!(timestamp(&back["joined_at"]) > timestamp(&joined["joined_at"]));
        let all = format!("{MEMBERS}?include_inactive=true&count=true");
        let page = app.get(&all).await.ok();
        assert_eq!((&page["data"], &page["total"]), (&json!([back]), &json!(1)));
    })
    .await;
}

#[tokio::test]
async fn members_are_found_by_role_and_the_ones_that_left_when_asked_for() {
    on_both(async |app| {
        app.a_circle("team").await;
        let mut agents = Vec::new();
        for role in ["lead", "observer", "member", "observer"] {
            let agent = app.an_agent(role).await;
            let body = json!({"agent_id": agent, "role": role});
            app.post(MEMBERS, &body).await.created();
            agents.push(agent);
        }
        let [lead, left, member, observer] = agents[..] else {
            panic!("four agents")
        };
        app.delete(&format!("{MEMBERS}/{left}")).await.no_content();
        for (query, expected) in [
            ("", &[lead, member, observer][..]),
            ("include_inactive=false", &[lead, member, observer]),
            ("include_inactive=true", &[lead, left, member, observer]),
            ("role=observer", &[observer]),
            ("role=observer&include_inactive=true", &[left, observer]),
            ("role=reviewer", &[]),
        ] {
            let found = app.listed(&format!("{MEMBERS}?{query}"), "agent_id").await;
            assert_eq!(found, expected, "{query}");
        }
        app.get(&format!("{MEMBERS}?role=boss"))
            .await
            .invalid(&["query/role"]);
    })
    .await;
}
