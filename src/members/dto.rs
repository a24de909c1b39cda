//! What a membership looks like on the wire.

use chrono::{DateTime, Utc};
use entity::{
    member,
    values::{JsonObject, MemberRole, StringList, now},
};
use poem_openapi::{Enum, Object, types::MaybeUndefined};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
    Iterable,
};
use serde::Serialize;

use crate::{circles::dto::Circle, http::Patch};

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
#[derive(Clone, Debug, Default, Object)]
pub(crate) struct MemberCreate {
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
impl From<MemberCreate> for member::ActiveModel {
    fn from(new: MemberCreate) -> Self {
        let MemberCreate {
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
#[derive(Clone, Debug, Object)]
pub(crate) struct MemberUpdate {
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

impl From<MemberUpdate> for member::ActiveModel {
    fn from(patch: MemberUpdate) -> Self {
        let MemberUpdate {
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

/// What to do with an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub(crate) enum MemberOperationKind {
    /// Add it to the circle.
    Add,
    /// Change its membership.
    Update,
    /// End its membership.
    Remove,
}

/// One change of a batch. Where `op` is `add`, an absent field gets its usual value; where it is
/// `update`, an absent field stays and `null` clears; `remove` takes no field but the agent.
#[derive(Clone, Debug, Object)]
pub(crate) struct MemberOperation {
    /// What to do.
    pub(crate) op: MemberOperationKind,
    /// The agent; each at most once in a batch.
    #[oai(validator(minimum(value = "1")))]
    pub(crate) agent_id: i64,
    #[oai(flatten)]
    fields: MemberUpdate,
}

impl MemberOperation {
    /// The columns that are to be set.
    pub(crate) fn into_row(self) -> member::ActiveModel {
        let said = member::ActiveModel::from(self.fields);
        match self.op {
            MemberOperationKind::Add => {
                let usual = MemberCreate {
                    agent_id: self.agent_id,
                    ..MemberCreate::default()
                };
                lay_over(usual.into(), &said)
            }
            MemberOperationKind::Update | MemberOperationKind::Remove => said,
        }
    }
}

/// `row` with what `said` sets; a column that has the value already does not count as set.
pub(crate) fn lay_over(
    mut row: member::ActiveModel,
    said: &member::ActiveModel,
) -> member::ActiveModel {
    for column in member::Column::iter() {
        if let Set(value) = said.get(column) {
            row.set_if_not_equals(column, value);
        }
    }
    row
}

/// Changes of a circle's members, to be made in one step.
#[derive(Clone, Debug, Object)]
pub(crate) struct MemberBatch {
    /// The changes.
    #[oai(validator(min_items = 1, max_items = 500))]
    pub(crate) operations: Vec<MemberOperation>,
}

/// What became of one change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub(crate) enum MemberOutcome {
    /// The agent is in the circle for the first time.
    Added,
    /// The agent is back in the circle, in its old membership.
    Restored,
    /// The membership is as it was asked for.
    Updated,
    /// The membership has ended.
    Removed,
    /// Nothing was done; `error` says why.
    Failed,
}

/// Why a change can't be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub(crate) enum MemberFailureCode {
    /// There is no such agent, or it is not in the circle.
    NotFound,
    /// The agent is in the circle already.
    MemberExists,
    /// The circle has `max_members`.
    CircleFull,
}

/// Why a change could not be made.
#[derive(Debug, Object, Serialize)]
pub(crate) struct MemberFailure {
    /// What is in the way, for programs: `not_found` where there is no such agent or it is not in
    /// the circle, `member_exists` where it is in it already, `circle_full` where the circle has
    /// `max_members`.
    pub(crate) code: MemberFailureCode,
    /// What is in the way, for people.
    pub(crate) detail: String,
}

/// What became of one change of a batch.
#[derive(Debug, Object, Serialize)]
pub(crate) struct MemberResult {
    /// The agent.
    pub(crate) agent_id: i64,
    /// What was asked for.
    pub(crate) op: MemberOperationKind,
    /// What became of it; `restored` is an agent that was in the circle before.
    pub(crate) status: MemberOutcome,
    /// The membership as it is now; only where the change was made.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) member: Option<Member>,
    /// Why it could not be made; only where `status` is `failed`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<MemberFailure>,
}

/// What became of a batch.
#[derive(Debug, Object, Serialize)]
pub(crate) struct MemberBatchResult {
    /// One result for each change, in the order of the request.
    pub(crate) results: Vec<MemberResult>,
}

/// The members that a circle is to have.
#[derive(Clone, Debug, Object)]
pub(crate) struct MemberSet {
    /// All of them, each agent once; none ends every membership.
    #[oai(validator(max_items = 500))]
    pub(crate) members: Vec<MemberCreate>,
}

/// What replacing the members of a circle changed: the agents, by what became of them.
#[derive(Debug, Default, Object, Serialize)]
pub(crate) struct MemberChanges {
    /// In the circle for the first time.
    pub(crate) added: Vec<i64>,
    /// Back in the circle, in their old memberships.
    pub(crate) restored: Vec<i64>,
    /// In the circle before and now, with other fields.
    pub(crate) updated: Vec<i64>,
    /// No longer in the circle.
    pub(crate) removed: Vec<i64>,
    /// In the circle before and now, with the same fields.
    pub(crate) unchanged: Vec<i64>,
}

/// A circle that an agent is in, and its place there.
#[derive(Debug, Object, Serialize)]
pub(crate) struct AgentCircle {
    /// The agent's membership.
    pub(crate) membership: Member,
    /// The circle.
    pub(crate) circle: Circle,
}
