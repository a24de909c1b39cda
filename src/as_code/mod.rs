//! Circles as code, in files: documents as YAML or JSON.
//!
//! `files.rs` reads and checks them.

mod files;

use std::fmt;

use clap::ValueEnum;

pub(crate) use files::{CheckedFiles, DocumentFiles};

use crate::yaml::{self, Node};

/// How a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DocumentFormat {
    /// For people.
    Yaml,
    /// For programs.
    Json,
}

impl DocumentFormat {
    /// The text of a document, with a line end.
    ///
    /// # Errors
    /// A number that is not one.
    pub(crate) fn write(self, document: &Node) -> Result<String, serde_json::Error> {
        match self {
            Self::Yaml => Ok(yaml::to_yaml(document)),
            Self::Json => Ok(serde_json::to_string_pretty(document)? + "\n"),
        }
    }
}

impl fmt::Display for DocumentFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Yaml => "yaml",
            Self::Json => "json",
        })
    }
}
