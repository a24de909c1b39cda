//! Settings that contradict each other.

use std::time::Duration;

use humantime::format_duration;

use super::report::Report;
use crate::config::{ServerSettings, Settings};
use migration::settings::DatabaseSettings;

const SUBJECT: &str = "configuration";
/// The default grace period of Kubernetes, less a margin.
const GRACE_PERIOD: Duration = Duration::from_secs(28);

pub(super) fn check(settings: &Settings, report: &mut Report) {
    let before = report.findings.len();
    check_stop(&settings.server, report);
    check_pool(&settings.database, report);
    check_timeouts(&settings.database, report);
    if report.findings.len() == before {
        report.ok(SUBJECT, "the settings are consistent");
    }
}

fn check_stop(settings: &ServerSettings, report: &mut Report) {
    let stop = settings.shutdown_delay + settings.shutdown_timeout + settings.pool_close_timeout;
    if stop > GRACE_PERIOD {
        report.warning(
            SUBJECT,
            format_args!("stopping may take {}", format_duration(stop)),
            "reduce SHUTDOWN_DELAY, SHUTDOWN_TIMEOUT and POOL_CLOSE_TIMEOUT to 28s in sum, or give \
             the service a longer grace period than the usual 30s",
        );
    }
}

fn check_pool(settings: &DatabaseSettings, report: &mut Report) {
    if let (Some(min), Some(max)) = (settings.db_pool_min, settings.db_pool_max)
        && min > max
    {
        report.warning(
            SUBJECT,
            format_args!("the pool's minimum of {min} is reduced to its maximum of {max}"),
            "lower DB_POOL_MIN or raise DB_POOL_MAX",
        );
    }
    if settings.db_idle_timeout > settings.db_max_lifetime {
        report.warning(
            SUBJECT,
            "the idle timeout is longer than the maximum lifetime of a connection",
            "set DB_IDLE_TIMEOUT below DB_MAX_LIFETIME",
        );
    }
}

fn check_timeouts(settings: &DatabaseSettings, report: &mut Report) {
    let statement = settings.db_statement_timeout;
    if settings.db_lock_timeout >= statement {
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
