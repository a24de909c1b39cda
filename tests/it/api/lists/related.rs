//! Lists under a row of another resource: the agents of a model, the models of a provider.

use test_support::on_both;

#[tokio::test]
async fn a_model_lists_the_live_agents_that_run_on_it() {
    on_both(async |app| {
        let provider = app.a_provider("p").await;
        let (used, unused) = (
            app.a_model(provider, "used").await,
            app.a_model(provider, "unused").await,
        );
        let gone = app.an_agent_on("gone", used).await;
        app.an_agent_on("Ada", used).await;
        app.an_agent_on("other", unused).await;
        app.an_agent("without").await;
        app.an_agent_on("Bob", used).await;
        app.delete(&format!("/v1/agents/{gone}")).await.no_content();

        let path = format!("/v1/models/{used}/agents");
        let page = app.get(&format!("{path}?count=true")).await.ok();
        assert_eq!(page["total"], 2);
        let same = app.get(&format!("/v1/agents?model_id={used}")).await.ok();
        assert_eq!(page["data"], same["data"]);
        assert_eq!(app.listed(&path, "name").await, ["Ada", "Bob"]);

        let first = app.get(&format!("{path}?limit=1")).await.ok();
        let cursor = first["next_cursor"].as_str().expect("a cursor");
        let second = format!("{path}?limit=1&cursor={cursor}");
        assert_eq!(app.listed(&second, "name").await, ["Bob"]);
        let (answer, statements) = app.statements(app.get(&path)).await;
        answer.ok();
        assert_eq!(statements, 2);
        app.get("/v1/models/17/agents")
            .await
            .problem(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn a_provider_lists_its_models() {
    on_both(async |app| {
        let (provider, other) = (app.a_provider("p").await, app.a_provider("q").await);
        for (owner, name) in [(provider, "b"), (other, "c"), (provider, "a")] {
            app.a_model(owner, name).await;
        }
        let path = format!("/v1/providers/{provider}/models");
        let page = app.get(&format!("{path}?count=true")).await.ok();
        assert_eq!(page["total"], 2);
        let same = app.get(&format!("/v1/models?provider_id={provider}")).await;
        assert_eq!(page["data"], same.ok()["data"]);
        assert_eq!(app.listed(&path, "model_name").await, ["b", "a"]);

        let first = app.get(&format!("{path}?limit=1")).await.ok();
        let cursor = first["next_cursor"].as_str().expect("a cursor");
        let second = format!("{path}?limit=1&cursor={cursor}");
        assert_eq!(app.listed(&second, "model_name").await, ["a"]);
        let (answer, statements) = app.statements(app.get(&path)).await;
        answer.ok();
        assert_eq!(statements, 2);
        app.get("/v1/providers/17/models")
            .await
            .problem(404, "not_found");
    })
    .await;
}
