//! Logging.
//!
//! The reader of the log may be slow or stuck, and a full pipe must not stop the service. So a thread
//! of its own writes the lines from a buffer. When the buffer is full, lines are dropped and counted.

use std::{
    env,
    io::{self, BufWriter, IsTerminal, Stderr, Write},
    thread,
    time::Duration,
};

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, fmt, prelude::*, util::TryInitError};

use crate::config::{LogFormat, LogSettings};

/// How many lines the buffer holds: some megabytes.
const MAX_BUFFERED_LINES: usize = 16_384;
/// How many bytes are written at once.
const BATCH_BYTES: usize = 1 << 16;
/// The pause after each batch. Waking the thread for every line would cost as much as a small response.
const BATCH_INTERVAL: Duration = Duration::from_millis(10);

/// Standard error, written in batches.
struct BatchedStderr(BufWriter<Stderr>);

impl Write for BatchedStderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        thread::sleep(BATCH_INTERVAL);
        Ok(())
    }
}

/// A duration for a field of the log. JSON has no numbers of 128 bits, so those would be text.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Whether lines for people are coloured: on a terminal, unless its user asks for none (no-color.org).
fn has_colours() -> bool {
    let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !refused
}

/// Why logging could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("the log filter is invalid: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    #[error(transparent)]
    AlreadyStarted(#[from] TryInitError),
}

/// The log. Dropping it writes the buffered lines, for at most a second.
#[must_use = "what is logged after it is dropped is lost"]
#[derive(Debug)]
pub struct Log {
    dropped: ErrorCounter,
    _writer: WorkerGuard,
}

impl Drop for Log {
    fn drop(&mut self) {
        let lines = self.dropped.dropped_lines();
        if lines > 0 {
            tracing::warn!(
                lines,
                "log lines were dropped because the log's reader is too slow"
            );
        }
    }
}

/// Writes log lines to standard error while the result lives.
///
/// # Errors
/// An invalid filter, or logging that is already started.
pub fn start(settings: &LogSettings) -> Result<Log, TelemetryError> {
    let filter = EnvFilter::try_new(&settings.log)?;
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(MAX_BUFFERED_LINES)
        .lossy(true)
        .thread_name("log")
        .finish(BatchedStderr(BufWriter::with_capacity(
            BATCH_BYTES,
            io::stderr(),
        )));
    let log = Log {
        dropped: writer.error_counter(),
        _writer: guard,
    };
    let lines = fmt::layer().with_writer(writer).with_ansi(has_colours());
    let registry = tracing_subscriber::registry().with(filter);
    match settings.log_format {
        LogFormat::Text => registry.with(lines.with_target(false)).try_init()?,
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init()?,
    }
    // The default hook writes to standard error directly, and could block.
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "panicked")));
    Ok(log)
}
