//! What the driver needs to connect to PostgreSQL, from a URL or from the settings of its parts. Every
//! part is given to the driver as a part.

use std::{net::IpAddr, str::FromStr};

use sea_orm_migration::sea_orm::sqlx::{ConnectOptions, postgres::PgConnectOptions};
use tracing::subscriber::NoSubscriber;
use url::form_urlencoded;

use super::{
    host,
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
        let (host, named_port) = if host::is_host(host) {
            (host, "")
        } else {
            host::split_port(host)
        };
        let port = settings.db_port.map(|port| port.to_string());
        if !named_port.is_empty() && port.as_ref().is_some_and(|port| port != named_port) {
            return Err(TargetError::new(HOST_SETTING, Fault::TwoPorts));
        }
        let parts = PostgresUrl {
            user: Some(settings.db_user.clone()),
            password: settings.db_password.clone(),
            hosts: vec![(
                host.to_owned(),
                port.unwrap_or_else(|| named_port.to_owned()),
            )],
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

    /// What the driver connects by.
    pub(super) fn options(&self) -> Result<PgConnectOptions, TargetError> {
        let (host, port) = self.address()?;
        let (parts, parameters) = (&self.parts, &self.parameters);
        let database = parameters.value("dbname").or(parts.database.as_deref());
        let capacity = parameters.get("statement-cache-capacity");
        if let Some(capacity) = capacity.filter(|capacity| capacity.value.parse::<usize>().is_err())
        {
            return Err(capacity.error(Fault::Value("a number".to_owned())));
        }
        let options = driver_options([
            ("host", host),
            ("port", port),
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

    /// The host and the port, unless the driver's defaults are meant.
    fn address(&self) -> Result<(Option<&str>, Option<&str>), TargetError> {
        let [(host, port)] = self.parts.hosts.as_slice() else {
            return Err(self.error(Fault::Host));
        };
        let name = self.parameters.value("host").unwrap_or(host);
        let port = self.parameters.value("port").unwrap_or(port);
        if !name.is_empty() && !host::is_host(name) {
            return Err(self.error(Fault::Host));
        }
        if !port.is_empty() && !port.parse::<u16>().is_ok_and(|port| port > 0) {
            return Err(self.error(Fault::Port));
        }
        let mut address = name;
        if let Some(given) = self.parameters.get("hostaddr") {
            if given.value.parse::<IpAddr>().is_err() {
                return Err(given.error(Fault::Value("an IP address".to_owned())));
            }
            if !name.is_empty() && self.parameters.value("sslmode") == Some("verify-full") {
                return Err(given.error(Fault::NameNotChecked));
            }
            address = &given.value;
        }
        let set = |text| Some(text).filter(|text: &&str| !text.is_empty());
        Ok((set(address), set(port)))
    }

    fn error(&self, fault: Fault) -> TargetError {
        TargetError::new(self.setting, fault)
    }
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
