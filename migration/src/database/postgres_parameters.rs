//! The parameters of a PostgreSQL URL. Each is used, or refused: a misspelled `sslmode` would connect
//! unchecked. Where the URL lacks one, libpq's environment variable supplies it.

use std::collections::BTreeMap;

use super::{
    hosts,
    postgres_url::UrlParameter,
    target::{Fault, TargetError, URL_SETTING},
};

/// The parameters that are used as they are.
const FREE: [&str; 12] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// The parameters that have only some values, or of which only some can be met.
const LIMITED: [(&str, &[&str]); 7] = [
    ("channel_binding", &["prefer", "disable"]),
    (
        "client_encoding",
        &["auto", "utf8", "UTF8", "utf-8", "UTF-8"],
    ),
    ("gssencmode", &["prefer", "disable"]),
    ("ssl", &["true"]),
    (
        "sslmode",
        &[
            "disable",
            "allow",
            "prefer",
            "require",
            "verify-ca",
            "verify-full",
        ],
    ),
    ("sslnegotiation", &["postgres"]),
    ("target_session_attrs", &hosts::SESSION_ATTRIBUTES),
];

/// libpq's variables for parameters that the driver does not read, reads without complaint, or that have
/// a default here.
const VARIABLES: [(&str, &str); 8] = [
    ("application_name", "PGAPPNAME"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("gssencmode", "PGGSSENCMODE"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
];

/// A parameter that is set.
pub(super) struct Parameter {
    /// Which setting an error names.
    setting: String,
    pub(super) value: String,
}

impl Parameter {
    pub(super) fn error(&self, fault: Fault) -> TargetError {
        TargetError::new(self.setting.clone(), fault)
    }
}

/// All parameters that are set, by their names.
pub(super) struct Parameters(BTreeMap<String, Parameter>);

impl Parameters {
    /// The parameters of a URL, and those of the environment that it lacks.
    pub(super) fn new(given: Vec<UrlParameter>) -> Result<Self, TargetError> {
        let mut parameters = BTreeMap::new();
        for (name, variable) in VARIABLES {
            if let Some(value) = std::env::var(variable)
                .ok()
                .filter(|value| !value.is_empty())
            {
                let setting = variable.to_owned();
                parameters.insert(name.to_owned(), Parameter { setting, value });
            }
        }
        for UrlParameter {
            name,
            value,
            may_be_shown,
        } in given
        {
            let (name, value) = canonical(name, value);
            if !FREE.contains(&&*name) && !LIMITED.iter().any(|(known, _)| *known == name) {
                let fault = if may_be_shown {
                    Fault::Unsupported(name)
                } else {
                    Fault::NotAParameter
                };
                return Err(TargetError::new(URL_SETTING, fault));
            }
            let setting = format!("the parameter `{name}` of {URL_SETTING}");
            parameters.insert(name, Parameter { setting, value });
        }
        for (name, values) in LIMITED {
            if let Some(parameter) = parameters.get(name)
                && !values.contains(&&*parameter.value)
            {
                return Err(parameter.error(Fault::Value(values.join(" or "))));
            }
        }
        Ok(Self(parameters))
    }

    pub(super) fn get(&self, name: &str) -> Option<&Parameter> {
        self.0
            .get(name)
            .filter(|parameter| !parameter.value.is_empty())
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.get(name).map(|parameter| &*parameter.value)
    }
}

/// The driver's other spellings, in libpq's.
fn canonical(name: String, value: String) -> (String, String) {
    let setting = name
        .strip_prefix("options[")
        .and_then(|name| name.strip_suffix(']'));
    if let Some(setting) = setting {
        let value = value.replace('\\', r"\\").replace(' ', r"\ ");
        return ("options".to_owned(), format!("-c {setting}={value}"));
    }
    let name = match &*name {
        "ssl-mode" => "sslmode",
        "ssl-root-cert" | "ssl-ca" => "sslrootcert",
        "ssl-cert" => "sslcert",
        "ssl-key" => "sslkey",
        _ => return (name, value),
    };
    (name.to_owned(), value)
}
