//! Agents in more circles than one transaction ends or restores: they are gone, or back, at once, and what is left to do
//! is done by any instance.

use std::{
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};

use test_support::{
    Answer, TestApp, TestDatabase,
    binary::Server,
    factories::{circles_with_all_agents, column},
    faults::usually_or_in_full,
    on_both_databases, texts_of,
};

const CIRCLES: u32 = 8;

/// A service that leaves more than three memberships of an agent to a job, and does none. Ada and Bob, with the ids 1
/// and 2, are in circles `c1` to `c8`.
async fn start(database: &TestDatabase) -> TestApp {
    let mut settings = database.settings();
    settings.server.memberships_at_once = 3;
    let app = TestApp::start(database.backend, settings).await;
    for name in ["Ada", "Bob"] {
        app.an_agent(name).await;
    }
    circles_with_all_agents(app.database.connection(), CIRCLES).await;
    app
}

/// Another instance does what is left.
async fn do_jobs(database: &TestDatabase) {
    let mut settings = database.settings();
    settings.server.membership_job_interval = Duration::from_millis(20);
    let app = TestApp::start(database.backend, settings).await;
    wait_until_done(&database.url).await;
    app.stop().await;
}

async fn jobs(url: &str) -> Vec<String> {
    let sql = "SELECT CASE WHEN restores THEN 'restores' ELSE 'ends' END || CASE WHEN after_member_id > 0 \
               THEN ', begun' ELSE '' END FROM membership_jobs";
    texts_of(url, sql).await
}

async fn wait_until_done(url: &str) {
    let deadline = Instant::now() + Duration::from_mins(2);
    while !jobs(url).await.is_empty() {
        assert!(Instant::now() < deadline, "not done");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn restore(app: &TestApp, memberships: bool) -> Answer {
    let path = format!("/v1/agents/1/restore?memberships={memberships}");
    app.send(Method::POST, &path, None).await
}

/// Who is in a circle, by every read that shows members. All must agree.
async fn members_of(app: &TestApp, circle: &str) -> Vec<i64> {
    let roster = app.get(&format!("/v1/circles/{circle}")).await.ok();
    let agents = |rows: &Value| -> Vec<i64> {
        let rows = rows.as_array().expect("members");
        let ids = rows.iter().map(|row| row["agent_id"].as_i64());
        let mut ids: Vec<i64> = ids.map(|id| id.expect("an id")).collect();
        ids.sort_unstable();
        ids
    };
    let shown = agents(&roster["members"]);
    assert_eq!(roster["member_count"], shown.len());
    let page = app.get(&format!("/v1/circles/{circle}/members")).await.ok();
    assert_eq!(agents(&page["data"]), shown);
    let handles = app.get(&format!("/v1/circles/{circle}/handles")).await.ok();
    let handles = handles["handles"].as_array().expect("handles").len();
    assert_eq!(handles, shown.len());
    let path = format!("/v1/circles?include=members&q={circle}");
    let listed = app.get(&path).await.ok();
    assert_eq!(agents(&listed["data"][0]["members"]), shown);
    assert_eq!(listed["data"][0]["member_count"], shown.len());
    for agent in 1..=2 {
        let path = format!("/v1/circles/{circle}/members/{agent}");
        let status = app.get(&path).await.status;
        assert_eq!(status == 200, shown.contains(&agent), "{path}: {status}");
    }
    shown
}

async fn tag(app: &TestApp, circle: &str, seen: &mut Vec<String>) {
    let answer = app.get(&format!("/v1/circles/{circle}")).await;
    let tag = answer.header("etag").to_owned();
    assert!(!seen.contains(&tag), "{tag} of {seen:?}");
    seen.push(tag);
}

#[tokio::test]
async fn an_agent_in_very_many_circles_is_gone_from_all_with_its_deletion() {
    on_both_databases(async |database| {
        let app = start(database).await;
        let mut tags = Vec::new();
        tag(&app, "c8", &mut tags).await;
        assert_eq!(members_of(&app, "c8").await, [1, 2]);
        let deleted = app.delete("/v1/agents/1").await;
        let request = deleted.header("x-request-id").to_owned();
        deleted.no_content();
        assert_eq!(jobs(&database.url).await, ["ends"]);

        tag(&app, "c8", &mut tags).await;
        for number in 1..=CIRCLES {
            assert_eq!(members_of(&app, &format!("c{number}")).await, [2]);
        }
        let member = "/v1/circles/c1/members/1";
        let change = json!({"role": "lead"});
        app.patch(member, &change).await.problem(404, "not_found");
        app.delete(member).await.problem(404, "not_found");
        app.post("/v1/circles/c1/members", &json!({"agent_id": 1}))
            .await
            .problem(422, "invalid_request");
        let begun = json!({"topic": "t", "circle": "c1"});
        let begun = app.post("/v1/conversations", &begun).await.created();
        let begun = format!("/v1/conversations/{}/participants", begun["id"]);
        assert_eq!(app.listed(&begun, "agent_id").await, [2]);
        // What is said to lag.
        assert_eq!(app.listed("/v1/circles?q=c1", "member_count").await, [2]);
        let inactive = "/v1/circles/c1/members?include_inactive=true";
        assert_eq!(app.listed(inactive, "agent_id").await, [2]);
        let roster = app.get("/v1/circles/c1?include_inactive=true").await.ok();
        assert_eq!(roster["members"][1], Value::Null);
        // An agent of the same name is another one.
        let again = app.an_agent("Ada").await;
        app.a_member("c1", again).await;

        do_jobs(database).await;
        tag(&app, "c8", &mut tags).await;
        assert_eq!(members_of(&app, "c8").await, [2]);
        assert_eq!(app.listed("/v1/circles?q=c8", "member_count").await, [1]);
        assert_eq!(app.listed("/v1/circles?q=c1", "member_count").await, [2]);
        let inactive = "/v1/circles/c8/members?include_inactive=true";
        assert_eq!(app.listed(inactive, "is_active").await, [false, true]);
        let entries = app
            .get("/v1/audit?action=delete&resource=member")
            .await
            .ok();
        let requests = column(&entries, "request_id");
        assert_eq!(requests, vec![request.as_str(); 8], "{entries}");
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn the_place_of_an_agent_that_was_deleted_is_free_at_once() {
    on_both_databases(async |database| {
        let app = start(database).await;
        let new = app.an_agent("Eve").await;
        for number in 1..=3 {
            let path = format!("/v1/circles/c{number}");
            app.patch(&path, &json!({"max_members": 2})).await.ok();
            app.post(&format!("{path}/members"), &json!({"agent_id": new}))
                .await
                .problem(409, "circle_full");
        }
        app.delete("/v1/agents/1").await.no_content();
        app.a_member("c1", new).await;
        let batch = json!({"operations": [{"op": "add", "agent_id": new}]});
        app.post("/v1/circles/c2/members:batch", &batch).await.ok();
        let set = json!({"members": [{"agent_id": 2}, {"agent_id": new}]});
        let put = Method::PUT;
        let changes = app.send(put, "/v1/circles/c3/members", Some(&set)).await.ok();
        assert_eq!(changes["removed"], json!([]));
        let of_circle = "SELECT CAST(count(*) AS text) FROM members JOIN agents ON agents.id = agent_id \
                         WHERE agent_id = 1 AND left_at = agents.updated_at";
        assert_eq!(texts_of(&database.url, of_circle).await, ["2"]);

        // It returns to circles that have a place, and only there.
        do_jobs(database).await;
        restore(&app, true).await.ok();
        assert_eq!(jobs(&database.url).await, ["restores"]);
        do_jobs(database).await;
        for (number, members) in [(1, [2, new]), (2, [2, new]), (3, [2, new]), (4, [1, 2])] {
            assert_eq!(members_of(&app, &format!("c{number}")).await, members);
        }
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_agent_that_is_restored_or_deleted_before_its_memberships_are_done_ends_as_asked_last() {
    on_both_databases(async |database| {
        let app = start(database).await;
        let mut tags = Vec::new();
        tag(&app, "c8", &mut tags).await;
        app.delete("/v1/agents/1").await.no_content();
        tag(&app, "c8", &mut tags).await;
        restore(&app, false)
            .await
            .problem(409, "memberships_ending");
        assert_eq!(members_of(&app, "c8").await, [2]);
        restore(&app, true).await.ok();
        tag(&app, "c8", &mut tags).await;
        assert_eq!(members_of(&app, "c8").await, [1, 2]);
        // One that leaves now does not return.
        app.delete("/v1/circles/c7/members/1").await.no_content();

        app.delete("/v1/agents/1").await.no_content();
        tag(&app, "c8", &mut tags).await;
        assert_eq!(members_of(&app, "c8").await, [2]);
        do_jobs(database).await;
        assert_eq!(app.listed("/v1/circles?q=c8", "member_count").await, [1]);
        restore(&app, true).await.ok();
        do_jobs(database).await;
        assert_eq!(members_of(&app, "c8").await, [1, 2]);
        assert_eq!(members_of(&app, "c7").await, [2]);

        app.delete("/v1/agents/1").await.no_content();
        do_jobs(database).await;
        restore(&app, false).await.ok();
        assert_eq!(members_of(&app, "c8").await, [2]);
        app.a_member("c8", 1).await;
        app.stop().await;
    })
    .await;
}

const MANY: u32 = 5_000;
const SETTINGS: [&str; 4] = [
    "--memberships-at-once",
    "100",
    "--membership-job-interval",
    "1s",
];

async fn wait_until_begun(url: &str, job: &str) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while jobs(url).await != [job] {
        assert!(Instant::now() < deadline, "not begun");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// How many memberships of Ada are active, as rows, as counts and less entries of their ends than of their returns.
async fn active(url: &str) -> [String; 3] {
    let sql = "SELECT CAST(count(*) AS text) FROM members WHERE agent_id = 1 AND is_active \
               UNION ALL SELECT CAST(sum(member_count) AS text) FROM circles \
               UNION ALL SELECT CAST(5000 + sum(CASE action WHEN 'restore' THEN 1 WHEN 'delete' THEN -1 ELSE 0 END) \
                 AS text) FROM audit_entries WHERE resource = 'member' OR id = 1";
    let found = texts_of(url, sql).await;
    found.try_into().expect("three numbers")
}

#[tokio::test]
async fn memberships_that_a_killed_instance_was_ending_or_restoring_are_done_by_the_next() {
    on_both_databases(async |database| {
        let url = &database.url;
        let server = Server::start_ready(url, &SETTINGS).await;
        let post = async |path: &str, body: Value| {
            let request = server.client().post(server.url(path)).json(&body);
            Answer::to(request).await.created()
        };
        post("/v1/agents", json!({"name": "Ada"})).await;
        let db = test_support::connect_to(url).await;
        circles_with_all_agents(&db, MANY).await;
        db.close().await.expect("closed");
        let many = MANY.to_string();
        let all = [many.as_str(), &many, &many];
        assert_eq!(active(url).await, all);

        let delete = server.client().delete(server.url("/v1/agents/1"));
        Answer::to(delete).await.no_content();
        wait_until_begun(url, "ends, begun").await;
        server.signal("-KILL");
        server.end().await;
        let [rows, counts, entries] = active(url).await;
        assert!(rows != "0" && rows != many, "{rows} are active still");
        assert_eq!([&counts, &entries], [&rows, &rows]);

        let server = Server::start_ready(url, &SETTINGS).await;
        wait_until_done(url).await;
        assert_eq!(active(url).await, ["0", "0", "0"]);

        let path = server.url("/v1/agents/1/restore?memberships=true");
        Answer::to(server.client().post(path)).await.ok();
        wait_until_begun(url, "restores, begun").await;
        server.signal("-KILL");
        server.end().await;
        let [rows, counts, entries] = active(url).await;
        assert!(rows != "0" && rows != many, "{rows} are active");
        assert_eq!([&counts, &entries], [&rows, &rows]);
        let server = Server::start_ready(url, &SETTINGS).await;
        wait_until_done(url).await;
        assert_eq!(active(url).await, all);
        drop(server);
    })
    .await;
}

/// Random requests of one client that change the memberships of six agents in eight circles of at most four members.
async fn change_at_random(app: &TestApp, requests: u32) {
    let random = |below: u64| RandomState::new().hash_one(()) % below + 1;
    for _ in 0..requests {
        let (agent, circle) = (random(6), random(8));
        let (agent_path, circle_path) = (
            format!("/v1/agents/{agent}"),
            format!("/v1/circles/c{circle}"),
        );
        let members = format!("{circle_path}/members");
        let answer = match random(6) {
            1 => app.delete(&agent_path).await,
            2 => {
                let path = format!("{agent_path}/restore?memberships={}", random(2) == 1);
                app.send(Method::POST, &path, None).await
            }
            3 => app.post(&members, &json!({"agent_id": agent})).await,
            4 => app.delete(&format!("{members}/{agent}")).await,
            5 => {
                let set = json!({"members": [{"agent_id": agent}, {"agent_id": agent % 6 + 1}]});
                app.send(Method::PUT, &members, Some(&set)).await
            }
            _ => {
                let add = json!({"operations": [{"op": "add", "agent_id": agent}]});
                app.post(&format!("{members}:batch"), &add).await
            }
        };
        let expected = [200, 201, 204, 404, 409, 422];
        assert!(expected.contains(&answer.status), "{}", answer.text);
    }
}

#[tokio::test]
async fn whatever_is_asked_meanwhile_counts_and_rosters_agree_in_the_end() {
    on_both_databases(async |database| {
        let mut settings = database.settings();
        settings.server.memberships_at_once = 1;
        settings.server.membership_job_interval = Duration::from_millis(1);
        let app = TestApp::start(database.backend, settings).await;
        for name in ["Ada", "Bob", "Cat", "Dan", "Eve", "Fay"] {
            app.an_agent(name).await;
        }
        for number in 1..=8 {
            let circle = json!({"name": format!("c{number}"), "max_members": 4});
            app.post("/v1/circles", &circle).await.created();
        }
        let requests = usually_or_in_full(60, 1000);
        let clients = (0..4).map(|_| change_at_random(&app, requests));
        futures_util::future::join_all(clients).await;
        wait_until_done(&database.url).await;
        let wrong = "SELECT name FROM circles WHERE member_count > 4 OR member_count <> (SELECT count(*) FROM members \
                     JOIN agents ON agents.id = agent_id WHERE circle_id = circles.id AND members.is_active \
                     AND agents.is_active)";
        assert_eq!(texts_of(&database.url, wrong).await, Vec::<String>::new());
        for number in 1..=8 {
            members_of(&app, &format!("c{number}")).await;
        }
        app.stop().await;
    })
    .await;
}
