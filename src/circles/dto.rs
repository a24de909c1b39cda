//! What a circle looks like on the wire.

use chrono::{DateTime, Utc};
use entity::{
    circle,
    values::{AgentStatus, CircleStatus, JsonObject, MemberRole, StringList},
};
use poem_openapi::{Enum, Object};
use sea_orm::ActiveValue::{NotSet, Set};
use serde::Serialize;

use crate::{
    http::input,
    rows::{Field, flag, integer, json, moment, number, text},
};

/// A circle: a team of agents.
#[derive(Debug, Object, Serialize)]
pub(crate) struct Circle {
    /// Assigned by the service.
    pub(crate) id: i64,
    /// Stable handle, unique among live circles.
    pub(crate) name: String,
    /// Name for people.
    #[oai(nullable)]
    pub(crate) display_name: Option<String>,
    /// What the circle is for.
    #[oai(nullable)]
    pub(crate) description: Option<String>,
    /// Whether it is at work.
    pub(crate) status: CircleStatus,
    /// Whether work must be reviewed by a member who may.
    pub(crate) require_review: bool,
    /// Whether work finds its member by competency.
    pub(crate) auto_route: bool,
    /// Active members at most; null for no limit.
    #[oai(nullable)]
    pub(crate) max_members: Option<i32>,
    /// Further settings, as the runtime understands them. A text in `instructions` becomes part of
    /// every member's prompt. No secrets.
    pub(crate) settings: JsonObject,
    /// What its members should know of the project; becomes part of every member's prompt.
    #[oai(nullable)]
    pub(crate) project_context: Option<String>,
    /// False once it is deleted.
    pub(crate) is_active: bool,
    /// When it was last started (UTC).
    #[oai(nullable)]
    pub(crate) started_at: Option<DateTime<Utc>>,
    /// When it was last stopped (UTC).
    #[oai(nullable)]
    pub(crate) stopped_at: Option<DateTime<Utc>>,
    /// When it was created (UTC).
    pub(crate) created_at: DateTime<Utc>,
    /// When it was last changed (UTC); members come and go without changing it.
    pub(crate) updated_at: DateTime<Utc>,
    /// How many active members it has.
    pub(crate) member_count: i64,
    /// Its active members, in the roster's order; only with `include=members`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) members: Option<Vec<RosterMember>>,
}

impl Circle {
    /// All but `members`, in rows of a query of circles.
    pub(crate) const FIELDS: [Field; 16] = [
        integer("id", "circles.id"),
        text("name", "circles.name"),
        text("display_name", "circles.display_name"),
        text("description", "circles.description"),
        text("status", "circles.status"),
        flag("require_review", "circles.require_review"),
        flag("auto_route", "circles.auto_route"),
        integer("max_members", "circles.max_members"),
        json("settings", "circles.settings"),
        text("project_context", "circles.project_context"),
        flag("is_active", "circles.is_active"),
        moment("started_at", "circles.started_at"),
        moment("stopped_at", "circles.stopped_at"),
        moment("created_at", "circles.created_at"),
        moment("updated_at", "circles.updated_at"),
        integer("member_count", "circles.member_count"),
    ];
}

impl From<circle::Model> for Circle {
    fn from(row: circle::Model) -> Self {
        let circle::Model {
            id,
            name,
            display_name,
            description,
            status,
            require_review,
            auto_route,
            max_members,
            settings,
            project_context,
            is_active,
            started_at,
            stopped_at,
            created_at,
            updated_at,
            revision: _,
            member_count,
        } = row;
        Self {
            id,
            name,
            display_name,
            description,
            status,
            require_review,
            auto_route,
            max_members,
            settings,
            project_context,
            is_active,
            started_at,
            stopped_at,
            created_at,
            updated_at,
            member_count,
            members: None,
        }
    }
}

/// What a list of circles can bring along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum CircleInclude {
    /// The active members of every circle.
    Members,
}

/// A circle with its members: all that a runtime needs to build a handle for each of them.
#[derive(Debug, Object)]
pub(crate) struct Roster {
    /// Assigned by the service.
    pub(crate) id: i64,
    /// Stable handle, unique among live circles.
    pub(crate) name: String,
    /// Name for people.
    #[oai(nullable)]
    pub(crate) display_name: Option<String>,
    /// What the circle is for.
    #[oai(nullable)]
    pub(crate) description: Option<String>,
    /// Whether it is at work.
    pub(crate) status: CircleStatus,
    /// Whether work must be reviewed by a member who may.
    pub(crate) require_review: bool,
    /// Whether work finds its member by competency.
    pub(crate) auto_route: bool,
    /// Active members at most; null for no limit.
    #[oai(nullable)]
    pub(crate) max_members: Option<i32>,
    /// Further settings, as the runtime understands them.
    pub(crate) settings: JsonObject,
    /// What its members should know of the project.
    #[oai(nullable)]
    pub(crate) project_context: Option<String>,
    /// False once it is deleted.
    pub(crate) is_active: bool,
    /// When it was last started (UTC).
    #[oai(nullable)]
    pub(crate) started_at: Option<DateTime<Utc>>,
    /// When it was last stopped (UTC).
    #[oai(nullable)]
    pub(crate) stopped_at: Option<DateTime<Utc>>,
    /// When it was created (UTC).
    pub(crate) created_at: DateTime<Utc>,
    /// When it was last changed (UTC); members come and go without changing it.
    pub(crate) updated_at: DateTime<Utc>,
    /// How many active members it has.
    pub(crate) member_count: i64,
    /// Its members: leads first, then members, specialists, reviewers and observers, each role in
    /// the order of joining.
    pub(crate) members: Vec<RosterMember>,
}

/// One member of a circle, with its agent, that agent's model and the model's provider.
#[derive(Debug, Object, Serialize)]
pub(crate) struct RosterMember {
    /// The membership.
    pub(crate) member_id: i64,
    /// The agent.
    pub(crate) agent_id: i64,
    /// What it is in this circle.
    pub(crate) role: MemberRole,
    /// False for a membership that ended.
    pub(crate) is_active: bool,
    /// When it joined, or came back (UTC).
    pub(crate) joined_at: DateTime<Utc>,
    /// Fields it is good at, in this circle.
    pub(crate) competencies: StringList,
    /// Fields in which it may review, in this circle.
    pub(crate) can_review: StringList,
    /// What it may do in this circle, as the runtime understands it.
    pub(crate) permissions: JsonObject,
    /// The agent's name.
    pub(crate) agent_name: String,
    /// What the agent is, in its own words.
    #[oai(nullable)]
    pub(crate) agent_role: Option<String>,
    /// The prompt the agent starts from.
    #[oai(nullable)]
    pub(crate) system_prompt: Option<String>,
    /// The prompt it starts from where there is no system prompt.
    #[oai(nullable)]
    pub(crate) base_prompt: Option<String>,
    /// The agent's skills.
    pub(crate) skill_names: StringList,
    /// What the agent is doing.
    pub(crate) agent_status: AgentStatus,
    /// Sampling temperature, from 0 to 2; null leaves it to the model.
    #[oai(nullable)]
    pub(crate) temperature: Option<f64>,
    /// The most output, in tokens; null leaves it to the model.
    #[oai(nullable)]
    pub(crate) max_tokens: Option<i64>,
    /// The model the agent runs on; null where it has none, like all that follows.
    #[oai(nullable)]
    pub(crate) model_id: Option<i64>,
    /// What the provider's API calls the model.
    #[oai(nullable)]
    pub(crate) model_name: Option<String>,
    /// The model's shorter name.
    #[oai(nullable)]
    pub(crate) model_alias: Option<String>,
    /// The provider of the model.
    #[oai(nullable)]
    pub(crate) provider_id: Option<i64>,
    /// The provider's handle.
    #[oai(nullable)]
    pub(crate) provider_name: Option<String>,
    /// Wire protocol that the provider's API speaks.
    #[oai(nullable)]
    pub(crate) provider_api_type: Option<String>,
}

impl RosterMember {
    /// In rows of a query of members `m` with their agents `a`, models `o` and providers `p`.
    pub(crate) const FIELDS: [Field; 22] = [
        integer("member_id", "m.id"),
        integer("agent_id", "m.agent_id"),
        text("role", "m.role"),
        flag("is_active", "m.is_active"),
        moment("joined_at", "m.joined_at"),
        json("competencies", "m.competencies"),
        json("can_review", "m.can_review"),
        json("permissions", "m.permissions"),
        text("agent_name", "a.name"),
        text("agent_role", "a.role"),
        text("system_prompt", "a.system_prompt"),
        text("base_prompt", "a.base_prompt"),
        json("skill_names", "a.skill_names"),
        text("agent_status", "a.status"),
        number("temperature", "a.temperature"),
        integer("max_tokens", "a.max_tokens"),
        integer("model_id", "a.model_id"),
        text("model_name", "o.model_name"),
        text("model_alias", "o.model_alias"),
        integer("provider_id", "p.id"),
        text("provider_name", "p.name"),
        text("provider_api_type", "p.api_type"),
    ];
}

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
        #[oai(validator(max_length = 100000))]
        project_context: String,
    }
    defaulted {
        /// Whether work must be reviewed by a member who can review it. Defaults to true.
        require_review: bool = "yes",
        /// Whether work is routed to members by competency. Defaults to true.
        auto_route: bool = "yes",
        /// Further settings, interpreted by the runtime. A string in `instructions` becomes part of every
        /// member's prompt. An update replaces the whole object. Values that look like secrets are rejected.
        settings: JsonObject,
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
    }
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::tests::declared;

    #[test]
    fn what_is_written_from_rows_is_declared_in_the_same_order() {
        let circle = Circle::FIELDS.iter().map(|field| field.name);
        let with_members: Vec<_> = circle.chain(["members"]).collect();
        assert_eq!(with_members, declared::<Circle>());
        assert_eq!(with_members, declared::<Roster>());
        let member: Vec<_> = RosterMember::FIELDS
            .iter()
            .map(|field| field.name)
            .collect();
        assert_eq!(member, declared::<RosterMember>());
    }
}
