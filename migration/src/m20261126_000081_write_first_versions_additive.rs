//! Version 1 of the agents that there are, deleted ones too.
//!
//! A definition and its digest are written as the service writes them at the time of this migration, so that a request
//! that sets what an agent has already makes no second version.

use sea_orm_migration::{
    prelude::*,
    sea_orm::{self, FromQueryResult, prelude::DateTimeUtc},
};
use serde::Serialize;
use serde_json::{Value, value::RawValue};
use sha2::{Digest, Sha256};

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Agents in memory at once: their prompts may be long.
const BATCH: u64 = 50;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut last = 0;
        loop {
            let agents = batch(manager, last).await?;
            let Some(agent) = agents.last() else {
                return Ok(());
            };
            last = agent.id;
            insert(manager, &agents).await?;
        }
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = [
            "DELETE FROM agent_versions",
            "UPDATE agents SET version = 1 WHERE version > 1",
        ];
        ddl::run(manager, &statements).await
    }
}

const TEXTS: [&str; 7] = [
    "name",
    "external_id",
    "role",
    "description",
    "system_prompt",
    "base_prompt",
    "communication_style",
];

const JSON: [&str; 9] = [
    "skill_names",
    "competencies",
    "can_review",
    "traits",
    "languages",
    "params",
    "fallback_model_ids",
    "tools",
    "metadata",
];

#[derive(FromQueryResult)]
struct ExistingAgent {
    id: i64,
    updated_at: DateTimeUtc,
    name: String,
    external_id: Option<String>,
    role: Option<String>,
    description: Option<String>,
    system_prompt: Option<String>,
    base_prompt: Option<String>,
    skill_names: String,
    competencies: String,
    can_review: String,
    traits: String,
    languages: String,
    communication_style: Option<String>,
    temperature: Option<f64>,
    max_tokens: Option<i64>,
    params: String,
    model_id: Option<i64>,
    fallback_model_ids: String,
    tools: String,
    metadata: String,
}

#[derive(Serialize)]
struct FirstDefinition<'a> {
    name: &'a str,
    external_id: Option<&'a str>,
    role: Option<&'a str>,
    description: Option<&'a str>,
    system_prompt: Option<&'a str>,
    base_prompt: Option<&'a str>,
    skill_names: &'a RawValue,
    competencies: &'a RawValue,
    can_review: &'a RawValue,
    traits: &'a RawValue,
    languages: &'a RawValue,
    communication_style: Option<&'a str>,
    temperature: Option<f64>,
    max_tokens: Option<i64>,
    params: &'a RawValue,
    model_id: Option<i64>,
    fallback_model_ids: &'a RawValue,
    tools: &'a RawValue,
    metadata: &'a RawValue,
}

async fn batch(manager: &SchemaManager<'_>, after: i64) -> Result<Vec<ExistingAgent>, DbErr> {
    let mut select = Query::select();
    select
        .from("agents")
        .columns(["id", "updated_at", "temperature", "max_tokens", "model_id"])
        .columns(TEXTS)
        .and_where(Expr::col("id").gt(after))
        .and_where(Expr::col("version").eq(1))
        .order_by("id", Order::Asc)
        .limit(BATCH);
    for column in JSON {
        select.expr_as(Expr::col(column).cast_as("text"), column);
    }
    let rows = manager.get_connection().query_all(&select).await?;
    rows.iter()
        .map(|row| ExistingAgent::from_query_result(row, ""))
        .collect()
}

async fn insert(manager: &SchemaManager<'_>, agents: &[ExistingAgent]) -> Result<(), DbErr> {
    let mut insert = Query::insert();
    insert.into_table("agent_versions").columns([
        "agent_id",
        "number",
        "definition",
        "digest",
        "created_at",
    ]);
    for agent in agents {
        let definition = definition_of(agent).map_err(|error| DbErr::Json(error.to_string()))?;
        let digest = digest(&definition).map_err(|error| DbErr::Json(error.to_string()))?;
        insert.values_panic([
            agent.id.into(),
            1_i64.into(),
            definition.into(),
            digest.into(),
            agent.updated_at.into(),
        ]);
    }
    manager.get_connection().execute(&insert).await?;
    Ok(())
}

fn definition_of(agent: &ExistingAgent) -> serde_json::Result<String> {
    serde_json::to_string(&FirstDefinition {
        name: &agent.name,
        external_id: agent.external_id.as_deref(),
        role: agent.role.as_deref(),
        description: agent.description.as_deref(),
        system_prompt: agent.system_prompt.as_deref(),
        base_prompt: agent.base_prompt.as_deref(),
        skill_names: serde_json::from_str(&agent.skill_names)?,
        competencies: serde_json::from_str(&agent.competencies)?,
        can_review: serde_json::from_str(&agent.can_review)?,
        traits: serde_json::from_str(&agent.traits)?,
        languages: serde_json::from_str(&agent.languages)?,
        communication_style: agent.communication_style.as_deref(),
        temperature: agent.temperature,
        max_tokens: agent.max_tokens,
        params: serde_json::from_str(&agent.params)?,
        model_id: agent.model_id,
        fallback_model_ids: serde_json::from_str(&agent.fallback_model_ids)?,
        tools: serde_json::from_str(&agent.tools)?,
        metadata: serde_json::from_str(&agent.metadata)?,
    })
}

/// The SHA-256 of the canonical form (RFC 8785), in which an integer beyond 2^53 is the string of its digits.
fn digest(definition: &str) -> serde_json::Result<String> {
    let canonical = serde_json_canonicalizer::to_vec(&exact(serde_json::from_str(definition)?))?;
    Ok(hex::encode(Sha256::digest(canonical)))
}

fn exact(value: Value) -> Value {
    const MAX_SAFE: u64 = (1 << 53) - 1;
    match value {
        Value::Number(number) => {
            let signed = || number.as_i64().map(i64::unsigned_abs);
            match number.as_u64().or_else(signed) {
                Some(size) if size > MAX_SAFE => Value::String(number.to_string()),
                _ => Value::Number(number),
            }
        }
        Value::Array(items) => items.into_iter().map(exact).collect(),
        Value::Object(members) => {
            let members = members.into_iter();
            members.map(|(name, value)| (name, exact(value))).collect()
        }
        other => other,
    }
}
