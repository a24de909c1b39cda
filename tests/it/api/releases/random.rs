//! Random writes, publications, moves and restorations: what a label answers is what was live when its release was
//! published, and no release ever changes.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::rosters::{
    random_writes::{Numbers, World},
    without_cache,
};
use test_support::{TestApp, on_both_databases};

/// What a model of the service knows of one circle.
#[derive(Default)]
struct Published {
    /// By number: the handles that were live.
    releases: BTreeMap<i64, Value>,
    labels: BTreeMap<&'static str, i64>,
}

/// Handles without what the digest does not cover.
fn defined(mut handles: Value) -> Value {
    let circle = handles.as_object_mut().expect("handles");
    circle.remove("status");
    for handle in circle["handles"].as_array_mut().expect("a list") {
        handle
            .as_object_mut()
            .expect("a handle")
            .remove("agent_status");
    }
    handles
}

async fn handles(app: &TestApp, path: &str) -> Value {
    defined(app.get(path).await.ok())
}

impl Published {
    async fn publish(&mut self, app: &TestApp, circle: &str, label: Option<&'static str>) {
        let body = json!({"labels": label.as_slice()});
        let answer = app
            .post(&format!("/v1/circles/{circle}/releases"), &body)
            .await;
        let is_new = answer.status == 201;
        let number = answer.body["number"].as_i64().expect("a number");
        let live = handles(app, &format!("/v1/circles/{circle}/handles")).await;
        let known = self.releases.values().any(|known| *known == live);
        assert_eq!(
            is_new,
            !self.releases.contains_key(&number),
            "{}",
            answer.text
        );
        if is_new {
            assert_eq!(
                number,
                self.releases.keys().last().map_or(1, |last| last + 1)
            );
        } else {
            assert!(known, "release {number} is not what is live");
        }
        self.releases.entry(number).or_insert(live);
        self.labels.extend(label.map(|label| (label, number)));
    }

    async fn point(
        &mut self,
        app: &TestApp,
        numbers: &mut Numbers,
        circle: &str,
        label: &'static str,
    ) {
        let known: Vec<i64> = self.releases.keys().copied().collect();
        if known.is_empty() {
            return;
        }
        let release = *numbers.one_of(&known);
        let path = format!("/v1/circles/{circle}/labels/{label}");
        let body = json!({"release": release});
        let answer = app.send(Method::PUT, &path, Some(&body)).await;
        assert!(answer.status < 300, "{}", answer.text);
        self.labels.insert(label, release);
    }

    async fn check(&self, app: &TestApp, circle: &str, what: &str) {
        for (label, number) in &self.labels {
            let path = format!("/v1/circles/{circle}/handles?label={label}");
            assert_eq!(handles(app, &path).await, self.releases[number], "{what}");
        }
    }
}

#[tokio::test]
async fn a_label_answers_what_was_live_when_its_release_was_published() {
    on_both_databases(async |database| {
        let keeping = TestApp::start(database.backend, database.settings()).await;
        let reading = TestApp::start(database.backend, without_cache(database)).await;
        let world = World::create(&keeping).await;
        let (mut numbers, mut one, mut two) =
            (Numbers(11), Published::default(), Published::default());
        for write in 0..250 {
            let app = if write % 2 == 0 { &keeping } else { &reading };
            let (circle, published) = if numbers.below(2) == 0 {
                ("one", &mut one)
            } else {
                ("two", &mut two)
            };
            let label = *numbers.one_of(&["staging", "production"]);
            let what = match numbers.below(8) {
                0 | 1 => {
                    published
                        .publish(app, circle, Some(label).filter(|_| write % 3 == 0))
                        .await;
                    format!("publish {circle}")
                }
                2 => {
                    published.point(app, &mut numbers, circle, label).await;
                    format!("point {label} of {circle}")
                }
                3 if write % 4 == 0 => {
                    let path = format!("/v1/circles/{circle}");
                    app.delete(&path).await.no_content();
                    app.send(Method::POST, &format!("{path}/restore"), None)
                        .await
                        .ok();
                    format!("restore {circle}")
                }
                4 if write % 4 == 0 => {
                    let path = world.agent_path(usize::try_from(write % 6).expect("an index"));
                    app.delete(&path).await.no_content();
                    app.send(Method::POST, &format!("{path}/restore"), None)
                        .await
                        .ok();
                    format!("restore {path}")
                }
                _ => world.write(app, &mut numbers, write).await,
            };
            for app in [&keeping, &reading] {
                one.check(app, "one", &what).await;
                two.check(app, "two", &what).await;
            }
        }
        for (circle, published) in [("one", &one), ("two", &two)] {
            assert!(published.releases.len() > 5, "{}", published.releases.len());
            for (number, live) in &published.releases {
                let path = format!("/v1/circles/{circle}/releases/{number}/handles");
                assert_eq!(handles(&reading, &path).await, *live, "{path}");
            }
        }
        keeping.stop().await;
        reading.stop().await;
    })
    .await;
}
