//! The command line.

use std::{
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
use similar::TextDiff;

use crate::{
    app::{Application, StartError},
    catalog::{self, ImportOptions},
    config::{LogFormat, Settings},
    database::Database,
    doctor::{self, Level},
    handles::{self, Lint},
    keys::{self, command::KeysCommand},
    routes, telemetry,
};

/// Keeps teams ("circles") of LLM agents and answers who is in them, on which model
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
    /// Serve the API; the default
    Serve,
    /// Bring the database's schema up to date, or undo that
    #[command(subcommand)]
    Migrate(MigrateCommand),
    /// Print the API's description
    Openapi {
        /// Compare it with this file, and fail with a diff where they differ
        #[arg(long, value_name = "FILE")]
        check: Option<PathBuf>,
    },
    /// Fill the catalogue of providers and models
    #[command(subcommand)]
    Catalog(CatalogCommand),
    /// Create, list and revoke API keys
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Look at circles
    #[command(subcommand)]
    Circle(CircleCommand),
    /// Look at the settings, the database and the machine, and say what is wrong with them; changes
    /// nothing, and fails where the service can't work
    Doctor {
        /// How many instances of the service share the database
        #[arg(long, value_name = "N", default_value_t = 1)]
        instances: u32,
        /// How to say it
        #[arg(long, value_name = "FORMAT", default_value = "text")]
        format: LogFormat,
    },
    /// Print completions for a shell
    Completions { shell: Shell },
}

#[derive(Debug, Subcommand)]
enum CatalogCommand {
    /// Take providers and models from a price list in LiteLLM's JSON format, all of it or nothing
    Import(ImportArguments),
}

#[derive(Debug, Subcommand)]
enum CircleCommand {
    /// Say what will trouble whoever runs a circle, and fail where there is anything
    Lint {
        /// The circle's name
        #[arg(value_name = "CIRCLE")]
        name: String,
    },
}

#[derive(Debug, Args)]
struct ImportArguments {
    /// The price list, as LiteLLM's `model_prices_and_context_window.json`
    #[arg(value_name = "FILE", required_unless_present = "builtin")]
    file: Option<PathBuf>,

    /// Install the well-known providers that come with this program
    #[arg(long, conflicts_with_all = ["file", "provider", "mode"])]
    builtin: bool,

    /// Only models of this provider; can be given more than once
    #[arg(long, value_name = "NAME")]
    provider: Vec<String>,

    /// Only models of this mode, as `chat`; can be given more than once
    #[arg(long, value_name = "NAME")]
    mode: Vec<String>,

    /// Say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Why a command failed: the text a person reads.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs the program.
pub async fn run() -> ExitCode {
    let cli: Cli = settings::parse(std::env::args_os(), UnknownKeys::Refuse)
        .unwrap_or_else(|error| error.exit());
    match dispatch(cli).await {
        Ok(code) => code,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "error: {failure}");
            exit_code(&failure)
        }
    }
}

/// 78 (`EX_CONFIG`) where the service would be open to others: a supervisor need not try again.
fn exit_code(failure: &Failure) -> ExitCode {
    match failure.downcast_ref() {
        Some(StartError::Exposed(_)) => ExitCode::from(78),
        _ => ExitCode::FAILURE,
    }
}

async fn dispatch(cli: Cli) -> Result<ExitCode, Failure> {
    let Cli { settings, command } = cli;
    match command.unwrap_or(Command::Serve) {
        Command::Serve => {
            let _log = telemetry::start(&settings.log)?;
            serve(settings).await?;
        }
        Command::Migrate(command) => {
            migration::cli::run(&settings.database, &command, &mut io::stdout()).await?;
        }
        Command::Openapi { check: None } => print(&routes::description())?,
        Command::Openapi { check: Some(file) } => return check(&file),
        Command::Catalog(CatalogCommand::Import(arguments)) => {
            let ImportArguments {
                file,
                builtin: _,
                provider,
                mode,
                dry_run,
            } = arguments;
            let options = ImportOptions {
                providers: provider,
                modes: mode,
                dry_run,
            };
            let summary = catalog::import(&settings, file.as_deref(), &options).await?;
            print(&summary.to_string())?;
        }
        Command::Keys(command) => {
            keys::command::run(&settings, command, &mut io::stdout(), &mut io::stderr()).await?;
        }
        Command::Circle(CircleCommand::Lint { name }) => return lint(&settings, &name).await,
        Command::Doctor { instances, format } => {
            return examine(&settings, instances, format).await;
        }
        Command::Completions { shell } => {
            let mut command = Cli::command();
            clap_complete::generate(shell, &mut command, "circle-registry", &mut io::stdout());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(text: &str) -> io::Result<()> {
    io::stdout().write_all(text.as_bytes())
}

async fn serve(settings: Settings) -> Result<(), Failure> {
    let application = Application::start(settings).await?;
    Ok(application.run(stop_signal()).await?)
}

/// Waits for SIGTERM or SIGINT. The next one after that ends the process at once.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        tracing::error!("signals can't be received; stop the process by killing it");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::warn!("told to stop twice: stopping at once");
        std::process::exit(130);
    });
}

async fn lint(settings: &Settings, name: &str) -> Result<ExitCode, Failure> {
    let database = Database::open(&settings.database).await?;
    database.check().await?;
    let lint = handles::lint(&database, name).await;
    database.close(settings.server.pool_close_timeout).await;
    let Lint {
        circle,
        ok,
        warnings,
    } = lint?;
    for warning in &warnings {
        print(&format!("{}: {}\n", warning.code, warning.detail))?;
    }
    if ok {
        print(&format!("nothing is wrong with {circle}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

async fn examine(
    settings: &Settings,
    instances: u32,
    format: LogFormat,
) -> Result<ExitCode, Failure> {
    let report = doctor::examine(settings, instances).await;
    match format {
        LogFormat::Text => print(&report.to_string())?,
        LogFormat::Json => print(&format!("{}\n", serde_json::to_string(&report)?))?,
    }
    Ok(match report.worst() {
        Level::Ok | Level::Warning => ExitCode::SUCCESS,
        Level::Error => ExitCode::FAILURE,
    })
}

fn check(file: &PathBuf) -> Result<ExitCode, Failure> {
    let committed = std::fs::read_to_string(file)
        .map_err(|error| format!("{} can't be read: {error}", file.display()))?;
    let served = routes::description();
    if committed == served {
        return Ok(ExitCode::SUCCESS);
    }
    let diff = TextDiff::from_lines(&committed, &served);
    let name = file.display().to_string();
    print(&diff.unified_diff().header(&name, "served").to_string())?;
    Err(format!(
        "{name} is not what is served; write it anew with `circle-registry openapi > {name}`"
    )
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
