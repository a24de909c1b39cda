//! What all lists have in common: pages, sorting, filters and includes.

mod filters;
mod includes;
mod pages;
mod related;
mod sorting;
mod watermarks;

use test_support::TestApp;

/// The lists that can be sorted, each with the field that `sort=name` sorts by.
const LISTS: [(&str, &str); 5] = [
    ("/v1/providers", "name"),
    ("/v1/models", "model_name"),
    ("/v1/agents", "name"),
    ("/v1/circles", "name"),
    ("/v1/conversations", "topic"),
];

/// Three agents: one on the first model, one without a model, one on the second model.
async fn three_agents(app: &TestApp) -> ([i64; 3], [i64; 2]) {
    let provider = app.a_provider("p").await;
    let models = [
        app.a_model(provider, "m").await,
        app.a_model(provider, "n").await,
    ];
    let agents = [
        app.an_agent_on("a", models[0]).await,
        app.an_agent("b").await,
        app.an_agent_on("c", models[1]).await,
    ];
    (agents, models)
}
