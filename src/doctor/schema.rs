//! Whether the schema is the one this program knows.

use migration::runner;

use super::report::Report;
use crate::database::Connections;

const SUBJECT: &str = "schema";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SchemaState {
    Current,
    Older,
    Newer,
    Unreadable,
}

pub(super) async fn check(db: &Connections, report: &mut Report) -> SchemaState {
    let runner::Status {
        applied,
        pending,
        additive,
        unknown,
    } = match runner::status(db).await {
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
    if !unknown.is_empty() {
        report.error(
            SUBJECT,
            format_args!(
                "is newer than this program's: it has {}",
                unknown.join(", ")
            ),
            "use the release that wrote it, or a later one",
        );
        return SchemaState::Newer;
    }
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
