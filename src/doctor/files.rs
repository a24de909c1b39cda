//! Files that hold secrets or data, and that every user of the machine can read.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use migration::{
    bounds,
    connection::Target,
    settings::{DatabaseSettings, MAX_FILE},
};
use sea_orm::DbBackend;
use url::Url;

use super::report::Report;
use crate::config::Settings;

const SUBJECT: &str = "files";
/// Read and write, for users that are neither the owner nor in the group.
const OTHERS: u32 = 0o006;

pub(super) fn check(settings: &Settings, report: &mut Report) {
    let files = database_files(&settings.database)
        .into_iter()
        .chain((settings.server.tls_key.iter()).map(|file| ("the TLS key", file.clone())))
        .chain(
            (settings.database.config.iter())
                .filter(|file| holds_secret(file))
                .map(|file| ("the settings file with a secret", file.clone())),
        );
    for (what, file) in files {
        let Ok(found) = fs::metadata(&file) else {
            continue;
        };
        let mode = found.permissions().mode() & 0o777;
        let name = file.display();
        if mode & OTHERS == 0 {
            report.ok(
                SUBJECT,
                format_args!("{what}, {name}, is closed to other users"),
            );
        } else {
            report.warning(
                SUBJECT,
                format_args!(
                    "{what}, {name}, is open to every user of this machine (mode {mode:o})"
                ),
                format_args!("run `chmod o= {name}`"),
            );
        }
    }
}

/// The file of a SQLite database with its log and its shared memory, or the key by which the service shows
/// itself to PostgreSQL.
fn database_files(settings: &DatabaseSettings) -> Vec<(&'static str, PathBuf)> {
    let Ok(target) = Target::from_settings(settings) else {
        return Vec::new();
    };
    if target.is_in_memory() {
        return Vec::new();
    }
    if target.backend() == DbBackend::Sqlite {
        let file = |suffix| PathBuf::from(format!("{}{suffix}", target.database()));
        return ["", "-wal", "-shm"]
            .map(|suffix| ("the database", file(suffix)))
            .to_vec();
    }
    let url = settings
        .database_url
        .as_deref()
        .and_then(|url| Url::parse(url).ok());
    let key = url.and_then(|url| {
        let (_, file) = url.query_pairs().find(|(name, _)| name == "sslkey")?;
        Some(("the key for the database", PathBuf::from(file.as_ref())))
    });
    key.into_iter().collect()
}

/// Whether a settings file has a password, in a setting of its own or in a URL, or header fields for authorization.
fn holds_secret(file: &Path) -> bool {
    let text = bounds::read_to_string(file, MAX_FILE).unwrap_or_default();
    let settings: toml::Table = text.parse().unwrap_or_default();
    settings.iter().any(|(key, value)| {
        let mut words = value.as_str().unwrap_or_default().split(' ');
        key.contains("password") || key.ends_with("_headers") || words.any(is_url_with_password)
    })
}

fn is_url_with_password(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        let mut parameters = url.query_pairs();
        url.password().is_some() || parameters.any(|(name, _)| name.contains("password"))
    })
}
