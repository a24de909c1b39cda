//! From files to a document and a report.

use std::path::PathBuf;

use super::{
    autogen,
    catalogue::Catalogue,
    claude, crewai,
    detect::{Detected, FORMATS, SourceFormat, detect},
    docker_agent,
    draft::Draft,
    letta,
    models::{ModelNames, ModelTable},
    report::ImportReport,
    secrets,
    sources::{self, SourceFile, SourceFileError},
};
use crate::yaml::Node;

/// How files are read.
#[derive(Debug, Default)]
pub(crate) struct ConvertOptions {
    pub(crate) from: Option<SourceFormat>,
    /// The circle's name.
    pub(crate) circle: Option<String>,
    /// The owner of the document.
    pub(crate) owner: Option<String>,
    pub(crate) models: ModelTable,
}

/// Why files do not become a document.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConvertError {
    #[error(transparent)]
    Source(#[from] SourceFileError),
    #[error("{file} {reason}")]
    Refused { file: String, reason: String },
    #[error("{0} is not one of {FORMATS}; if it is, say which with --from")]
    Unknown(String),
    #[error(
        "{first} is {first_format}, and {second} is {second_format}: give files of one format, or --from"
    )]
    Mixed {
        first: String,
        first_format: SourceFormat,
        second: String,
        second_format: SourceFormat,
    },
    #[error("there is no agent in the files")]
    NoAgents,
    #[error("{0} has the tasks of a crew, and no agents: give its agents.yaml, too")]
    OnlyTasks(String),
    #[error("the files make several circles ({0}), and --circle names one: give them one by one")]
    SeveralCircles(String),
    #[error("there is a secret at {0} that can't be left out")]
    Secret(String),
}

/// Reads files of one format as a document.
///
/// # Errors
/// Files that are not of one of the formats, or have no agents.
pub(crate) fn convert(
    paths: &[PathBuf],
    catalogue: Option<&Catalogue>,
    options: &ConvertOptions,
) -> Result<(Node, ImportReport), ConvertError> {
    let (files, origins) = sources::read(paths)?;
    let Sorted {
        format,
        files,
        tasks,
        skipped,
    } = sort(files, options.from)?;
    let models = ModelNames::new(&options.models, catalogue);
    let mut draft = Draft::new(format, models, origins, options.circle.clone());
    let read = files.iter().chain(&tasks).map(SourceFile::name);
    draft.report.files = read.collect();
    draft.report.files.dedup();
    for file in &skipped {
        let why = format!("is not of {format}, and was not read");
        draft.not_kept(file.origin(), why);
    }
    match format {
        SourceFormat::DockerAgent => docker_agent::read(&mut draft, files),
        SourceFormat::Claude => claude::read(&mut draft, files, folder_of(paths)),
        SourceFormat::Crewai => crewai::read(&mut draft, files, tasks),
        SourceFormat::Autogen => autogen::read(&mut draft, files)?,
        SourceFormat::Letta => letta::read(&mut draft, files),
    }
    if !draft.has_agents() {
        return Err(ConvertError::NoAgents);
    }
    if options.circle.is_some() && draft.circle_names().count() > 1 {
        let names = draft.report.files.join(", ");
        return Err(ConvertError::SeveralCircles(names));
    }
    let mut document = draft.document(options.owner.as_deref());
    secrets::leave_out(&mut document, &mut draft).map_err(ConvertError::Secret)?;
    let Draft {
        mut report, models, ..
    } = draft;
    report.models = models.into_choices();
    Ok((document, report))
}

/// The files of one format, and others.
struct Sorted {
    format: SourceFormat,
    files: Vec<SourceFile>,
    tasks: Vec<SourceFile>,
    skipped: Vec<SourceFile>,
}

fn sort(files: Vec<SourceFile>, from: Option<SourceFormat>) -> Result<Sorted, ConvertError> {
    let (mut wanted, mut tasks, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
    let mut first: Option<(String, SourceFormat)> = from.map(|from| (String::new(), from));
    for file in files {
        let detected = match (detect(&file), from) {
            // What the user says holds, but for what can't be read as anything.
            (refused @ Detected::Refused(_), Some(_)) => refused,
            (Detected::Tasks, Some(SourceFormat::Crewai)) => Detected::Tasks,
            (Detected::Format(format), Some(from)) if format != from && file.is_found => {
                Detected::Unknown
            }
            (Detected::Unknown, Some(_)) if file.is_found => Detected::Unknown,
            (_, Some(from)) => Detected::Format(from),
            (detected, None) => detected,
        };
        match detected {
            Detected::Format(format) => {
                let (name, known) = first.get_or_insert_with(|| (file.name(), format));
                if *known != format {
                    return Err(ConvertError::Mixed {
                        first: name.clone(),
                        first_format: *known,
                        second: file.name(),
                        second_format: format,
                    });
                }
                wanted.push(file);
            }
            Detected::Tasks => tasks.push(file),
            Detected::Refused(reason) => {
                return Err(ConvertError::Refused {
                    file: file.name(),
                    reason,
                });
            }
            Detected::Unknown if file.is_found => skipped.push(file),
            Detected::Unknown => return Err(ConvertError::Unknown(file.name())),
        }
    }
    match (first, wanted.is_empty()) {
        (Some((_, format)), false) => Ok(Sorted {
            format,
            files: wanted,
            tasks,
            skipped,
        }),
        _ => Err(match (tasks.first(), skipped.first()) {
            (Some(tasks), _) => ConvertError::OnlyTasks(tasks.name()),
            (None, Some(file)) => ConvertError::Unknown(file.name()),
            (None, None) => ConvertError::NoAgents,
        }),
    }
}

/// The name of the first folder that was given.
fn folder_of(paths: &[PathBuf]) -> Option<String> {
    let folder = paths.iter().find(|path| path.is_dir())?;
    let folder = folder.canonicalize().ok()?;
    let names: Vec<String> = folder
        .iter()
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    // Claude Code keeps its agents in `.claude/agents`: the project's name says more.
    let is_generic = |name: &&String| !matches!(name.as_str(), "agents" | ".claude" | "/");
    names.iter().rev().find(is_generic).cloned()
}
