//! What the service needs of SQLite: a file and a directory that can be written, free disk space, and
//! a file system that supports a write-ahead log.

use std::path::Path;

use sea_orm::{ConnectionTrait, DbErr, Statement};

use super::{
    connection,
    report::Report,
    schema::{self, SchemaState},
};
use crate::database::{Connections, Database, errors};

const SUBJECT: &str = "file";
const MEBIBYTE: u64 = 1 << 20;
/// Below this, writes may fail at any moment.
const MIN_FREE_BYTES: u64 = 32 * MEBIBYTE;
const LOW_FREE_BYTES: u64 = 512 * MEBIBYTE;

pub(super) async fn check(database: &Database, report: &mut Report) -> Result<SchemaState, DbErr> {
    let name = database.target().database();
    if database.target().is_in_memory() {
        report.warning(
            SUBJECT,
            "the database is in memory and is lost when the service stops",
            "set DATABASE_URL to a file, as in sqlite:circle-registry.db",
        );
        return Ok(SchemaState::Unreadable);
    }
    let file = Path::new(name);
    let parent = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = parent.unwrap_or(Path::new("."));
    if !folder.is_dir() {
        report.error(
            SUBJECT,
            format_args!(
                "the directory {} of the database does not exist",
                folder.display()
            ),
            "create it, or correct DATABASE_URL",
        );
        return Ok(SchemaState::Unreadable);
    }
    check_disk(folder, report);
    if !file.exists() {
        report.warning(
            SUBJECT,
            format_args!("{name} does not exist yet"),
            "start the service, which creates it, or correct DATABASE_URL",
        );
        return Ok(SchemaState::Unreadable);
    }
    if let Ok(status) = database.look().await
        && !schema::check_known(&status, report)
    {
        return Ok(SchemaState::Unknown);
    }
    if let Err(cause) = database.try_connect().await {
        report.error(
            SUBJECT,
            format_args!("{name} can't be used: {cause}"),
            advice(&cause),
        );
        return Ok(SchemaState::Unreadable);
    }
    report.ok(SUBJECT, format_args!("{name} can be read and written"));
    check_contents(database.connection(), report).await
}

fn advice(cause: &DbErr) -> &'static str {
    match cause.to_string() {
        text if text.contains("readonly") => {
            "allow the service's user to write the file and its directory, which holds the write-ahead log"
        }
        _ if errors::is_refused(cause) => {
            "check that this is a SQLite database, and that the service's user may read and write it"
        }
        _ => connection::advice(cause),
    }
}

fn check_disk(folder: &Path, report: &mut Report) {
    let Ok(disk) = rustix::fs::statvfs(folder) else {
        return;
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let found = format!("{} MiB are free", free / MEBIBYTE);
    let advice = "free some space: on a full disk, writes get 507";
    match free {
        ..MIN_FREE_BYTES => report.error("disk", found, advice),
        MIN_FREE_BYTES..LOW_FREE_BYTES => report.warning("disk", found, advice),
        _ => report.ok("disk", found),
    }
}

async fn check_contents(db: &Connections, report: &mut Report) -> Result<SchemaState, DbErr> {
    let mode = text(db, "PRAGMA journal_mode").await?;
    if mode == "wal" {
        report.ok("journal", "is a write-ahead log");
    } else {
        report.error(
            "journal",
            format_args!("is in mode {mode}, in which readers and writers block each other"),
            "move the file to a local file system, which supports a write-ahead log",
        );
    }
    let result = text(db, "PRAGMA quick_check(1)").await?;
    if result == "ok" {
        report.ok("integrity", "the file is intact");
    } else {
        report.error(
            "integrity",
            result,
            "stop the service and restore a backup, or recover what is left with `sqlite3 FILE .recover`",
        );
    }
    let schema = schema::check(db, report).await;
    report.ok("clock", "is this machine's own");
    Ok(schema)
}

async fn text(db: &Connections, sql: &str) -> Result<String, DbErr> {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let row = db.query_one_raw(statement).await?;
    row.map_or(Ok(String::new()), |row| row.try_get_by_index(0))
}
