//! Conditional requests: a tag names a state, and a change can be tied to one.

use std::collections::HashMap;

use circle_registry::config::Settings;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, TestApp, TestDatabase, factories::id, on_both, on_both_databases};

async fn with_header(
    app: &TestApp,
    method: Method,
    path: &str,
    header: (&str, &str),
    body: Option<Value>,
) -> Answer {
    let mut request = app.request(method, path).header(header.0, header.1);
    if let Some(body) = body {
        request = request.json(&body);
    }
    Answer::to(request).await
}

async fn get_unless(app: &TestApp, path: &str, tag: &str) -> Answer {
    with_header(app, Method::GET, path, ("if-none-match", tag), None).await
}

async fn patch_if(app: &TestApp, path: &str, tag: &str, body: Value) -> Answer {
    with_header(app, Method::PATCH, path, ("if-match", tag), Some(body)).await
}

async fn delete_if(app: &TestApp, path: &str, tag: &str) -> Answer {
    with_header(app, Method::DELETE, path, ("if-match", tag), None).await
}

/// One of everything, with the path it is at and a change that can be made to it.
async fn one_of_everything(app: &TestApp) -> Vec<(String, Value)> {
    let provider = app.a_provider("p").await;
    let model = app.a_model(provider, "m").await;
    let agent = app.an_agent("a").await;
    app.a_circle("team").await;
    app.a_member("team", agent).await;
    let conversation = json!({"topic": "t"});
    let conversation = id(&app.post("/v1/conversations", &conversation).await.created());
    vec![
        (
            format!("/v1/conversations/{conversation}"),
            json!({"topic": "u"}),
        ),
        (
            format!("/v1/circles/team/members/{agent}"),
            json!({"role": "lead"}),
        ),
        ("/v1/circles/team".to_owned(), json!({"description": "d"})),
        (format!("/v1/agents/{agent}"), json!({"role": "r"})),
        (format!("/v1/models/{model}"), json!({"model_alias": "x"})),
        (
            format!("/v1/providers/{provider}"),
            json!({"display_name": "P"}),
        ),
    ]
}

#[tokio::test]
async fn a_thing_that_has_not_changed_is_not_sent_again() {
    on_both(async |app| {
        for (path, change) in one_of_everything(app).await {
            let answer = app.get(&path).await;
            let tag = answer.header("etag").to_owned();
            assert!(
                tag.starts_with('"') && tag.ends_with('"'),
                "{path}: {tag:?} is strong"
            );
            for named in [tag.as_str(), "*", &format!("\"0-0\", W/{tag}")] {
                let unchanged = get_unless(app, &path, named).await;
                assert_eq!(
                    (unchanged.status, unchanged.text.as_str()),
                    (304, ""),
                    "{path}"
                );
                assert_eq!(unchanged.header("etag"), tag);
            }
            let patched = app.patch(&path, &change).await;
            let new_tag = patched.header("etag").to_owned();
            assert_ne!(new_tag, tag, "{path}");
            patched.ok();
            let changed = get_unless(app, &path, &tag).await;
            assert_eq!(changed.header("etag"), new_tag, "{path}");
            changed.ok();
            assert_eq!(
                app.patch(&path, &json!({})).await.header("etag"),
                new_tag,
                "{path}"
            );
        }
    })
    .await;
}

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
            .statements(get_unless(app, "/v1/circles/team", &tag))
            .await;
        assert_eq!((answer.status, statements), (304, 1));
        let (answer, statements) = app
            .statements(get_unless(app, "/v1/circles/team", "\"0-0\""))
            .await;
        assert_eq!(
            (answer.ok()["member_count"].clone(), statements),
            (json!(20), 1)
        );
        get_unless(app, "/v1/circles/none", &tag)
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
        assert_eq!(get_unless(app, path, &tag).await.status, 304);

        // The circle's revision does not count what happens to those who left.
        let agent = format!("/v1/agents/{left}");
        app.patch(&agent, &json!({"role": "gone"})).await.ok();
        let changed = get_unless(app, path, &tag).await;
        let new_tag = changed.header("etag").to_owned();
        assert_ne!(new_tag, tag);
        assert_eq!(changed.ok()["members"][1]["agent_role"], "gone");

        let change = json!({"description": "d"});
        patch_if(app, "/v1/circles/team", &new_tag, change.clone())
            .await
            .ok();
        patch_if(app, "/v1/circles/team", &new_tag, change)
            .await
            .problem(412, "outdated");
    })
    .await;
}

#[tokio::test]
async fn a_change_from_an_old_state_is_refused_and_changes_nothing() {
    on_both(async |app| {
        for (path, change) in one_of_everything(app).await {
            let old = app.get(&path).await.header("etag").to_owned();
            let changed = patch_if(app, &path, &old, change.clone()).await;
            let new = changed.header("etag").to_owned();
            let body = changed.ok();
            for (answer, what) in [
                (patch_if(app, &path, &old, change.clone()).await, "a patch"),
                (
                    patch_if(app, &path, &old, json!({})).await,
                    "an empty patch",
                ),
                (
                    patch_if(app, &path, "\"nonsense\"", change.clone()).await,
                    "a foreign tag",
                ),
                (delete_if(app, &path, &old).await, "a delete"),
            ] {
                assert_eq!(answer.status, 412, "{what} of {path}");
                answer.problem(412, "outdated");
            }
            let now = app.get(&path).await;
            assert_eq!(now.header("etag"), new);
            assert_eq!(now.ok()["updated_at"], body["updated_at"]);
            patch_if(app, &path, "*", json!({})).await.ok();
        }
        // In an order in which they can be deleted.
        for path in [
            "/v1/conversations/1",
            "/v1/circles/team/members/1",
            "/v1/circles/team",
            "/v1/agents/1",
            "/v1/models/1",
            "/v1/providers/1",
        ] {
            let tag = app.get(path).await.header("etag").to_owned();
            delete_if(app, path, &tag).await.no_content();
            delete_if(app, path, &tag).await.problem(404, "not_found");
            patch_if(app, path, &tag, json!({}))
                .await
                .problem(404, "not_found");
        }
    })
    .await;
}

#[tokio::test]
async fn of_many_changes_from_one_state_exactly_one_is_made() {
    on_both(async |app| {
        for (path, _) in one_of_everything(app).await {
            let tag = app.get(&path).await.header("etag").to_owned();
            let field = match path.rsplit('/').nth(1) {
                Some("conversations") => "topic",
                Some("members" | "agents") => "role",
                Some("circles") => "description",
                Some("models") => "model_alias",
                _ => "display_name",
            };
            let values = ["lead", "member", "specialist", "reviewer", "observer"];
            let races = values
                .iter()
                .map(|value| patch_if(app, &path, &tag, json!({field: value})));
            let answers = futures_util::future::join_all(races).await;
            let won = answers.iter().filter(|answer| answer.status == 200).count();
            let lost = answers.iter().filter(|answer| answer.status == 412).count();
            assert_eq!((won, lost), (1, 4), "{path}");
        }
    })
    .await;
}

/// A repeatable stream of numbers (a linear congruential generator, as in Knuth's MMIX).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn one_of<'l, T>(&mut self, list: &'l [T]) -> &'l T {
        &list[usize::try_from(self.below(list.len() as u64)).expect("an index")]
    }
}

/// How many random writes the property is tried on; `ROSTER_WRITES` says another number.
fn writes() -> u64 {
    let given = std::env::var("ROSTER_WRITES").ok();
    given.and_then(|given| given.parse().ok()).unwrap_or(600)
}

/// Writes at random to everything that a roster shows, and to much that it does not, and holds the
/// tags of two rosters against their bodies after every write.
#[tokio::test]
async fn a_roster_s_tag_changes_exactly_when_its_body_does() {
    on_both_databases(async |database| {
        let app = TestApp::start(database.backend, without_cache(database)).await;
        let world = World::create(&app).await;
        let mut numbers = Numbers(2026);
        let mut seen: HashMap<&str, (String, String)> = HashMap::new();
        let (mut changes, mut same) = (0, 0);
        for write in 0..writes() {
            let what = world.write(&app, &mut numbers, write).await;
            for circle in ["one", "two"] {
                let now = roster_of(&app, circle).await;
                if let Some(before) = seen.insert(circle, now.clone()) {
                    let tag_changed = before.0 != now.0;
                    assert_eq!(
                        tag_changed,
                        before.1 != now.1,
                        "{what} and circle {circle}\n{}\n{}",
                        before.1,
                        now.1
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

fn without_cache(database: &TestDatabase) -> Settings {
    let mut settings = database.settings();
    settings.server.roster_cache_mib = 0;
    settings
}

/// The tag and the body of a roster.
async fn roster_of(app: &TestApp, circle: &str) -> (String, String) {
    let answer = app.get(&format!("/v1/circles/{circle}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    (answer.header("etag").to_owned(), answer.text)
}

/// Two services on one database, of which one keeps no rosters: whichever of them writes, both
/// show the same at once.
#[tokio::test]
async fn a_kept_roster_is_never_older_than_the_question() {
    on_both_databases(async |database| {
        let keeping = TestApp::start(database.backend, database.settings()).await;
        let reading = TestApp::start(database.backend, without_cache(database)).await;
        let world = World::create(&keeping).await;
        let mut numbers = Numbers(7);
        for write in 0..200 {
            let writing = if write % 2 == 0 { &keeping } else { &reading };
            let what = world.write(writing, &mut numbers, write).await;
            for circle in ["one", "two"] {
                let kept = roster_of(&keeping, circle).await;
                assert_eq!(kept, roster_of(&reading, circle).await, "{what}");
            }
        }
        let figures = keeping.get("/v1/cache").await.ok();
        assert!(figures["hits"].as_u64() > Some(50), "{figures}");
        assert!(figures["misses"].as_u64() > Some(50), "{figures}");
        assert_eq!(figures["rosters"], 2);
        let figures = reading.get("/v1/cache").await.ok();
        assert_eq!(
            (&figures["hits"], &figures["rosters"]),
            (&json!(0), &json!(0))
        );
        keeping.stop().await;
        reading.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_roster_that_is_kept_takes_one_small_statement_and_goes_with_its_circle() {
    on_both(async |app| {
        app.a_circle("team").await;
        let agent = app.an_agent("a").await;
        app.a_member("team", agent).await;
        for expected in [1, 1, 1] {
            let (answer, statements) = app.statements(app.get("/v1/circles/team")).await;
            assert_eq!(
                (answer.ok()["member_count"].clone(), statements),
                (json!(1), expected)
            );
        }
        assert_eq!(app.get("/v1/cache").await.ok()["hits"], 2);
        app.delete("/v1/circles/team").await.no_content();
        app.get("/v1/circles/team").await.problem(404, "not_found");
        app.a_circle("team").await;
        assert_eq!(app.get("/v1/circles/team").await.ok()["member_count"], 0);
    })
    .await;
}

struct World {
    providers: Vec<i64>,
    models: Vec<i64>,
    agents: Vec<i64>,
}

impl World {
    async fn create(app: &TestApp) -> Self {
        let mut world = Self {
            providers: vec![],
            models: vec![],
            agents: vec![],
        };
        for name in ["p", "q"] {
            let provider = app.a_provider(name).await;
            world.providers.push(provider);
            world.models.push(app.a_model(provider, "m").await);
            world.models.push(app.a_model(provider, "n").await);
        }
        for number in 0..6 {
            let model = world.models[number % 4];
            world
                .agents
                .push(app.an_agent_on(&format!("agent {number}"), model).await);
        }
        app.a_circle("one").await;
        app.a_circle("two").await;
        world
    }

    /// One write, which may be refused; tells what it was.
    async fn write(&self, app: &TestApp, numbers: &mut Numbers, write: u64) -> String {
        let circle = *numbers.one_of(&["one", "two"]);
        let agent = *numbers.one_of(&self.agents);
        let (agent_path, circle_path) = (
            format!("/v1/agents/{agent}"),
            format!("/v1/circles/{circle}"),
        );
        let member_path = format!("{circle_path}/members/{agent}");
        let model_path = format!("/v1/models/{}", numbers.one_of(&self.models));
        let provider_path = format!("/v1/providers/{}", numbers.one_of(&self.providers));
        // Few values, so that a write often says what is so already.
        let value = numbers.below(3);
        let (path, body) = match numbers.below(15) {
            0 => (agent_path, json!({"name": format!("agent {value}")})),
            1 => (
                agent_path,
                json!({"skill_names": [format!("skill {value}")]}),
            ),
            2 => (
                agent_path,
                json!({"model_id": numbers.one_of(&self.models)}),
            ),
            3 => (
                agent_path,
                json!({"metadata": {"write": write}, "traits": ["unshown"]}),
            ),
            4 => (
                agent_path,
                json!({"temperature": value, "status": numbers.one_of(&["idle", "busy"])}),
            ),
            5 => (model_path, json!({"model_alias": format!("alias {value}")})),
            6 => (
                model_path,
                json!({"input_price": format!("{value}.5"), "max_output": write}),
            ),
            7 => (provider_path, json!({"api_type": format!("type{value}")})),
            8 => (
                provider_path,
                json!({"display_name": format!("unshown {write}")}),
            ),
            9 => (
                circle_path,
                json!({"description": format!("description {value}")}),
            ),
            10 => (
                member_path,
                json!({"role": numbers.one_of(&["lead", "member"])}),
            ),
            11 => (
                member_path,
                json!({"temperature": value, "max_tokens": write + 1}),
            ),
            12 => (
                member_path,
                json!({"competencies": [format!("competency {value}")]}),
            ),
            13 => {
                app.delete(&member_path).await;
                return format!("DELETE {member_path}");
            }
            _ => {
                let path = format!("{circle_path}/members");
                app.post(&path, &json!({"agent_id": agent})).await;
                return format!("POST {path} {agent}");
            }
        };
        let answer = app.patch(&path, &body).await;
        assert!(
            matches!(answer.status, 200 | 404),
            "{path} {body}: {}",
            answer.text
        );
        format!("PATCH {path} {body}")
    }
}
