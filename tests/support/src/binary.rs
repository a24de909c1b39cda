//! The program in a process of its own, as operators run it.

use std::{
    fs,
    io::{Read, Seek},
    net::SocketAddr,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use reqwest::{Client, StatusCode};
use tempfile::NamedTempFile;

use super::{Answer, postgres::free_port};

/// How long a process may take to start, to respond or to end before a test fails.
const PROCESS_TIMEOUT: Duration = Duration::from_secs(30);

/// A build of the program to test instead of the debug build: `TEST_PROGRAM`.
pub fn other_program() -> Option<String> {
    std::env::var("TEST_PROGRAM").ok()
}

/// Cargo sets this for the integration tests of the package that has the binary.
fn program() -> String {
    let built = || std::env::var("CARGO_BIN_EXE_circle-registry");
    other_program().unwrap_or_else(|| built().expect("the tests run by `cargo test`"))
}

/// The program with these arguments, without the settings in the environment of this process.
pub fn command(arguments: &[&str]) -> Command {
    command_under(&[], arguments)
}

/// The same, started by another program that execs it.
pub fn command_under(wrapper: &[&str], arguments: &[&str]) -> Command {
    let program = program();
    let words = [wrapper, &[&program], arguments].concat();
    let mut command = Command::new(words[0]);
    for name in [
        "DATABASE_URL",
        "DB_HOST",
        "RUST_LOG",
        "BIND",
        "PORT",
        "READ_DATABASE_URL",
        "TLS_CERT",
        "TLS_KEY",
        "CIRCLE_REGISTRY_CONFIG",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        "OTEL_RESOURCE_ATTRIBUTES",
        "OTEL_SDK_DISABLED",
        "OTEL_SERVICE_NAME",
    ] {
        command.env_remove(name);
    }
    command.args(&words[1..]).stdin(Stdio::null());
    command
}

/// The same, limited to this many file descriptors.
pub fn command_limited(descriptors: u32) -> Command {
    let program = command(&[]);
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "ulimit -n \"$0\" && exec \"$@\""])
        .arg(descriptors.to_string())
        .arg(program.get_program())
        .stdin(Stdio::null());
    for (name, _) in program.get_envs() {
        limited.env_remove(name);
    }
    limited
}

/// Runs the program to its end.
pub fn run(arguments: &[&str]) -> Output {
    finish(&mut command(arguments))
}

/// Runs a command to its end, and kills it after `PROCESS_TIMEOUT`.
pub fn finish(command: &mut Command) -> Output {
    let (stdout, stderr) = (tempfile::tempfile(), tempfile::tempfile());
    let (mut stdout, mut stderr) = (stdout.expect("a file"), stderr.expect("a file"));
    let mut child = command
        .stdout(stdout.try_clone().expect("the file"))
        .stderr(stderr.try_clone().expect("the file"))
        .spawn()
        .expect("the program runs");
    let deadline = Instant::now() + PROCESS_TIMEOUT;
    let status = loop {
        if let Some(status) = child.try_wait().expect("the process") {
            break status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let read = |file: &mut fs::File| {
        let mut text = Vec::new();
        file.rewind().expect("its start");
        file.read_to_end(&mut text).expect("what it said");
        text
    };
    Output {
        status,
        stdout: read(&mut stdout),
        stderr: read(&mut stderr),
    }
}

/// The standard output of a successful run.
#[track_caller]
pub fn output_of(arguments: &[&str]) -> String {
    let output = run(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).expect("text")
}

/// A server in a process of its own. It is killed when it is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    client: Client,
    /// A file instead of a pipe: a pipe that is not read fills up and blocks the writer.
    log: NamedTempFile,
}

fn serve<'a>(database_url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["serve", "--database-url", database_url], more].concat()
}

impl Server {
    /// Starts a server and waits until it answers, ready or not.
    pub async fn start(database_url: &str, more: &[&str]) -> Self {
        Self::run(command(&serve(database_url, more)), "127.0.0.1").await
    }

    /// Starts a server at an address, and waits until it is ready.
    pub async fn start_at(address: SocketAddr, database_url: &str, more: &[&str]) -> Self {
        let command = command(&serve(database_url, more));
        let server = Self::begin_at(address, command, "127.0.0.1", None);
        let server = server.answering().await;
        server.wait_for("/readyz", StatusCode::OK).await;
        server
    }

    /// The same, listening on all addresses.
    pub async fn start_for_all(database_url: &str, more: &[&str]) -> Self {
        Self::run(command(&serve(database_url, more)), "0.0.0.0").await
    }

    /// The same, started by another program that execs it.
    pub async fn start_under(wrapper: &[&str], database_url: &str, more: &[&str]) -> Self {
        let arguments = serve(database_url, more);
        Self::run(command_under(wrapper, &arguments), "127.0.0.1").await
    }

    /// The same with another command, or with standard error redirected.
    pub async fn launch(
        mut command: Command,
        stderr: Option<Stdio>,
        database_url: &str,
        more: &[&str],
    ) -> Self {
        command.args(serve(database_url, more));
        Self::spawn(command, "127.0.0.1", stderr).await
    }

    /// Runs a command that serves, on any port of this host.
    pub async fn run(command: Command, host: &str) -> Self {
        Self::spawn(command, host, None).await
    }

    /// Starts a server that only serves TLS, and waits until it logs that it listens.
    pub async fn start_by_tls(database_url: &str, more: &[&str]) -> Self {
        let server = Self::begin(command(&serve(database_url, more)), "127.0.0.1", None);
        server.wait_for_log("listening").await;
        server
    }

    fn begin(command: Command, host: &str, stderr: Option<Stdio>) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        Self::begin_at(address, command, host, stderr)
    }

    fn begin_at(
        address: SocketAddr,
        mut command: Command,
        host: &str,
        stderr: Option<Stdio>,
    ) -> Self {
        let log = NamedTempFile::new().expect("a file");
        let to_file = || log.reopen().expect("the file").into();
        let child = command
            .env("BIND", format!("{host}:{}", address.port()))
            .stdout(Stdio::null())
            .stderr(stderr.unwrap_or_else(to_file))
            .spawn()
            .expect("the server starts");
        let client = Client::builder().timeout(PROCESS_TIMEOUT).build();
        Self {
            child,
            address,
            client: client.expect("a client"),
            log,
        }
    }

    async fn spawn(command: Command, host: &str, stderr: Option<Stdio>) -> Self {
        Self::begin(command, host, stderr).answering().await
    }

    /// Waits until it answers, ready or not.
    async fn answering(mut self) -> Self {
        let deadline = Instant::now() + PROCESS_TIMEOUT;
        while self.client.get(self.url("/livez")).send().await.is_err() {
            let ended = self.child.try_wait().expect("the process");
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "the server does not answer: {}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self
    }

    /// Starts a server and waits until it is ready.
    pub async fn start_ready(database_url: &str, more: &[&str]) -> Self {
        let server = Self::start(database_url, more).await;
        server.wait_for("/readyz", StatusCode::OK).await;
        server
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A client with a timeout.
    pub fn client(&self) -> &Client {
        &self.client
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::to(self.client.get(self.url(path))).await
    }

    /// Waits until `path` answers with this status.
    pub async fn wait_for(&self, path: &str, status: StatusCode) {
        let deadline = Instant::now() + PROCESS_TIMEOUT;
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

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([name, &self.child.id().to_string()])
            .status();
        assert!(sent.is_ok_and(|status| status.success()));
    }

    /// The process, for its resource usage.
    pub fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// The log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log.path()).expect("the log")
    }

    /// Waits until the log contains this text.
    pub async fn wait_for_log(&self, text: &str) {
        let deadline = Instant::now() + PROCESS_TIMEOUT;
        while !self.log().contains(text) {
            assert!(Instant::now() < deadline, "no {text:?} in {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for the process to end, and returns its exit code and log.
    pub async fn end(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + PROCESS_TIMEOUT;
        loop {
            if let Some(status) = self.child.try_wait().expect("the process") {
                return (status.code(), self.log());
            }
            assert!(Instant::now() < deadline, "it does not end: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A process, for its resource usage.
#[derive(Clone, Copy, Debug)]
pub struct Process(u32);

impl Process {
    /// The processor time so far.
    pub fn cpu(self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).expect("a process");
        let (_, fields) = stat.rsplit_once(')').expect("the name's end");
        let fields: Vec<&str> = fields.split_whitespace().collect();
        // utime and stime, the 14th and 15th of proc(5), in hundredths of a second.
        let ticks: u64 = fields[11..13]
            .iter()
            .map(|ticks| ticks.parse::<u64>().expect("ticks"))
            .sum();
        Duration::from_millis(10 * ticks)
    }

    /// Forgets the peak of the memory so far, and returns the memory in bytes.
    pub fn reset_peak_memory(self) -> u64 {
        // "Resets the peak resident set size to the current value", in proc(5).
        fs::write(format!("/proc/{}/clear_refs", self.0), "5").expect("a process");
        self.peak_memory()
    }

    /// The peak memory in bytes.
    pub fn peak_memory(self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).expect("a process");
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .expect("its peak");
        let kilobytes = peak.trim().trim_end_matches(" kB");
        1024 * kilobytes.parse::<u64>().expect("kilobytes")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
