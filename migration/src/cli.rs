//! The runner's commands, shared by `circle-registry migrate` and `cargo run -p migration`.

use std::io::{self, Write};

use clap::Subcommand;

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
    /// Revert applied migrations, newest first
    Down {
        /// Revert the last N migrations
        #[arg(short = 'n', long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        steps: u32,
    },
    /// List migrations and whether they are applied; changes nothing
    Status,
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

/// Consent to the loss of all data.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Consent {
    /// Confirm that all data is lost
    #[arg(long)]
    yes: bool,
}

/// Why a command of the runner failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("this deletes all data in {0}; add --yes to confirm")]
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
/// Settings that name no database, a database that can't be reached, a migration that fails.
pub async fn run(
    settings: &DatabaseSettings,
    command: &MigrateCommand,
    out: &mut impl Write,
) -> Result<(), RunError> {
    let target = Target::from_settings(settings)?;
    if let MigrateCommand::Fresh { consent }
    | MigrateCommand::Refresh { consent }
    | MigrateCommand::Reset { consent } = command
        && !consent.yes
    {
        return Err(RunError::NoConsent(target.database().to_owned()));
    }
    let target = target.choose_host(settings.db_acquire_timeout).await?;
    let db = connection::open(settings, &target, PoolSize::ONE);
    match command {
        MigrateCommand::Up { steps } => report(out, "applied", &runner::up(&db, *steps).await?)?,
        MigrateCommand::Down { steps } => {
            report(out, "reverted", &runner::down(&db, Some(*steps)).await?)?;
        }
        MigrateCommand::Status => print_status(out, runner::status(&db).await?)?,
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
    Ok(())
}

fn report(out: &mut impl Write, verb: &str, names: &[String]) -> io::Result<()> {
    if names.is_empty() {
        writeln!(out, "nothing to do")?;
    }
    names
        .iter()
        .try_for_each(|name| writeln!(out, "{verb:8} {name}"))
}

fn print_status(out: &mut impl Write, status: runner::Status) -> io::Result<()> {
    let runner::Status {
        applied,
        pending,
        unknown,
    } = status;
    for (word, names) in [
        ("applied", applied),
        ("pending", pending),
        ("unknown", unknown),
    ] {
        for name in names {
            writeln!(out, "{word:8} {name}")?;
        }
    }
    Ok(())
}
