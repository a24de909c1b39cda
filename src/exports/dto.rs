//! Exports on the wire.

use std::fmt;

use poem_openapi::{Enum, Object};
use serde::Serialize;

/// What a circle is exported as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum ExportFormat {
    /// A configuration of Docker Agent: YAML.
    #[oai(rename = "docker-agent")]
    DockerAgent,
    /// Sub-agents of Claude Code: a file of Markdown for each member, in JSON.
    #[oai(rename = "claude")]
    Claude,
    /// A document of this service: YAML.
    #[oai(rename = "document")]
    Document,
}

/// A circle as files.
#[derive(Debug, Default, Object, Serialize)]
pub(crate) struct CircleFiles {
    /// The files, in the roster's order.
    pub(crate) files: Vec<ExportedFile>,
    /// What the files do not have.
    pub(crate) report: Vec<NotExported>,
}

/// A file of an export.
#[derive(Debug, Object, Serialize)]
pub(crate) struct ExportedFile {
    /// The file's name, without a folder.
    pub(crate) path: String,
    /// The file's text.
    pub(crate) content: String,
}

/// What a format has no place for.
#[derive(Debug, PartialEq, Eq, Object, Serialize)]
pub(crate) struct NotExported {
    /// The agent's name; null for the circle.
    #[oai(nullable)]
    pub(crate) agent: Option<String>,
    /// The field of the handle, or of the circle.
    pub(crate) field: String,
    /// Why it is left out, or what takes its place.
    pub(crate) detail: String,
}

impl fmt::Display for NotExported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            agent,
            field,
            detail,
        } = self;
        match agent {
            Some(agent) => write!(f, "{agent}: {field}: {detail}"),
            None => write!(f, "{field}: {detail}"),
        }
    }
}
