//! Keys on the command line: for the first key, and for operators without a key.

use std::{fmt, io, str::FromStr};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use clap::{Args, Subcommand};
use entity::{
    api_key,
    values::{Scope, now},
};
use migration::{connection::TargetError, runner::MigrateError};

use super::{dto::KeyCreate, queries};
use crate::{
    config::Settings,
    database::Database,
    error::Error,
    text::{is_control, one_line},
    write::{self, Actor},
};

/// What to do with API keys.
#[derive(Clone, Debug, Subcommand)]
pub enum KeysCommand {
    /// Create a key and print its token, which is shown only once
    Create(CreateArguments),
    /// List all keys, including expired and revoked ones
    List,
    /// Revoke a key: it is rejected from the next request on
    Revoke {
        /// The key's id
        id: i64,
    },
}

#[derive(Args, Clone, Debug)]
pub struct CreateArguments {
    /// What the key is for
    #[arg(long, value_parser = name)]
    name: String,

    /// What the key permits: read, write (and read), admin (everything) or handles (nothing else); can be
    /// repeated
    #[arg(long = "scope", value_name = "SCOPE", required = true, value_parser = scope)]
    scopes: Vec<Scope>,

    /// When the key expires: after a duration, as 90d, or at a time, as 2027-01-31T00:00:00Z
    /// [default: never]
    #[arg(long, value_name = "WHEN")]
    expires: Option<Expiry>,
}

fn name(text: &str) -> Result<String, &'static str> {
    if !(1..=200).contains(&text.chars().count()) {
        return Err("must have 1 to 200 characters");
    }
    if text.contains(is_control) {
        return Err("contains a control character");
    }
    Ok(text.to_owned())
}

fn scope(text: &str) -> Result<Scope, String> {
    let named = Scope::ALL.into_iter().find(|scope| scope.name() == text);
    named.ok_or_else(|| format!("must be one of {}", Scope::ALL.map(Scope::name).join(", ")))
}

/// A time in the future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Expiry(DateTime<Utc>);

impl FromStr for Expiry {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let now = now();
        let moment = match DateTime::parse_from_rfc3339(text) {
            Ok(moment) => Some(moment.to_utc()),
            Err(_) => humantime::parse_duration(text)
                .ok()
                .and_then(|time| TimeDelta::from_std(time).ok())
                .and_then(|time| now.checked_add_signed(time)),
        };
        match moment {
            None => Err("must be a duration, as 90d, or a time, as 2027-01-31T00:00:00Z"),
            Some(moment) if moment <= now => Err("must be in the future"),
            Some(moment) => Ok(Self(moment)),
        }
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(transparent)]
    Schema(#[from] MigrateError),
    #[error(transparent)]
    Refused(#[from] Error),
    #[error(transparent)]
    Output(#[from] io::Error),
}

/// Runs the command. Writes its result to `out` and messages to `messages`.
///
/// # Errors
/// A database that can't be reached or is not up to date, or a key that does not exist.
pub async fn run(
    settings: &Settings,
    command: KeysCommand,
    out: &mut impl io::Write,
    messages: &mut impl io::Write,
) -> Result<(), KeysError> {
    let database = Database::open(&settings.database)?;
    let done = match command {
        KeysCommand::Create(new) => create(settings, &database, new, out, messages).await,
        KeysCommand::List => list(&database, out).await,
        KeysCommand::Revoke { id } => revoke(&database, id, messages).await,
    };
    database.close(settings.server.pool_close_timeout).await;
    done
}

/// The first key is created before the service is started, so this creates the schema if it is missing.
async fn create(
    settings: &Settings,
    database: &Database,
    new: CreateArguments,
    out: &mut impl io::Write,
    messages: &mut impl io::Write,
) -> Result<(), KeysError> {
    database.prepare(!settings.server.no_migrate).await?;
    let CreateArguments {
        name,
        scopes,
        expires,
    } = new;
    let new = &KeyCreate {
        name,
        scopes,
        expires_at: expires.map(|Expiry(moment)| moment),
    };
    let create = |work| queries::create(work, new.clone());
    let (row, token) = write::run(database, &Actor::default(), create).await?;
    let api_key::Model { id, scopes, .. } = &row;
    writeln!(
        messages,
        "key {id} ({scopes}); its token is shown only once:"
    )?;
    writeln!(out, "{}", token.reveal())?;
    Ok(())
}

async fn list(database: &Database, out: &mut impl io::Write) -> Result<(), KeysError> {
    database.check().await?;
    let rows = queries::all(database.connection()).await?;
    writeln!(
        out,
        "{:>4}  {:7}  {:20}  {:20}  {:20}  {:14}  NAME",
        "ID", "STATE", "CREATED", "EXPIRES", "LAST USED", "SCOPES"
    )?;
    for row in rows {
        let state = State::of(&row);
        let api_key::Model {
            id,
            name,
            scopes,
            secret_hash: _,
            created_at,
            expires_at,
            revoked_at: _,
            last_used_at,
        } = row;
        writeln!(
            out,
            "{id:>4}  {state:7}  {:20}  {:20}  {:20}  {:14}  {}",
            timestamp(Some(created_at)),
            timestamp(expires_at),
            timestamp(last_used_at),
            scopes.to_string(),
            one_line(&name)
        )?;
    }
    Ok(())
}

fn timestamp(time: Option<DateTime<Utc>>) -> String {
    time.map_or("never".to_owned(), |time| {
        time.to_rfc3339_opts(SecondsFormat::Secs, true)
    })
}

/// Whether a key is accepted.
#[derive(Clone, Copy, Debug)]
enum State {
    Active,
    Expired,
    Revoked,
}

impl State {
    fn of(row: &api_key::Model) -> Self {
        if row.revoked_at.is_some() {
            Self::Revoked
        } else if row.expires_at.is_some_and(|moment| moment <= now()) {
            Self::Expired
        } else {
            Self::Active
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        })
    }
}

async fn revoke(
    database: &Database,
    id: i64,
    messages: &mut impl io::Write,
) -> Result<(), KeysError> {
    database.check().await?;
    write::run(database, &Actor::default(), |work| {
        queries::revoke(work, id)
    })
    .await?;
    writeln!(messages, "key {id} is revoked")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_a_duration_or_a_time_in_the_future() {
        let in_days = |days| now() + TimeDelta::days(days);
        let Expiry(soon) = "90d".parse().expect("a time");
        assert!(in_days(89) < soon && soon <= in_days(90));
        let Expiry(then) = "2999-01-31T00:00:00+02:00".parse().expect("a moment");
        assert_eq!(timestamp(Some(then)), "2999-01-30T22:00:00Z");
        for text in [
            "",
            "soon",
            "0s",
            "2001-01-01T00:00:00Z",
            "9999999999y",
            "-1d",
        ] {
            assert!(text.parse::<Expiry>().is_err(), "{text}");
        }
    }
}
