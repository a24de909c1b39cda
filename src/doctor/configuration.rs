//! Settings that don't fit together.

use std::time::Duration;

use humantime::format_duration;

use super::report::Report;
use crate::config::{ServerSettings, Settings};
use migration::settings::DatabaseSettings;

const SUBJECT: &str = "configuration";
/// What Kubernetes gives a service to stop, less a margin.
const GRACE: Duration = Duration::from_secs(28);

pub(super) fn check(settings: &Settings, report: &mut Report) {
    let before = report.findings.len();
    check_stop(&settings.server, report);
    check_pool(&settings.database, report);
    check_timeouts(&settings.database, report);
    if report.findings.len() == before {
        report.ok(SUBJECT, "the settings fit together");
    }
}

fn check_stop(settings: &ServerSettings, report: &mut Report) {
    let stop = settings.shutdown_delay + settings.shutdown_timeout + settings.pool_close_timeout;
    if stop > GRACE {
        report.warning(
            SUBJECT,
            format_args!("stopping may take {}", format_duration(stop)),
            "set the shutdown delay, the shutdown timeout and the pool close timeout to 28s \
             together, or give the service more than the usual 30s of grace",
        );
    }
}

fn check_pool(settings: &DatabaseSettings, report: &mut Report) {
    if let (Some(min), Some(max)) = (settings.db_pool_min, settings.db_pool_max)
        && min > max
    {
        report.warning(
            SUBJECT,
            format_args!("the pool's minimum of {min} is cut to its maximum of {max}"),
            "lower DB_POOL_MIN or raise DB_POOL_MAX",
        );
    }
    if settings.db_acquire_timeout.is_zero() {
        report.error(
            SUBJECT,
            "no request may wait for a connection at all",
            "set DB_ACQUIRE_TIMEOUT to some seconds",
        );
    }
    if settings.db_idle_timeout > settings.db_max_lifetime {
        report.warning(
            SUBJECT,
            "the idle timeout is longer than the life of a connection",
            "set DB_IDLE_TIMEOUT below DB_MAX_LIFETIME",
        );
    }
}

fn check_timeouts(settings: &DatabaseSettings, report: &mut Report) {
    let statement = settings.db_statement_timeout;
    for (limit, what, name) in [
        (statement, "a statement may run", "DB_STATEMENT_TIMEOUT"),
        (
            settings.db_lock_timeout,
            "a statement may wait for a lock",
            "DB_LOCK_TIMEOUT",
        ),
        (
            settings.db_idle_in_transaction_timeout,
            "a transaction may sit idle",
            "DB_IDLE_IN_TRANSACTION_TIMEOUT",
        ),
    ] {
        if limit.is_zero() {
            report.warning(
                SUBJECT,
                format_args!("{what} for ever"),
                format_args!(
                    "set {name} to some seconds, so that nobody holds a connection for good"
                ),
            );
        }
    }
    if !statement.is_zero() && settings.db_lock_timeout >= statement {
        report.warning(
            SUBJECT,
            format_args!(
                "the lock timeout of {} is never reached, because a statement ends after {}",
                format_duration(settings.db_lock_timeout),
                format_duration(statement)
            ),
            "set DB_LOCK_TIMEOUT below DB_STATEMENT_TIMEOUT",
        );
    }
}
