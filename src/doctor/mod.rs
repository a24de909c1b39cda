//! `circle-registry doctor`: examines the settings and the database, reports what is wrong and what to
//! do about it, and changes nothing unless it is asked to repair.
//!
//! It imports `server`, `exposure` and what is below them. Each file is one subject, and adds its findings to a
//! [`Report`]. Start with [`examine`].

mod configuration;
mod connection;
mod contents;
mod files;
mod postgres;
mod postgres_facts;
mod replicas;
mod report;
mod schema;
mod server;
mod sqlite;
mod traces;

use sea_orm::{DbBackend, DbErr};

pub use report::{Finding, Level, Report};
use schema::SchemaState;

use crate::{config::Settings, database::Database, exposure::Keys};

/// Examines the settings and the database that they name, and repairs what can be derived from the rows.
pub async fn examine(settings: &Settings, instances: u32, repair: bool) -> Report {
    let mut report = Report::default();
    configuration::check(settings, &mut report);
    files::check(settings, &mut report);
    server::check(&settings.server, &mut report).await;
    traces::check(&settings.traces, &mut report).await;
    // One connection is enough for an examination.
    let mut narrow = settings.database.clone();
    (narrow.db_pool_min, narrow.db_pool_max) = (Some(0), Some(1));
    match Database::open(&narrow) {
        Err(cause) => {
            report.error(
                "connection",
                cause,
                "correct DATABASE_URL or the DB_ settings",
            );
        }
        Ok(database) => {
            let examined =
                examine_database(settings, &database, instances, repair, &mut report).await;
            if let Err(cause) = examined {
                report.error(
                    "connection",
                    format!("the database failed during the examination: {cause}"),
                    "make sure that the database is running, and run this again",
                );
            }
            database.close(settings.server.pool_close_timeout).await;
        }
    }
    report
}

async fn examine_database(
    settings: &Settings,
    database: &Database,
    instances: u32,
    repair: bool,
    report: &mut Report,
) -> Result<(), DbErr> {
    let schema = if database.target().backend() == DbBackend::Sqlite {
        sqlite::check(database, report).await?
    } else {
        postgres::check(settings, database, instances, report).await?
    };
    replicas::check(settings, database, report).await;
    if schema == SchemaState::Current {
        contents::check(database, repair, report).await?;
    }
    // A database that can't be read, or is another application's, has been reported.
    if let Ok(status) = database.look().await
        && status.check_known().is_ok()
    {
        let keys = match status.applied.as_slice() {
            [] => Keys::default(),
            _ => Keys::find(database, &settings.server)
                .await
                .unwrap_or_default(),
        };
        server::check_exposure(&settings.server, keys, report);
    }
    Ok(())
}
