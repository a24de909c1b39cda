//! Exports: what a document shows, and how it is written.

use serde_json::{Value, json};

use super::{a_registry, output_of};
use test_support::{TestApp, binary, on_both, on_both_databases, texts_of};

const REVIEW: &str = include_str!("review.yaml");

#[tokio::test]
async fn a_circle_is_exported_with_all_that_its_members_are_built_from() {
    on_both_databases(async |database| {
        let app = TestApp::start(database.backend, database.settings()).await;
        a_registry(&app).await;
        let export = |more: &[&str]| output_of(&database.url, &[&["export"], more].concat());
        assert_eq!(export(&["--circle", "review"]), REVIEW);

        let all: Value = serde_json::from_str(&export(&["--format", "json"])).expect("JSON");
        let names = |list: &str| -> Vec<&str> {
            let entries = all[list].as_array().expect("a list");
            let name = |entry: &'_ Value| {
                entry["name"]
                    .as_str()
                    .or(entry["model_name"].as_str())
                    .map(str::len)
            };
            assert!(entries.iter().all(|entry| name(entry).is_some()), "{all}");
            entries
                .iter()
                .filter_map(|entry| entry["name"].as_str())
                .collect()
        };
        assert_eq!(names("providers"), ["acme", "zeta"]);
        assert_eq!(names("mcp_servers"), ["files", "github"]);
        assert_eq!(names("agents"), ["Ada", "Unused", "Ada"]);
        assert_eq!(names("circles"), ["empty", "review"]);
        assert_eq!(all["circles"][0], json!({"name": "empty"}));
        assert_eq!(
            export(&["--format", "json"]),
            export(&["--format", "json"]),
            "always the same text"
        );
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn what_a_document_can_not_tell_apart_is_not_exported() {
    on_both_databases(async |database| {
        let app = TestApp::start(database.backend, database.settings()).await;
        app.an_agent("Ada").await;
        app.an_agent("Ada").await;
        let failure = |more: &[&str]| {
            let arguments = [&["export", "--database-url", &database.url], more].concat();
            let output = binary::run(&arguments);
            assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
            String::from_utf8(output.stderr).expect("text")
        };
        let said = failure(&[]);
        assert!(
            said.contains("agents 1 and 2 are both named \"Ada\""),
            "{said}"
        );
        let said = failure(&["--circle", "nowhere"]);
        assert!(said.contains("there is no circle nowhere"), "{said}");
        app.delete("/v1/agents/2").await.no_content();
        let document = output_of(&database.url, &["export"]);
        assert_eq!(
            document,
            "kind: CircleRegistry\nversion: 1\nagents:\n  - name: Ada\n"
        );
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_owner_exports_what_its_documents_describe() {
    on_both_databases(async |database| {
        let app = TestApp::start(database.backend, database.settings()).await;
        a_registry(&app).await;
        texts_of(
            &database.url,
            "INSERT INTO document_owners (resource, resource_id, owner) VALUES ('agent', 3, 'a'), ('agent', 1, 'b'), \
             ('circle', 2, 'a') RETURNING owner",
        )
        .await;
        let document = output_of(&database.url, &["export", "--owner", "a"]);
        assert_eq!(
            document,
            "kind: CircleRegistry\nversion: 1\nowner: a\nagents:\n  - name: Unused\ncircles:\n  - name: empty\n"
        );
        app.stop().await;
    })
    .await;
}

/// The properties of an input in the description.
fn properties(description: &Value, schema: &str) -> Vec<String> {
    let properties = &description["components"]["schemas"][schema]["properties"];
    let properties = properties.as_object().expect(schema);
    properties.keys().cloned().collect()
}

#[test]
fn all_that_a_client_can_set_has_a_place_in_the_document() {
    let description = circle_registry::routes::description();
    let description: Value = serde_json::from_str(&description).expect("JSON");
    let schema = circle_registry::routes::document_schema();
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    // What a resource is doing is no part of it.
    let state = ["status"];
    let renamed = [
        ("provider_id", "provider"),
        ("model_id", "model"),
        ("fallback_model_ids", "fallback_models"),
        ("agent_id", "agent"),
    ];
    for (resource, entry) in [
        ("Provider", "ProviderCreate"),
        ("Model", "DocumentModel"),
        ("McpServer", "McpServerCreate"),
        ("Agent", "DocumentAgent"),
        ("Circle", "DocumentCircle"),
        ("Member", "DocumentMember"),
    ] {
        let place = &schema["$defs"][entry]["properties"];
        for input in ["Create", "Update"] {
            for field in properties(&description, &format!("{resource}{input}")) {
                let renamed = renamed.iter().find(|(id, _)| *id == field);
                let name = renamed.map_or(field.as_str(), |(_, name)| name);
                assert!(
                    place[name].is_object() || state.contains(&name),
                    "{resource}.{field} has no place"
                );
            }
        }
    }
}

const SCHEMA: &str = include_str!("../../../../schemas/document.json");

#[tokio::test]
async fn the_committed_schema_is_the_one_that_is_served() {
    assert_eq!(
        SCHEMA,
        circle_registry::routes::document_schema(),
        "run `cargo run -- document-schema > schemas/document.json`"
    );
    on_both(async |app| {
        let answer = app.get("/schemas/document.json").await;
        assert_eq!(answer.header("content-type"), "application/schema+json");
        assert_eq!((answer.status, answer.text.as_str()), (200, SCHEMA));
    })
    .await;
}
