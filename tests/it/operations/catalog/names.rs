//! What an import names a model, and how a later import finds it.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{import, on_app, write_list};
use test_support::{TestApp, factories::id, on_both_databases};

/// The models of a page in the order of their ids: name and key.
async fn names(app: &TestApp) -> Vec<(Value, Value)> {
    let page = app.get("/v1/models").await.ok();
    let rows = page["data"].as_array().expect("rows");
    rows.iter()
        .map(|row| (row["model_name"].clone(), row["catalog_key"].clone()))
        .collect()
}

#[tokio::test]
async fn a_model_is_named_as_the_api_of_its_provider_names_it() {
    on_both_databases(async |database| {
        let folder = TempDir::new().expect("a folder");
        let list = json!({
            "groq/llama": {"litellm_provider": "groq", "mode": "chat"},
            "groq/openai/gpt-oss": {"litellm_provider": "groq", "mode": "chat"},
            "perplexity/sonar": {"litellm_provider": "perplexity", "mode": "chat"},
            "perplexity/perplexity/sonar": {"litellm_provider": "perplexity", "mode": "chat"},
            "vertex_ai/claude": {"litellm_provider": "vertex_ai-anthropic_models", "mode": "chat"},
            "gpt-4o": {"litellm_provider": "openai", "mode": "chat"}
        });
        let list = write_list(&folder, &list);
        import(database, &list, &[]);
        let named = [
            ("llama", "groq/llama"),
            ("openai/gpt-oss", "groq/openai/gpt-oss"),
            ("sonar", "perplexity/sonar"),
            ("perplexity/sonar", "perplexity/perplexity/sonar"),
            ("claude", "vertex_ai/claude"),
            ("gpt-4o", "gpt-4o"),
        ];
        let named = named.map(|(name, key)| (json!(name), json!(key)));
        on_app(database, async |app| {
            assert_eq!(names(app).await, named);
            let page = app.get("/v1/models?q=llama").await.ok();
            let agent = app.an_agent_on("Ada", id(&page["data"][0])).await;
            let handle = app.get(&format!("/v1/agents/{agent}/handle")).await.ok();
            assert_eq!(handle["model"], "llama");
            assert_eq!(handle["base_url"], "https://api.groq.com/openai/v1");
        })
        .await;
        let said = import(database, &list, &[]);
        assert!(
            said.contains("models     0 added, 0 changed, 6 unchanged"),
            "{said}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_later_import_finds_a_model_by_its_key_and_then_by_its_name() {
    on_both_databases(async |database| {
        let folder = TempDir::new().expect("a folder");
        let list = write_list(
            &folder,
            &json!({
                "groq/a": {"litellm_provider": "groq", "max_input_tokens": 1},
                "groq/b": {"litellm_provider": "groq", "max_input_tokens": 2}
            }),
        );
        on_app(database, async |app| {
            let groq = app.a_provider("groq").await;
            app.a_model(groq, "b").await;
        })
        .await;
        let said = import(database, &list, &[]);
        assert!(
            said.contains("models     1 added, 1 changed, 0 unchanged"),
            "{said}"
        );
        on_app(database, async |app| {
            let page = app.get("/v1/models?sort=name").await.ok();
            let path = format!("/v1/models/{}", id(&page["data"][0]));
            let key = json!({"catalog_key": "other"});
            app.patch(&path, &key).await.invalid(&["#/catalog_key"]);
            app.patch(&path, &json!({"model_name": "mine"})).await.ok();
        })
        .await;
        let later = json!({
            "groq/a": {"litellm_provider": "groq", "max_input_tokens": 3},
            "groq/b": {"litellm_provider": "groq"},
            "groq/mine": {"litellm_provider": "groq"}
        });
        let said = import(database, &write_list(&folder, &later), &[]);
        assert!(
            said.contains("models     0 added, 1 changed, 1 unchanged"),
            "{said}"
        );
        assert!(
            said.contains("groq/mine: another model in the catalogue is named mine"),
            "{said}"
        );
        on_app(database, async |app| {
            let page = app.get("/v1/models?sort=name").await.ok();
            let rows = page["data"].as_array().expect("rows");
            let found: Vec<_> = rows
                .iter()
                .map(|row| {
                    (
                        &row["model_name"],
                        &row["catalog_key"],
                        &row["context_window"],
                    )
                })
                .collect();
            let (b, mine) = (
                [json!("b"), json!("groq/b")],
                [json!("mine"), json!("groq/a")],
            );
            assert_eq!(
                found,
                [(&b[0], &b[1], &json!(2)), (&mine[0], &mine[1], &json!(3))]
            );
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn of_two_keys_of_a_model_the_plain_one_is_imported() {
    on_both_databases(async |database| {
        let folder = TempDir::new().expect("a folder");
        let list = json!({
            "deepseek/chat": {"litellm_provider": "deepseek", "max_input_tokens": 1},
            "chat": {"litellm_provider": "DeepSeek", "max_input_tokens": 2},
            "sora": {"litellm_provider": "openai"},
            "openai/sora": {"litellm_provider": "openai"}
        });
        let said = import(database, &write_list(&folder, &list), &[]);
        assert!(said.contains("models     2 added"), "{said}");
        for reason in [
            "deepseek/chat: names the same model as chat",
            "openai/sora: names the same model as sora",
        ] {
            assert!(said.contains(reason), "{said}");
        }
        on_app(database, async |app| {
            let page = app.get("/v1/models?q=chat").await.ok();
            assert_eq!(page["data"][0]["context_window"], 2);
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_price_variant_is_reported_and_not_imported() {
    on_both_databases(async |database| {
        let folder = TempDir::new().expect("a folder");
        let list = json!({
            "azure/gpt-4o": {"litellm_provider": "azure", "mode": "chat"},
            "azure/eu/gpt-4o": {"litellm_provider": "azure", "mode": "chat"},
            "bedrock/us-east-1/claude": {"litellm_provider": "bedrock", "mode": "chat"},
            "hd/1024-x-1024/dall-e-3": {"litellm_provider": "openai", "mode": "image_generation"},
            "together-ai-4.1b-8b": {"litellm_provider": "together_ai", "mode": "chat"}
        });
        let said = import(database, &write_list(&folder, &list), &[]);
        for reason in [
            "azure/eu/gpt-4o: a price variant of gpt-4o (eu)",
            "bedrock/us-east-1/claude: a price variant of claude (us-east-1)",
            "hd/1024-x-1024/dall-e-3: a price variant of dall-e-3 (hd/1024-x-1024)",
            "together-ai-4.1b-8b: a price of several models, not a model",
        ] {
            assert!(said.contains(reason), "{said}");
        }
        on_app(database, async |app| {
            let only = (json!("gpt-4o"), json!("azure/gpt-4o"));
            assert_eq!(names(app).await, [only]);
        })
        .await;
    })
    .await;
}
