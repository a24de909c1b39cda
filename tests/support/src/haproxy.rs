//! HAProxy before several instances of the service, from the installed program. It is killed when it is dropped.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::postgres_server::free_port;

const HELP: &str = "the tests need HAProxy 2.6 or later: install it (on Debian and Ubuntu: apt-get install haproxy)";
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A balancer that asks each instance for its readiness three times a second.
#[derive(Debug)]
pub struct HaProxy {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl HaProxy {
    /// Starts a balancer before these instances. A request is sent to another instance if one closes the
    /// connection without an answer.
    pub fn start(instances: &[SocketAddr]) -> Self {
        let folder = TempDir::new().expect("a folder");
        let file = folder.path().join("haproxy.cfg");
        let port = free_port();
        fs::write(&file, configuration(port, instances)).expect("the configuration");
        let child = Command::new(program())
            .arg("-f")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("HAProxy starts");
        let proxy = Self {
            child,
            port,
            _folder: folder,
        };
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "HAProxy does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        proxy
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> PathBuf {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&on_path).collect();
    places.extend(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    let found = places.into_iter().map(|place| place.join("haproxy"));
    found.into_iter().find(|file| file.is_file()).expect(HELP)
}

fn configuration(port: u16, instances: &[SocketAddr]) -> String {
    let servers: Vec<String> = instances
        .iter()
        .enumerate()
        .map(|(number, address)| {
            format!("    server i{number} {address} check inter 300ms fall 1 rise 1")
        })
        .collect();
    let servers = servers.join("\n");
    format!(
        "defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    option redispatch 1
    retries 3
    retry-on conn-failure empty-response
frontend service
    bind 127.0.0.1:{port}
    default_backend instances
backend instances
    balance roundrobin
    option httpchk GET /readyz
    http-check expect status 200
{servers}
"
    )
}
