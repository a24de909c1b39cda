//! A receiver of webhooks: it records what it is sent, and answers as the test says.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use circle_registry::config::Settings;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::{Instant, sleep},
};

/// How long a test waits for what is to arrive.
const ARRIVAL_TIMEOUT: Duration = Duration::from_mins(2);

/// Settings that let webhooks be delivered to this machine.
#[must_use]
pub fn with_local_receivers(mut settings: Settings) -> Settings {
    settings.webhooks.webhook_allow_http = true;
    settings.webhooks.webhook_allow_address = vec!["127.0.0.0/8".parse().expect("a network")];
    settings
}

/// The same for a program.
pub const LOCAL_RECEIVERS: [&str; 3] = [
    "--webhook-allow-http",
    "--webhook-allow-address",
    "127.0.0.0/8",
];

/// How a receiver answers.
#[derive(Clone, Debug)]
pub enum Behavior {
    Status(u16),
    /// After this time.
    Slow(Duration, u16),
    /// With this header field.
    Field(u16, String),
    /// With success and this body.
    Body(Vec<u8>),
    Never,
}

/// A request that arrived, in whole.
#[derive(Clone, Debug)]
pub struct Received {
    pub path: String,
    /// By their names in lower case.
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
    /// What was answered; `None` if the sender did not wait for it.
    pub answered: Option<u16>,
}

impl Received {
    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// The name of what was changed.
    pub fn name(&self) -> String {
        let name = self.json()["data"]["name"].clone();
        name.as_str().unwrap_or_default().to_owned()
    }
}

#[derive(Debug)]
struct State {
    behavior: Mutex<Behavior>,
    received: Mutex<Vec<Received>>,
    open: AtomicUsize,
    most_open: AtomicUsize,
}

/// A receiver on a port of its own. It ends when it is dropped.
#[derive(Debug)]
pub struct Receiver {
    pub address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

impl Receiver {
    pub async fn start(behavior: Behavior) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(State {
            behavior: Mutex::new(behavior),
            received: Mutex::default(),
            open: AtomicUsize::new(0),
            most_open: AtomicUsize::new(0),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self {
            address,
            state,
            task,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Answers so from now on.
    pub fn behave(&self, behavior: Behavior) {
        *lock(&self.state.behavior) = behavior;
    }

    /// All that arrived.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.state.received).clone()
    }

    /// How many requests arrived.
    pub fn count(&self) -> usize {
        lock(&self.state.received).len()
    }

    /// What was answered with success.
    pub fn accepted(&self) -> Vec<Received> {
        let mut received = self.received();
        received.retain(|one| {
            one.answered
                .is_some_and(|status| (200..300).contains(&status))
        });
        received
    }

    /// The most requests that were open at the same time.
    pub fn most_at_once(&self) -> usize {
        self.state.most_open.load(Ordering::SeqCst)
    }

    /// The requests that are open now.
    pub fn open_now(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }

    /// Waits until what arrived is as it has to be.
    pub async fn wait_until(
        &self,
        what: &str,
        is_there: impl Fn(&[Received]) -> bool,
    ) -> Vec<Received> {
        let deadline = Instant::now() + ARRIVAL_TIMEOUT;
        loop {
            // Not a copy: there may be very many.
            if is_there(&lock(&self.state.received)) {
                return self.received();
            }
            if Instant::now() >= deadline {
                let received = self.received();
                let last = received.iter().rev().take(20);
                let last: Vec<String> = last
                    .map(|one| format!("{} {:?}", one.name(), one.answered))
                    .collect();
                panic!("{what}: {} arrived, last {last:?}", received.len());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for so many requests that were answered with success, and returns the names of what was changed.
    pub async fn names(&self, count: usize) -> Vec<String> {
        let is_success = |one: &&Received| one.answered.is_some_and(|status| status < 300);
        let what = format!("{count} changes");
        let received = self
            .wait_until(&what, |received| {
                received.iter().filter(is_success).count() >= count
            })
            .await;
        received
            .iter()
            .filter(is_success)
            .map(Received::name)
            .collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let _ = serve(stream, &state).await;
        });
    }
}

async fn serve(mut stream: TcpStream, state: &State) -> std::io::Result<()> {
    let mut unread = Vec::new();
    while let Some(mut received) = read_request(&mut stream, &mut unread).await? {
        let open = state.open.fetch_add(1, Ordering::SeqCst) + 1;
        state.most_open.fetch_max(open, Ordering::SeqCst);
        let behavior = lock(&state.behavior).clone();
        let answer = answer_to(behavior, &mut stream).await;
        state.open.fetch_sub(1, Ordering::SeqCst);
        received.answered = answer.as_ref().map(|answer| answer.status);
        lock(&state.received).push(received);
        let Some(Reply {
            status,
            field,
            body,
        }) = answer
        else {
            return Ok(());
        };
        let length = body.len();
        let head = format!("HTTP/1.1 {status} So\r\ncontent-length: {length}\r\n{field}\r\n");
        stream.write_all(&[head.as_bytes(), &body].concat()).await?;
    }
    Ok(())
}

/// What is answered.
struct Reply {
    status: u16,
    /// A header field with the end of its line, or nothing.
    field: String,
    body: Vec<u8>,
}

impl Reply {
    fn of(status: u16) -> Self {
        Self {
            status,
            field: String::new(),
            body: b"received".to_vec(),
        }
    }
}

/// Waits as long as it is to wait; `None` if the sender is gone before.
async fn answer_to(behavior: Behavior, stream: &mut TcpStream) -> Option<Reply> {
    let (delay, status) = match behavior {
        Behavior::Status(status) => return Some(Reply::of(status)),
        Behavior::Field(status, field) => {
            let field = format!("{field}\r\n");
            return Some(Reply {
                field,
                ..Reply::of(status)
            });
        }
        Behavior::Body(body) => {
            return Some(Reply {
                body,
                ..Reply::of(200)
            });
        }
        Behavior::Slow(delay, status) => (delay, status),
        Behavior::Never => (Duration::from_hours(1), 500),
    };
    let mut byte = [0];
    tokio::select! {
        () = sleep(delay) => Some(Reply::of(status)),
        // The sender sends nothing more: this is the end of the connection.
        _ = stream.read(&mut byte) => None,
    }
}

/// The next request of a connection; `None` at its end.
async fn read_request(
    stream: &mut TcpStream,
    unread: &mut Vec<u8>,
) -> std::io::Result<Option<Received>> {
    let end = loop {
        if let Some(end) = unread.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(unread).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&unread[..end]).into_owned();
    let mut lines = head.lines();
    let path = lines.next().and_then(|line| line.split(' ').nth(1));
    let path = path.unwrap_or_default().to_owned();
    let fields = lines.filter_map(|line| line.split_once(": "));
    let headers: HashMap<String, String> = fields
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length");
    let length: usize = length
        .and_then(|text| text.parse().ok())
        .unwrap_or_default();
    while unread.len() < end + 4 + length {
        if stream.read_buf(unread).await? == 0 {
            return Ok(None);
        }
    }
    let rest = unread.split_off(end + 4 + length);
    let body = unread.split_off(end + 4);
    *unread = rest;
    Ok(Some(Received {
        path,
        headers,
        body,
        answered: None,
    }))
}
