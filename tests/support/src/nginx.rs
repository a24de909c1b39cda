//! nginx before the service, from the installed program. It is killed when it is dropped.

use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::postgres_server::free_port;

const HELP: &str =
    "the tests need nginx 1.18 or later: install it (on Debian and Ubuntu: apt-get install nginx)";
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A web server with one `server` block.
#[derive(Debug)]
pub struct Nginx {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Nginx {
    /// Starts it with these lines in its `server` block.
    pub fn start(lines: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let file = folder.path().join("nginx.conf");
        let port = free_port();
        let configuration = configuration(folder.path(), port, lines);
        fs::write(&file, configuration).expect("the configuration");
        let mut child = Command::new(program())
            .arg("-c")
            .arg(&file)
            .arg("-p")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx starts");
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = child.try_wait().expect("the process");
            let log = || fs::read_to_string(folder.path().join("error.log"));
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "nginx does not listen: {:?}",
                log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Self {
            child,
            port,
            _folder: folder,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> PathBuf {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&on_path).collect();
    places.extend(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    let found = places.into_iter().map(|place| place.join("nginx"));
    found.into_iter().find(|file| file.is_file()).expect(HELP)
}

/// One process, so that it ends with the test.
fn configuration(folder: &Path, port: u16, lines: &str) -> String {
    let folder = folder.display();
    format!(
        "daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/client;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
{lines}
    }}
}}
"
    )
}
