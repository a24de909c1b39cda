//! How hard the tests of faults try. In the usual run they are short; with `FAULTS=full` in the
//! environment they go through every round and hold the service to its exact times.

use std::{
    hash::{BuildHasher, RandomState},
    ops::Range,
    time::{Duration, Instant},
};

use reqwest::Client;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Whether to do it all.
pub(crate) fn full() -> bool {
    std::env::var_os("FAULTS").is_some_and(|wanted| wanted == "full")
}

/// How often to do it: in the usual run, and in full.
pub(crate) fn rounds(short: u32, all: u32) -> u32 {
    if full() { all } else { short }
}

/// The time that is promised, or, in the usual run, one that a busy machine can keep.
pub(crate) fn within(promised: Duration) -> Duration {
    if full() {
        promised
    } else {
        promised.saturating_mul(5)
    }
}

/// A random number of milliseconds.
pub(crate) fn random_moment(milliseconds: Range<u64>) -> Duration {
    let random = RandomState::new().hash_one(());
    let span = milliseconds.end - milliseconds.start;
    Duration::from_millis(milliseconds.start + random % span)
}

/// Tells a figure; `cargo test` shows it with `--nocapture`.
pub(crate) fn figure(what: &str) {
    #[expect(clippy::print_stderr, reason = "figures are for whoever runs the test")]
    {
        eprintln!("figure: {what}");
    }
}

/// The usual number, or with `FAULTS=full` the one that the README tells of.
pub(crate) fn usually_or_in_full<T>(usual: T, full: T) -> T {
    if self::full() { full } else { usual }
}

/// Lets this process open as many files as it may.
pub(crate) fn raise_descriptors() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, raised).expect("the limit is raised");
}

/// Tells the figures of a fault.
pub(crate) fn report(fault: &str, figures: &str) {
    figure(&format!("{fault}: {figures}"));
}

/// Asks for a path over and over for this long, a pause between, and says how long each answer
/// took, the slowest last. Whatever is not a 200 fails the test.
pub(crate) async fn time_answers(client: &Client, url: &str, during: Duration) -> Vec<Duration> {
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
pub(crate) fn percentile(times: &[Duration], percent: usize) -> Duration {
    times[(times.len() * percent / 100).min(times.len() - 1)]
}
