//! Logging.
//!
//! Whoever reads the log may be slow, or stuck: a full pipe must not stop the service. So lines go
//! to a thread of their own, through a buffer; where that is full, lines are dropped and counted.

use std::{
    io::{self, BufWriter, IsTerminal, Stderr, Write},
    thread,
    time::Duration,
};

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, fmt, prelude::*, util::TryInitError};

use crate::config::{LogFormat, LogSettings};

/// Lines that may wait to be written: some megabytes.
const WAITING_LINES: usize = 16_384;

/// Lines that wait are written at once, up to so many bytes of them.
const BATCH: usize = 1 << 16;

/// How long lines gather after a batch. Were each written as it comes, a thread would have to be woken
/// for each: as much work as a small answer is.
const REST: Duration = Duration::from_millis(10);

/// Standard error, in batches.
struct Batches(BufWriter<Stderr>);

impl Write for Batches {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        thread::sleep(REST);
        Ok(())
    }
}

/// Why logging could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("the log filter can't be read: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    #[error(transparent)]
    Twice(#[from] TryInitError),
}

/// The log; when it is dropped, the lines that still wait are written, for a second at most.
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
            tracing::warn!(lines, "log lines were dropped: nobody read them in time");
        }
    }
}

/// Sends log lines to standard error for as long as the result lives.
///
/// # Errors
/// A filter that can't be read, or logging that was started before.
pub fn start(settings: &LogSettings) -> Result<Log, TelemetryError> {
    let filter = EnvFilter::try_new(&settings.log)?;
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING_LINES)
        .lossy(true)
        .thread_name("log")
        .finish(Batches(BufWriter::with_capacity(BATCH, io::stderr())));
    let log = Log {
        dropped: writer.error_counter(),
        _writer: guard,
    };
    let lines = fmt::layer()
        .with_writer(writer)
        .with_ansi(io::stderr().is_terminal());
    let registry = tracing_subscriber::registry().with(filter);
    match settings.log_format {
        LogFormat::Text => registry.with(lines.with_target(false)).try_init()?,
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init()?,
    }
    // The usual hook writes to standard error by itself, and would wait for it.
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "panicked")));
    Ok(log)
}
