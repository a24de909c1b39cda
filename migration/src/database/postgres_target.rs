//! What the driver needs to connect to PostgreSQL, from a URL or from the settings of its parts. Every
//! part is given to the driver as a part.

use std::{net::IpAddr, str::FromStr};

use sea_orm_migration::sea_orm::sqlx::{ConnectOptions, postgres::PgConnectOptions};
use tracing::subscriber::NoSubscriber;
use url::form_urlencoded;

use super::{
    host,
    hosts::Hosts,
    postgres_parameters::Parameters,
    postgres_tls,
    postgres_url::PostgresUrl,
    settings::DatabaseSettings,
    target::{Fault, TargetError, URL_SETTING},
};

const HOST_SETTING: &str = "DB_HOST (--db-host)";
const APPLICATION_NAME: &str = "circle-registry";

/// The settings of a PostgreSQL database.
pub(super) struct PostgresTarget {
    parts: PostgresUrl,
    parameters: Parameters,
    /// Which setting an error of the host names.
    setting: &'static str,
}

impl PostgresTarget {
    /// From the URL after `postgres://`.
    pub(super) fn from_url(text: &str) -> Result<Self, TargetError> {
        let mut parts = PostgresUrl::parse(text)?;
        let parameters = Parameters::new(std::mem::take(&mut parts.parameters))?;
        Ok(Self {
            parts,
            parameters,
            setting: URL_SETTING,
        })
    }

    /// From the host and the settings beside it. The host may name its port.
    pub(super) fn from_parts(host: &str, settings: &DatabaseSettings) -> Result<Self, TargetError> {
        let port = settings.db_port.map(|port| port.to_string());
        let with_port = |host| {
            let (host, named_port) = if host::is_host(host) {
                (host, "")
            } else {
                host::split_port(host)
            };
            match &port {
                Some(port) if !named_port.is_empty() && port != named_port => {
                    Err(TargetError::new(HOST_SETTING, Fault::TwoPorts))
                }
                Some(port) => Ok((host.to_owned(), port.clone())),
                None => Ok((host.to_owned(), named_port.to_owned())),
            }
        };
        let hosts: Result<_, _> = host.split(',').map(with_port).collect();
        let parts = PostgresUrl {
            user: Some(settings.db_user.clone()),
            password: settings.db_password.clone(),
            hosts: hosts?,
            database: Some(settings.db_name.clone()),
            parameters: Vec::new(),
        };
        let parameters = Parameters::new(Vec::new())?;
        Ok(Self {
            parts,
            parameters,
            setting: HOST_SETTING,
        })
    }

    /// The servers, each with what the driver connects by.
    pub(super) fn hosts(&self) -> Result<Hosts, TargetError> {
        let addresses = self.addresses()?;
        let all = addresses
            .into_iter()
            .map(|(host, port)| self.options(host, port));
        let wanted = self.parameters.value("target_session_attrs");
        Ok(Hosts::new(all.collect::<Result<_, _>>()?, wanted))
    }

    fn options(&self, host: &str, port: &str) -> Result<PgConnectOptions, TargetError> {
        let set = |text| Some(text).filter(|text: &&str| !text.is_empty());
        let (parts, parameters) = (&self.parts, &self.parameters);
        let database = parameters.value("dbname").or(parts.database.as_deref());
        let capacity = parameters.get("statement-cache-capacity");
        if let Some(capacity) = capacity.filter(|capacity| capacity.value.parse::<usize>().is_err())
        {
            return Err(capacity.error(Fault::Value("a number".to_owned())));
        }
        let options = driver_options([
            ("host", set(host)),
            ("port", set(port)),
            ("dbname", database),
            ("user", parameters.value("user").or(parts.user.as_deref())),
            (
                "password",
                parameters.value("password").or(parts.password.as_deref()),
            ),
            ("options", parameters.value("options")),
            (
                "statement-cache-capacity",
                parameters.value("statement-cache-capacity"),
            ),
            (
                "application_name",
                parameters
                    .value("application_name")
                    .or(Some(APPLICATION_NAME)),
            ),
        ]);
        let options = options.map_err(|()| self.error(Fault::Ambiguous))?;
        if options.get_database().is_none_or(str::is_empty) {
            return Err(self.error(Fault::NoDatabase));
        }
        // Poolers refuse what they don't know among the startup parameters. This one is for versions
        // before 12.
        let options = options.extra_float_digits(None).disable_statement_logging();
        postgres_tls::apply(options, parameters)
    }

    /// The hosts and their ports; empty ones are the driver's defaults. A list among the parameters
    /// replaces that of the URL, and one port is that of all hosts.
    fn addresses(&self) -> Result<Vec<(&str, &str)>, TargetError> {
        let (names, ports) = self
            .parts
            .hosts
            .iter()
            .map(|(name, port)| (&**name, &**port))
            .unzip();
        let list = |parameter, own| match self.parameters.value(parameter) {
            Some(list) => list.split(',').collect(),
            None => own,
        };
        let (names, ports): (Vec<&str>, Vec<&str>) = (list("host", names), list("port", ports));
        let literals = list("hostaddr", vec![""; names.len()]);
        let count = names.len().max(literals.len());
        let fits = |list: &[&str]| list.len() == count || list.len() == 1;
        if !fits(&ports) || literals.len() != count || (names.len() != count && names != [""]) {
            return Err(self.error(Fault::HostCount));
        }
        if count > 1 && names.contains(&"") && literals.contains(&"") {
            return Err(self.error(Fault::Host));
        }
        (0..count)
            .map(|index| self.address(at(&names, index), at(&ports, index), at(&literals, index)))
            .collect()
    }

    fn address<'a>(
        &'a self,
        name: &'a str,
        port: &'a str,
        literal: &'a str,
    ) -> Result<(&'a str, &'a str), TargetError> {
        if !name.is_empty() && !host::is_host(name) {
            return Err(self.error(Fault::Host));
        }
        if !port.is_empty() && !port.parse::<u16>().is_ok_and(|port| port > 0) {
            return Err(self.error(Fault::Port));
        }
        match self
            .parameters
            .get("hostaddr")
            .filter(|_| !literal.is_empty())
        {
            None => Ok((name, port)),
            Some(given) if literal.parse::<IpAddr>().is_err() => {
                Err(given.error(Fault::Value("an IP address".to_owned())))
            }
            Some(given)
                if !name.is_empty() && self.parameters.value("sslmode") == Some("verify-full") =>
            {
                Err(given.error(Fault::NameNotChecked))
            }
            Some(_) => Ok((literal, port)),
        }
    }

    fn error(&self, fault: Fault) -> TargetError {
        TargetError::new(self.setting, fault)
    }
}

/// The element at this place, or the last of a list that is too short.
fn at<'a>(list: &[&'a str], index: usize) -> &'a str {
    list[index.min(list.len() - 1)]
}

/// The driver's options, with its defaults for what is missing: the variables and the password file of
/// libpq. While it reads that file it logs lines that it can't parse, with the passwords in them.
fn driver_options<const N: usize>(
    parts: [(&str, Option<&str>); N],
) -> Result<PgConnectOptions, ()> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in parts {
        query.extend_pairs(value.map(|value| (name, value)));
    }
    let url = format!("postgres:///?{}", query.finish());
    tracing::subscriber::with_default(NoSubscriber::default(), || {
        PgConnectOptions::from_str(&url).map_err(|_| ())
    })
}
