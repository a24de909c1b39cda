//! `circle-registry models`: what retires, and moving agents to another model.

use std::{fmt, process::ExitCode, time::Duration};

use chrono::Days;
use clap::{Args, Subcommand};
use migration::cli::is_confirmed;
use serde::Serialize;

use super::{Failure, print, print_as};
use crate::{
    agents::repoint::{self, RepointOperation, Repointing},
    config::{LogFormat, Settings},
    database::Database,
    error::Error,
    models::{
        self, ModelDifference,
        retirements::{self, Retirement},
    },
    page::{MAX_LIMIT, PageRequest},
    text::one_line,
    write::{self, Actor},
};

/// What to do with models.
#[derive(Debug, Subcommand)]
pub(super) enum ModelsCommand {
    /// List models that retire soon or are retired, with their agents and circles; exits with 2 if there are any
    Retiring(RetiringArguments),
    /// Move all agents of a model to another one, and their fallbacks: reports first, and asks
    Repoint(RepointArguments),
}

#[derive(Debug, Args)]
pub(super) struct RetiringArguments {
    /// How far ahead to look
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = humantime::parse_duration)]
    within: Duration,

    /// Models that no agent uses, too
    #[arg(long)]
    all: bool,

    /// Format of the report
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: LogFormat,
}

#[derive(Debug, Args)]
pub(super) struct RepointArguments {
    /// The model that the agents run on: its id, or `provider/name`
    #[arg(value_name = "FROM")]
    from: String,

    /// The model to move them to: its id, or `provider/name`
    #[arg(value_name = "TO")]
    to: String,

    /// Move them without asking
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(settings: &Settings, command: ModelsCommand) -> Result<ExitCode, Failure> {
    let database = Database::open(&settings.database)?;
    database.check().await?;
    let done = match command {
        ModelsCommand::Retiring(arguments) => retiring(&database, arguments).await,
        ModelsCommand::Repoint(arguments) => repoint(&database, arguments).await,
    };
    database.close(settings.server.pool_close_timeout).await;
    done
}

/// The models that retire.
#[derive(Serialize)]
#[serde(transparent)]
struct RetirementReport(Vec<Retirement>);

impl fmt::Display for RetirementReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for retirement in &self.0 {
            let name = String::from(retirement.model_name.clone());
            let when = match (retirement.deprecation_date, retirement.is_deprecated) {
                (Some(date), true) => format!("retired on {date}"),
                (Some(date), false) => format!("retires on {date}"),
                (None, _) => "marked as deprecated".to_owned(),
            };
            let Retirement {
                model_id,
                agent_count,
                agents,
                circle_count,
                circles,
                ..
            } = retirement;
            writeln!(f, "{model_id} {}: {when}", one_line(&name))?;
            write_names(
                f,
                "agents",
                *agent_count,
                agents.iter().map(|agent| &agent.name),
            )?;
            write_names(
                f,
                "circles",
                *circle_count,
                circles.iter().map(|circle| &circle.name),
            )?;
        }
        writeln!(f, "{} models", self.0.len())
    }
}

/// The number of all, and the names of the first.
fn write_names<'n>(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    count: i64,
    names: impl Iterator<Item = &'n String>,
) -> fmt::Result {
    if count == 0 {
        return Ok(());
    }
    let names: Vec<String> = names.map(|name| one_line(name).into_owned()).collect();
    let more = count - i64::try_from(names.len()).unwrap_or(count);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    writeln!(f, "  {count} {what}: {}{more}", names.join(", "))
}

async fn retiring(database: &Database, arguments: RetiringArguments) -> Result<ExitCode, Failure> {
    let RetiringArguments {
        within,
        all,
        format,
    } = arguments;
    let within = Days::new(within.as_secs().div_ceil(24 * 60 * 60));
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let request = PageRequest {
            limit: MAX_LIMIT,
            after,
            count: false,
        };
        let page = retirements::list(database.connection(), within, !all, request).await?;
        after = page.rows.last().map(|last| last.model_id);
        found.extend(page.rows);
        if page.next_cursor.is_none() {
            break;
        }
    }
    let code = if found.is_empty() { 0 } else { 2 };
    print_as(format, &RetirementReport(found))?;
    Ok(ExitCode::from(code))
}

async fn repoint(database: &Database, arguments: RepointArguments) -> Result<ExitCode, Failure> {
    let RepointArguments { from, to, yes } = arguments;
    let from_id = find(database, &from).await?;
    let to_id = find(database, &to).await?;
    let planned = move_agents(database, from_id, to_id, true).await?;
    print(&planned.to_string())?;
    if planned.agent_count + planned.fallback_count == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    if !(yes || is_confirmed("move them?")?) {
        return Err("nothing was changed; add --yes to confirm".into());
    }
    let Repointing {
        agent_count,
        fallback_count,
        ..
    } = move_agents(database, from_id, to_id, false).await?;
    print(&format!("moved {} agents\n", agent_count + fallback_count))?;
    Ok(ExitCode::SUCCESS)
}

async fn move_agents(
    database: &Database,
    from: i64,
    to: i64,
    dry_run: bool,
) -> Result<Repointing, Error> {
    let operation = RepointOperation { to, dry_run };
    let operation = &operation;
    write::run(database, &Actor::default(), |work| {
        repoint::repoint(work, from, operation)
    })
    .await
}

/// The id of a model that is named by it, or by its provider and its name.
async fn find(database: &Database, named: &str) -> Result<i64, Failure> {
    if let Ok(id) = named.parse() {
        return Ok(id);
    }
    let (provider, name) = named.split_once('/').unwrap_or_default();
    let found = models::queries::find_named(database.connection(), provider, name).await?;
    let unknown = || format!("there is no model {named:?}; name it by its id, or as provider/name");
    Ok(found.ok_or_else(unknown)?.id)
}

impl fmt::Display for Repointing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            from,
            to,
            agent_count,
            fallback_count,
            agents,
            differences,
            ..
        } = self;
        writeln!(
            f,
            "from model {from} to model {to}: {agent_count} agents, and {fallback_count} that fall back on it"
        )?;
        let count = agent_count + fallback_count;
        write_names(f, "agents", count, agents.iter().map(|agent| &agent.name))?;
        for ModelDifference {
            field,
            before,
            after,
            is_loss,
        } in differences
        {
            let shown =
                |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".to_owned());
            let mark = if *is_loss { "loses" } else { "changes" };
            let (before, after) = (shown(before), shown(after));
            writeln!(
                f,
                "  {mark} {field}: {} to {}",
                one_line(&before),
                one_line(&after)
            )?;
        }
        Ok(())
    }
}
