//! Whether the SQLite database is still the file at its path. If that was removed or replaced, writes
//! would go to a file that has no name any more, and be lost when the service stops.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use migration::database::connection::Target;
use sea_orm::{DbBackend, DbErr, RuntimeErr};

/// A database file, and which one it was when it was opened.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    path: PathBuf,
    opened: OnceLock<Option<FileId>>,
}

/// The device and the inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId(u64, u64);

impl FileId {
    fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        Some(Self(file.dev(), file.ino()))
    }
}

impl DatabaseFile {
    /// `None` for a database that is no file.
    pub(super) fn of(target: &Target) -> Option<Self> {
        let is_file = target.backend() == DbBackend::Sqlite && !target.is_in_memory();
        is_file.then(|| Self {
            path: target.database().into(),
            opened: OnceLock::new(),
        })
    }

    /// Remembers the file that is there now, unless one is remembered already.
    pub(super) fn remember(&self) {
        self.opened.get_or_init(|| FileId::of(&self.path));
    }

    /// # Errors
    /// Another file than the remembered one, or none. One call of the system, without a disk access.
    pub(super) fn check(&self) -> Result<(), DbErr> {
        match self.opened.get() {
            Some(opened) if *opened != FileId::of(&self.path) => {
                Err(DbErr::Conn(RuntimeErr::Internal(
                    "its file was removed or replaced while the service was running; put it back, or \
                     restart the service"
                        .to_owned(),
                )))
            }
            _ => Ok(()),
        }
    }
}
