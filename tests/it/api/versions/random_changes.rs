//! Random changes: every version reads as it did when it was made, whatever happens after.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
};

use reqwest::Method;
use serde_json::{Value, json};

use super::{count, definition_of, version};
use test_support::{Answer, TestApp, faults::usually_or_in_full, on_both};

const AGENTS: u64 = 3;

/// From 1 to `below`.
fn random(below: u64) -> u64 {
    RandomState::new().hash_one(()) % below + 1
}

/// Two models, two servers, and agents.
async fn prepare(app: &TestApp) {
    let provider = app.a_provider("p").await;
    for name in ["m1", "m2"] {
        app.a_model(provider, name).await;
    }
    for name in ["s1", "s2"] {
        let server = json!({"name": name, "transport": "stdio", "command": "x"});
        app.post("/v1/mcp-servers", &server).await.created();
    }
    for number in 1..=AGENTS {
        let path = format!("/v1/agents/by-external-id/e{number}");
        app.send(Method::PUT, &path, Some(&json!({"name": "a"})))
            .await
            .created();
    }
}

fn change() -> Value {
    match random(8) {
        1 => json!({"role": format!("r{}", random(3))}),
        2 => json!({"status": (["idle", "busy"][usize::from(random(2) == 1)])}),
        3 => json!({"metadata": {"n": random(3), "big": 9_007_199_254_740_992 + random(3)}}),
        4 => json!({"model_id": random(2)}),
        5 => json!({"model_id": null, "fallback_model_ids": [random(2)]}),
        6 => json!({"tools": [{"type": "mcp", "server": format!("s{}", random(2))}]}),
        7 => json!({"system_prompt": format!("line\n{}\n", random(4))}),
        _ => json!({"params": {"seed": random(3)}, "skill_names": [format!("s{}", random(2))]}),
    }
}

async fn change_at_random(app: &TestApp, newest: impl Fn(u64) -> u64) {
    let agent = random(AGENTS);
    let path = format!("/v1/agents/{agent}");
    let answer = match random(14) {
        1 => {
            let to = json!({"to": random(2)});
            app.post(&format!("/v1/models/{}/repoint", random(2)), &to)
                .await
        }
        2 => {
            let name = json!({"name": format!("s{}", random(3))});
            app.patch(&format!("/v1/mcp-servers/{}", random(2)), &name)
                .await
        }
        3 | 4 => {
            let number = random(newest(agent) + 1);
            app.send(
                Method::POST,
                &format!("{path}/versions/{number}/restore"),
                None,
            )
            .await
        }
        5 => app.delete(&path).await,
        6 | 8 => {
            app.send(Method::POST, &format!("{path}/restore"), None)
                .await
        }
        7 => {
            let path = format!("/v1/agents/by-external-id/e{agent}");
            let body = json!({"name": "a", "role": format!("r{}", random(3))});
            // It must exist: a new agent would take the external id of a deleted one.
            let request = app.request(Method::PUT, &path).header("if-match", "*");
            Answer::to(request.json(&body)).await
        }
        _ => app.patch(&path, &change()).await,
    };
    let expected = [200, 204, 404, 409, 412, 422];
    assert!(expected.contains(&answer.status), "{}", answer.text);
}

#[tokio::test]
async fn every_version_reads_as_it_did_when_it_was_made() {
    on_both(async |app| {
        prepare(app).await;
        let mut seen: BTreeMap<(u64, u64), Value> = BTreeMap::new();
        for _ in 0..usually_or_in_full(150, 5_000) {
            let newest = |agent: u64| {
                let mut of = seen.range((agent, 0)..(agent + 1, 0));
                of.next_back().map_or(0, |((_, number), _)| *number)
            };
            change_at_random(app, newest).await;
            for agent in 1..=AGENTS {
                let shown = app.get(&format!("/v1/agents/{agent}")).await;
                if shown.status == 404 {
                    continue;
                }
                let shown = shown.ok();
                let number = shown["version"].as_u64().expect("a number");
                let expected = definition_of(&shown);
                let kept = seen
                    .entry((agent, number))
                    .or_insert_with(|| expected.clone());
                assert_eq!(
                    *kept, expected,
                    "version {number} of {agent} is what the agent shows"
                );
            }
        }
        let mut versions = 0;
        for agent in 1..=AGENTS {
            let id = i64::try_from(agent).expect("few");
            let path = format!("/v1/agents/{id}");
            app.send(Method::POST, &format!("{path}/restore"), None)
                .await;
            versions += count(app, id).await;
            for ((_, number), definition) in seen.range((agent, 0)..(agent + 1, 0)) {
                let number = i64::try_from(*number).expect("few");
                assert_eq!(version(app, id, number).await["definition"], *definition);
            }
        }
        assert!(versions > 10, "{versions}");
    })
    .await;
}
