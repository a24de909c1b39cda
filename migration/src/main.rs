//! The migration runner as a program of its own: `cargo run -p migration -- status`.

use std::{io, process::ExitCode};

use clap::Parser;
use migration::{
    cli::{self, MigrateCommand},
    settings::{self, DatabaseSettings, UnknownKeys},
};

/// Apply and revert the migrations of a circle-registry database
#[derive(Debug, Parser)]
#[command(name = "migration", version)]
struct Arguments {
    #[command(flatten)]
    database: DatabaseSettings,
    #[command(subcommand)]
    command: MigrateCommand,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    migration::database::keep_files_private();
    let arguments: Arguments = settings::parse(std::env::args_os(), UnknownKeys::Ignore)
        .unwrap_or_else(|error| error.exit());
    match cli::run(&arguments.database, &arguments.command, &mut io::stdout()).await {
        Ok(code) => code,
        Err(error) => {
            use io::Write;
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}
