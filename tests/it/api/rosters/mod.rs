//! The roster: complete, in order, and in one statement whatever the number of members.

mod cache;
mod etags;
pub(super) mod random_writes;

pub(crate) use random_writes::Numbers;

use circle_registry::{config::Settings, database::Database};
use entity::{agent, circle, member, model, provider};
use poem_openapi::types::ToJSON;
use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter};
use serde_json::{Value, json};

use test_support::{Backend, TestApp, TestDatabase, on_both};

pub(super) fn without_cache(database: &TestDatabase) -> Settings {
    let mut settings = database.settings();
    settings.server.roster_cache_mib = 0;
    settings
}

/// The ETag and the body of a roster.
async fn roster_of(app: &TestApp, circle: &str) -> (String, String) {
    tag_and_body(app, &format!("/v1/circles/{circle}")).await
}

async fn tag_and_body(app: &TestApp, path: &str) -> (String, String) {
    let answer = app.get(path).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    (answer.header("etag").to_owned(), answer.text)
}

/// `count` members in all roles, on models of three providers, every seventh without a model.
async fn fill(app: &TestApp, circle: &str, count: usize) {
    let db = app.database.connection();
    let circle = app.a_circle(circle).await["id"].as_i64().expect("an id");
    let mut models = Vec::new();
    for name in ["p", "q", "r"] {
        let provider = app.a_provider(&format!("{name}-{circle}")).await;
        models.push(app.a_model(provider, &format!("model-{name}")).await);
    }
    let sql = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
         INSERT INTO agents (name, role, system_prompt, skill_names, model_id, status, temperature, \
           max_tokens, created_at, updated_at) \
         SELECT 'agent ' || i, 'role ' || i, 'prompt ' || i, {json}, \
           CASE i % 7 WHEN 0 THEN NULL ELSE {first} + i % 3 END, \
           CASE i % 2 WHEN 0 THEN 'idle' ELSE 'busy' END, 0.25, 100 + i, {now}, {now} FROM n",
        json = json_literal(app, r#"["a","b \"c\""]"#),
        first = models[0],
        now = now_literal(app),
    );
    if count > 0 {
        db.execute_unprepared(&sql).await.expect("agents");
        let sql = format!(
            "INSERT INTO members (circle_id, agent_id, role, competencies, permissions, is_active, joined_at) \
             SELECT {circle}, id, CASE id % 5 WHEN 0 THEN 'observer' WHEN 1 THEN 'reviewer' \
               WHEN 2 THEN 'specialist' WHEN 3 THEN 'member' ELSE 'lead' END, \
               {list}, {object}, {active}, {now} FROM agents \
             WHERE id NOT IN (SELECT agent_id FROM members)",
            list = json_literal(app, r#"["rust"]"#),
            object = json_literal(app, r#"{"merge":true}"#),
            active = "id % 11 <> 0",
            now = now_literal(app),
        );
        db.execute_unprepared(&sql).await.expect("members");
    }
}

fn json_literal(app: &TestApp, text: &str) -> String {
    match app.backend {
        Backend::Sqlite => format!("'{text}'"),
        Backend::Postgres => format!("'{text}'::jsonb"),
    }
}

fn now_literal(app: &TestApp) -> &'static str {
    match app.backend {
        Backend::Sqlite => "'2026-01-02T03:04:05.678901+00:00'",
        Backend::Postgres => "'2026-01-02T03:04:05.678901+00:00'::timestamptz",
    }
}

/// What a roster means: the circle's active members by role and joining, each with its agent, the agent's
/// model and the model's provider, as SeaORM's Entity Loader follows the relations.
async fn load(database: &Database, name: &str) -> Vec<Value> {
    let db = database.connection();
    let circle = circle::Entity::load()
        .filter(circle::Column::Name.eq(name))
        .with(member::Entity)
        .one(db)
        .await
        .expect("a read")
        .expect("a circle");
    let mut members: Vec<_> = circle.members.into_iter().collect();
    members.retain(|member| member.is_active);
    members.sort_by_key(|member| (member.role, member.joined_at, member.id));
    let agents = agent::Entity::load()
        .filter(agent::Column::Id.is_in(members.iter().map(|member| member.agent_id)))
        .with((model::Entity, provider::Entity))
        .all(db)
        .await
        .expect("a read");
    let shown = members.iter().map(|member| {
        let agent = agents.iter().find(|agent| agent.id == member.agent_id);
        show(member, agent.expect("an agent"))
    });
    shown.collect()
}

fn show(member: &member::ModelEx, agent: &agent::ModelEx) -> Value {
    let model = agent.model.as_ref();
    let provider = model.and_then(|model| model.provider.as_ref());
    json!({
        "member_id": member.id,
        "agent_id": agent.id,
        "role": member.role,
        "is_active": member.is_active,
        "joined_at": member.joined_at,
        "competencies": member.competencies,
        "can_review": member.can_review,
        "permissions": member.permissions.to_json(),
        "agent_name": agent.name,
        "agent_role": agent.role,
        "system_prompt": agent.system_prompt,
        "base_prompt": agent.base_prompt,
        "skill_names": agent.skill_names,
        "agent_status": agent.status,
        "temperature": agent.temperature,
        "max_tokens": agent.max_tokens,
        "model_id": agent.model_id,
        "model_name": model.map(|model| &model.model_name),
        "model_alias": model.and_then(|model| model.model_alias.as_ref()),
        "provider_id": provider.map(|provider| provider.id),
        "provider_name": provider.map(|provider| &provider.name),
        "provider_api_type": provider.map(|provider| &provider.api_type),
    })
}

#[tokio::test]
async fn a_roster_takes_one_statement_whatever_the_number_of_members() {
    on_both(async |app| {
        for count in [0, 1, 20, 500] {
            let name = format!("circle-{count}");
            fill(app, &name, count).await;
            let path = format!("/v1/circles/{name}");
            let (answer, statements) = app.statements(app.get(&path)).await;
            let roster = answer.ok();
            assert_eq!(statements, 1, "{count} members");
            let loaded = load(&app.database, &name).await;
            assert_eq!(roster["member_count"], loaded.len());
            assert_eq!(roster["members"], Value::from(loaded), "{count} members");
        }
    })
    .await;
}

#[tokio::test]
async fn a_page_of_circles_with_members_takes_three_statements_at_most() {
    on_both(async |app| {
        for number in 0..55 {
            fill(app, &format!("circle-{number}"), number % 4).await;
        }
        let path = "/v1/circles?include=members&limit=50&count=true";
        let (answer, statements) = app.statements(app.get(path)).await;
        let page = answer.ok();
        assert!(statements <= 3, "{statements} statements");
        assert_eq!(page["total"], 55);
        let circles = page["data"].as_array().expect("rows");
        assert_eq!(circles.len(), 50);
        for circle in circles {
            let name = circle["name"].as_str().expect("a name");
            let loaded = load(&app.database, name).await;
            assert_eq!(circle["member_count"], loaded.len(), "{name}");
            assert_eq!(circle["members"], Value::from(loaded), "{name}");
        }
        let (answer, statements) = app.statements(app.get("/v1/circles?limit=50")).await;
        assert_eq!(
            (answer.ok()["data"][0].get("members"), statements),
            (None, 1)
        );
    })
    .await;
}

#[tokio::test]
async fn a_roster_lists_leads_first_and_then_by_joining() {
    on_both(async |app| {
        app.a_circle("team").await;
        for (name, role) in [
            ("o", "observer"),
            ("m1", "member"),
            ("r", "reviewer"),
            ("l", "lead"),
            ("m2", "member"),
            ("s", "specialist"),
        ] {
            let agent = app.an_agent(name).await;
            let body = json!({"agent_id": agent, "role": role});
            app.post("/v1/circles/team/members", &body).await.created();
        }
        let roster = app.get("/v1/circles/team").await.ok();
        let members = roster["members"].as_array().expect("members");
        let names: Vec<&str> = members
            .iter()
            .filter_map(|member| member["agent_name"].as_str())
            .collect();
        assert_eq!(names, ["l", "m1", "m2", "s", "r", "o"]);
    })
    .await;
}

#[tokio::test]
async fn a_membership_that_ended_is_shown_only_when_asked_for() {
    on_both(async |app| {
        app.a_circle("team").await;
        let (stays, leaves) = (app.an_agent("stays").await, app.an_agent("leaves").await);
        app.a_member("team", stays).await;
        app.a_member("team", leaves).await;
        app.delete(&format!("/v1/circles/team/members/{leaves}"))
            .await
            .no_content();

        let roster = app.get("/v1/circles/team").await.ok();
        assert_eq!(roster["members"].as_array().map(Vec::len), Some(1));
        let path = "/v1/circles/team?include_inactive=true";
        let (answer, statements) = app.statements(app.get(path)).await;
        let roster = answer.ok();
        assert_eq!(statements, 1);
        assert_eq!(roster["member_count"], 1);
        let members = roster["members"].as_array().expect("members");
        let active: Vec<&Value> = members.iter().map(|member| &member["is_active"]).collect();
        assert_eq!(active, [true, false]);
    })
    .await;
}
