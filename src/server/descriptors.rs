//! How many connections the system lets a process have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// File descriptors that are left for the database, the log and the listener.
const DESCRIPTORS_ASIDE: usize = 100;

/// Each connection is a file descriptor. The soft limit on those is often as low as 1,024, for
/// the sake of programs that use `select`; this one does not, and raises it as far as it may.
pub(super) fn within_descriptors(wanted: usize) -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit = raised;
        }
    }
    let Some(descriptors) = limit.current else {
        return wanted;
    };
    let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
    let possible = descriptors.saturating_sub(DESCRIPTORS_ASIDE.min(descriptors / 2));
    if possible < wanted {
        tracing::warn!(
            max_connections = possible,
            descriptors,
            "fewer connections than set are possible: the limit on open files is too low"
        );
    }
    wanted.min(possible)
}
