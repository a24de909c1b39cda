//! Whether the schema is the one this program knows.

use migration::runner;

use super::report::Report;
use crate::database::Connections;

const SUBJECT: &str = "schema";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SchemaState {
    Current,
    Older,
    /// Newer, or another application's.
    Unknown,
    Unreadable,
}

pub(super) async fn check(db: &Connections, report: &mut Report) -> SchemaState {
    let status = match runner::status(db).await {
        Ok(status) => status,
        Err(cause) => {
            report.error(
                SUBJECT,
                format_args!("can't be read: {cause}"),
                "allow the service's user to read all tables",
            );
            return SchemaState::Unreadable;
        }
    };
    if !check_known(&status, report) {
        return SchemaState::Unknown;
    }
    let runner::Status {
        applied,
        pending,
        additive,
        ..
    } = status;
    if pending.is_empty() {
        let migrations = applied.len() + additive.len();
        report.ok(
            SUBJECT,
            format_args!("is current, with {migrations} migrations"),
        );
        return SchemaState::Current;
    }
    report.warning(
        SUBJECT,
        format_args!(
            "{} of {} migrations are not applied",
            pending.len(),
            pending.len() + applied.len()
        ),
        "start the service, which applies them, or run `circle-registry migrate up`",
    );
    SchemaState::Older
}

/// Reports a schema that this program can neither use nor migrate.
pub(super) fn check_known(status: &runner::Status, report: &mut Report) -> bool {
    let Err(cause) = status.check_known() else {
        return true;
    };
    let cause = cause.to_string();
    let (found, advice) = cause
        .rsplit_once("; ")
        .unwrap_or((&cause, "correct DATABASE_URL"));
    report.error(SUBJECT, found, advice);
    false
}
