//! The runner's commands, the same in `circle-registry migrate` and in `cargo run -p migration`.

use std::io::{self, Write};

use clap::Subcommand;

use crate::{
    connection::{self, PoolSize, Target, TargetError},
    runner::{self, MigrateError},
    settings::DatabaseSettings,
};

/// What to do with the schema.
#[derive(Clone, Debug, Subcommand)]
pub enum MigrateCommand {
    /// Apply pending migrations
    Up {
        /// Apply only the next N
        #[arg(short = 'n', long, value_name = "N")]
        steps: Option<u32>,
    },
    /// Undo applied migrations, newest first
    Down {
        /// Undo the last N
        #[arg(short = 'n', long, value_name = "N", default_value_t = 1)]
        steps: u32,
    },
    /// List the migrations and whether they are applied; changes nothing
    Status,
    /// Drop every table, then apply all migrations. All data is lost
    Fresh {
        #[command(flatten)]
        consent: Consent,
    },
    /// Undo all migrations, then apply them again. All data is lost
    Refresh {
        #[command(flatten)]
        consent: Consent,
    },
    /// Undo all migrations. All data is lost
    Reset {
        #[command(flatten)]
        consent: Consent,
    },
}

/// Consent to losing all data.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Consent {
    /// Yes, lose all data
    #[arg(long)]
    yes: bool,
}

/// Why a command of the runner failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("this loses all data in {0}; say --yes if that is what you want")]
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

/// Runs one command against the database that the settings name, and reports to `out`.
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
    let db = connection::open(settings, &target, PoolSize::ONE).await?;
    match command {
        MigrateCommand::Up { steps } => report(out, "applied", &runner::up(&db, *steps).await?)?,
        MigrateCommand::Down { steps } => {
            report(out, "undone", &runner::down(&db, Some(*steps)).await?)?;
        }
        MigrateCommand::Status => print_status(out, runner::status(&db).await?)?,
        MigrateCommand::Fresh { .. } => {
            runner::drop_all(&db).await?;
            report(out, "applied", &runner::up(&db, None).await?)?;
        }
        MigrateCommand::Refresh { .. } => {
            report(out, "undone", &runner::down(&db, None).await?)?;
            report(out, "applied", &runner::up(&db, None).await?)?;
        }
        MigrateCommand::Reset { .. } => report(out, "undone", &runner::down(&db, None).await?)?,
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
