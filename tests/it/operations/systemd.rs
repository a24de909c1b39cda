//! What a unit with `Type=notify` learns, by a socket in the place of systemd's.

use std::{os::unix::net::UnixDatagram, time::Duration};

use tempfile::TempDir;

use test_support::{
    binary::{Server, command},
    on_both_databases,
    postgres_server::{Durability, PostgresServer},
};

/// Systemd's end of the socket.
struct Unit {
    socket: UnixDatagram,
    folder: TempDir,
}

impl Unit {
    fn create() -> Self {
        let folder = TempDir::new().expect("a folder");
        let socket = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
        let timeout = Some(Duration::from_secs(30));
        socket.set_read_timeout(timeout).expect("a timeout");
        Self { socket, folder }
    }

    async fn start(&self, url: &str, watchdog: Duration) -> Server {
        let mut service = command(&["serve", "--database-url", url, "--shutdown-delay", "1s"]);
        service
            .env("NOTIFY_SOCKET", self.folder.path().join("notify"))
            .env("WATCHDOG_USEC", watchdog.as_micros().to_string());
        Server::run(service, "127.0.0.1").await
    }

    /// Reads messages until one has this line.
    #[track_caller]
    fn expect(&self, line: &str) -> String {
        let mut buffer = [0; 4096];
        loop {
            let length = self
                .socket
                .recv(&mut buffer)
                .unwrap_or_else(|_| panic!("no {line}"));
            let message = String::from_utf8_lossy(&buffer[..length]);
            if message.lines().any(|found| found == line) {
                return message.into_owned();
            }
        }
    }
}

#[tokio::test]
async fn systemd_learns_when_the_service_is_ready_alive_and_stopping() {
    on_both_databases(async |database| {
        let unit = Unit::create();
        let server = unit.start(&database.url, Duration::from_millis(200)).await;
        assert!(unit.expect("READY=1").contains("STATUS=ready"));
        for _ in 0..3 {
            unit.expect("WATCHDOG=1");
        }
        server.signal("-TERM");
        unit.expect("STOPPING=1");
        let (code, log) = server.end().await;
        assert_eq!(code, Some(0), "{log}");
    })
    .await;
}

#[tokio::test]
async fn systemd_learns_what_a_start_waits_for_and_gives_it_more_time() {
    let mut postgres = PostgresServer::create(Durability::Off);
    let unit = Unit::create();
    let server = unit
        .start(&postgres.url_of("postgres"), Duration::from_mins(1))
        .await;
    let message = unit.expect("STATUS=The database can't be reached yet.");
    assert!(
        message.contains("EXTEND_TIMEOUT_USEC=") && !message.contains("READY"),
        "{message}"
    );
    postgres.start_ready().await;
    unit.expect("READY=1");
    drop(server);
}
