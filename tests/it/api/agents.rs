//! `/v1/agents`

use serde_json::{Value, json};

use test_support::{
    TestApp,
    factories::{assert_holds, timestamp},
    on_both,
};

/// An agent with every field set.
fn ada(model_id: i64) -> Value {
    json!({
        "name": "Ada", "external_id": "ada/1", "role": "Rust reviewer",
        "description": "Use this agent when Rust code waits for a review.", "system_prompt": "You review.\n\"Kindly\" 🦀",
        "base_prompt": "You are Ada.", "skill_names": ["code-review", "rust"],
        "competencies": ["rust", "sql"], "can_review": ["rust"], "traits": ["thorough"],
        "languages": ["en", "日本語"], "communication_style": "concise", "temperature": 0.7,
        "max_tokens": 4096, "model_id": model_id, "status": "busy",
        "metadata": {"team": {"seats": [1, 2.5, null, true]}, "": ""}
    })
}

/// The same fields, all different.
fn bob(model_id: i64) -> Value {
    json!({
        "name": "Bob", "external_id": "Боб", "role": "Writer", "description": "", "system_prompt": "You write.", "base_prompt": "",
        "skill_names": [], "competencies": ["prose"], "can_review": ["prose", "rust"],
        "traits": ["terse", "terse"], "languages": ["de"], "communication_style": "dry",
        "temperature": 2.0, "max_tokens": 1, "model_id": model_id, "status": "offline",
        "metadata": {}
    })
}

async fn two_models(app: &TestApp) -> (i64, i64) {
    let provider = app.a_provider("p").await;
    (
        app.a_model(provider, "a").await,
        app.a_model(provider, "b").await,
    )
}

#[tokio::test]
async fn an_agent_is_created_read_updated_and_deleted() {
    on_both(async |app| {
        let (first, second) = two_models(app).await;
        let answer = app.post("/v1/agents", &ada(first)).await;
        let location = answer.header("location").to_owned();
        let created = answer.created();
        assert_eq!(location, format!("/v1/agents/{}", created["id"]));
        assert_holds(&created, &ada(first));
        assert_eq!(created["is_active"], true);
        assert_eq!(created["created_at"], created["updated_at"]);
        assert_eq!(app.get(&location).await.ok(), created);

        let updated = app.patch(&location, &bob(second)).await.ok();
        assert_holds(&updated, &bob(second));
        assert_eq!(updated["created_at"], created["created_at"]);
        assert!(timestamp(&updated["updated_at"]) > timestamp(&created["updated_at"]));
        assert_eq!(app.get(&location).await.ok(), updated);

        app.delete(&location).await.no_content();
        app.get(&location).await.problem(404, "not_found");
        app.delete(&location).await.problem(404, "not_found");
        let patch = app.patch(&location, &bob(second)).await;
        patch.problem(404, "not_found");
        app.patch(&location, &json!({}))
            .await
            .problem(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn an_agent_needs_no_more_than_a_name() {
    on_both(async |app| {
        let created = app.post("/v1/agents", &json!({"name": "Ada"})).await;
        let nothing = json!({
            "role": null, "external_id": null, "description": null, "system_prompt": null, "base_prompt": null, "skill_names": [],
            "competencies": [], "can_review": [], "traits": [], "languages": [],
            "communication_style": null, "temperature": null, "max_tokens": null,
            "model_id": null, "status": "idle", "metadata": {}
        });
        assert_holds(&created.created(), &nothing);
        app.post("/v1/agents", &json!({}))
            .await
            .invalid(&["#/name"]);
        let again = app.an_agent("Ada").await;
        assert_eq!(
            app.get(&format!("/v1/agents/{again}")).await.ok()["name"],
            "Ada"
        );
    })
    .await;
}

#[tokio::test]
async fn null_clears_what_may_be_null_and_an_absent_field_stays() {
    on_both(async |app| {
        let (model, _) = two_models(app).await;
        let created = app.post("/v1/agents", &ada(model)).await.created();
        let path = format!("/v1/agents/{}", created["id"]);
        assert_eq!(app.patch(&path, &json!({})).await.ok(), created);

        let required = json!({
            "name": null, "skill_names": null, "competencies": null, "can_review": null,
            "traits": null, "languages": null, "status": null, "metadata": null
        });
        app.patch(&path, &required).await.invalid(&[
            "#/name",
            "#/skill_names",
            "#/competencies",
            "#/can_review",
            "#/traits",
            "#/languages",
            "#/status",
            "#/metadata",
        ]);
        assert_eq!(app.get(&path).await.ok(), created);

        let nullable = json!({
            "role": null, "system_prompt": null, "base_prompt": null,
            "communication_style": null, "temperature": null, "max_tokens": null,
            "model_id": null
        });
        let mut expected = created;
        for field in nullable.as_object().expect("an object").keys() {
            expected[field] = Value::Null;
        }
        let cleared = app.patch(&path, &nullable).await.ok();
        expected["updated_at"] = cleared["updated_at"].clone();
        expected["version"] = 2.into();
        assert_eq!(cleared, expected);
    })
    .await;
}

#[tokio::test]
async fn a_value_out_of_bounds_is_refused() {
    on_both(async |app| {
        let bad = json!({
            "name": "", "role": "r".repeat(201), "system_prompt": "s".repeat(500_001), "description": "d".repeat(5001),
            "external_id": "e".repeat(256),
            "skill_names": ["", "ok", "s".repeat(201)], "traits": vec!["t"; 101],
            "temperature": 2.000_001, "max_tokens": 0, "model_id": 0, "status": "asleep"
        });
        app.post("/v1/agents", &bad).await.invalid(&[
            "#/name",
            "#/role",
            "#/system_prompt",
            "#/description",
            "#/external_id",
            "#/skill_names/0",
            "#/skill_names/2",
            "#/traits",
            "#/temperature",
            "#/max_tokens",
            "#/model_id",
            "#/status",
        ]);
        assert_eq!(app.total("/v1/agents").await, 0);

        let widest = json!({
            "name": "ü".repeat(200), "external_id": "团".repeat(255), "description": "ü".repeat(5000),
            "system_prompt": "s".repeat(500_000),
            "skill_names": vec!["s".repeat(200); 100], "temperature": 0.0,
            "max_tokens": 1_000_000_000
        });
        let created = app.post("/v1/agents", &widest).await.created();
        assert_holds(&created, &widest);
    })
    .await;
}

#[tokio::test]
async fn an_agent_runs_on_a_model_that_exists() {
    on_both(async |app| {
        let unknown = json!({"name": "Ada", "model_id": 17});
        app.post("/v1/agents", &unknown)
            .await
            .invalid(&["#/model_id"]);
        assert_eq!(app.total("/v1/agents").await, 0);

        let path = format!("/v1/agents/{}", app.an_agent("Ada").await);
        let before = app.get(&path).await.ok();
        app.patch(&path, &json!({"name": "Bob", "model_id": 17}))
            .await
            .invalid(&["#/model_id"]);
        assert_eq!(app.get(&path).await.ok(), before);
    })
    .await;
}

#[tokio::test]
async fn agents_are_found_by_status_model_skill_competency_and_name() {
    on_both(async |app| {
        let (first, second) = two_models(app).await;
        app.post("/v1/agents", &ada(first)).await.created();
        app.post("/v1/agents", &bob(second)).await.created();
        app.an_agent("100%_sure").await;
        for (query, expected) in [
            ("status=busy", &["Ada"][..]),
            ("status=idle", &["100%_sure"]),
            (&format!("model_id={second}"), &["Bob"]),
            ("model_id=17", &[]),
            ("skill=rust", &["Ada"]),
            ("skill=rus", &[]),
            ("skill=RUST", &[]),
            ("skill=%25", &[]),
            ("competency=prose", &["Bob"]),
            ("competency=rust&skill=code-review", &["Ada"]),
            ("competency=rust&status=offline", &[]),
            ("q=a", &["Ada"]),
            ("q=B", &["Bob"]),
            ("q=%25_S", &["100%_sure"]),
            ("q=_d", &[]),
            ("q=%5C", &[]),
        ] {
            let found = app.listed(&format!("/v1/agents?{query}"), "name").await;
            assert_eq!(found, expected, "{query}");
        }
        let page = app.get("/v1/agents?skill=rust&count=true").await.ok();
        assert_eq!(page["total"], 1, "the total is of what was found");
    })
    .await;
}

#[tokio::test]
async fn an_agent_is_found_by_a_skill_with_any_character() {
    on_both(async |app| {
        for skill in [
            "\"quoted\"",
            "a,b",
            "c\\d",
            "$1",
            "?",
            "日本語",
            "null",
            "1",
        ] {
            let body = json!({"name": skill, "skill_names": ["other", skill]});
            app.post("/v1/agents", &body).await.created();
            let query: String = url::form_urlencoded::byte_serialize(skill.as_bytes()).collect();
            let path = format!("/v1/agents?skill={query}");
            assert_eq!(app.listed(&path, "name").await, [skill]);
        }
    })
    .await;
}

#[tokio::test]
async fn deleting_an_agent_hides_it_and_ends_its_memberships() {
    on_both(async |app| {
        let (leaves, stays) = (app.an_agent("leaves").await, app.an_agent("stays").await);
        for circle in ["one", "two"] {
            app.a_circle(circle).await;
            app.a_member(circle, leaves).await;
            app.a_member(circle, stays).await;
        }
        app.delete(&format!("/v1/agents/{leaves}"))
            .await
            .no_content();

        assert_eq!(app.listed("/v1/agents", "name").await, ["stays"]);
        assert_eq!(app.total("/v1/agents").await, 1);
        for circle in ["one", "two"] {
            let path = format!("/v1/circles/{circle}");
            let roster = app.get(&path).await.ok();
            assert_eq!(roster["member_count"], 1);
            assert_eq!(roster["members"][0]["agent_name"], "stays");

            let path = format!("{path}/members?include_inactive=true");
            let members = app.get(&path).await.ok();
            let (ended, going_on) = (&members["data"][0], &members["data"][1]);
            assert_eq!(ended["agent_id"], leaves);
            assert_eq!(ended["is_active"], false);
            assert!(timestamp(&ended["left_at"]) > timestamp(&ended["joined_at"]));
            assert_eq!(going_on["left_at"], Value::Null);
        }
    })
    .await;
}

#[tokio::test]
async fn an_agent_lists_the_live_circles_it_is_in() {
    on_both(async |app| {
        let (agent, other) = (app.an_agent("Ada").await, app.an_agent("Bob").await);
        let path = format!("/v1/agents/{agent}/circles");
        let mut circles = Vec::new();
        for name in ["in", "left", "deleted", "out"] {
            circles.push(app.a_circle(name).await);
            app.a_member(name, other).await;
        }
        let membership = app.a_member("in", agent).await;
        app.a_member("left", agent).await;
        app.a_member("deleted", agent).await;
        app.delete(&format!("/v1/circles/left/members/{agent}"))
            .await
            .no_content();
        app.delete("/v1/circles/deleted").await.no_content();

        let mut circle = circles.swap_remove(0);
        circle["member_count"] = 2.into();
        let page = app.get(&format!("{path}?count=true")).await.ok();
        let expected = json!({
            "data": [{"membership": membership, "circle": circle}],
            "next_cursor": null, "total": 1
        });
        assert_eq!(page, expected);
    })
    .await;
}

#[tokio::test]
async fn the_circles_of_an_unknown_agent_are_not_found() {
    on_both(async |app| {
        app.get("/v1/agents/17/circles")
            .await
            .problem(404, "not_found");
        let agent = app.an_agent("Ada").await;
        let path = format!("/v1/agents/{agent}/circles");
        assert_eq!(app.get(&path).await.ok()["data"], json!([]));
        app.delete(&format!("/v1/agents/{agent}"))
            .await
            .no_content();
        app.get(&path).await.problem(404, "not_found");
    })
    .await;
}
