//! What an import reports, and how it exits.

use std::fs;

use serde_json::json;
use tempfile::TempDir;

use super::{import, on_app, write_list};
use test_support::{binary, factories::id, on_both_databases};

#[tokio::test]
async fn a_key_twice_and_a_price_that_may_be_wrong_are_reported() {
    on_both_databases(async |database| {
        let folder = TempDir::new().expect("a folder");
        let list = folder.path().join("list.json");
        let text = r#"{
            "groq/a": {"litellm_provider": "groq", "input_cost_per_token": 0.015},
            "groq/a": {"litellm_provider": "openai", "input_cost_per_token": 1e-6}
        }"#;
        fs::write(&list, text).expect("a file");
        let said = import(database, &list, &[]);
        for line in [
            "models     1 added",
            "groq/a: appears a second time; only the first is imported",
            "groq/a: input_cost_per_token makes 15000.0000000000 dollars per million tokens, which may be wrong",
        ] {
            assert!(said.contains(line), "{said}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_import_of_nothing_fails() {
    on_both_databases(async |database| {
        let folder = TempDir::new().expect("a folder");
        for (list, more, fails) in [
            (
                json!({"x": {}, "azure/eu/y": {"litellm_provider": "azure"}}),
                &[][..],
                true,
            ),
            (
                json!({"x": {"litellm_provider": "groq"}}),
                &["--provider", "grok"],
                true,
            ),
            (json!({"x": {}}), &["--provider", "groq"], true),
            (json!({}), &[], false),
            (
                json!({"x": {"litellm_provider": "groq"}}),
                &["--provider", "groq"],
                false,
            ),
            (json!({"x": {"litellm_provider": "groq"}}), &[], false),
        ] {
            let file = write_list(&folder, &list);
            let file = file.to_str().expect("a path");
            let mut arguments = vec!["catalog", "import", file, "--database-url", &database.url];
            arguments.extend(more);
            let output = binary::run(&arguments);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.success(), !fails, "{list} {more:?}: {said}");
            assert_eq!(
                said.contains("no entry of the list was imported"),
                fails,
                "{said}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn an_import_of_one_provider_reports_only_its_entries() {
    on_both_databases(async |database| {
        let folder = TempDir::new().expect("a folder");
        let list = json!({
            "no-provider": {"mode": "chat"},
            "groq/a": {"litellm_provider": "groq", "max_input_tokens": "many"},
            "azure/b": {"litellm_provider": "azure", "max_input_tokens": "many", "input_cost_per_token": "3.0001999999999996e-7"},
            "azure/eu/b": {"litellm_provider": "azure"},
            "x/1024-x-1024/groq": {"litellm_provider": "groq"},
            "1024-x-1024/groq/c": {"litellm_provider": "groq"}
        });
        let said = import(database, &write_list(&folder, &list), &["--provider", "Groq"]);
        assert!(said.contains("models     2 added"), "{said}");
        assert!(said.contains("groq/a: max_input_tokens"), "{said}");
        assert!(said.contains("1024-x-1024/groq/c: a price variant of c"), "{said}");
        for other in ["azure", "no-provider", "rounded"] {
            assert!(!said.contains(other), "{said}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_renamed_provider_is_found_by_the_keys_of_its_models() {
    on_both_databases(async |database| {
        let folder = TempDir::new().expect("a folder");
        let list = json!({
            "groq/a": {"litellm_provider": "groq", "mode": "chat"},
            "x": {"litellm_provider": "openai", "mode": "chat"}
        });
        let file = write_list(&folder, &list);
        import(database, &file, &[]);
        on_app(database, async |app| {
            let page = app.get("/v1/providers?q=groq").await.ok();
            let path = format!("/v1/providers/{}", id(&page["data"][0]));
            app.patch(&path, &json!({"name": "fast"})).await.ok();
        })
        .await;
        let said = import(database, &file, &[]);
        assert!(
            said.contains("providers  0 added, 0 changed, 2 unchanged"),
            "{said}"
        );
        assert!(
            said.contains("models     0 added, 0 changed, 2 unchanged"),
            "{said}"
        );
        assert!(
            said.contains("groq: the provider is named fast in the catalogue"),
            "{said}"
        );

        // A key that moves between providers of the list does not rename one.
        let moved = json!({
            "x": {"litellm_provider": "azure", "mode": "chat"},
            "y": {"litellm_provider": "openai", "mode": "chat"}
        });
        let said = import(database, &write_list(&folder, &moved), &[]);
        assert!(
            said.contains("providers  1 added, 0 changed, 1 unchanged"),
            "{said}"
        );
        assert!(said.contains("models     2 added"), "{said}");
    })
    .await;
}

#[tokio::test]
async fn what_an_earlier_import_made_of_a_price_variant_is_named() {
    on_both_databases(async |database| {
        let folder = TempDir::new().expect("a folder");
        let mut model = 0;
        on_app(database, async |app| {
            let azure = app.a_provider("azure").await;
            model = app.a_model(azure, "azure/eu/b").await;
        })
        .await;
        let list = json!({
            "azure/b": {"litellm_provider": "azure"},
            "azure/eu/b": {"litellm_provider": "azure"}
        });
        let said = import(database, &write_list(&folder, &list), &[]);
        let reason = format!(
            "azure/eu/b: a price variant of b (eu); the catalogue has it as model {model}, which you can delete"
        );
        assert!(said.contains(&reason), "{said}");
    })
    .await;
}

#[tokio::test]
async fn a_list_with_control_characters_commands_no_terminal() {
    on_both_databases(async |database| {
        let folder = TempDir::new().expect("a folder");
        let list = json!({
            "a\u{1b}[2J\nforged: 1": {"litellm_provider": "openai", "mode": "chat"},
            "b": {"litellm_provider": "open\u{1b}]0;x\u{7}ai", "mode": "chat"},
            "c\u{202e}": {"mode": "chat"},
            "d": {"litellm_provider": "openai", "mode": "\u{1b}[1m", "max_input_tokens": "\u{9b}\u{2028}"}
        });
        let said = import(database, &write_list(&folder, &list), &[]);
        let is_control = |it: char| it != '\n' && (it.is_control() || "\u{2028}\u{202e}".contains(it));
        assert!(!said.contains(is_control), "{said:?}");
        assert!(said.contains("  a\\u{1b}[2J\\nforged: 1: model_name contains"), "{said}");
        assert!(said.contains("models     1 added"), "{said}");
    })
    .await;
}

#[tokio::test]
async fn a_renamed_provider_is_found_by_its_name_in_the_list_without_any_model() {
    on_both_databases(async |database| {
        let builtin = || {
            let url = &database.url;
            binary::output_of(&["catalog", "import", "--builtin", "--database-url", url])
        };
        let rename = async |from: &str, to: &str| {
            on_app(database, async |app| {
                let page = app.get(&format!("/v1/providers?q={from}")).await.ok();
                let path = format!("/v1/providers/{}", id(&page["data"][0]));
                app.patch(&path, &json!({"name": to})).await.ok();
            })
            .await;
        };
        assert!(builtin().contains("providers  27 added, 0 changed, 0 unchanged"));
        rename("groq", "fast").await;
        let said = builtin();
        assert!(
            said.contains("providers  0 added, 0 changed, 27 unchanged"),
            "{said}"
        );
        assert!(
            said.contains("groq: the provider is named fast in the catalogue"),
            "{said}"
        );

        // A price list finds it, too, and the other way round.
        let folder = TempDir::new().expect("a folder");
        let list = json!({
            "groq/a": {"litellm_provider": "Groq", "mode": "chat"},
            "new/x": {"litellm_provider": "new", "mode": "chat"}
        });
        let said = import(database, &write_list(&folder, &list), &[]);
        assert!(
            said.contains("providers  1 added, 0 changed, 1 unchanged"),
            "{said}"
        );
        rename("fast", "faster").await;
        rename("new", "newer").await;
        let said = import(database, &write_list(&folder, &list), &[]);
        assert!(
            said.contains("providers  0 added, 0 changed, 2 unchanged"),
            "{said}"
        );
        assert!(
            said.contains("models     0 added, 0 changed, 2 unchanged"),
            "{said}"
        );
        assert!(builtin().contains("providers  0 added, 0 changed, 27 unchanged"));
    })
    .await;
}
