//! A TCP proxy to PostgreSQL that can freeze: it then forwards nothing, and closes nothing. It can also
//! delay answers, lead new connections to another server, and report when a client begins a transaction.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use reqwest::Url;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::watch,
};

#[derive(Debug)]
struct State {
    /// Where new connections lead: host and port.
    server: (String, u16),
    frozen: bool,
    /// Connections of earlier generations are closed.
    generation: u64,
    /// The delay of the server's answers.
    late: Duration,
}

/// The simple query that begins a transaction, with its terminating zero.
const BEGIN: &[u8] = b"BEGIN\0";

/// A proxy. It closes when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    /// How many transactions clients began.
    begins: Arc<watch::Sender<u64>>,
}

impl Proxy {
    /// Opens a proxy to the server of a PostgreSQL URL.
    pub async fn to(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let state = Arc::new(watch::Sender::new(State {
            server: server_of(url),
            frozen: false,
            generation: 0,
            late: Duration::ZERO,
        }));
        let watched = Arc::downgrade(&state);
        let begins = Arc::new(watch::Sender::new(0));
        let counted = Arc::clone(&begins);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Some(state) = watched.upgrade() else {
                    return;
                };
                tokio::spawn(carry(client, state.subscribe(), Arc::clone(&counted)));
            }
        });
        Self {
            address,
            state,
            begins,
        }
    }

    /// The URL of the same database through this proxy.
    pub fn url_of(&self, url: &str) -> String {
        let mut url = Url::parse(url).expect("a URL");
        url.set_host(Some("127.0.0.1")).expect("a host");
        url.set_port(Some(self.address.port())).expect("a port");
        url.to_string()
    }

    /// From now on nothing is forwarded.
    pub fn freeze(&self) {
        self.state.send_modify(|state| state.frozen = true);
    }

    /// Forwards everything that was held back, and all that follows.
    pub fn thaw(&self) {
        self.state.send_modify(|state| state.frozen = false);
    }

    /// From now on new connections lead to the server of this URL. The old ones stay where they are.
    pub fn lead_to(&self, url: &str) {
        self.state
            .send_modify(|state| state.server = server_of(url));
    }

    /// From now on the server's answers have this delay.
    pub fn delay_answers(&self, late: Duration) {
        self.state.send_modify(|state| state.late = late);
    }

    /// Waits for the next transaction that a client begins after this call.
    pub fn next_begin(&self) -> impl Future<Output = ()> + use<> {
        let mut begins = self.begins.subscribe();
        async move { begins.changed().await.expect("the way is open") }
    }

    /// Forwards new connections. The old ones are closed, and what was held back is lost.
    pub fn thaw_new_connections(&self) {
        self.state.send_modify(|state| {
            state.frozen = false;
            state.generation += 1;
        });
    }
}

fn server_of(url: &str) -> (String, u16) {
    let url = Url::parse(url).expect("a URL");
    let host = url.host_str().expect("a host").to_owned();
    (host, url.port().unwrap_or(5432))
}

async fn carry(
    client: TcpStream,
    mut state: watch::Receiver<State>,
    begins: Arc<watch::Sender<u64>>,
) {
    let born = state.borrow().generation;
    if state.wait_for(|state| !state.frozen).await.is_err() {
        return;
    }
    let server = state.borrow().server.clone();
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (there, back) = (state.clone(), state.clone());
    tokio::select! {
        () = pump(from_client, to_server, there, Some(begins)) => {}
        () = pump(from_server, to_client, back, None) => {}
        _ = state.wait_for(|state| state.generation > born) => {}
    }
}

/// Forwards one direction: the client's, in which transactions are counted, or the server's, which may
/// be delayed.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: watch::Receiver<State>,
    begins: Option<Arc<watch::Sender<u64>>>,
) {
    let mut part = vec![0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut part).await {
        let part = &part[..length];
        match &begins {
            Some(begins) if part.windows(BEGIN.len()).any(|window| window == BEGIN) => {
                begins.send_modify(|begins| *begins += 1);
            }
            Some(_) => {}
            None => {
                let late = state.borrow().late;
                tokio::time::sleep(late).await;
            }
        }
        if state.wait_for(|state| !state.frozen).await.is_err() || to.write_all(part).await.is_err()
        {
            return;
        }
    }
}
