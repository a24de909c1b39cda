//! What tests of faults have in common. In the usual run they are short; with `FAULTS=full` in the
//! environment they go through every round and hold the service to its exact times.

use std::{
    hash::{BuildHasher, RandomState},
    ops::Range,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use reqwest::Client;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Whether every round is gone through: `FAULTS=full`.
pub fn in_full() -> bool {
    std::env::var_os("FAULTS").is_some_and(|form| form == "full")
}

/// The usual number, or the one in full.
pub fn usually_or_in_full<T>(usual: T, full: T) -> T {
    if in_full() { full } else { usual }
}

/// Lets this process open as many files as it may.
pub fn raise_descriptors() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, raised).expect("the limit is raised");
}

/// Tells the figures of a fault; `cargo test` shows them with `--nocapture`.
#[expect(clippy::print_stderr, reason = "figures are for whoever runs the test")]
pub fn report(fault: &str, figures: &str) {
    eprintln!("{fault}: {figures}");
}

/// Asks for a path over and over for this long, a pause between, and says how long each answer
/// took, the slowest last. Whatever is not a 200 fails the test.
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

/// The time within which that many per cent of the answers came.
pub fn percentile(times: &[Duration], percent: usize) -> Duration {
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

/// The time that is promised, or, in the usual run, one that a busy machine can keep.
pub fn within(promised: Duration) -> Duration {
    if in_full() {
        promised
    } else {
        promised.saturating_mul(5)
    }
}

/// A random number of milliseconds.
pub fn random_moment(milliseconds: Range<u64>) -> Duration {
    let random = RandomState::new().hash_one(());
    let span = milliseconds.end - milliseconds.start;
    Duration::from_millis(milliseconds.start + random % span)
}

/// The words that run a program with a disk of four megabytes at `place`, which nobody else sees,
/// where that is permitted.
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
