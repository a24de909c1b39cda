//! `circle-registry plan` and `apply`.

use std::{
    env,
    fmt::Write as _,
    io::{self, IsTerminal, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::Args;
use migration::cli::is_confirmed;

use super::{
    Failure, print,
    registry::{ReadDocuments, Registry, RegistryArguments},
};
use crate::{
    as_code::{CheckedFiles, DocumentFiles},
    config::{LogFormat, Settings},
    diff,
    documents::{
        BlockedDeletion, DocumentPlan, DocumentSet, NotDescribed, PlanOptions, PlannedAction,
        PlannedChange,
    },
    text::{Terminal, one_line},
};

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

    #[command(flatten)]
    registry: RegistryArguments,
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
    let documents = ReadDocuments {
        files: &sources,
        set: &set,
    };
    let options = files.options();
    let plan = files.registry.on_registry(settings, async |registry| {
        registry.plan(documents, options).await
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
    let documents = ReadDocuments {
        files: &sources,
        set: &set,
    };
    let ApplyArguments {
        files,
        yes,
        digest,
        message,
    } = arguments;
    let confirmed = Confirmed {
        options: files.options(),
        yes,
        digest,
        message,
    };
    files
        .registry
        .on_registry(settings, async |registry| {
            confirm_and_apply(registry, documents, confirmed).await
        })
        .await
}

/// What is applied, and whether to ask first.
struct Confirmed {
    options: PlanOptions,
    yes: bool,
    digest: Option<String>,
    message: Option<String>,
}

async fn confirm_and_apply(
    registry: &Registry<'_>,
    documents: ReadDocuments<'_>,
    confirmed: Confirmed,
) -> Result<ExitCode, Failure> {
    let Confirmed {
        options,
        yes,
        digest,
        message,
    } = confirmed;
    let planned = registry.plan(documents, options).await?;
    show(&planned)?;
    if !planned.has_changes && digest.is_none() {
        return Ok(ExitCode::SUCCESS);
    }
    if !(yes || is_confirmed("apply?")?) {
        return Err("nothing was changed; add --yes to confirm".into());
    }
    let digest = digest.unwrap_or(planned.digest);
    let change_set = registry.apply(documents, options, digest, message).await?;
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
    for BlockedDeletion {
        resource,
        name,
        used_by,
        users,
    } in &plan.blocked_deletions
    {
        let (resource, name, used_by) = (resource.as_str(), one_line(name), one_line(used_by));
        let others = match users - 1 {
            0 => String::new(),
            others => format!(" and {others} more"),
        };
        writeln!(
            text,
            "{resource} {name} can't be deleted: it is used by {used_by}{others}"
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
