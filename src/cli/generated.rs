//! Documents that the program generates and the repository has a copy of.

use std::{path::Path, process::ExitCode};

use clap::CommandFactory;
use similar::TextDiff;

use super::{Cli, Failure, print, settings_reference};
use crate::routes;

/// The largest document to compare with, in bytes.
const MAX_FILE: u64 = 16 << 20;

pub(super) struct Generated {
    /// The command that prints the document.
    command: &'static str,
    text: String,
}

impl Generated {
    pub(super) fn openapi() -> Self {
        Self {
            command: "openapi",
            text: routes::description(),
        }
    }

    pub(super) fn document_schema() -> Self {
        Self {
            command: "document-schema",
            text: routes::document_schema(),
        }
    }

    pub(super) fn settings_reference() -> Self {
        Self {
            command: "settings-reference",
            text: settings_reference::write(&Cli::command()),
        }
    }

    /// Prints the document or, given a file, compares the two.
    ///
    /// # Errors
    /// The file can't be read, or it differs.
    pub(super) fn print_or_check(&self, file: Option<&Path>) -> Result<ExitCode, Failure> {
        let Some(file) = file else {
            print(&self.text)?;
            return Ok(ExitCode::SUCCESS);
        };
        let name = file.display().to_string();
        let committed = migration::bounds::read_to_string(file, MAX_FILE)
            .map_err(|error| format!("{name} can't be read: {error}"))?;
        if committed == self.text {
            return Ok(ExitCode::SUCCESS);
        }
        let diff = TextDiff::from_lines(&committed, &self.text);
        print(&diff.unified_diff().header(&name, "generated").to_string())?;
        let command = self.command;
        Err(format!("{name} is outdated; run `circle-registry {command} > {name}`").into())
    }
}
