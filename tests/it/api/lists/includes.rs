//! Related rows that a list includes.

use super::three_agents;
use test_support::on_both;

#[tokio::test]
async fn agents_include_their_models_in_the_same_statement() {
    on_both(async |app| {
        let (agents, models) = three_agents(app).await;
        let plain = app.get("/v1/agents").await.ok();
        for limit in [1, 3, 200] {
            let path = format!("/v1/agents?include=model&limit={limit}");
            let (_, statements) = app.statements(app.get(&path)).await;
            assert_eq!(statements, 1, "{path}");
        }
        let page = app.get("/v1/agents?include=model").await.ok();
        for (row, model) in [(0, models[0]), (2, models[1])] {
            let mut expected = plain["data"][row].clone();
            expected["model"] = app.get(&format!("/v1/models/{model}")).await.ok();
            assert_eq!(page["data"][row], expected);
        }
        assert_eq!(page["data"][1], plain["data"][1], "it has no model");
        assert_eq!(plain["data"][0].get("model"), None);
        let one = app.get(&format!("/v1/agents/{}", agents[0])).await.ok();
        assert_eq!(one, plain["data"][0]);
    })
    .await;
}

#[tokio::test]
async fn models_include_their_providers_in_the_same_statement() {
    on_both(async |app| {
        for name in ["p", "q"] {
            let provider = app.a_provider(name).await;
            app.a_model(provider, "m").await;
        }
        let plain = app.get("/v1/models").await.ok();
        for limit in [1, 200] {
            let path = format!("/v1/models?include=provider&limit={limit}");
            let (_, statements) = app.statements(app.get(&path)).await;
            assert_eq!(statements, 1, "{path}");
        }
        let page = app.get("/v1/models?include=provider").await.ok();
        for row in [0, 1] {
            let mut expected = plain["data"][row].clone();
            let provider = format!("/v1/providers/{}", expected["provider_id"]);
            expected["provider"] = app.get(&provider).await.ok();
            assert_eq!(page["data"][row], expected);
        }
        assert_eq!(plain["data"][0].get("provider"), None);
    })
    .await;
}

#[tokio::test]
async fn what_can_be_included_is_a_closed_list() {
    on_both(async |app| {
        for path in ["/v1/agents", "/v1/models", "/v1/circles"] {
            for include in ["", "everything", "model,model", "MODEL"] {
                let answer = app.get(&format!("{path}?include={include}")).await;
                answer.invalid(&["query/include"]);
            }
        }
        app.get("/v1/providers?include=models")
            .await
            .invalid(&["query/include"]);
    })
    .await;
}
