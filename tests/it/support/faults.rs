//! How hard the tests of faults try. In the usual run they are short; with `FAULTS=full` in the
//! environment they go through every round and hold the service to its exact times.

use std::{
    hash::{BuildHasher, RandomState},
    ops::Range,
    process::{Command, Stdio},
    time::Duration,
};

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

/// The words that run a program with a disk of four megabytes at `place`, which nobody else sees,
/// where that is permitted.
pub(crate) fn small_disk(place: &str) -> Option<[&str; 6]> {
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
