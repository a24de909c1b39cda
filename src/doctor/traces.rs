//! Whether the collector of traces takes them.

use super::report::Report;
use crate::{config::TraceSettings, traces};

const SUBJECT: &str = "traces";

pub(super) async fn check(settings: &TraceSettings, report: &mut Report) {
    let Some(url) = settings.url() else {
        return;
    };
    let collector = url.origin().ascii_serialization();
    match traces::ask_collector(&url, settings.headers()).await {
        Ok(()) => report.ok(
            SUBJECT,
            format_args!("the collector at {collector} takes traces"),
        ),
        // The service starts without it, and no request waits for it.
        Err(cause) => report.warning(
            SUBJECT,
            format_args!("traces can't be sent to {collector}: {cause}"),
            "correct the settings of traces, or start the collector",
        ),
    }
}
