//! Support for fault tests. The usual run is short. With `FAULTS=full` in the environment the tests run
//! every round and check the exact time limits.

use std::{
    hash::{BuildHasher, RandomState},
    ops::Range,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use reqwest::Client;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Whether this is a full run: `FAULTS=full`.
pub fn in_full() -> bool {
    std::env::var_os("FAULTS").is_some_and(|form| form == "full")
}

/// The value for a usual run, or that for a full run.
pub fn usually_or_in_full<T>(usual: T, full: T) -> T {
    if in_full() { full } else { usual }
}

/// Raises this process's limit of open files to the maximum.
pub fn raise_descriptors() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, raised).expect("the limit is raised");
}

/// Prints the figures of a fault; `cargo test` shows them with `--nocapture`.
#[expect(
    clippy::print_stderr,
    reason = "figures are for the person who runs the test"
)]
pub fn report(fault: &str, figures: &str) {
    eprintln!("{fault}: {figures}");
}

/// Requests a URL repeatedly for this time, with pauses, and returns the response times, the slowest
/// last. All responses must have status 200.
pub async fn time_answers(client: &Client, url: &str, during: Duration) -> Vec<Duration> {
    let end = Instant::now() + during;
    let mut times = Vec::new();
    while Instant::now() < end {
        let asked = Instant::now();
        let answer = client.get(url).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{url}");
        answer.bytes().await.expect("a body");
        times.push(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    times.sort_unstable();
    times
}

/// A percentile of sorted response times.
pub fn percentile(times: &[Duration], percent: usize) -> Duration {
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

/// The promised time, or, in the usual run, a longer one for a busy machine.
pub fn within(promised: Duration) -> Duration {
    if in_full() {
        promised
    } else {
        promised.saturating_mul(5)
    }
}

/// A random duration.
pub fn random_delay(milliseconds: Range<u64>) -> Duration {
    let random = RandomState::new().hash_one(());
    let span = milliseconds.end - milliseconds.start;
    Duration::from_millis(milliseconds.start + random % span)
}

/// The command prefix that runs a program with a private disk of four megabytes mounted at `place`, if
/// that is permitted.
pub fn small_disk(place: &str) -> Option<[&str; 6]> {
    const MOUNT: &str = r#"mount -t tmpfs -o size=4m tmpfs "$0" && exec "$@""#;
    ["-m", "-rm"]
        .map(|how| ["unshare", how, "sh", "-c", MOUNT, place])
        .into_iter()
        .find(|words| {
            let mut tried = Command::new(words[0]);
            tried.args(&words[1..]).arg("true").stderr(Stdio::null());
            tried.status().is_ok_and(|status| status.success())
        })
}
