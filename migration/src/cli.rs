//! The runner's commands, shared by `circle-registry migrate` and `cargo run -p migration`.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use clap::{Subcommand, ValueEnum};

use crate::{
    connection::{self, PoolSize, Target, TargetError},
    runner::{self, MigrateError},
    settings::DatabaseSettings,
};

/// A command of the migration runner.
#[derive(Clone, Debug, Subcommand)]
pub enum MigrateCommand {
    /// Apply pending migrations
    Up {
        /// Apply only the next N migrations
        #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        steps: Option<u32>,
    },
    /// Revert applied migrations, newest first. What they added is lost, with all data in it
    Down {
        /// Revert the last N migrations
        #[arg(short = 'n', long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        steps: u32,
        #[command(flatten)]
        consent: Consent,
    },
    /// List migrations and whether they are applied; changes nothing
    Status {
        /// Exit with 1 unless all migrations are applied and the database has no others
        #[arg(long)]
        exit_code: bool,
        /// Format of the list
        #[arg(long, value_name = "FORMAT", default_value = "text")]
        format: StatusFormat,
    },
    /// Drop every table, then apply all migrations. All data is lost
    Fresh {
        #[command(flatten)]
        consent: Consent,
    },
    /// Revert all migrations, then apply them again. All data is lost
    Refresh {
        #[command(flatten)]
        consent: Consent,
    },
    /// Revert all migrations. All data is lost
    Reset {
        #[command(flatten)]
        consent: Consent,
    },
}

/// A format of the list of migrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StatusFormat {
    /// One line for each migration
    Text,
    /// One JSON object
    Json,
}

/// Consent to the loss of data.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Consent {
    /// Confirm the loss of data. Without it, the command asks on a terminal, and otherwise fails
    #[arg(long)]
    yes: bool,
}

impl Consent {
    /// Asks for what the command line does not confirm.
    fn confirm(self, loss: String) -> Result<(), RunError> {
        if self.yes || is_confirmed(&format!("this {loss}; continue?"))? {
            return Ok(());
        }
        Err(RunError::NoConsent(loss))
    }
}

/// Asks the person at the terminal. Without a terminal the answer is no.
///
/// # Errors
/// A terminal that can't be read.
pub fn is_confirmed(question: &str) -> io::Result<bool> {
    if !io::stdin().is_terminal() {
        return Ok(false);
    }
    let mut answer = String::new();
    write!(io::stderr(), "{question} [y/N] ")?;
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Why a command of the runner failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("this {0}; add --yes to confirm")]
    NoConsent(String),
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    #[error(transparent)]
    Database(#[from] sea_orm_migration::DbErr),
    #[error(transparent)]
    Output(#[from] io::Error),
}

/// Runs a command against the database that the settings name, and reports to `out`.
///
/// # Errors
/// Settings that name no database, a database that can't be reached or is another application's, a
/// migration that fails.
pub async fn run(
    settings: &DatabaseSettings,
    command: &MigrateCommand,
    out: &mut impl Write,
) -> Result<ExitCode, RunError> {
    let target = Target::from_settings(settings)?;
    if let Some((consent, loss)) = loss(command, target.database()) {
        consent.confirm(loss)?;
    }
    let target = target.choose_host(settings.db_acquire_timeout).await?;
    let status = runner::look(settings, &target).await?;
    if let MigrateCommand::Status { exit_code, format } = command {
        print_status(out, &status, *format)?;
        let fails = *exit_code && status.check_current().is_err();
        return Ok(ExitCode::from(u8::from(fails)));
    }
    match (status.check_known(), command) {
        // What it has copied so far is no loss.
        (Err(MigrateError::UnfinishedCopy), MigrateCommand::Fresh { .. }) => {}
        (known, _) => known?,
    }
    let db = connection::open(settings, &target, PoolSize::ONE);
    match command {
        MigrateCommand::Up { steps } => report(out, "applied", &runner::up(&db, *steps).await?)?,
        MigrateCommand::Down { steps, .. } => {
            report(out, "reverted", &runner::down(&db, Some(*steps)).await?)?;
        }
        MigrateCommand::Status { .. } => {}
        MigrateCommand::Fresh { .. } => {
            runner::drop_all(&db).await?;
            report(out, "applied", &runner::up(&db, None).await?)?;
        }
        MigrateCommand::Refresh { .. } => {
            report(out, "reverted", &runner::down(&db, None).await?)?;
            report(out, "applied", &runner::up(&db, None).await?)?;
        }
        MigrateCommand::Reset { .. } => report(out, "reverted", &runner::down(&db, None).await?)?,
    }
    db.close().await?;
    Ok(ExitCode::SUCCESS)
}

/// What a command needs consent for.
fn loss(command: &MigrateCommand, database: &str) -> Option<(Consent, String)> {
    match command {
        MigrateCommand::Up { .. } | MigrateCommand::Status { .. } => None,
        MigrateCommand::Down { steps, consent } => Some((
            *consent,
            format!(
                "reverts the last {steps} migrations of {database}, and deletes the tables and columns that they added"
            ),
        )),
        MigrateCommand::Fresh { consent }
        | MigrateCommand::Refresh { consent }
        | MigrateCommand::Reset { consent } => {
            Some((*consent, format!("deletes all data in {database}")))
        }
    }
}

fn report(out: &mut impl Write, verb: &str, names: &[String]) -> io::Result<()> {
    if names.is_empty() {
        writeln!(out, "nothing to do")?;
    }
    names
        .iter()
        .try_for_each(|name| writeln!(out, "{verb:8} {name}"))
}

fn print_status(
    out: &mut impl Write,
    status: &runner::Status,
    format: StatusFormat,
) -> io::Result<()> {
    if format == StatusFormat::Json {
        serde_json::to_writer(&mut *out, status)?;
        return writeln!(out);
    }
    let runner::Status {
        applied,
        pending,
        additive,
        unknown,
        foreign,
        missing,
        unfinished_copy,
    } = status;
    for (word, names) in [
        ("applied", applied),
        ("pending", pending),
        ("additive", additive),
        ("unknown", unknown),
        ("foreign", foreign),
        ("missing", missing),
    ] {
        for name in names {
            writeln!(out, "{word:8} {}", name.escape_debug())?;
        }
    }
    if *unfinished_copy {
        writeln!(out, "a copy into the database has not ended")?;
    }
    Ok(())
}
