//! What the start checks before it serves: the address, the certificate and the keys.

use std::{io, net::SocketAddr};

use chrono::{TimeDelta, Utc};

use super::report::Report;
use crate::{
    config::ServerSettings,
    exposure::{self, Keys},
    server::{Tls, bind, get},
};

/// A certificate that is renewed in time is renewed earlier.
const EXPIRY_NOTICE: TimeDelta = TimeDelta::days(14);

pub(super) async fn check(settings: &ServerSettings, report: &mut Report) {
    check_certificate(settings, report);
    check_address(settings, report).await;
}

fn check_certificate(settings: &ServerSettings, report: &mut Report) {
    const SUBJECT: &str = "tls";
    const RENEW: &str = "renew it: clients refuse it outside this time";
    let tls = match Tls::load(settings) {
        Ok(Some(tls)) => tls,
        Ok(None) => return,
        Err(cause) => return report.error(SUBJECT, cause, "correct --tls-cert and --tls-key"),
    };
    let Some(validity) = tls.validity() else {
        return report.warning(SUBJECT, "the certificate states no time", RENEW);
    };
    let (from, until, now) = (validity.from, validity.until, Utc::now());
    let found = format!("the certificate is valid from {from} to {until}");
    if !(from..=until).contains(&now) {
        report.error(SUBJECT, found, RENEW);
    } else if until - now < EXPIRY_NOTICE {
        report.warning(SUBJECT, found, RENEW);
    } else {
        report.ok(SUBJECT, found);
    }
}

async fn check_address(settings: &ServerSettings, report: &mut Report) {
    const SUBJECT: &str = "address";
    let address: SocketAddr = settings.address();
    match bind(address) {
        Ok(_) => report.ok(SUBJECT, format_args!("the service can listen on {address}")),
        Err(cause) if cause.kind() == io::ErrorKind::AddrInUse && is_served(settings).await => {
            report.ok(SUBJECT, format_args!("the service listens on {address}"));
        }
        Err(cause) => report.error(
            SUBJECT,
            format_args!("can't listen on {address}: {cause}"),
            "correct BIND, or stop the program that listens there",
        ),
    }
}

/// Whether it is this service that listens on the address.
async fn is_served(settings: &ServerSettings) -> bool {
    let response = get(settings, "/livez").await;
    response.is_ok_and(|response| response.status == 200 && response.body["status"] == "ok")
}

/// Whether keys protect the service as its start demands.
pub(super) fn check_exposure(settings: &ServerSettings, keys: Keys, report: &mut Report) {
    const SUBJECT: &str = "keys";
    let address = settings.address();
    if let Err(cause) = exposure::check(settings, keys) {
        let cause = cause.to_string();
        let (found, advice) = cause.rsplit_once("; ").unwrap_or((&cause, "create a key"));
        return report.error(SUBJECT, found, advice);
    }
    match (keys.exist, settings.is_loopback()) {
        (true, _) => report.ok(SUBJECT, "every request needs an API key"),
        (false, true) => report.ok(
            SUBJECT,
            format_args!("there is none: every program on this machine may use {address}"),
        ),
        (false, false) => report.warning(
            SUBJECT,
            format_args!("there is none: every client that reaches {address} may read and change everything"),
            "create one with `circle-registry keys create --name admin --scope admin`, and remove --insecure",
        ),
    }
}
