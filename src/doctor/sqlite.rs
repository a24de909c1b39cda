//! What SQLite needs: a file and a folder that can be written, space, and a file system that
//! carries its write-ahead log.

use std::path::Path;

use sea_orm::{ConnectionTrait, DbErr, Statement};

use super::{connection, report::Report, schema};
use crate::database::{Connections, Database};

const SUBJECT: &str = "file";
const MEBIBYTE: u64 = 1 << 20;
/// Below this, writes may fail at any moment.
const NO_SPACE: u64 = 32 * MEBIBYTE;
const LITTLE_SPACE: u64 = 512 * MEBIBYTE;

pub(super) async fn check(database: &Database, report: &mut Report) -> Result<(), DbErr> {
    let name = database.target().database();
    if database.target().is_in_memory() {
        report.warning(
            SUBJECT,
            "the database is in memory, and gone when the service stops",
            "set DATABASE_URL to a file, as in sqlite:circle-registry.db",
        );
        return Ok(());
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
                "the folder {} of the database is not there",
                folder.display()
            ),
            "make it, or correct DATABASE_URL",
        );
        return Ok(());
    }
    check_disk(folder, report);
    if !file.exists() {
        report.warning(
            SUBJECT,
            format_args!("{name} is not there yet"),
            "start the service, which makes it, or correct DATABASE_URL",
        );
        return Ok(());
    }
    if let Err(cause) = database.try_connect().await {
        report.error(
            SUBJECT,
            format_args!("{name} can't be used: {cause}"),
            advice(&cause),
        );
        return Ok(());
    }
    report.ok(SUBJECT, format_args!("{name} can be read and written"));
    check_contents(database.connection(), report).await
}

fn advice(cause: &DbErr) -> &'static str {
    match cause.to_string() {
        text if text.contains("readonly") => {
            "let the service's user write the file and its folder, which holds the write-ahead log"
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
    let advice = "make space: a full disk answers 507 to writes";
    match free {
        ..NO_SPACE => report.error("disk", found, advice),
        NO_SPACE..LITTLE_SPACE => report.warning("disk", found, advice),
        _ => report.ok("disk", found),
    }
}

async fn check_contents(db: &Connections, report: &mut Report) -> Result<(), DbErr> {
    let mode = text(db, "PRAGMA journal_mode").await?;
    if mode == "wal" {
        report.ok("journal", "is a write-ahead log");
    } else {
        report.error(
            "journal",
            format_args!("is in mode {mode}, in which readers and writers wait for each other"),
            "put the file on a local file system that carries a write-ahead log",
        );
    }
    let sound = text(db, "PRAGMA quick_check(1)").await?;
    if sound == "ok" {
        report.ok("integrity", "the file is sound");
    } else {
        report.error(
            "integrity",
            sound,
            "stop the service and restore a backup, or save what is left with `sqlite3 FILE .recover`",
        );
    }
    schema::check(db, report).await;
    report.ok("clock", "is this machine's own");
    Ok(())
}

async fn text(db: &Connections, sql: &str) -> Result<String, DbErr> {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let row = db.query_one_raw(statement).await?;
    row.map_or(Ok(String::new()), |row| row.try_get_by_index(0))
}
