//! `circle-registry catalog import`.

mod dry_run;
mod facts;
mod names;
mod prices;
mod reports;
mod sources;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use test_support::{TestApp, TestDatabase, binary, factories::id, on_both_databases};

/// A price list in a file.
fn write_list(folder: &TempDir, list: &Value) -> PathBuf {
    let path = folder.path().join("list.json");
    fs::write(&path, list.to_string()).expect("a file");
    path
}

fn import(database: &TestDatabase, list: &Path, more: &[&str]) -> String {
    let list = list.to_str().expect("a path");
    let mut arguments = vec!["catalog", "import", list, "--database-url", &database.url];
    arguments.extend(more);
    binary::output_of(&arguments)
}

fn small_list() -> Value {
    json!({
        "sample_spec": {"litellm_provider": "one of many"},
        "gpt": {"litellm_provider": "openai", "mode": "chat", "max_input_tokens": 1000},
        "vec": {"litellm_provider": "OpenAI", "mode": "embedding", "deprecation_date": "2020-01-01"},
        "claude": {"litellm_provider": "anthropic", "mode": "chat", "supports_vision": true},
        "odd": {"litellm_provider": "nobody-knows"}
    })
}

async fn on_app(database: &TestDatabase, test: impl AsyncFnOnce(&TestApp)) {
    let app = TestApp::start(database.backend, database.settings()).await;
    test(&app).await;
    app.stop().await;
}

#[tokio::test]
async fn an_import_adds_providers_and_models_and_the_same_list_changes_nothing() {
    on_both_databases(async |database| {
        let folder = TempDir::new().expect("a folder");
        let list = write_list(&folder, &small_list());
        let said = import(database, &list, &[]);
        assert!(
            said.contains("providers  3 added, 0 changed, 0 unchanged"),
            "{said}"
        );
        assert!(
            said.contains("models     4 added, 0 changed, 0 unchanged"),
            "{said}"
        );
        assert!(said.contains("sample_spec: litellm_provider"), "{said}");
        let before = dump(database).await;
        let said = import(database, &list, &[]);
        assert!(
            said.contains("providers  0 added, 0 changed, 3 unchanged"),
            "{said}"
        );
        assert!(
            said.contains("models     0 added, 0 changed, 4 unchanged"),
            "{said}"
        );
        assert_eq!(dump(database).await, before);

        on_app(database, async |app| {
            let providers = app.get("/v1/providers").await.ok();
            let of = |name: &str| {
                let rows = providers["data"].as_array().expect("rows");
                rows.iter()
                    .find(|row| row["name"] == name)
                    .expect(name)
                    .clone()
            };
            assert_eq!(of("anthropic")["api_key_env"], "ANTHROPIC_API_KEY");
            assert_eq!(of("nobody-knows")["api_type"], "unknown");
            let models = app.get("/v1/models?is_deprecated=true").await.ok();
            assert_eq!(models["data"][0]["model_name"], "vec");
            assert_eq!(models["data"][0]["provider_id"], of("openai")["id"]);
        })
        .await;
    })
    .await;
}

/// All providers and models.
async fn dump(database: &TestDatabase) -> Value {
    let mut all = Value::Null;
    on_app(database, async |app| {
        all = json!([
            app.get("/v1/providers").await.ok(),
            app.get("/v1/models").await.ok()
        ]);
    })
    .await;
    all
}

#[tokio::test]
async fn a_later_list_changes_what_it_says_and_leaves_the_rest() {
    on_both_databases(async |database| {
        let folder = TempDir::new().expect("a folder");
        import(database, &write_list(&folder, &small_list()), &[]);
        on_app(database, async |app| {
            let page = app.get("/v1/models?q=gpt").await.ok();
            let path = format!("/v1/models/{}", id(&page["data"][0]));
            let by_hand = json!({"model_alias": "mine", "max_output": 77});
            app.patch(&path, &by_hand).await.ok();
        })
        .await;
        let text = r#"{"gpt": {"litellm_provider": "openai", "input_cost_per_token": 3.0001999999999996e-7}}"#;
        let list = folder.path().join("later.json");
        fs::write(&list, text).expect("a file");
        let said = import(database, &list, &[]);
        assert!(said.contains("models     0 added, 1 changed, 0 unchanged"), "{said}");
        assert!(said.contains("prices     1 rounded"), "{said}");
        on_app(database, async |app| {
            let page = app.get("/v1/models?q=gpt").await.ok();
            let model = &page["data"][0];
            assert_eq!(model["input_price"], "0.3000200000");
            assert_eq!((&model["model_alias"], &model["max_output"]), (&json!("mine"), &json!(77)));
            assert_eq!((&model["context_window"], &model["mode"]), (&json!(1000), &json!("chat")));
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_part_of_a_list_can_be_imported_and_a_dry_run_writes_nothing() {
    on_both_databases(async |database| {
        let folder = TempDir::new().expect("a folder");
        let list = write_list(&folder, &small_list());
        let said = import(database, &list, &["--dry-run"]);
        assert!(
            said.contains("models     4 added") && said.contains("nothing was written"),
            "{said}"
        );
        assert_eq!(dump(database).await[0]["data"], json!([]));
        let part = [
            "--provider",
            "OPENAI",
            "--provider",
            "anthropic",
            "--mode",
            "chat",
        ];
        let said = import(database, &list, &part);
        assert!(
            said.contains("providers  2 added") && said.contains("models     2 added"),
            "{said}"
        );
        assert!(said.contains("entries    2 not asked for"), "{said}");
    })
    .await;
}

#[tokio::test]
async fn the_well_known_providers_are_installed_and_fill_in_what_is_missing() {
    on_both_databases(async |database| {
        on_app(database, async |app| {
            let body = json!({"name": "OpenAI", "api_type": "openai", "base_url": "https://proxy.example"});
            app.post("/v1/providers", &body).await.created();
        })
        .await;
        let arguments = ["catalog", "import", "--builtin", "--database-url", &database.url];
        let said = binary::output_of(&arguments);
        assert!(said.contains("1 changed, 0 unchanged"), "{said}");
        let said = binary::output_of(&arguments);
        assert!(said.contains("providers  0 added, 0 changed"), "{said}");
        on_app(database, async |app| {
            let page = app.get("/v1/providers?q=openai").await.ok();
            let openai = &page["data"][0];
            assert_eq!(openai["base_url"], "https://proxy.example", "what was said stays");
            assert_eq!(openai["api_key_env"], "OPENAI_API_KEY");
            let page = app.get("/v1/providers?q=ollama&is_local=true").await.ok();
            assert_eq!(page["data"][0]["base_url"], "http://127.0.0.1:11434");
        })
        .await;
    })
    .await;
}

#[test]
fn what_is_no_price_list_is_refused_before_the_database_is_touched() {
    let folder = TempDir::new().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("test.db").display());
    let list = write_list(&folder, &json!(["not", "a", "list"]));
    for path in [list.to_str().expect("a path"), "no-such-file.json"] {
        let output = binary::run(&["catalog", "import", path, "--database-url", &url]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(path), "{said}");
    }
    assert!(!folder.path().join("test.db").exists());
}

/// Kills imports after increasing times until one completes. Each must import nothing or everything.
#[tokio::test]
async fn an_import_that_is_killed_leaves_the_database_as_it_was() {
    const MODELS: u64 = 6000;
    on_both_databases(async |database| {
        let folder = TempDir::new().expect("a folder");
        let entries = (0..MODELS).map(|number| {
            let entry = json!({"litellm_provider": format!("p{}", number % 50), "mode": "chat"});
            (format!("model-{number}"), entry)
        });
        let list = write_list(&folder, &Value::Object(entries.collect()));
        let list = list.to_str().expect("a path");
        on_app(database, async |app| {
            let total = async |path: &str| {
                let page = app.get(&format!("{path}?count=true&limit=1")).await.ok();
                page["total"].as_u64().expect("a total")
            };
            let mut killed = 0;
            for delay in (30..).step_by(120) {
                let arguments = ["catalog", "import", list, "--database-url", &database.url];
                let mut import = binary::command(&arguments).spawn().expect("an import");
                tokio::time::sleep(Duration::from_millis(delay)).await;
                import.kill().expect("a kill");
                let status = import.wait().expect("an end");
                let found = (total("/v1/providers").await, total("/v1/models").await);
                if status.success() {
                    assert_eq!(found, (50, MODELS));
                    break;
                }
                killed += 1;
                // The kill may come between the commit and the end of the process.
                if found != (0, 0) {
                    assert_eq!(found, (50, MODELS));
                    break;
                }
            }
            assert!(killed > 0, "no import was killed");
        })
        .await;
    })
    .await;
}
