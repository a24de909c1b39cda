//! What a membership looks like on the wire.

use chrono::{DateTime, Utc};
use entity::{
    member,
    values::{JsonObject, MemberRole, StringList, now},
};
use poem_openapi::{Object, types::MaybeUndefined};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
};
use serde::Serialize;

use crate::patch::Patch;

/// A membership: one agent's place in one circle.
#[derive(Debug, Object, Serialize)]
pub(crate) struct Member {
    /// Assigned by the service.
    pub(crate) id: i64,
    /// The circle.
    pub(crate) circle_id: i64,
    /// The agent.
    pub(crate) agent_id: i64,
    /// What the agent is in this circle.
    pub(crate) role: MemberRole,
    /// Fields it is good at, in this circle.
    pub(crate) competencies: StringList,
    /// Fields in which it may review, in this circle.
    pub(crate) can_review: StringList,
    /// What it may do in this circle, as the runtime understands it.
    pub(crate) permissions: JsonObject,
    /// Sampling temperature in this circle; null leaves it to the agent.
    #[oai(nullable)]
    pub(crate) temperature: Option<f64>,
    /// The most output in this circle, in tokens; null leaves it to the agent.
    #[oai(nullable)]
    pub(crate) max_tokens: Option<i64>,
    /// False once it has ended.
    pub(crate) is_active: bool,
    /// When the agent joined, or came back (UTC).
    pub(crate) joined_at: DateTime<Utc>,
    /// When it left (UTC); null while it is a member.
    #[oai(nullable)]
    pub(crate) left_at: Option<DateTime<Utc>>,
}

impl From<member::Model> for Member {
    fn from(row: member::Model) -> Self {
        let member::Model {
            id,
            circle_id,
            agent_id,
            role,
            competencies,
            can_review,
            permissions,
            temperature,
            max_tokens,
            is_active,
            joined_at,
            left_at,
            revision: _,
        } = row;
        Self {
            id,
            circle_id,
            agent_id,
            role,
            competencies,
            can_review,
            permissions,
            temperature,
            max_tokens,
            is_active,
            joined_at,
            left_at,
        }
    }
}

/// An agent to add to a circle.
#[derive(Debug, Object)]
pub(crate) struct NewMember {
    /// The agent.
    #[oai(validator(minimum(value = "1")))]
    pub(crate) agent_id: i64,
    /// What it is in this circle; `member` where it is not given.
    #[oai(default)]
    role: MemberRole,
    /// Fields it is good at, in this circle.
    #[oai(default)]
    competencies: StringList,
    /// Fields in which it may review, in this circle.
    #[oai(default)]
    can_review: StringList,
    /// What it may do in this circle, as the runtime understands it.
    #[oai(default)]
    permissions: JsonObject,
    /// Sampling temperature in this circle; null leaves it to the agent.
    #[oai(nullable, validator(minimum(value = "0"), maximum(value = "2")))]
    temperature: Option<f64>,
    /// The most output in this circle, in tokens; null leaves it to the agent.
    #[oai(
        nullable,
        validator(minimum(value = "1"), maximum(value = "1000000000"))
    )]
    max_tokens: Option<i64>,
}

/// All but the circle; the query knows which.
impl From<NewMember> for member::ActiveModel {
    fn from(new: NewMember) -> Self {
        let NewMember {
            agent_id,
            role,
            competencies,
            can_review,
            permissions,
            temperature,
            max_tokens,
        } = new;
        Self {
            id: NotSet,
            circle_id: NotSet,
            agent_id: Set(agent_id),
            role: Set(role),
            competencies: Set(competencies),
            can_review: Set(can_review),
            permissions: Set(permissions),
            temperature: Set(temperature),
            max_tokens: Set(max_tokens),
            is_active: Set(true),
            joined_at: Set(now()),
            left_at: Set(None),
            revision: Set(1),
        }
    }
}

/// What to change of a membership. Lists and objects are replaced as a whole.
#[derive(Debug, Object)]
pub(crate) struct MemberPatch {
    /// What the agent is in this circle.
    role: Option<MemberRole>,
    /// Fields it is good at, in this circle.
    competencies: Option<StringList>,
    /// Fields in which it may review, in this circle.
    can_review: Option<StringList>,
    /// What it may do in this circle, as the runtime understands it.
    permissions: Option<JsonObject>,
    /// Sampling temperature in this circle; null leaves it to the agent.
    #[oai(nullable, validator(minimum(value = "0"), maximum(value = "2")))]
    temperature: MaybeUndefined<f64>,
    /// The most output in this circle, in tokens; null leaves it to the agent.
    #[oai(
        nullable,
        validator(minimum(value = "1"), maximum(value = "1000000000"))
    )]
    max_tokens: MaybeUndefined<i64>,
}

impl From<MemberPatch> for member::ActiveModel {
    fn from(patch: MemberPatch) -> Self {
        let MemberPatch {
            role,
            competencies,
            can_review,
            permissions,
            temperature,
            max_tokens,
        } = patch;
        let mut row = <Self as ActiveModelTrait>::default();
        role.apply_to(&mut row.role);
        competencies.apply_to(&mut row.competencies);
        can_review.apply_to(&mut row.can_review);
        permissions.apply_to(&mut row.permissions);
        temperature.apply_to(&mut row.temperature);
        max_tokens.apply_to(&mut row.max_tokens);
        row
    }
}
