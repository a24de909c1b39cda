//! `circle-registry catalog`.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};

use super::{Failure, print_as};
use crate::{
    catalog::{self, ImportOptions, ListFormat},
    config::{LogFormat, Settings},
};

#[derive(Debug, Subcommand)]
pub(super) enum CatalogCommand {
    /// Import providers and models from a price list, all or nothing
    Import(ImportArguments),
    /// Compare a price list with the catalogue, or two price lists with each other; exits with 2 if models that both
    /// have differ in fields that both state
    Check(CheckArguments),
}

#[derive(Debug, Args)]
pub(super) struct ImportArguments {
    /// Price list: LiteLLM's `model_prices_and_context_window.json`, or models.dev's `api.json`
    #[arg(value_name = "FILE", required_unless_present = "builtin")]
    file: Option<PathBuf>,

    /// Format of the price list, if it is not the one that the list looks like
    #[arg(long, value_name = "FORMAT")]
    format: Option<ListFormat>,

    /// Import the well-known providers that are built into this program
    #[arg(long, conflicts_with_all = ["file", "provider", "mode"])]
    builtin: bool,

    /// Import only models of this provider. Repeatable
    #[arg(long, value_name = "NAME")]
    provider: Vec<String>,

    /// Import only models of this mode, such as `chat`. Repeatable
    #[arg(long, value_name = "NAME")]
    mode: Vec<String>,

    /// Report what would change, without changing it
    #[arg(long)]
    dry_run: bool,

    /// Format of the summary
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    summary: LogFormat,
}

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// Price list to compare with the catalogue
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Price list to compare the first one with, instead of the catalogue
    #[arg(value_name = "FILE2")]
    other: Option<PathBuf>,

    /// Compare only models of this provider. Repeatable
    #[arg(long, value_name = "NAME")]
    provider: Vec<String>,

    /// Compare only models of this mode, such as `chat`. Repeatable
    #[arg(long, value_name = "NAME")]
    mode: Vec<String>,

    /// Format of the report
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: LogFormat,
}

pub(super) async fn run(settings: &Settings, command: CatalogCommand) -> Result<ExitCode, Failure> {
    match command {
        CatalogCommand::Import(arguments) => import(settings, arguments).await,
        CatalogCommand::Check(arguments) => check(settings, arguments).await,
    }
}

async fn import(settings: &Settings, arguments: ImportArguments) -> Result<ExitCode, Failure> {
    let ImportArguments {
        file,
        format: list_format,
        builtin: _,
        provider,
        mode,
        dry_run,
        summary: format,
    } = arguments;
    let options = ImportOptions {
        providers: provider,
        modes: mode,
        dry_run,
        format: list_format,
    };
    let summary = catalog::import(settings, file.as_deref(), &options).await?;
    print_as(format, &summary)?;
    if summary.found_nothing {
        return Err("no entry of the list was imported".into());
    }
    Ok(ExitCode::SUCCESS)
}

async fn check(settings: &Settings, arguments: CheckArguments) -> Result<ExitCode, Failure> {
    let CheckArguments {
        file,
        other,
        provider,
        mode,
        format,
    } = arguments;
    let options = ImportOptions {
        providers: provider,
        modes: mode,
        ..ImportOptions::default()
    };
    let comparison = catalog::check(settings, &file, other.as_deref(), &options).await?;
    print_as(format, &comparison)?;
    Ok(ExitCode::from(if comparison.agrees() { 0 } else { 2 }))
}
