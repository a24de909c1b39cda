//! How many connections the process's limit on open files allows.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// File descriptors reserved for the database, the log and the listener.
const RESERVED_DESCRIPTORS: usize = 100;

/// The number of connections wanted, or fewer if the limit on open files is lower. The soft limit is
/// often only 1,024, for the sake of programs that use `select`. This one does not, so it raises the
/// soft limit to the hard limit.
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
    let possible = descriptors.saturating_sub(RESERVED_DESCRIPTORS.min(descriptors / 2));
    if possible < wanted {
        tracing::warn!(
            max_connections = possible,
            descriptors,
            "the limit on open files allows fewer connections than configured"
        );
    }
    wanted.min(possible)
}
