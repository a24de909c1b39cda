//! What a response says about a text that has the wrong form: words, and the way out.

use serde_json::{Value, json};

use test_support::on_both;

#[tokio::test]
async fn a_name_that_can_t_be_part_of_an_address_is_refused_in_words_that_say_where_it_can_stand() {
    on_both(async |app| {
        for name in [
            "团队",
            "Research Team",
            "équipe",
            "команда",
            "チーム",
            "팀",
            "فريق",
            "-a",
            "a/b",
            "🦀",
            "",
        ] {
            for (path, body) in [
                ("/v1/circles", json!({"name": name})),
                ("/v1/providers", json!({"name": name, "api_type": "openai"})),
            ] {
                let problem = app.post(path, &body).await.invalid(&["#/name"]);
                let detail = problem["errors"][0]["detail"].as_str().expect("a text");
                assert!(detail.contains("display_name"), "{name}: {detail}");
                let body = match path {
                    "/v1/circles" => json!({"name": "team", "display_name": name}),
                    _ => json!({"name": "team", "api_type": "openai", "display_name": name}),
                };
                if !name.is_empty() {
                    let created = app.post(path, &body).await;
                    let path = created.header("location").to_owned();
                    assert_eq!(created.created()["display_name"], name);
                    app.delete(&path).await.no_content();
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn no_message_shows_a_regular_expression() {
    on_both(async |app| {
        let provider = app.a_provider("p").await;
        let texts = |field: &str, values: &[&str]| -> Vec<Value> {
            values.iter().map(|value| json!({field: value})).collect()
        };
        let path = format!("/v1/providers/{provider}");
        for (path, bodies) in [
            (&path, texts("name", &["é", "a b", "^"])),
            (&path, texts("api_type", &["OpenAI", "", "模型"])),
            (&path, texts("base_url", &["example.com", "ftp://a", "https://a b", "https://例"])),
            (&path, texts("api_key_env", &["MY-KEY", "1", "ключ"])),
        ] {
            for body in bodies {
                let answer = app.patch(path, &body).await;
                assert_eq!(answer.status, 422, "{body}");
                assert!(!answer.text.contains("^[") && !answer.text.contains("]*"), "{}", answer.text);
            }
        }
        let model = json!({"provider_id": provider, "model_name": "m", "mode": "Chat", "input_price": "1,5"});
        let refused = app.post("/v1/models", &model).await;
        assert_eq!(refused.status, 422);
        assert!(!refused.text.contains("^["), "{}", refused.text);
        for path in [
            "/v1/agents?ids=a",
            "/v1/audit?action=Create",
            "/v1/conversations?include=topic",
        ] {
            let refused = app.get(path).await;
            assert_eq!(refused.status, 422, "{path}");
            assert!(!refused.text.contains('^'), "{}", refused.text);
        }
    })
    .await;
}
