//! The facts that handles are resolved from, as the rows have them: what only passes through is not
//! taken apart.

use chrono::{DateTime, NaiveDate, Utc};
use entity::values::{CircleStatus, JsonObject, MemberRole};
use sea_orm::{DbErr, QueryResult};

use super::dto::Capabilities;
use crate::rows::{Columns, Stored};

/// What a circle contributes.
#[derive(Clone, Debug)]
pub(super) struct CircleFacts<'r> {
    pub(super) id: i64,
    pub(super) name: &'r str,
    pub(super) status: CircleStatus,
    pub(super) require_review: bool,
    pub(super) max_members: Option<i32>,
    pub(super) settings: JsonObject,
    pub(super) project_context: Option<&'r str>,
}

impl<'r> CircleFacts<'r> {
    pub(super) const COLUMNS: [&'static str; 7] = [
        "c.id",
        "c.name",
        "c.status",
        "c.require_review",
        "c.max_members",
        "c.settings",
        "c.project_context",
    ];

    pub(super) fn read(row: &'r QueryResult) -> Result<Self, DbErr> {
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
pub(super) struct MemberFacts<'r> {
    pub(super) id: i64,
    pub(super) role: MemberRole,
    pub(super) competencies: Stored<'r>,
    pub(super) can_review: Stored<'r>,
    pub(super) permissions: Stored<'r>,
    pub(super) temperature: Option<f64>,
    pub(super) max_tokens: Option<i64>,
}

impl<'r> MemberFacts<'r> {
    pub(super) const COLUMNS: [&'static str; 8] = [
        "m.id",
        "m.role",
        "m.joined_at",
        "m.competencies",
        "m.can_review",
        "m.permissions",
        "m.temperature",
        "m.max_tokens",
    ];

    /// What the roster's order goes by.
    pub(super) fn order(
        row: &QueryResult,
        first: usize,
    ) -> Result<(MemberRole, DateTime<Utc>, i64), DbErr> {
        let mut column = Columns::from(row, first);
        let id = column.next()?;
        Ok((column.next()?, column.next()?, id))
    }

    pub(super) fn read(column: &mut Columns<'r>) -> Result<Self, DbErr> {
        let (id, role) = (column.next()?, column.next()?);
        column.skip(); // when it joined
        Ok(Self {
            id,
            role,
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
pub(super) struct AgentFacts<'r> {
    pub(super) id: i64,
    pub(super) name: &'r str,
    pub(super) role: Option<&'r str>,
    pub(super) status: &'r str,
    pub(super) system_prompt: Option<&'r str>,
    pub(super) base_prompt: Option<&'r str>,
    pub(super) skill_names: Stored<'r>,
    pub(super) competencies: Stored<'r>,
    pub(super) can_review: Stored<'r>,
    pub(super) temperature: Option<f64>,
    pub(super) max_tokens: Option<i64>,
    pub(super) model: Option<ModelFacts<'r>>,
}

impl<'r> AgentFacts<'r> {
    /// Those of the model come after them.
    pub(super) const COLUMNS: [&'static str; 11] = [
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

    pub(super) fn read(column: &mut Columns<'r>) -> Result<Self, DbErr> {
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
pub(super) struct ModelFacts<'r> {
    pub(super) name: &'r str,
    pub(super) context_window: Option<i64>,
    pub(super) max_output: Option<i64>,
    pub(super) default_temperature: Option<f64>,
    pub(super) capabilities: Capabilities,
    pub(super) is_deprecated: bool,
    pub(super) deprecation_date: Option<NaiveDate>,
    pub(super) provider: &'r str,
    pub(super) api_type: &'r str,
    pub(super) base_url: Option<&'r str>,
    pub(super) is_local: bool,
    pub(super) api_key_env: Option<&'r str>,
}

impl<'r> ModelFacts<'r> {
    pub(super) const COLUMNS: [&'static str; 15] = [
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

    /// `None` where the join found no model.
    fn read(column: &mut Columns<'r>) -> Result<Option<Self>, DbErr> {
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
