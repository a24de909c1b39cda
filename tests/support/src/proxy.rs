//! A way to a server that can be frozen: nothing gets through, and nobody is told. It can also hold
//! answers back for a while, and tell when a transaction is asked for.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use reqwest::Url;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::watch,
};

#[derive(Clone, Copy, Debug, Default)]
struct State {
    frozen: bool,
    /// Connections of an earlier generation are dead.
    generation: u64,
    /// How long the server's answers are held back.
    late: Duration,
}

/// How a transaction is asked for: a simple query, its text ended by a zero.
const BEGIN: &[u8] = b"BEGIN\0";

/// The way; gone when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    /// How many transactions clients asked for.
    begins: Arc<watch::Sender<u64>>,
}

impl Proxy {
    /// Opens a way to the server of a PostgreSQL URL.
    pub async fn to(url: &str) -> Self {
        let url = Url::parse(url).expect("a URL");
        let host = url.host_str().expect("a host").to_owned();
        let server = (host, url.port().unwrap_or(5432));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let state = Arc::new(watch::Sender::new(State::default()));
        let watched = Arc::downgrade(&state);
        let begins = Arc::new(watch::Sender::new(0));
        let counted = Arc::clone(&begins);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Some(state) = watched.upgrade() else {
                    return;
                };
                tokio::spawn(carry(
                    client,
                    server.clone(),
                    state.subscribe(),
                    Arc::clone(&counted),
                ));
            }
        });
        Self {
            address,
            state,
            begins,
        }
    }

    /// The same database by this way.
    pub fn url_of(&self, url: &str) -> String {
        let mut url = Url::parse(url).expect("a URL");
        url.set_host(Some("127.0.0.1")).expect("a host");
        url.set_port(Some(self.address.port())).expect("a port");
        url.to_string()
    }

    /// From now on nothing gets through.
    pub fn freeze(&self) {
        self.state.send_modify(|state| state.frozen = true);
    }

    /// All that was held back gets through.
    pub fn thaw(&self) {
        self.state.send_modify(|state| state.frozen = false);
    }

    /// From now on the server's answers are this late.
    pub fn hold_answers_back(&self, late: Duration) {
        self.state.send_modify(|state| state.late = late);
    }

    /// Waits until a client asks for a transaction, from when this is called.
    pub fn a_begin(&self) -> impl Future<Output = ()> + use<> {
        let mut begins = self.begins.subscribe();
        async move { begins.changed().await.expect("the way is open") }
    }

    /// New connections get through; what was held back is lost, and so are the old connections.
    pub fn thaw_without_the_old(&self) {
        self.state.send_modify(|state| {
            state.frozen = false;
            state.generation += 1;
        });
    }
}

async fn carry(
    client: TcpStream,
    server: (String, u16),
    mut state: watch::Receiver<State>,
    begins: Arc<watch::Sender<u64>>,
) {
    let born = state.borrow().generation;
    if state.wait_for(|state| !state.frozen).await.is_err() {
        return;
    }
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

/// Carries one direction: the client's, where what it asks for is counted, or the server's, which
/// may be late.
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
