//! `circle-registry export`.

use std::process::ExitCode;

use clap::Args;

use super::{Failure, circle::on_database};
use crate::{
    as_code::DocumentFormat,
    config::Settings,
    documents::{self, ExportSelection},
};

#[derive(Debug, Args)]
pub(super) struct ExportArguments {
    /// Export only this circle, with all that its members are built from. Repeatable
    #[arg(long, value_name = "NAME")]
    circle: Vec<String>,

    /// Export only what this owner's documents describe
    #[arg(long, value_name = "LABEL")]
    owner: Option<String>,

    /// Format of the document
    #[arg(long, value_name = "FORMAT", default_value_t = DocumentFormat::Yaml)]
    format: DocumentFormat,
}

pub(super) async fn export(
    settings: &Settings,
    arguments: ExportArguments,
) -> Result<ExitCode, Failure> {
    let ExportArguments {
        circle,
        owner,
        format,
    } = arguments;
    let selection = ExportSelection {
        circles: circle,
        owner,
    };
    let document = on_database(settings, async |database| {
        Ok(documents::export(database, &selection).await?)
    });
    let text = format.write(&document.await?)?;
    // Not for a terminal alone: the text must stay as it is, and the document's own quotes keep it harmless.
    std::io::Write::write_all(&mut std::io::stdout().lock(), text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
