//! What a membership looks like on the wire.

use entity::{
    member,
    params::ModelParams,
    values::{JsonObject, MemberRole, StringList, now},
};
use poem_openapi::{Enum, Object};
use sea_orm::ActiveValue::{NotSet, Set};
use serde::Serialize;

use crate::{
    circles::dto::CircleRow,
    http::input,
    rows::{Json, Timestamp, row},
    write::merge,
};

row! {
    /// A membership: one agent's place in one circle.
    #[derive(Debug, Object, Serialize)]
    #[oai(rename = "Member")]
    pub(crate) struct MemberRow<'r> of member without revision {
        /// Assigned by the service.
        pub(crate) id: i64,
        /// The circle's id.
        pub(crate) circle_id: i64,
        /// The agent's id.
        pub(crate) agent_id: i64,
        /// The agent's role in this circle.
        pub(crate) role: MemberRole,
        /// The fields that the agent is competent in, in this circle.
        pub(crate) competencies: Json<'r, StringList>,
        /// The fields in which the agent may review, in this circle.
        pub(crate) can_review: Json<'r, StringList>,
        /// What the agent may do in this circle, interpreted by the runtime.
        pub(crate) permissions: Json<'r, JsonObject>,
        /// Sampling temperature in this circle; null for the agent's.
        #[oai(nullable)]
        pub(crate) temperature: Option<f64>,
        /// Maximum output in this circle, in tokens; null for the agent's.
        #[oai(nullable)]
        pub(crate) max_tokens: Option<i64>,
        /// Further parameters of calls to the model in this circle. They come before the agent's.
        pub(crate) params: Json<'r, ModelParams>,
        /// False if the membership has ended.
        pub(crate) is_active: bool,
        /// When the agent joined or rejoined (UTC).
        pub(crate) joined_at: Timestamp<'r>,
        /// When the agent left (UTC); null while it is a member.
        #[oai(nullable)]
        pub(crate) left_at: Option<Timestamp<'r>>,
    }
}

/// A row that owns its values.
pub(crate) type Member = MemberRow<'static>;

input! {
    member;
    /// An agent to add to a circle.
    #[derive(Default)]
    create MemberCreate;
    /// Changes to a membership. Lists and objects are replaced as a whole.
    update MemberUpdate;
    create_only {
        /// The agent's id.
        #[oai(validator(minimum(value = "1")))]
        agent_id: i64,
    }
    nullable {
        /// Sampling temperature in this circle; null for the agent's.
        #[oai(validator(minimum(value = "0"), maximum(value = "2")))]
        temperature: f64,
        /// Maximum output in this circle, in tokens; null for the agent's.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000000000")))]
        max_tokens: i64,
    }
    defaulted {
        /// The agent's role in this circle. A new member is a `member` by default.
        role: MemberRole,
        /// The fields that the agent is competent in, in this circle.
        competencies: StringList,
        /// The fields in which the agent may review, in this circle.
        can_review: StringList,
        /// What the agent may do in this circle, interpreted by the runtime.
        permissions: JsonObject,
        /// Further parameters of calls to the model in this circle. They come before the agent's.
        params: ModelParams,
    }
    row {
        id: NotSet,
        circle_id: NotSet,
        is_active: Set(true),
        joined_at: Set(now()),
        left_at: Set(None),
        revision: NotSet,
    }
}

/// What an operation of a batch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub(crate) enum MemberOperationKind {
    /// Adds the agent to the circle.
    Add,
    /// Changes the membership.
    Update,
    /// Ends the membership.
    Remove,
}

/// One operation of a batch. With `add`, an absent field takes its default. With `update`, an absent field is
/// left unchanged and `null` clears it. With `remove`, no other fields are accepted.
#[derive(Clone, Debug, Object)]
pub(crate) struct MemberOperation {
    /// What to do.
    pub(crate) op: MemberOperationKind,
    /// The agent. Each agent may appear once in a batch.
    #[oai(validator(minimum(value = "1")))]
    pub(crate) agent_id: i64,
    #[oai(flatten)]
    fields: MemberUpdate,
}

impl MemberOperation {
    /// The columns to set.
    pub(crate) fn into_row(self) -> member::ActiveModel {
        let requested = member::ActiveModel::from(self.fields);
        match self.op {
            MemberOperationKind::Add => {
                let defaults = MemberCreate {
                    agent_id: self.agent_id,
                    ..MemberCreate::default()
                };
                merge(defaults.into(), &requested)
            }
            MemberOperationKind::Update | MemberOperationKind::Remove => requested,
        }
    }
}

/// Operations on a circle's members.
#[derive(Clone, Debug, Object)]
pub(crate) struct MemberBatch {
    /// The operations, in order.
    #[oai(validator(min_items = 1, max_items = 500))]
    pub(crate) operations: Vec<MemberOperation>,
}

/// The outcome of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub(crate) enum MemberOutcome {
    /// The agent is a member for the first time.
    Added,
    /// The agent is a member again; its previous membership was restored.
    Restored,
    /// The membership has the requested fields.
    Updated,
    /// The membership has ended.
    Removed,
    /// Nothing was changed; `error` says why.
    Failed,
}

/// Why an operation failed, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub(crate) enum MemberFailureCode {
    /// The agent does not exist or is not a member of the circle.
    NotFound,
    /// The agent is already a member of the circle.
    MemberExists,
    /// The circle has `max_members` members.
    CircleFull,
}

/// Why an operation failed.
#[derive(Debug, Object, Serialize)]
pub(crate) struct MemberFailure {
    /// The reason, for programs: `not_found` if the agent does not exist or is not a member of the circle,
    /// `member_exists` if it is already a member, `circle_full` if the circle has `max_members` members.
    pub(crate) code: MemberFailureCode,
    /// The reason, for people.
    pub(crate) detail: String,
}

/// The result of one operation of a batch.
#[derive(Debug, Object, Serialize)]
pub(crate) struct MemberResult {
    /// The agent's id.
    pub(crate) agent_id: i64,
    /// The operation.
    pub(crate) op: MemberOperationKind,
    /// The outcome. `restored` means that the agent was a member before.
    pub(crate) status: MemberOutcome,
    /// The membership after the operation; absent if `status` is `failed`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) member: Option<Member>,
    /// Why the operation failed; only if `status` is `failed`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<MemberFailure>,
}

/// The results of a batch.
#[derive(Debug, Object, Serialize)]
pub(crate) struct MemberBatchResult {
    /// One result for each operation, in the order of the request.
    pub(crate) results: Vec<MemberResult>,
}

/// The complete set of a circle's members.
#[derive(Clone, Debug, Object)]
pub(crate) struct MemberSet {
    /// The members. Each agent may appear once. An empty list ends every membership.
    #[oai(validator(max_items = 500))]
    pub(crate) members: Vec<MemberCreate>,
}

/// What replacing a circle's members changed: the ids of the agents, by outcome.
#[derive(Debug, Default, Object, Serialize)]
pub(crate) struct MemberChanges {
    /// Members for the first time.
    pub(crate) added: Vec<i64>,
    /// Members again; their previous memberships were restored.
    pub(crate) restored: Vec<i64>,
    /// Members before, with other fields.
    pub(crate) updated: Vec<i64>,
    /// No longer members.
    pub(crate) removed: Vec<i64>,
    /// Members before, with the same fields.
    pub(crate) unchanged: Vec<i64>,
}

/// A circle that an agent is in, and its place there.
#[derive(Debug, Object, Serialize)]
pub(crate) struct AgentCircle<'r> {
    /// The agent's membership.
    pub(crate) membership: MemberRow<'r>,
    /// The circle.
    pub(crate) circle: CircleRow<'r>,
}
