//! Which environment variables the settings are read from, and how errors name them.
//!
//! A variable with the program's prefix wins over the plain one, because another program may use the
//! plain name. An empty variable is not set. Neither is the address that Kubernetes puts into a
//! variable such as DB_PORT for a service called `db`.

use std::ffi::{OsStr, OsString};

use clap::{
    Arg, Command,
    builder::Resettable,
    error::{ContextKind, ContextValue},
};

const PREFIX: &str = "CIRCLE_REGISTRY_";
/// The settings whose values are secret as a whole.
const SECRETS: [&str; 3] = ["--db-password", "--traces-headers", "--otlp-headers"];
/// The settings whose place a database URL takes.
const PARTS: [&str; 5] = ["db_host", "db_port", "db_name", "db_user", "db_password"];

/// The value of a variable, if it is set.
pub(super) fn value(name: &str) -> Option<OsString> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
    let is_service_link = name.ends_with("PORT")
        && ["tcp://", "udp://", "sctp://"]
            .iter()
            .any(|scheme| value.to_string_lossy().starts_with(scheme));
    (!is_service_link).then_some(value)
}

/// Lets the command read each setting from the variable that counts, and only those that it needs. The
/// settings file has already supplied its defaults.
pub(super) fn choose_variables(command: Command, arguments: &[OsString]) -> Command {
    let mut command = command.mut_args(|argument| {
        // A password may be in any variable by mistake, and help would print it.
        let argument = argument.hide_env_values(true);
        let Some(plain) = argument.get_env().and_then(OsStr::to_str) else {
            return argument;
        };
        let prefixed = format!("{PREFIX}{plain}");
        let is_void = value(plain).is_none() && std::env::var_os(plain).is_some();
        if value(&prefixed).is_some() {
            argument.env(prefixed)
        } else if is_void {
            argument.env(Resettable::Reset)
        } else {
            argument
        }
    });
    let source = |id| {
        let argument = command
            .get_arguments()
            .find(|argument| argument.get_id() == id);
        argument.map_or(SettingSource::None, |argument| {
            SettingSource::of(argument, arguments)
        })
    };
    let unused: &[&str] = if source("db_host") > source("database_url") {
        &["database_url"]
    } else {
        &PARTS
    };
    for id in unused {
        command = command.mut_arg(id, |argument| argument.env(Resettable::Reset));
    }
    if unused == ["database_url"] {
        command = command.mut_arg("database_url", |url| url.default_value(Resettable::Reset));
    }
    command
}

/// Where a setting comes from, in increasing precedence.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum SettingSource {
    None,
    File,
    Environment,
    CommandLine,
}

impl SettingSource {
    fn of(argument: &Arg, arguments: &[OsString]) -> Self {
        let flag = argument.get_long().unwrap_or_default();
        let is_flag = |given: &OsString| {
            let given = given.to_string_lossy();
            let given = given.strip_prefix("--").unwrap_or_default();
            given == flag || given.split_once('=').is_some_and(|(name, _)| name == flag)
        };
        if arguments.iter().any(is_flag) {
            Self::CommandLine
        } else if variable_of(argument).is_some() {
            Self::Environment
        } else if !argument.get_default_values().is_empty() {
            Self::File
        } else {
            Self::None
        }
    }
}

/// The variable that the argument's value comes from.
fn variable_of(argument: &Arg) -> Option<&str> {
    let name = argument.get_env().and_then(OsStr::to_str)?;
    value(name).map(|_| name)
}

/// Makes an error name the variable or the file that has the value, and hides secrets and what may be a URL with a
/// password.
pub(super) fn explain(
    mut error: clap::Error,
    mut command: Command,
    arguments: &[OsString],
) -> clap::Error {
    command.build();
    let shown = error.get(ContextKind::InvalidArg).map(ToString::to_string);
    let culprit = command
        .get_arguments()
        .find(|argument| Some(argument.to_string()) == shown);
    let is_secret = SECRETS.iter().any(|flag| {
        shown
            .as_deref()
            .is_some_and(|shown| shown.starts_with(flag))
    });
    let source =
        culprit.map(|culprit| (SettingSource::of(culprit, arguments), variable_of(culprit)));
    let origin = match source {
        Some((SettingSource::Environment, Some(variable))) => {
            Some(format!("the variable {variable}"))
        }
        Some((SettingSource::File, _)) => Some("the settings file".to_owned()),
        _ => None,
    };
    if let (Some(shown), Some(origin)) = (shown, origin) {
        let text = ContextValue::String(format!("{shown} ({origin})"));
        error.insert(ContextKind::InvalidArg, text);
    }
    for kind in [
        ContextKind::InvalidArg,
        ContextKind::InvalidSubcommand,
        ContextKind::InvalidValue,
    ] {
        let text = error.get(kind).map(ToString::to_string).unwrap_or_default();
        let is_secret = is_secret && kind == ContextKind::InvalidValue && !text.is_empty();
        if is_secret || text.contains("password=") || (text.contains("://") && text.contains('@')) {
            error.insert(kind, ContextValue::String("(hidden)".to_owned()));
            error.remove(ContextKind::Suggested);
            error.remove(ContextKind::SuggestedSubcommand);
        }
    }
    error
}
