//! The facts that handles are resolved from: one statement for a circle of any size, and one for an
//! agent. As in the roster, the text is built once and rows are decoded by position.

use std::sync::LazyLock;

use chrono::{NaiveDate, Utc};
use entity::values::{AgentStatus, CircleStatus, JsonObject, MemberRole, StringList};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement, Value};

use super::{
    dto::{Capabilities, CircleHandles, Handle, Lint},
    rules,
};
use crate::{
    agents, circles,
    database::Database,
    error::Error,
    rows::{self, Columns, OneAndMany, OneAndManyOnBoth},
};

/// What a circle contributes.
#[derive(Clone, Debug)]
pub(super) struct CircleFacts {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) status: CircleStatus,
    pub(super) require_review: bool,
    pub(super) max_members: Option<i32>,
    pub(super) settings: JsonObject,
    pub(super) project_context: Option<String>,
}

const CIRCLE_COLUMNS: [&str; 7] = [
    "c.id",
    "c.name",
    "c.status",
    "c.require_review",
    "c.max_members",
    "c.settings",
    "c.project_context",
];

impl CircleFacts {
    fn read(row: &QueryResult) -> Result<Self, DbErr> {
        let mut column = Columns::from(row, 1);
        Ok(Self {
            id: column.next()?,
            name: column.next()?,
            status: column.next()?,
            require_review: column.next()?,
            max_members: column.maybe()?,
            settings: column.next()?,
            project_context: column.maybe()?,
        })
    }
}

/// What a membership contributes.
#[derive(Clone, Debug)]
pub(super) struct MemberFacts {
    pub(super) id: i64,
    pub(super) role: MemberRole,
    pub(super) joined_at: chrono::DateTime<Utc>,
    pub(super) competencies: StringList,
    pub(super) can_review: StringList,
    pub(super) permissions: JsonObject,
    pub(super) temperature: Option<f64>,
    pub(super) max_tokens: Option<i64>,
}

const MEMBER_COLUMNS: [&str; 8] = [
    "m.id",
    "m.role",
    "m.joined_at",
    "m.competencies",
    "m.can_review",
    "m.permissions",
    "m.temperature",
    "m.max_tokens",
];

impl MemberFacts {
    fn read(column: &mut Columns<'_>) -> Result<Self, DbErr> {
        Ok(Self {
            id: column.next()?,
            role: column.next()?,
            joined_at: column.next()?,
            competencies: column.next()?,
            can_review: column.next()?,
            permissions: column.next()?,
            temperature: column.maybe()?,
            max_tokens: column.maybe()?,
        })
    }
}

/// What an agent contributes, with its model where it has one.
#[derive(Clone, Debug)]
pub(super) struct AgentFacts {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) role: Option<String>,
    pub(super) status: AgentStatus,
    pub(super) system_prompt: Option<String>,
    pub(super) base_prompt: Option<String>,
    pub(super) skill_names: StringList,
    pub(super) competencies: StringList,
    pub(super) can_review: StringList,
    pub(super) temperature: Option<f64>,
    pub(super) max_tokens: Option<i64>,
    pub(super) model: Option<ModelFacts>,
}

const AGENT_COLUMNS: [&str; 11] = [
    "a.id",
    "a.name",
    "a.role",
    "a.status",
    "a.system_prompt",
    "a.base_prompt",
    "a.skill_names",
    "a.competencies",
    "a.can_review",
    "a.temperature",
    "a.max_tokens",
];

impl AgentFacts {
    fn read(column: &mut Columns<'_>) -> Result<Self, DbErr> {
        Ok(Self {
            id: column.next()?,
            name: column.next()?,
            role: column.maybe()?,
            status: column.next()?,
            system_prompt: column.maybe()?,
            base_prompt: column.maybe()?,
            skill_names: column.next()?,
            competencies: column.next()?,
            can_review: column.next()?,
            temperature: column.maybe()?,
            max_tokens: column.maybe()?,
            model: ModelFacts::read(column)?,
        })
    }
}

/// What a model and its provider contribute.
#[derive(Clone, Debug)]
pub(super) struct ModelFacts {
    pub(super) name: String,
    pub(super) context_window: Option<i64>,
    pub(super) max_output: Option<i64>,
    pub(super) default_temperature: Option<f64>,
    pub(super) capabilities: Capabilities,
    pub(super) is_deprecated: bool,
    pub(super) deprecation_date: Option<NaiveDate>,
    pub(super) provider: String,
    pub(super) api_type: String,
    pub(super) base_url: Option<String>,
    pub(super) is_local: bool,
    pub(super) api_key_env: Option<String>,
}

const MODEL_COLUMNS: [&str; 15] = [
    "o.model_name",
    "o.context_window",
    "o.max_output",
    "o.default_temperature",
    "o.supports_vision",
    "o.supports_tools",
    "o.supports_streaming",
    "o.supports_reasoning",
    "o.is_deprecated",
    "o.deprecation_date",
    "p.name",
    "p.api_type",
    "p.base_url",
    "p.is_local",
    "p.api_key_env",
];

impl ModelFacts {
    /// `None` where the join found no model.
    fn read(column: &mut Columns<'_>) -> Result<Option<Self>, DbErr> {
        let Some(name) = column.maybe()? else {
            return Ok(None);
        };
        Ok(Some(Self {
            name,
            context_window: column.maybe()?,
            max_output: column.maybe()?,
            default_temperature: column.maybe()?,
            capabilities: Capabilities {
                vision: column.next()?,
                tools: column.next()?,
                streaming: column.next()?,
                reasoning: column.next()?,
            },
            is_deprecated: column.next()?,
            deprecation_date: column.maybe()?,
            provider: column.next()?,
            api_type: column.next()?,
            base_url: column.maybe()?,
            is_local: column.next()?,
            api_key_env: column.maybe()?,
        }))
    }
}

const MODEL_JOINS: &str =
    "LEFT JOIN models o ON o.id = a.model_id LEFT JOIN providers p ON p.id = o.provider_id";

static OF_CIRCLE: LazyLock<OneAndManyOnBoth> = LazyLock::new(|| {
    OneAndManyOnBoth::new(
        &CIRCLE_COLUMNS,
        "FROM circles c WHERE c.name = $1 AND c.is_active",
        &[&MEMBER_COLUMNS[..], &AGENT_COLUMNS, &MODEL_COLUMNS].concat(),
        &format!(
            "FROM circles c JOIN members m ON m.circle_id = c.id AND m.is_active \
             JOIN agents a ON a.id = m.agent_id {MODEL_JOINS} \
             WHERE c.name = $1 AND c.is_active"
        ),
    )
});

static OF_AGENT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {} FROM agents a {MODEL_JOINS} WHERE a.id = $1 AND a.is_active",
        [&AGENT_COLUMNS[..], &MODEL_COLUMNS].concat().join(", ")
    )
});

/// The handles of a circle, in one statement.
pub(super) async fn of_circle(
    db: &impl ConnectionTrait,
    name: &str,
) -> Result<CircleHandles, Error> {
    let OneAndMany {
        text,
        first_of_many,
    } = OF_CIRCLE.on(db.get_database_backend());
    let mut rows = db.query_all_raw(statement(db, text, name)).await?;
    let circle_row = rows::take_one(&mut rows)?.ok_or_else(|| circles::queries::unknown(name))?;
    let circle = CircleFacts::read(&circle_row)?;
    let members = rows.iter().map(|row| {
        let mut columns = Columns::from(row, *first_of_many);
        let member = MemberFacts::read(&mut columns)?;
        Ok((member, AgentFacts::read(&mut columns)?))
    });
    let mut members = members.collect::<Result<Vec<_>, DbErr>>()?;
    members.sort_unstable_by_key(|(member, _)| (member.role, member.joined_at, member.id));
    Ok(rules::resolve_circle(circle, members, today()))
}

/// The handle of an agent outside any circle, in one statement.
pub(super) async fn of_agent(db: &impl ConnectionTrait, id: i64) -> Result<Handle, Error> {
    let row = db
        .query_one_raw(statement(db, &OF_AGENT, id))
        .await?
        .ok_or_else(|| agents::queries::unknown(id))?;
    let agent = AgentFacts::read(&mut Columns::of(&row))?;
    Ok(rules::resolve(agent, None, None, today()))
}

/// What is wrong with a circle.
///
/// # Errors
/// No live circle of that name, or what the database reports.
pub async fn lint(database: &Database, name: &str) -> Result<Lint, Error> {
    let handles = of_circle(database.connection(), name).await?;
    Ok(rules::lint(handles))
}

fn statement(db: &impl ConnectionTrait, text: &str, value: impl Into<Value>) -> Statement {
    Statement::from_sql_and_values(db.get_database_backend(), text, [value.into()])
}

fn today() -> NaiveDate {
    Utc::now().date_naive()
}
