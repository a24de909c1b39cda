//! From settings to a pool of connections, apart from the migrations. The server and the migration
//! runner both open their pools here, so that they can't disagree about the database they mean.

pub mod bounds;
pub mod connection;
mod environment;
pub mod hooks;
mod host;
mod hosts;
pub mod limits;
mod postgres_parameters;
mod postgres_target;
mod postgres_tls;
mod postgres_url;
pub mod settings;
mod sqlite_url;
mod target;

/// Makes every file that the process creates from now on its owner's alone: a SQLite database, its log and
/// its shared memory hold what only the service's user may read.
pub fn keep_files_private() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
}
