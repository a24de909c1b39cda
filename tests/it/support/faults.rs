//! What tests of faults have in common.

use std::time::{Duration, Instant};

use reqwest::Client;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The usual number, or with `FAULTS=full` the one that the README tells of.
pub(crate) fn usually_or_in_full<T>(usual: T, full: T) -> T {
    if in_full() { full } else { usual }
}

/// Whether the faults are to be injected in full.
pub(crate) fn in_full() -> bool {
    std::env::var_os("FAULTS").is_some_and(|form| form == "full")
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

/// Figures for the README's table of faults; shown with `--nocapture`.
#[expect(clippy::print_stderr, reason = "tests print")]
pub(crate) fn report(fault: &str, figures: &str) {
    eprintln!("{fault}: {figures}");
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
