//! What a circle looks like on the wire.

use entity::{
    agent, circle,
    label_name::LabelList,
    member, model, provider,
    values::{AgentStatus, CircleStatus, JsonObject, MemberRole, StringList},
};
use poem_openapi::{Enum, Object};
use sea_orm::ActiveValue::{NotSet, Set};
use serde::Serialize;

use crate::{
    http::input,
    rows::{Json, Text, Timestamp, row},
};

row! {
    /// A circle: a team of agents.
    #[derive(Debug, Object, Serialize)]
    #[oai(rename = "Circle")]
    pub(crate) struct CircleRow<'r> of circle without revision, last_release {
        /// Assigned by the service.
        pub(crate) id: i64,
        /// Stable handle, unique among circles that are not deleted.
        pub(crate) name: Text<'r>,
        /// Display name.
        #[oai(nullable)]
        pub(crate) display_name: Option<Text<'r>>,
        /// What the circle is for.
        #[oai(nullable)]
        pub(crate) description: Option<Text<'r>>,
        /// Whether the circle is running.
        pub(crate) status: CircleStatus,
        /// Whether work must be reviewed by a member who can review it.
        pub(crate) require_review: bool,
        /// Whether work is routed to members by competency.
        pub(crate) auto_route: bool,
        /// Maximum number of active members; null for no limit.
        #[oai(nullable)]
        pub(crate) max_members: Option<i32>,
        /// Further settings, interpreted by the runtime. A string in `instructions` becomes part of every
        /// member's prompt.
        pub(crate) settings: Json<'r, JsonObject>,
        /// What the members should know about the project. It becomes part of every member's prompt.
        #[oai(nullable)]
        pub(crate) project_context: Option<Text<'r>>,
        /// False after deletion.
        pub(crate) is_active: bool,
        /// When it was last started (UTC).
        #[oai(nullable)]
        pub(crate) started_at: Option<Timestamp<'r>>,
        /// When it was last stopped (UTC).
        #[oai(nullable)]
        pub(crate) stopped_at: Option<Timestamp<'r>>,
        /// When it was created (UTC).
        pub(crate) created_at: Timestamp<'r>,
        /// When the circle itself was last changed (UTC). Changes of its members do not count.
        pub(crate) updated_at: Timestamp<'r>,
        /// Number of active members. Where the members are not shown, it may still include for a while an agent
        /// that was deleted as a member of very many circles.
        pub(crate) member_count: i64,
        /// The labels that take a key with the scope `publish` to move.
        pub(crate) protected_labels: Json<'r, LabelList>,
    } with {
        /// The active members, in the roster's order; only with `include=members`.
        #[oai(skip_serializing_if_is_none)]
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(crate) members: Option<Vec<RosterMember<'r>>>,
    }
}

impl<'r> CircleRow<'r> {
    /// Includes the members, and counts those that are active: the stored count still includes the memberships that the
    /// deletion of an agent ends in the background.
    pub(super) fn set_members(&mut self, members: Vec<RosterMember<'r>>) {
        let active = members.iter().filter(|member| member.is_active).count();
        self.member_count = i64::try_from(active).unwrap_or(i64::MAX);
        self.members = Some(members);
    }
}

/// A row that owns its values.
pub(crate) type Circle = CircleRow<'static>;

row! {
    /// A circle's id and names.
    #[derive(Debug, Object, Serialize)]
    #[oai(rename = "CircleName")]
    pub(crate) struct CircleNameRow<'r> {
        /// Assigned by the service.
        pub(crate) id: i64 = circle::Id,
        /// The circle's name.
        pub(crate) name: Text<'r> = circle::Name,
        /// Display name.
        #[oai(nullable)]
        pub(crate) display_name: Option<Text<'r>> = circle::DisplayName,
        /// Whether the circle is at work.
        pub(crate) status: CircleStatus = circle::Status,
    }
}

pub(crate) type CircleName = CircleNameRow<'static>;

/// Related resources that a list of circles can include.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum CircleInclude {
    /// The active members of each circle.
    Members,
}

/// A circle with its members: everything that a runtime needs to build a handle for each of them.
#[derive(Debug, Object)]
pub(crate) struct Roster {
    #[oai(flatten)]
    circle: Circle,
    /// Its members: leads first, then members, specialists, reviewers and observers, each role in
    /// the order of joining.
    members: Vec<RosterMember<'static>>,
}

row! {
    /// One member of a circle, with its agent, that agent's model and the model's provider.
    #[derive(Debug, Object, Serialize)]
    pub(crate) struct RosterMember<'r> {
        /// The membership's id.
        pub(crate) member_id: i64 = member::Id,
        /// The agent's id.
        pub(crate) agent_id: i64 = member::AgentId,
        /// The agent's role in this circle.
        pub(crate) role: MemberRole = member::Role,
        /// False if the membership has ended.
        pub(crate) is_active: bool = member::IsActive,
        /// When the agent joined or rejoined (UTC).
        pub(crate) joined_at: Timestamp<'r> = member::JoinedAt,
        /// The fields that the agent is competent in, in this circle.
        pub(crate) competencies: Json<'r, StringList> = member::Competencies,
        /// The fields in which the agent may review, in this circle.
        pub(crate) can_review: Json<'r, StringList> = member::CanReview,
        /// What the agent may do in this circle, interpreted by the runtime.
        pub(crate) permissions: Json<'r, JsonObject> = member::Permissions,
        /// The agent's name.
        pub(crate) agent_name: Text<'r> = agent::Name,
        /// A short description of what the agent is.
        #[oai(nullable)]
        pub(crate) agent_role: Option<Text<'r>> = agent::Role,
        /// The agent's system prompt.
        #[oai(nullable)]
        pub(crate) system_prompt: Option<Text<'r>> = agent::SystemPrompt,
        /// The prompt that is used if there is no system prompt.
        #[oai(nullable)]
        pub(crate) base_prompt: Option<Text<'r>> = agent::BasePrompt,
        /// Names of the agent's skills.
        pub(crate) skill_names: Json<'r, StringList> = agent::SkillNames,
        /// What the agent is doing.
        pub(crate) agent_status: AgentStatus = agent::Status,
        /// Sampling temperature, from 0 to 2; null for the model's default.
        #[oai(nullable)]
        pub(crate) temperature: Option<f64> = agent::Temperature,
        /// Maximum output, in tokens; null for the model's.
        #[oai(nullable)]
        pub(crate) max_tokens: Option<i64> = agent::MaxTokens,
        /// The model that the agent runs on. Null if it has none; the fields below are then null too.
        #[oai(nullable)]
        pub(crate) model_id: Option<i64> = agent::ModelId,
        /// Name of the model in the provider's API.
        #[oai(nullable)]
        pub(crate) model_name: Option<Text<'r>> = model::ModelName,
        /// The model's alias.
        #[oai(nullable)]
        pub(crate) model_alias: Option<Text<'r>> = model::ModelAlias,
        /// The id of the model's provider.
        #[oai(nullable)]
        pub(crate) provider_id: Option<i64> = provider::Id,
        /// The provider's handle.
        #[oai(nullable)]
        pub(crate) provider_name: Option<Text<'r>> = provider::Name,
        /// Wire protocol that the provider's API speaks.
        #[oai(nullable)]
        pub(crate) provider_api_type: Option<Text<'r>> = provider::ApiType,
    }
}

/// The longest instructions, in characters: as long as other texts that become part of prompts.
pub(crate) const MAX_INSTRUCTIONS_LENGTH: usize = 500_000;

input! {
    circle;
    /// A circle to create.
    create CircleCreate;
    /// Changes to a circle.
    update CircleUpdate;
    required {
        /// Stable handle, unique among circles that are not deleted: letters, digits, `.`, `_` and `-`, starting
        /// with a letter or digit. Renaming a circle changes its path.
        #[oai(validator(max_length = 64, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
        name: String,
    }
    nullable {
        /// Display name.
        #[oai(validator(min_length = 1, max_length = 200))]
        display_name: String,
        /// What the circle is for.
        #[oai(validator(max_length = 10000))]
        description: String,
        /// Maximum number of active members; null for no limit. A circle keeps the members it has when its
        /// limit is lowered.
        #[oai(validator(minimum(value = "1"), maximum(value = "100000")))]
        max_members: i32,
        /// What the members should know about the project. It becomes part of every member's prompt.
        #[oai(validator(max_length = 500000))]
        project_context: String,
    }
    defaulted {
        /// Whether work must be reviewed by a member who can review it. Defaults to true.
        require_review: bool = "yes",
        /// Whether work is routed to members by competency. Defaults to true.
        auto_route: bool = "yes",
        /// Further settings, interpreted by the runtime. A string in `instructions`, of at most 500,000
        /// characters, becomes part of every member's prompt. An update replaces the whole object. Secrets
        /// of known forms are rejected.
        settings: JsonObject,
        /// The labels that take a key with the scope `publish` to move, whether they exist or not. To set this list takes
        /// such a key, and so does deleting or renaming the circle while there are any.
        protected_labels: LabelList,
    }
    update_only {
        /// Whether the circle is running. Leaving `stopped` sets `started_at`, and reaching it sets
        /// `stopped_at`.
        status: Option<CircleStatus>,
    }
    row {
        id: NotSet,
        status: Set(CircleStatus::Stopped),
        is_active: Set(true),
        started_at: Set(None),
        stopped_at: Set(None),
        created_at: NotSet,
        updated_at: NotSet,
        revision: NotSet,
        member_count: NotSet,
        last_release: NotSet,
    }
}

fn yes() -> bool {
    true
}
