//! A PgBouncer before a PostgreSQL server of the tests. It ends with this process, as the server does.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tokio::net::TcpStream;

use super::{
    postgres::free_port,
    postgres_server::{PASSWORD, PostgresServer, as_unprivileged},
};

const HELP: &str = "the tests need PgBouncer: install it (on Debian and Ubuntu: apt-get install \
    pgbouncer) or run tests/run, which does";

/// A pooler. It stops when it is dropped.
#[derive(Debug)]
pub struct PgBouncer {
    port: u16,
    keeper: Child,
}

impl PgBouncer {
    /// Starts a pooler with these lines in its configuration, and waits until it accepts connections.
    pub async fn start(server: &PostgresServer, lines: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("circle-registry-pgbouncer-")
            .tempdir()
            .expect("a folder")
            .keep();
        let (port, users) = (free_port(), folder.join("users"));
        let configuration = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = plain\nauth_file = {}\n{lines}\n",
            server.port(),
            users.display()
        );
        fs::write(&users, format!("\"test\" \"{PASSWORD}\"\n")).expect("the users");
        fs::write(folder.join("configuration"), configuration).expect("the configuration");
        // The keeper waits for the end of its input, which is the end of this process.
        let script = r#""$@" >"$0/log" 2>&1 & read -r word; kill $!; wait; rm -rf "$0""#;
        let keeper = Command::new("sh")
            .args(["-c", script])
            .arg(&folder)
            .args(as_unprivileged(&folder))
            .arg(program())
            .arg(folder.join("configuration"))
            .stdin(Stdio::piped())
            .spawn()
            .expect("a shell");
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "it does not start: {}", log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Self { port, keeper }
    }

    /// The URL of a database behind the pooler.
    pub fn url_of(&self, database: &str) -> String {
        let port = self.port;
        format!("postgres://test:{PASSWORD}@127.0.0.1:{port}/{database}")
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Debian's package is not on the path of every user.
fn program() -> PathBuf {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&on_path)
        .chain([
            "/usr/sbin".into(),
            "/usr/local/sbin".into(),
            "/opt/homebrew/bin".into(),
        ])
        .map(|folder| folder.join("pgbouncer"))
        .find(|program| program.is_file())
        .expect(HELP)
}
