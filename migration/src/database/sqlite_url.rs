//! A SQLite URL.

use std::{path::Path, str::FromStr};

use percent_encoding::percent_decode_str;
use sea_orm_migration::sea_orm::sqlx::sqlite::SqliteConnectOptions;
use url::form_urlencoded;

use super::target::Fault;

/// Reads the URL after `sqlite:`: the driver's options, and whether the database is in memory. A file
/// that is missing is created, unless the mode forbids it.
pub(super) fn parse(text: &str) -> Result<(SqliteConnectOptions, bool), Fault> {
    let text = text.strip_prefix("//").unwrap_or(text);
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let mut mode = None;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "mode" => mode = Some(value),
            "cache" | "immutable" | "vfs" => {}
            _ => return Err(Fault::Unsupported(name.into_owned())),
        }
    }
    let in_memory = path == ":memory:" || mode.as_deref() == Some("memory");
    let url = format!("sqlite:{path}?{query}");
    let options = SqliteConnectOptions::from_str(&url).map_err(|_| Fault::SqliteValue)?;
    if in_memory {
        return Ok((options, true));
    }
    let file = percent_decode_str(path).decode_utf8_lossy();
    let may_create = mode.is_none_or(|mode| mode == "rwc");
    if file.is_empty() {
        return Err(Fault::NoFile);
    }
    if !may_create && !Path::new(&*file).exists() {
        return Err(Fault::MissingFile);
    }
    Ok((
        options.filename(&*file).create_if_missing(may_create),
        false,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_file_or_memory() {
        for (url, file) in [
            ("teams.db", Some("teams.db")),
            ("//teams.db", Some("teams.db")),
            ("///tmp/teams.db", Some("/tmp/teams.db")),
            ("////tmp/teams.db", Some("//tmp/teams.db")),
            ("a:memory:.db", Some("a:memory:.db")),
            ("mode=memory.db", Some("mode=memory.db")),
            ("a%3Fb.db?mode=rwc", Some("a?b.db")),
            (":memory:", None),
            ("//:memory:", None),
            ("x.db?mode=memory", None),
        ] {
            let (options, in_memory) = parse(url).expect(url);
            assert_eq!(in_memory, file.is_none(), "{url}");
            let named = options.get_filename();
            assert!(file.is_none_or(|file| named == Path::new(file)), "{url}");
        }
        for url in [
            "",
            "//",
            "?mode=rwc",
            "no-such.db?mode=rw",
            "no-such.db?mode=ro",
            "x?mode=no",
            "x?key=y",
        ] {
            assert!(parse(url).is_err(), "{url}");
        }
    }
}
