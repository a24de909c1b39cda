//! The real binary, run as an operator runs it.

use std::{
    fs,
    net::SocketAddr,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use reqwest::{Client, StatusCode};
use tempfile::NamedTempFile;

use super::{Answer, postgres::free_port};

/// How long a server may take to start, to answer or to end before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program with these arguments and nothing of this process's settings.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_circle-registry"));
    for name in [
        "DATABASE_URL",
        "DB_HOST",
        "RUST_LOG",
        "BIND",
        "CIRCLE_REGISTRY_CONFIG",
    ] {
        command.env_remove(name);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the program runs")
}

/// What a run that went well printed.
#[track_caller]
pub(crate) fn output_of(arguments: &[&str]) -> String {
    let output = run(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).expect("text")
}

/// A server in a process of its own; killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    client: Client,
    /// A file and no pipe: a pipe that nobody reads fills up, and then whoever logs waits.
    log: NamedTempFile,
}

impl Server {
    /// Starts a server and waits until it answers, ready or not.
    pub(crate) async fn start(database_url: &str, more: &[&str]) -> Self {
        let mut arguments = vec!["serve", "--database-url", database_url];
        arguments.extend(more);
        Self::run(command(&arguments), "127.0.0.1").await
    }

    /// The same, on an address that others reach too.
    pub(crate) async fn start_for_all(database_url: &str, more: &[&str]) -> Self {
        let mut arguments = vec!["serve", "--database-url", database_url];
        arguments.extend(more);
        Self::run(command(&arguments), "0.0.0.0").await
    }

    /// Runs a command that serves, on any port of this host.
    pub(crate) async fn run(mut command: Command, host: &str) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let log = NamedTempFile::new().expect("a file");
        let child = command
            .env("BIND", format!("{host}:{}", address.port()))
            .stdout(Stdio::null())
            .stderr(log.reopen().expect("the file"))
            .spawn()
            .expect("the server starts");
        let client = Client::builder().timeout(PATIENCE).build();
        let mut server = Self {
            child,
            address,
            client: client.expect("a client"),
            log,
        };
        let deadline = Instant::now() + PATIENCE;
        while server
            .client
            .get(server.url("/livez"))
            .send()
            .await
            .is_err()
        {
            let ended = server.child.try_wait().expect("the process");
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "the server does not answer: {}",
                server.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server
    }

    /// The same, and waits until it is ready.
    pub(crate) async fn start_ready(database_url: &str, more: &[&str]) -> Self {
        let server = Self::start(database_url, more).await;
        server.wait_for("/readyz", StatusCode::OK).await;
        server
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A client that does not wait for ever.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::to(self.client.get(self.url(path))).await
    }

    /// Waits until `path` answers with this status.
    pub(crate) async fn wait_for(&self, path: &str, status: StatusCode) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(answer) = self.client.get(self.url(path)).send().await
                && answer.status() == status
            {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{path} does not answer {status}: {}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([name, &self.child.id().to_string()])
            .status();
        assert!(sent.is_ok_and(|status| status.success()));
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log.path()).expect("the log")
    }

    /// Waits for the process to end; its exit code, and what it logged.
    pub(crate) async fn end(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("the process") {
                return (status.code(), self.log());
            }
            assert!(Instant::now() < deadline, "it does not end: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
