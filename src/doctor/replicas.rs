//! Whether the replicas can be read.

use humantime::format_duration;

use super::report::Report;
use crate::{
    config::Settings,
    database::{Database, replica_target},
};

const SUBJECT: &str = "replicas";

pub(super) async fn check(settings: &Settings, primary: &Database, report: &mut Report) {
    for url in settings.replicas.urls() {
        check_one(settings, url, primary, report).await;
    }
}

async fn check_one(settings: &Settings, url: &str, primary: &Database, report: &mut Report) {
    let target = match replica_target(url, primary) {
        Ok(target) => target,
        Err(cause) => {
            report.error(SUBJECT, cause, "correct READ_DATABASE_URL");
            return;
        }
    };
    let address = target.address();
    let mut narrow = settings.database.clone();
    narrow.database_url = Some(url.to_owned());
    (narrow.db_pool_min, narrow.db_pool_max) = (Some(0), Some(1));
    let replica = match Database::open(&narrow) {
        Ok(replica) => replica,
        Err(cause) => {
            report.error(SUBJECT, cause, "correct READ_DATABASE_URL");
            return;
        }
    };
    let asked = async {
        replica.try_connect().await?;
        replica.end_of_replay().await
    };
    match asked.await {
        // The service starts without it, and the primary answers.
        Err(cause) => report.warning(
            SUBJECT,
            format_args!("{address} can't be read: {cause}"),
            "start the replica, or correct READ_DATABASE_URL",
        ),
        Ok(None) => report.warning(
            SUBJECT,
            format_args!("{address} is not a standby, so it is not read"),
            "name hot standbys of the primary alone",
        ),
        Ok(Some(replayed)) => match primary.end_of_log().await {
            Ok(end) if !end.is_comparable(replayed) => report.warning(
                SUBJECT,
                format_args!(
                    "{address} is not known to follow the primary since a standby was promoted, and is not read until it is"
                ),
                "grant the user pg_read_all_stats, or wait until the replica's next restart point; if that does not \
                 help, the replica follows another server",
            ),
            _ => report.ok(
                SUBJECT,
                format_args!(
                    "{address} is a standby and can be read as long as it lags by {} at most",
                    format_duration(settings.replicas.replica_max_lag)
                ),
            ),
        },
    }
    replica.close(settings.server.pool_close_timeout).await;
}
