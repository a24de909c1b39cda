//! Concurrent writers for tests of crashes. Each write can be checked afterwards: whether it is stored,
//! whether all of it is stored, and whether the response was true.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::Client;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::binary::Server;

const AGENTS: usize = 10;
/// Each batch writer has its own circle, so that the order of its writes is known.
const WRITERS: [WriteKind; 8] = [
    WriteKind::Provider,
    WriteKind::Provider,
    WriteKind::Message,
    WriteKind::Message,
    WriteKind::Message,
    WriteKind::Batch(0),
    WriteKind::Batch(1),
    WriteKind::Batch(2),
];

/// What a writer writes. Each write has a unique number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WriteKind {
    /// A provider: one row.
    Provider,
    /// A message, whose number must follow the previous one, and the count in its conversation.
    Message,
    /// An update of all members of a circle.
    Batch(usize),
}

/// A write that was sent.
#[derive(Debug)]
pub struct Write {
    kind: WriteKind,
    serial: u64,
    /// The body of the response, if the write succeeded.
    answer: Option<Value>,
}

/// The writes that were answered, and those that may be stored although they were not.
#[derive(Debug)]
pub struct Ledger {
    agents: Arc<[i64]>,
    conversation: i64,
    next: Arc<AtomicU64>,
    providers: BTreeSet<String>,
    /// Contents by number.
    messages: BTreeMap<i64, String>,
    /// For each circle, the last batch that was answered and the last one that was sent.
    batches: [(u64, u64); 3],
    answered: u64,
}

impl Ledger {
    /// Creates the rows that the writers need.
    pub async fn prepare(server: &Server) -> Self {
        let make = async |path: &str, body: Value| {
            let answer = post(server.client(), &server.url(path), &body).await;
            answer.expect("an answer").expect("it is made")
        };
        let mut agents = Vec::new();
        for number in 0..AGENTS {
            let agent = make("/v1/agents", json!({"name": format!("agent {number}")})).await;
            agents.push(agent["id"].as_i64().expect("an id"));
        }
        for circle in 0..3 {
            make("/v1/circles", json!({"name": format!("circle-{circle}")})).await;
            make(&batch_path(circle), batch("add", &agents, 0)).await;
        }
        let conversation = make("/v1/conversations", json!({"topic": "a crash"})).await;
        Self {
            agents: agents.into(),
            conversation: conversation["id"].as_i64().expect("an id"),
            next: Arc::new(AtomicU64::new(1)),
            providers: BTreeSet::new(),
            messages: BTreeMap::new(),
            batches: [(0, 0); 3],
            answered: 0,
        }
    }

    fn request(&self, kind: WriteKind) -> (String, impl Fn(u64) -> Value + Send + use<>) {
        let agents = Arc::clone(&self.agents);
        let path = match kind {
            WriteKind::Provider => "/v1/providers".to_owned(),
            WriteKind::Message => format!("/v1/conversations/{}/messages", self.conversation),
            WriteKind::Batch(circle) => batch_path(circle),
        };
        let body = move |serial| match kind {
            WriteKind::Provider => json!({"name": format!("p{serial}"), "api_type": "openai"}),
            WriteKind::Message => json!({"content": format!("m{serial}")}),
            WriteKind::Batch(_) => batch("update", &agents, serial),
        };
        (path, body)
    }

    /// The number of answered writes.
    pub fn answered(&self) -> u64 {
        self.answered
    }

    /// Records the writes.
    pub fn record(&mut self, writes: Vec<Write>) {
        for write in writes {
            if let WriteKind::Batch(circle) = write.kind {
                self.batches[circle].1 = write.serial;
            }
            let Some(answer) = write.answer else { continue };
            self.answered += 1;
            match write.kind {
                WriteKind::Provider => {
                    self.providers.insert(text(&answer["name"]));
                }
                WriteKind::Message => {
                    let number = answer["number"].as_i64().expect("a number");
                    let before = self.messages.insert(number, text(&answer["content"]));
                    assert_eq!(before, None, "message {number} was answered twice");
                }
                WriteKind::Batch(circle) => self.batches[circle].0 = write.serial,
            }
        }
    }

    /// Compares what is stored with what was answered.
    pub async fn check(&self, server: &Server) {
        let names = rows(server, "/v1/providers").await;
        let names: BTreeSet<String> = names.iter().map(|row| text(&row["name"])).collect();
        let lost: Vec<_> = self.providers.difference(&names).collect();
        assert!(lost.is_empty(), "lost: {lost:?}");
        self.check_messages(server).await;
        for circle in 0..3 {
            self.check_batch(server, circle).await;
        }
    }

    async fn check_messages(&self, server: &Server) {
        let conversation = format!("/v1/conversations/{}", self.conversation);
        let said = rows(server, &format!("{conversation}/messages")).await;
        let count = server.get(&conversation).await.ok()["turn_count"].clone();
        assert_eq!(count, said.len(), "half of an append is there");
        for (row, number) in said.iter().zip(1..) {
            assert_eq!(row["number"], number, "a number is missing");
            if let Some(content) = self.messages.get(&number) {
                assert_eq!(row["content"], **content, "another message was answered");
            }
        }
        let last = self.messages.keys().last().copied().unwrap_or_default();
        assert!(count.as_i64() >= Some(last), "message {last} is lost");
    }

    async fn check_batch(&self, server: &Server, circle: usize) {
        let members = rows(server, &format!("/v1/circles/circle-{circle}/members")).await;
        assert_eq!(members.len(), AGENTS);
        let batches: BTreeSet<u64> = members
            .iter()
            .map(|row| row["permissions"]["batch"].as_u64().expect("a number"))
            .collect();
        assert_eq!(batches.len(), 1, "half of a batch is there: {batches:?}");
        let (answered, sent) = self.batches[circle];
        let there = batches.first().copied().unwrap_or_default();
        assert!(
            (answered..=sent).contains(&there),
            "batch {answered} was answered, but {there} is there"
        );
    }
}

/// Running writers.
#[derive(Debug)]
pub struct Writers {
    tasks: JoinSet<Vec<Write>>,
    answered: Arc<AtomicU64>,
    enough: Arc<AtomicBool>,
}

impl Writers {
    pub fn start(server: &Server, ledger: &Ledger) -> Self {
        let answered = Arc::new(AtomicU64::new(0));
        let enough = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for kind in WRITERS {
            let (path, body) = ledger.request(kind);
            let (client, url) = (server.client().clone(), server.url(&path));
            let (next, enough) = (Arc::clone(&ledger.next), Arc::clone(&enough));
            let count = Arc::clone(&answered);
            tasks.spawn(async move {
                let mut writes = Vec::new();
                while !enough.load(Ordering::Relaxed) {
                    let serial = next.fetch_add(1, Ordering::Relaxed);
                    let heard = post(&client, &url, &body(serial)).await;
                    let away = heard.is_none();
                    let answer = heard.flatten();
                    match answer {
                        Some(_) => {
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                        None => tokio::time::sleep(Duration::from_millis(10)).await,
                    }
                    writes.push(Write {
                        kind,
                        serial,
                        answer,
                    });
                    if away {
                        break;
                    }
                }
                writes
            });
        }
        Self {
            tasks,
            answered,
            enough,
        }
    }

    /// Waits until every writer has had time for a write.
    pub async fn under_way(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let enough = self.answered.load(Ordering::Relaxed) + WRITERS.len() as u64;
        while self.answered.load(Ordering::Relaxed) < enough {
            assert!(Instant::now() < deadline, "nothing is written");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the writers lose the server, and returns their writes.
    pub async fn ended(self) -> Vec<Write> {
        self.tasks.join_all().await.into_iter().flatten().collect()
    }

    /// Stops the writers after their current writes, and returns their writes.
    pub async fn stop(self) -> Vec<Write> {
        self.enough.store(true, Ordering::Relaxed);
        self.ended().await
    }
}

/// `None` if the server is unreachable, and no body if it reports that the database is.
async fn post(client: &Client, url: &str, body: &Value) -> Option<Option<Value>> {
    let answer = client.post(url).json(body).send().await.ok()?;
    let status = answer.status().as_u16();
    let text = answer.text().await.ok()?;
    match status {
        200 | 201 => Some(serde_json::from_str(&text).ok()),
        503 => Some(None),
        _ => panic!("{url}: {status} {text}"),
    }
}

/// All rows of a list, page by page.
async fn rows(server: &Server, path: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut cursor = String::new();
    loop {
        let mut page = server.get(&format!("{path}?limit=200{cursor}")).await.ok();
        rows.append(page["data"].as_array_mut().expect("a page"));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return rows,
        }
    }
}

fn batch_path(circle: usize) -> String {
    format!("/v1/circles/circle-{circle}/members:batch")
}

fn batch(op: &str, agents: &[i64], number: u64) -> Value {
    let operation =
        |agent_id| json!({"op": op, "agent_id": agent_id, "permissions": {"batch": number}});
    json!({"operations": agents.iter().map(operation).collect::<Vec<_>>()})
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
