//! `circle-registry export`: documents, and circles as files of other systems.

use std::{
    fmt,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, ValueEnum};
use entity::label_name::LabelName;

use super::{Failure, circle::on_database, registry::RegistryArguments};
use crate::{
    as_code::DocumentFormat,
    config::Settings,
    documents::ExportSelection,
    exports::{self, CircleFiles, ExportFormat, ExportedFile},
    text::{Terminal, one_line},
    yaml::{self, Node},
};

#[derive(Debug, Args)]
pub(super) struct ExportArguments {
    /// Export only this circle, with all that its members are built from. Repeatable
    #[arg(long, value_name = "NAME")]
    circle: Vec<String>,

    /// Export only what this owner's documents describe
    #[arg(long, value_name = "LABEL")]
    owner: Option<String>,

    /// Format of the document, or the system that the circle is exported for
    #[arg(long, value_name = "FORMAT", default_value_t = ExportKind::Yaml)]
    format: ExportKind,

    /// Export the one circle as it was in the release that this label points to
    #[arg(long, value_name = "NAME", conflicts_with = "owner")]
    label: Option<String>,

    /// Write files into this folder in place of printing them; `claude` has a file for each member
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,

    #[command(flatten)]
    registry: RegistryArguments,
}

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ExportKind {
    /// A document, for people
    Yaml,
    /// A document, for programs
    Json,
    /// A configuration of Docker Agent
    DockerAgent,
    /// Sub-agents of Claude Code, one file for each member
    Claude,
}

impl fmt::Display for ExportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Yaml => "yaml",
            Self::Json => "json",
            Self::DockerAgent => "docker-agent",
            Self::Claude => "claude",
        })
    }
}

pub(super) async fn export(
    settings: &Settings,
    arguments: ExportArguments,
) -> Result<ExitCode, Failure> {
    let ExportArguments {
        circle,
        owner,
        format,
        label,
        output,
        registry,
    } = arguments;
    let files = match (format, label) {
        (ExportKind::Yaml | ExportKind::Json, None) => {
            let selection = ExportSelection {
                circles: circle,
                owner,
            };
            let document =
                registry.on_registry(settings, async |registry| registry.export(&selection).await);
            return write_document(&document.await?, format, output.as_deref());
        }
        (_, label) => {
            let [circle] = circle.as_slice() else {
                return Err(
                    "--label, docker-agent and claude export one circle: give one --circle".into(),
                );
            };
            if registry.is_service() {
                return Err(format!(
                    "a service exports it itself: GET /v1/circles/{circle}/export"
                )
                .into());
            }
            if owner.is_some() {
                return Err("--owner is for documents".into());
            }
            let label = label.map(|label| label_name(&label)).transpose()?;
            let kind = match format {
                ExportKind::Yaml | ExportKind::Json => ExportFormat::Document,
                ExportKind::DockerAgent => ExportFormat::DockerAgent,
                ExportKind::Claude => ExportFormat::Claude,
            };
            let exported = on_database(settings, async |database| {
                Ok(exports::export(database, circle, label.as_ref(), kind).await?)
            });
            exported.await?
        }
    };
    if format == ExportKind::Json {
        let document = yaml::parse(&files.files[0].content);
        let document = document.map_err(|error| error.to_string())?;
        return write_document(&document[0], format, output.as_deref());
    }
    write_files(files, output.as_deref())
}

/// A label's name, within the bounds of the API.
fn label_name(text: &str) -> Result<LabelName, Failure> {
    use poem_openapi::types::ParseFromParameter;
    LabelName::parse_from_parameter(text)
        .map_err(|error| format!("--label: {}", error.into_message()).into())
}

fn write_document(
    document: &Node,
    format: ExportKind,
    folder: Option<&Path>,
) -> Result<ExitCode, Failure> {
    let (form, path) = match format {
        ExportKind::Json => (DocumentFormat::Json, "circles.json"),
        _ => (DocumentFormat::Yaml, "circles.yaml"),
    };
    let file = ExportedFile {
        path: path.to_owned(),
        content: form.write(document)?,
    };
    let files = CircleFiles {
        files: vec![file],
        report: Vec::new(),
    };
    write_files(files, folder)
}

/// Prints a file, or writes all into a folder, over those that are there.
fn write_files(exported: CircleFiles, folder: Option<&Path>) -> Result<ExitCode, Failure> {
    let CircleFiles { files, report } = exported;
    let mut messages = Terminal(io::stderr());
    for remark in report {
        writeln!(messages, "not kept: {}", one_line(&remark.to_string()))?;
    }
    let Some(folder) = folder else {
        let [file] = files.as_slice() else {
            return Err("there are several files: --output names a folder for them".into());
        };
        // As it is: a `Terminal` would change what is applied. All formats escape control characters themselves.
        io::stdout().lock().write_all(file.content.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    };
    std::fs::create_dir_all(folder)?;
    for ExportedFile { path, content } in files {
        let path = folder.join(path);
        std::fs::write(&path, content)
            .map_err(|cause| format!("{} can't be written: {cause}", path.display()))?;
        writeln!(messages, "wrote {}", path.display())?;
    }
    Ok(ExitCode::SUCCESS)
}
