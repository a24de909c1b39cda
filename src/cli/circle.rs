//! `circle-registry circle`.

use std::{
    env,
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use clap::Subcommand;

use super::{Failure, print};
use crate::{
    config::Settings,
    database::Database,
    diff,
    handles::{self, Lint},
    releases::{self, Side, TeamDiff, TeamMember},
    text::{Terminal, one_line},
};

#[derive(Debug, Subcommand)]
pub(super) enum CircleCommand {
    /// Report problems that a circle will cause at run time; fails if there are any
    Lint {
        /// The circle's name
        #[arg(value_name = "CIRCLE")]
        name: String,
    },
    /// Compare two releases of a circle, field by field; exits with 0 if nothing differs, with 1 if something does, and with
    /// 2 on errors
    Diff {
        /// The circle's name
        #[arg(value_name = "CIRCLE")]
        name: String,

        /// The number of a release, the name of a label, or `live` for the circle as it is now
        #[arg(value_name = "FROM")]
        from: String,

        /// The same, of what to compare it with
        #[arg(value_name = "TO", default_value = "live")]
        to: String,
    },
}

pub(super) async fn run(settings: &Settings, command: CircleCommand) -> Result<ExitCode, Failure> {
    match command {
        CircleCommand::Lint { name } => {
            let lint = on_database(settings, async |database| {
                Ok(handles::lint(database, &name).await?)
            });
            show_lint(lint.await?)
        }
        CircleCommand::Diff { name, from, to } => {
            let changes = on_database(settings, async |database| {
                let (from, to) = (Side::parse("FROM", &from)?, Side::parse("TO", &to)?);
                Ok(releases::diff(database, &name, &from, &to).await?)
            });
            match changes.await {
                Ok(changes) => show_changes(&changes),
                Err(failure) => {
                    writeln!(Terminal(io::stderr()), "error: {failure}")?;
                    Ok(ExitCode::from(2))
                }
            }
        }
    }
}

pub(super) async fn on_database<T>(
    settings: &Settings,
    read: impl AsyncFnOnce(&Database) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let database = Database::open(&settings.database)?;
    database.check().await?;
    let result = read(&database).await;
    database.close(settings.server.pool_close_timeout).await;
    result
}

fn show_lint(lint: Lint) -> Result<ExitCode, Failure> {
    let Lint {
        circle,
        ok,
        warnings,
    } = lint;
    for warning in &warnings {
        print(&format!(
            "{}: {}\n",
            warning.code,
            one_line(&warning.detail)
        ))?;
    }
    if ok {
        print(&format!("nothing is wrong with {circle}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

fn show_changes(changes: &TeamDiff) -> Result<ExitCode, Failure> {
    let mut out = io::stdout().lock();
    let is_coloured = out.is_terminal() && env::var_os("NO_COLOR").is_none_or(|it| it.is_empty());
    for (what, members) in [
        ("joined", &changes.joined),
        ("left", &changes.left),
        ("changed", &changes.changed),
    ] {
        for TeamMember { agent_id, name } in members {
            writeln!(out, "{what}: {} (agent {agent_id})", one_line(name))?;
        }
    }
    out.write_all(diff::print(&changes.changes, is_coloured).as_bytes())?;
    Ok(ExitCode::from(u8::from(!changes.changes.is_empty())))
}
