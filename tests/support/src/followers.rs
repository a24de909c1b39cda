//! Followers of the feed of changes, by pages and by events. While the service is away, they try again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use reqwest::Client;
use serde_json::Value;
use tokio::time::sleep;

use super::{events::EventReader, faults::random_delay};

/// The name of the change at which followers by events stop.
pub const THE_END: &str = "the end";

/// A cursor after all that has been changed at the service at `url`.
pub async fn latest(url: &str) -> String {
    let page = reqwest::get(format!("{url}/v1/changes?after=latest")).await;
    let page: Value = page.expect("an answer").json().await.expect("JSON");
    page["next_cursor"].as_str().expect("a cursor").to_owned()
}

/// Reads pages of the feed at `url` until it is to stop and nothing more comes, and returns the names in their
/// order.
pub async fn follow_pages(url: String, limit: u64, over: Arc<AtomicBool>) -> Vec<String> {
    let client = Client::new();
    let (mut cursor, mut names) = (String::new(), Vec::new());
    loop {
        let is_last = over.load(Ordering::Relaxed);
        let asked = client.get(format!("{url}/v1/changes?limit={limit}{cursor}"));
        let page: Value = match asked.send().await {
            Ok(answer) if answer.status() == 200 => answer.json().await.unwrap_or_default(),
            Ok(answer) => {
                assert_eq!(answer.status(), 503);
                Value::Null
            }
            Err(_) => Value::Null,
        };
        let Some(next) = page["next_cursor"].as_str() else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        cursor = format!("&after={next}");
        let changes = page["data"].as_array().expect("a page").iter();
        names.extend(changes.map(|change| change["name"].as_str().unwrap_or_default().to_owned()));
        if page["has_more"] == false {
            if is_last && page["held_back_since"].is_null() {
                return names;
            }
            sleep(random_delay(1..20)).await;
        }
    }
}

/// Takes events from `url` that follow a cursor, and returns the names in their order, up to [`THE_END`]. After about `until_lost` events
/// it gives the connection up, and continues by its id.
pub async fn follow_events(url: String, mut id: String, until_lost: usize) -> Vec<String> {
    let client = Client::new();
    let mut names = Vec::new();
    loop {
        let request = client.get(format!("{url}/v1/events"));
        let mut stream = match request.header("last-event-id", &id).send().await {
            Ok(response) if response.status() == 200 => EventReader::of(response),
            Ok(response) => {
                // A server that is being started or stopped.
                assert!(
                    [502, 503].contains(&response.status().as_u16()),
                    "{response:?}"
                );
                sleep(Duration::from_millis(20)).await;
                continue;
            }
            Err(_) => {
                sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        let mut told = 0;
        while told < until_lost {
            let Ok(Some(block)) = stream.try_next().await else {
                break;
            };
            if let Some(new) = &block.id {
                id.clone_from(new);
            }
            if block.event == "change" {
                names.push(block.name().to_owned());
                told += 1;
            }
            if block.name() == THE_END {
                return names;
            }
        }
    }
}
