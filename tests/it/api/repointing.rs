//! Models that retire, and moving their agents to other models.

use serde_json::{Value, json};

use test_support::{
    TestApp, binary, factories::assert_holds, factories::id, on_both, on_both_databases,
};

/// Two models: an old one that has retired, and a new one.
async fn old_and_new(app: &TestApp) -> (i64, i64) {
    let provider = app.a_provider("p").await;
    let create = async |name: &str, facts: Value| {
        let mut body = facts;
        body["provider_id"] = provider.into();
        body["model_name"] = name.into();
        id(&app.post("/v1/models", &body).await.created())
    };
    let old = json!({
        "deprecation_date": "2020-01-01", "supports_tools": true, "context_window": 1000,
        "input_price": "1", "reasoning_efforts": ["low", "high"]
    });
    let new = json!({"supports_vision": true, "context_window": 500, "input_price": "2"});
    (create("old", old).await, create("new", new).await)
}

/// An agent that runs on a model and may fall back on others.
async fn an_agent(app: &TestApp, name: &str, model: i64, fallbacks: &[i64]) -> i64 {
    let body = json!({"name": name, "model_id": model, "fallback_model_ids": fallbacks});
    id(&app.post("/v1/agents", &body).await.created())
}

#[tokio::test]
async fn models_that_retire_are_listed_with_the_agents_and_circles_on_them() {
    on_both(async |app| {
        let (old, new) = old_and_new(app).await;
        let on = an_agent(app, "on", old, &[]).await;
        let back = an_agent(app, "back", new, &[old]).await;
        let gone = an_agent(app, "gone", old, &[]).await;
        app.delete(&format!("/v1/agents/{gone}")).await.no_content();
        app.a_circle("team").await;
        for agent in [on, back] {
            app.post("/v1/circles/team/members", &json!({"agent_id": agent})).await.created();
        }
        let (answer, statements) = app.statements(app.get("/v1/models/retirements?used=true")).await;
        assert_eq!(statements, 3, "whatever the number of models, agents and circles");
        let listed = answer.ok();
        assert_eq!(
            listed["data"],
            json!([{
                "model_id": old, "provider_id": 1, "model_name": "old", "deprecation_date": "2020-01-01",
                "is_deprecated": true, "agent_count": 2,
                "agents": [
                    {"id": on, "name": "on", "is_fallback": false},
                    {"id": back, "name": "back", "is_fallback": true}
                ],
                "circle_count": 1, "circles": [{"id": 1, "name": "team"}]
            }])
        );

        let soon = chrono::Utc::now().date_naive() + chrono::Days::new(20);
        app.patch(&format!("/v1/models/{new}"), &json!({"deprecation_date": soon})).await.ok();
        for (query, models) in [
            ("", vec![old, new]),
            ("?within=P19D", vec![old]),
            ("?within=P3W", vec![old, new]),
            ("?limit=1", vec![old]),
        ] {
            let page = app.get(&format!("/v1/models/retirements{query}")).await.ok();
            let found = page["data"].as_array().expect("rows").iter();
            let found: Vec<_> = found.map(|row| row["model_id"].clone()).collect();
            assert_eq!(json!(found), json!(models), "{query}");
        }
        let first = app.get("/v1/models/retirements?limit=1&count=true").await.ok();
        assert_eq!(first["total"], 2);
        let cursor = first["next_cursor"].as_str().expect("a cursor");
        let next = app.get(&format!("/v1/models/retirements?cursor={cursor}")).await.ok();
        assert_eq!(next["data"][0]["model_id"], new);
        app.get("/v1/models/retirements?within=90").await.invalid(&["query/within"]);
    })
    .await;
}

#[tokio::test]
async fn the_agents_of_a_model_and_their_fallbacks_are_moved_at_once() {
    on_both(async |app| {
        let (old, new) = old_and_new(app).await;
        let on = an_agent(app, "on", old, &[]).await;
        let both = an_agent(app, "both", old, &[new]).await;
        let back = an_agent(app, "back", new, &[old]).await;
        let third = app.a_model(1, "third").await;
        let other = an_agent(app, "other", third, &[old, new]).await;
        let path = format!("/v1/models/{old}/repoint");
        let plan = app.post(&path, &json!({"to": new, "dry_run": true})).await.ok();
        assert_holds(&plan, &json!({"from": old, "to": new, "dry_run": true, "agent_count": 2, "fallback_count": 2}));
        let lost = |plan: &Value| {
            let all = plan["differences"].as_array().expect("a list").iter();
            let lost = all.filter(|it| it["is_loss"] == true);
            lost.map(|it| it["field"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(lost(&plan), ["supports_tools", "context_window", "input_price", "reasoning_efforts"]);
        let gained = json!({"field": "supports_vision", "before": "false", "after": "true", "is_loss": false});
        assert!(plan["differences"].as_array().expect("a list").contains(&gained));
        let agent = async |id: i64| app.get(&format!("/v1/agents/{id}")).await.ok();
        let before = agent(on).await;
        assert_eq!(before["model_id"], old, "a dry run changes nothing");

        let roster = app.a_circle("team").await;
        app.post("/v1/circles/team/members", &json!({"agent_id": on})).await.created();
        let stale = app.get("/v1/circles/team").await.header("etag").to_owned();
        let done = app.post(&path, &json!({"to": new})).await.ok();
        assert_eq!(done["agent_count"], 2, "{roster}");
        for (id, model, fallbacks) in [
            (on, new, json!([])),
            (both, new, json!([])),
            (back, new, json!([])),
            (other, third, json!([new])),
        ] {
            assert_holds(&agent(id).await, &json!({"model_id": model, "fallback_model_ids": fallbacks}));
        }
        assert_ne!(app.get("/v1/circles/team").await.header("etag"), stale);
        assert_ne!(agent(on).await["updated_at"], before["updated_at"]);
        let again = app.post(&path, &json!({"to": new})).await.ok();
        assert_holds(&again, &json!({"agent_count": 0, "fallback_count": 0}));
        app.delete(&format!("/v1/models/{old}")).await.no_content();

        app.post(&path, &json!({"to": new})).await.problem(404, "not_found");
        let path = format!("/v1/models/{new}/repoint");
        app.post(&path, &json!({"to": new})).await.invalid(&["#/to"]);
        app.post(&path, &json!({"to": 99})).await.invalid(&["#/to"]);
    })
    .await;
}

#[tokio::test]
async fn many_agents_are_moved_in_as_many_statements_as_few() {
    on_both(async |app| {
        let (old, new) = old_and_new(app).await;
        let path = format!("/v1/models/{old}/repoint");
        let back = format!("/v1/models/{new}/repoint");
        an_agent(app, "a", old, &[]).await;
        let (_, few) = app.statements(app.post(&path, &json!({"to": new}))).await;
        app.post(&back, &json!({"to": old})).await.ok();
        for number in 0..30 {
            an_agent(app, &format!("a{number}"), old, &[]).await;
        }
        let (answer, many) = app.statements(app.post(&path, &json!({"to": new}))).await;
        assert_eq!(answer.ok()["agent_count"], 31);
        assert_eq!(many, few);
    })
    .await;
}

#[tokio::test]
async fn the_command_line_reports_and_moves_after_it_is_confirmed() {
    on_both_databases(async |database| {
        let app = TestApp::start(database.backend, database.settings()).await;
        let (old, new) = old_and_new(&app).await;
        an_agent(&app, "Ada", old, &[]).await;
        let run = |arguments: &[&str]| {
            let mut all = vec!["--database-url", &database.url];
            all.extend(arguments);
            binary::run(&all)
        };
        let retiring = run(&["models", "retiring", "--within", "90d"]);
        assert_eq!(retiring.status.code(), Some(2));
        let said = String::from_utf8(retiring.stdout).expect("text");
        assert_eq!(
            said,
            format!("{old} old: retired on 2020-01-01\n  1 agents: Ada\n1 models\n")
        );

        let refused = run(&["models", "repoint", "p/old", &new.to_string()]);
        assert_eq!(refused.status.code(), Some(1));
        let said = String::from_utf8(refused.stdout).expect("text");
        assert!(
            said.contains("loses supports_tools: true to false"),
            "{said}"
        );
        let agents = app.get(&format!("/v1/models/{old}/agents")).await.ok();
        assert_eq!(agents["data"][0]["name"], "Ada", "nothing was changed");

        let moved = run(&["models", "repoint", "p/old", "p/new", "--yes"]);
        assert_eq!(moved.status.code(), Some(0));
        let agents = app.get(&format!("/v1/models/{new}/agents")).await.ok();
        assert_eq!(agents["data"][0]["name"], "Ada");
        assert_eq!(
            run(&["models", "retiring", "--format", "json"])
                .status
                .code(),
            Some(0)
        );
        assert_eq!(run(&["models", "retiring", "--all"]).status.code(), Some(2));
        assert_eq!(
            run(&["models", "repoint", "p/none", "p/new", "--yes"])
                .status
                .code(),
            Some(1)
        );
        app.stop().await;
    })
    .await;
}
