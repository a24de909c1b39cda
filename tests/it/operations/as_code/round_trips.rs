//! Round trips: what is exported and applied elsewhere is exported as the same text.

use std::hash::{BuildHasher, RandomState};

use serde_json::{Map, Value, json};

use super::{Files, a_registry, output_of, run};
use test_support::{Backend, TestApp, TestDatabase, faults::usually_or_in_full};

/// Applies a file, after which there is nothing left to do.
#[track_caller]
fn apply(url: &str, file: &str) -> String {
    let report = output_of(url, &["apply", file, "--yes"]);
    let plan = run(url, &["plan", file, "--exit-code"]);
    let left = String::from_utf8_lossy(&plan.stdout);
    assert_eq!(plan.status.code(), Some(0), "{left}");
    report
}

#[tokio::test]
async fn an_export_is_applied_and_exported_byte_for_byte_from_each_database_to_each() {
    let files = Files::new();
    for from in [Backend::Sqlite, Backend::Postgres] {
        let source = TestDatabase::create(from).await;
        let app = TestApp::start(source.backend, source.settings()).await;
        a_registry(&app).await;
        app.stop().await;
        for (to, format) in [
            (Backend::Sqlite, "yaml"),
            (Backend::Postgres, "yaml"),
            (Backend::Sqlite, "json"),
        ] {
            let export = ["export", "--format", format];
            let document = output_of(&source.url, &export);
            let file = files.write("all", &document);
            let target = TestDatabase::create(to).await;
            output_of(&target.url, &["migrate", "up"]);
            apply(&target.url, &file);
            assert_eq!(
                output_of(&target.url, &export),
                document,
                "{from:?} to {to:?}"
            );
            let unchanged = run(&source.url, &["plan", &file, "--exit-code"]);
            assert_eq!(unchanged.status.code(), Some(0), "the source is as it says");
            target.remove().await;
        }
        source.remove().await;
    }
}

/// From 0 to below `count`.
fn random(count: usize) -> usize {
    let hash = RandomState::new().hash_one(()) >> 1;
    usize::try_from(hash).unwrap_or_default() % count
}

fn one_of<'v>(values: &[&'v str]) -> &'v str {
    values[random(values.len())]
}

/// Each of some fields, or not.
fn some_of(fields: Value) -> Map<String, Value> {
    let Value::Object(mut fields) = fields else {
        return Map::new();
    };
    fields.retain(|_, _| random(2) == 0);
    fields
}

fn with(mut entry: Map<String, Value>, required: Value) -> Value {
    if let Value::Object(required) = required {
        entry.extend(required);
    }
    entry.into()
}

const TEXTS: [&str; 6] = [
    "a",
    "two\nlines\n",
    " x: #y\n",
    "\u{1f600}\r\n\t",
    "no",
    "\n\n  é",
];

/// A document of few names, so that any two have most of them in common.
fn document() -> Value {
    let free = || json!({"n": random(3), "t": one_of(&TEXTS), "l": [null, true, 1.50, {"x": one_of(&TEXTS)}]});
    let params = || json!({"top_p": 0.5, "seed": random(3), "stop": ["\n"], "extra": free()});
    let providers = (0..2).map(|number| {
        let fields =
            json!({"display_name": "P", "is_local": true, "api_key_env": "KEY", "config": free()});
        with(
            some_of(fields),
            json!({"name": format!("p{number}"), "api_type": "openai"}),
        )
    });
    let models = (0..4).map(|number| {
        let fields = json!({"input_price": format!("{}.5", random(3)), "accepts_sampling": false, "mode": "chat",
            "default_params": params(), "supports_tools": true, "max_output": 100, "release_date": "2026-01-31",
            "price_tiers": [{"above_tokens": 1000, "output": "2"}], "prices": {"batch.input": "1"},
            "pinned_fields": ["mode"], "model_alias": "m"});
        let (provider, name) = (format!("p{}", number / 2), format!("v/m{number}"));
        with(some_of(fields), json!({"provider": provider, "model_name": name}))
    });
    let servers = (0..2).map(|number| {
        let fields = json!({"args": ["-v"], "env": {"A": "${B}"}, "description": one_of(&TEXTS)});
        with(
            some_of(fields),
            json!({"name": format!("s{number}"), "transport": "stdio", "command": "x"}),
        )
    });
    let agents = (0..6).map(|number| {
        let fields = json!({"role": "r", "description": one_of(&TEXTS), "system_prompt": one_of(&TEXTS),
            "model": format!("p0/v/m{}", random(2)), "fallback_models": [format!("p1/v/m{}", 2 + random(2))],
            "temperature": 0.5, "skill_names": ["s", "no"], "params": params(), "metadata": free(),
            "external_id": format!("e{number}"),
            "tools": [{"type": "mcp", "server": format!("s{}", random(2))},
                      {"type": "function", "name": "f", "parameters": free()}]});
        with(some_of(fields), json!({"name": format!("a{number}")}))
    });
    let agents: Vec<Value> = agents.collect();
    let circles: Vec<Value> = (0..3)
        .map(|number| {
            let members = agents.iter().filter(|_| random(2) == 0).map(|agent| {
                let name = agent.get("external_id").unwrap_or(&agent["name"]);
                let fields = json!({"temperature": 1, "params": params(), "permissions": free(), "competencies": ["c"]});
                with(some_of(fields), json!({"agent": name, "role": one_of(&["lead", "member", "observer"])}))
            });
            let members: Vec<Value> = members.collect();
            let fields = json!({"members": members, "max_members": 20, "settings": free(), "require_review": false,
                "project_context": one_of(&TEXTS), "protected_labels": ["production"]});
            with(some_of(fields), json!({"name": format!("c{number}")}))
        })
        .collect();
    json!({"kind": "CircleRegistry", "version": 1, "owner": "team", "providers": providers.collect::<Vec<_>>(),
        "models": models.collect::<Vec<_>>(), "mcp_servers": servers.collect::<Vec<_>>(), "agents": agents,
        "circles": circles})
}

/// What the team has. The order in which members joined differs with the way to it.
fn exported(url: &str) -> Value {
    let text = output_of(url, &["export", "--owner", "team", "--format", "json"]);
    let mut document: Value = serde_json::from_str(&text).expect("JSON");
    for circle in document["circles"].as_array_mut().expect("circles") {
        if let Some(members) = circle["members"].as_array_mut() {
            members.sort_by_key(|member| member["agent"].to_string());
        }
    }
    document
}

#[tokio::test]
async fn after_random_documents_the_registry_is_as_the_last_one_says() {
    let files = Files::new();
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let (one, other) = (
            TestDatabase::create(backend).await,
            TestDatabase::create(backend).await,
        );
        for database in [&one, &other] {
            output_of(&database.url, &["migrate", "up"]);
        }
        for _ in 0..usually_or_in_full(4, 100) {
            let file = files.write("random.json", &document().to_string());
            let prune = |url: &str| {
                output_of(url, &["apply", &file, "--yes", "--prune"]);
                let plan = run(url, &["plan", &file, "--exit-code", "--prune"]);
                let left = String::from_utf8_lossy(&plan.stdout).into_owned();
                assert_eq!(plan.status.code(), Some(0), "{left}");
            };
            prune(&one.url);
            // The other one comes to it from another state.
            let before = files.write("before.json", &document().to_string());
            output_of(&other.url, &["apply", &before, "--yes", "--prune"]);
            prune(&other.url);
            assert_eq!(exported(&one.url), exported(&other.url));
            let text = output_of(&one.url, &["export", "--owner", "team"]);
            let exported = files.write("exported.yaml", &text);
            apply(&one.url, &exported);
        }
        one.remove().await;
        other.remove().await;
    }
}
