//! `circle-registry export`, `plan` and `apply`.

use std::{
    env,
    fmt::{self, Write as _},
    io::{self, IsTerminal, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, ValueEnum};
use entity::{
    label_name::LabelName,
    values::{Scope, ScopeList},
};
use migration::cli::is_confirmed;
use uuid::Uuid;

use super::{Failure, circle::on_database, print};
use crate::{
    as_code::{CheckedFiles, DocumentFiles, DocumentFormat},
    config::{LogFormat, Settings},
    database::Database,
    diff,
    documents::{
        self, Applying, DocumentPlan, DocumentSet, ExportSelection, NotDescribed, PlanOptions,
        PlannedAction, PlannedChange,
    },
    exports::{self, CircleFiles, ExportFormat, ExportedFile},
    members::jobs::MembershipsAtOnce,
    progress,
    text::{Terminal, one_line},
    write::{self, Actor},
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

/// What is planned or applied.
#[derive(Debug, Args)]
struct FileArguments {
    /// Documents, as YAML or JSON. They may refer to each other
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Delete what the documents' owners have and no document describes
    #[arg(long)]
    prune: bool,

    /// Take what belongs to another owner
    #[arg(long)]
    take_over: bool,
}

#[derive(Debug, Args)]
pub(super) struct PlanArguments {
    #[command(flatten)]
    files: FileArguments,

    /// Exit with 2 if there is anything to do
    #[arg(long)]
    exit_code: bool,

    /// Format of the report
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: LogFormat,
}

#[derive(Debug, Args)]
pub(super) struct ApplyArguments {
    #[command(flatten)]
    files: FileArguments,

    /// Apply without asking
    #[arg(long)]
    yes: bool,

    /// Apply only the plan with this digest
    #[arg(long, value_name = "DIGEST")]
    digest: Option<String>,

    /// Why, for the versions of agents
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    message: Option<String>,
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
    } = arguments;
    let files = match (format, label) {
        (ExportKind::Yaml | ExportKind::Json, None) => {
            let selection = ExportSelection {
                circles: circle,
                owner,
            };
            let document = on_database(settings, async |database| {
                Ok(documents::export(database, &selection).await?)
            });
            return write_document(&document.await?, format, output.as_deref());
        }
        (_, label) => {
            let [circle] = circle.as_slice() else {
                return Err(
                    "--label, docker-agent and claude export one circle: give one --circle".into(),
                );
            };
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

impl FileArguments {
    fn options(&self) -> PlanOptions {
        PlanOptions {
            prune: self.prune,
            take_over: self.take_over,
        }
    }

    /// Reads the files, and says where they may hold secrets.
    fn read(&self) -> Result<(DocumentFiles, DocumentSet), Failure> {
        let files = DocumentFiles::read(&self.files)?;
        let CheckedFiles { set, suspected } = files.check()?;
        for place in suspected {
            let mut messages = Terminal(io::stderr());
            writeln!(messages, "warning: {place} this may be a secret")?;
        }
        Ok((files, set))
    }
}

pub(super) async fn plan(
    settings: &Settings,
    arguments: PlanArguments,
) -> Result<ExitCode, Failure> {
    let PlanArguments {
        files,
        exit_code,
        format,
    } = arguments;
    let (sources, set) = files.read()?;
    let plan = on_database(settings, async |database| {
        let plan = documents::plan(database, &set, files.options()).await;
        plan.map_err(|error| sources.locate(error))
    });
    let plan = plan.await?;
    match format {
        LogFormat::Text => show(&plan)?,
        LogFormat::Json => print(&format!("{}\n", serde_json::to_string(&plan)?))?,
    }
    Ok(ExitCode::from(if exit_code && plan.has_changes {
        2
    } else {
        0
    }))
}

pub(super) async fn apply(
    settings: &Settings,
    arguments: ApplyArguments,
) -> Result<ExitCode, Failure> {
    let (sources, set) = arguments.files.read()?;
    let at_once = MembershipsAtOnce(settings.server.memberships_at_once);
    on_database(settings, async |database| {
        let applied = confirm_and_apply(database, &set, arguments, at_once).await;
        applied.map_err(|failure| match failure.downcast() {
            Ok(error) => sources.locate(*error),
            Err(failure) => failure,
        })
    })
    .await
}

async fn confirm_and_apply(
    database: &Database,
    set: &DocumentSet,
    arguments: ApplyArguments,
    at_once: MembershipsAtOnce,
) -> Result<ExitCode, Failure> {
    let ApplyArguments {
        files,
        yes,
        digest,
        message,
    } = arguments;
    let options = files.options();
    let planned = documents::plan(database, set, options).await?;
    show(&planned)?;
    if !planned.has_changes && digest.is_none() {
        return Ok(ExitCode::SUCCESS);
    }
    if !(yes || is_confirmed("apply?")?) {
        return Err("nothing was changed; add --yes to confirm".into());
    }
    let applying = Applying {
        options,
        digest: Some(digest.unwrap_or(planned.digest)),
        at_once,
        progress: progress::bar(0, "rows"),
    };
    let actor = Actor {
        request_id: Some(Uuid::now_v7().to_string()),
        scopes: ScopeList(vec![Scope::Admin]),
        message,
        ..Actor::default()
    };
    let (set, applying) = (&set, &applying);
    let applied = write::run(database, &actor, |work| {
        documents::apply(work, set, applying)
    });
    applied.await?;
    applying.progress.finish_and_clear();
    let change_set = actor.request_id.unwrap_or_default();
    print(&format!(
        "applied, as request {change_set} in the audit trail\n"
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints a plan.
fn show(plan: &DocumentPlan) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let is_coloured = out.is_terminal() && env::var_os("NO_COLOR").is_none_or(|it| it.is_empty());
    let mut text = String::new();
    for change in &plan.changes {
        put_change(&mut text, change, is_coloured)?;
    }
    let count = |action| plan.changes.iter().filter(|it| it.action == action).count();
    writeln!(
        text,
        "{} to create, {} to change, {} to delete, {} left alone",
        count(PlannedAction::Create),
        count(PlannedAction::Update),
        count(PlannedAction::Delete),
        plan.unchanged,
    )?;
    for NotDescribed { resource, name } in &plan.not_described {
        let resource = resource.as_str();
        let name = one_line(name);
        writeln!(
            text,
            "{resource} {name} is in no document of its owner; --prune deletes it"
        )?;
    }
    if plan.has_changes {
        writeln!(text, "digest: {}", plan.digest)?;
    }
    out.write_all(text.as_bytes())?;
    Ok(())
}

fn put_change(text: &mut String, change: &PlannedChange, is_coloured: bool) -> Result<(), Failure> {
    let PlannedChange {
        resource,
        name,
        action,
        fields,
    } = change;
    let sign = match action {
        PlannedAction::Create => '+',
        PlannedAction::Update => '~',
        PlannedAction::Delete => '-',
    };
    writeln!(text, "{sign} {} {}", resource.as_str(), one_line(name))?;
    for line in diff::print(fields, is_coloured).lines() {
        writeln!(text, "    {line}")?;
    }
    Ok(())
}
