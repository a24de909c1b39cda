//! The command line.
//!
//! `mod.rs` declares the commands and runs them; those of `catalog`, `circle` and `models` are in files of their own. `generated.rs` prints or checks the documents that the
//! program generates; `settings_reference.rs` writes one of them. `registry.rs` is where `documents.rs` works: a database, or a service that
//! `service.rs` asks. `signals.rs` counts stop signals.

mod catalog;
mod circle;
mod convert;
mod copy;
mod documents;
mod export;
mod generated;
mod models;
mod registry;
mod service;
mod settings_reference;
mod signals;

use std::{
    fmt::Display,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use migration::{
    cli::MigrateCommand,
    settings::{self, UnknownKeys},
};
use serde::Serialize;

use self::{
    catalog::CatalogCommand,
    circle::CircleCommand,
    convert::ConvertArguments,
    copy::CopyArguments,
    documents::{ApplyArguments, PlanArguments},
    export::ExportArguments,
    generated::Generated,
    models::ModelsCommand,
};
use crate::{
    app::{Application, StartError},
    config::{LogFormat, ServerSettings, Settings},
    doctor::{self, Level},
    keys::{self, command::KeysCommand},
    prune, server, telemetry,
    text::Terminal,
};

/// A registry of circles (teams of LLM agents): their members, roles, prompts and models
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API (the default)
    Serve,
    /// Migrate the database schema up or down
    #[command(subcommand)]
    Migrate(MigrateCommand),
    /// Print the OpenAPI description of the API
    Openapi(GeneratedArguments),
    /// Print the reference of all settings in Markdown
    SettingsReference(GeneratedArguments),
    /// Import providers and models into the catalogue, and compare price lists
    #[command(subcommand)]
    Catalog(CatalogCommand),
    /// Report models that retire, and move agents from one model to another
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Create, list and revoke API keys
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Inspect circles, and compare their releases
    #[command(subcommand)]
    Circle(CircleCommand),
    /// Print the registry, or parts of it, as a document that can be kept in a repository and applied
    Export(ExportArguments),
    /// Read agents of other systems (Docker Agent, Claude Code, CrewAI, AutoGen, Letta), and print a document that can be
    /// planned and applied; the report on standard error says what it does not keep
    Convert(ConvertArguments),
    /// Report what applying documents would do, and change nothing
    Plan(PlanArguments),
    /// Make everything as documents say, all or nothing: reports first, and asks
    Apply(ApplyArguments),
    /// Print the JSON Schema of documents
    DocumentSchema(GeneratedArguments),
    /// Check the settings, the database and the machine, and report problems; changes nothing without
    /// --repair, and fails on errors
    Doctor {
        /// Number of service instances that share the database
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        instances: u32,
        /// Format of the report
        #[arg(long, value_name = "FORMAT", default_value = "text")]
        format: LogFormat,
        /// Correct derived data and sequences that do not agree with the rows
        #[arg(long)]
        repair: bool,
    },
    /// Report what is older than the settings keep, or delete it
    Prune {
        /// Delete it
        #[arg(long)]
        yes: bool,
    },
    /// Copy everything from one database into another, of the same kind or the other. A run that was interrupted is
    /// continued by the same command; fails unless all rows are the same in the end
    Copy(CopyArguments),
    /// Ask the service that runs here with these settings whether it is ready; fails if it is not
    Health,
    /// Print shell completions
    Completions { shell: Shell },
}

#[derive(Debug, Args)]
struct GeneratedArguments {
    /// Compare the output with this file instead of printing it; print a diff and fail if they differ
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
}

/// Why a command failed, as text for a person.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs the program.
pub async fn run() -> ExitCode {
    let cli: Cli = settings::parse(std::env::args_os(), UnknownKeys::Refuse)
        .unwrap_or_else(|error| error.exit());
    match dispatch(cli).await {
        Ok(code) => code,
        Err(failure) => {
            let _ = writeln!(Terminal(io::stderr()), "error: {failure}");
            exit_code(&failure)
        }
    }
}

/// 78 (`EX_CONFIG`) if the service would be exposed without keys, so that a supervisor does not retry.
fn exit_code(failure: &Failure) -> ExitCode {
    match failure.downcast_ref() {
        Some(StartError::Exposed(_)) => ExitCode::from(78),
        _ => ExitCode::FAILURE,
    }
}

async fn dispatch(cli: Cli) -> Result<ExitCode, Failure> {
    let Cli { settings, command } = cli;
    match command.unwrap_or(Command::Serve) {
        Command::Serve => return serve(settings).await,
        Command::Migrate(command) => {
            let out = &mut Terminal(io::stdout());
            return Ok(migration::cli::run(&settings.database, &command, out).await?);
        }
        Command::Openapi(GeneratedArguments { check }) => {
            return Generated::openapi().print_or_check(check.as_deref());
        }
        Command::SettingsReference(GeneratedArguments { check }) => {
            return Generated::settings_reference().print_or_check(check.as_deref());
        }
        Command::Catalog(command) => return catalog::run(&settings, command).await,
        Command::Models(command) => return models::run(&settings, command).await,
        Command::Keys(command) => {
            let (mut out, mut messages) = (Terminal(io::stdout()), Terminal(io::stderr()));
            keys::command::run(&settings, command, &mut out, &mut messages).await?;
        }
        Command::Circle(command) => return circle::run(&settings, command).await,
        Command::Export(arguments) => return export::export(&settings, arguments).await,
        Command::Convert(arguments) => return convert::run(&settings, arguments).await,
        Command::Plan(arguments) => return documents::plan(&settings, arguments).await,
        Command::Apply(arguments) => return documents::apply(&settings, arguments).await,
        Command::DocumentSchema(GeneratedArguments { check }) => {
            return Generated::document_schema().print_or_check(check.as_deref());
        }
        Command::Doctor {
            instances,
            format,
            repair,
        } => {
            return examine(&settings, instances, format, repair).await;
        }
        Command::Prune { yes } => print(&prune::prune(&settings, yes).await?.to_string())?,
        Command::Copy(arguments) => return copy::run(&settings, arguments).await,
        Command::Health => health(&settings.server).await?,
        Command::Completions { shell } => {
            let mut command = Cli::command();
            clap_complete::generate(shell, &mut command, "circle-registry", &mut io::stdout());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints a report.
fn print_as(format: LogFormat, report: &(impl Display + Serialize)) -> Result<(), Failure> {
    match format {
        LogFormat::Text => print(&report.to_string())?,
        LogFormat::Json => print(&format!("{}\n", serde_json::to_string(report)?))?,
    }
    Ok(())
}

fn print(text: &str) -> io::Result<()> {
    Terminal(io::stdout()).write_all(text.as_bytes())
}

/// Serves until a stop signal. A second one ends the process at once.
async fn serve(settings: Settings) -> Result<ExitCode, Failure> {
    let format = settings.log.log_format;
    let log = telemetry::start(&settings.log)?;
    let signals = signals::count();
    let stopped = signals::wait_for(1, signals.clone());
    let served = async {
        let application = Application::start(settings).await?;
        Ok(application.run(stopped).await?)
    };
    let served: Result<(), Failure> = tokio::select! {
        served = served => served,
        () = signals::wait_for(2, signals) => {
            tracing::warn!("second stop signal: exiting at once");
            drop(log);
            std::process::exit(130);
        }
    };
    match served {
        // A program that reads the log gets the last line in its format, too.
        Err(failure) if format == LogFormat::Json => {
            tracing::error!(cause = %failure, "the service ends");
            Ok(exit_code(&failure))
        }
        served => served.map(|()| ExitCode::SUCCESS),
    }
}

async fn health(settings: &ServerSettings) -> Result<(), Failure> {
    let response = server::get(settings, "/readyz").await.map_err(|cause| {
        let address = settings.address();
        format!("no service responds on {address}: {cause}")
    })?;
    if response.status == 200 && response.body["status"] == "ok" {
        return Ok(print("ready\n")?);
    }
    let detail = response.body["detail"].as_str();
    let detail = detail.unwrap_or("this is not circle-registry");
    Err(format!("not ready ({}): {detail}", response.status).into())
}

async fn examine(
    settings: &Settings,
    instances: u32,
    format: LogFormat,
    repair: bool,
) -> Result<ExitCode, Failure> {
    let report = doctor::examine(settings, instances, repair).await;
    print_as(format, &report)?;
    Ok(match report.worst() {
        Level::Ok | Level::Warning => ExitCode::SUCCESS,
        Level::Error => ExitCode::FAILURE,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
