//! What a circle looks like on the wire.

use chrono::{DateTime, Utc};
use entity::{
    circle,
    values::{AgentStatus, CircleStatus, JsonObject, MemberRole, StringList, now},
};
use poem_openapi::{Enum, Object, types::MaybeUndefined};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
};
use serde::Serialize;

use crate::{
    http::Patch,
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

/// A circle to create.
#[derive(Clone, Debug, Object)]
pub(crate) struct CircleCreate {
    /// Stable handle, unique among live circles: letters, digits, `.`, `_` and `-`, beginning with
    /// a letter or digit.
    #[oai(validator(max_length = 64, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    name: String,
    /// Name for people.
    #[oai(nullable, validator(min_length = 1, max_length = 200))]
    display_name: Option<String>,
    /// What the circle is for.
    #[oai(nullable, validator(max_length = 10000))]
    description: Option<String>,
    /// Whether work must be reviewed by a member who may; true where it is not given.
    #[oai(default = "yes")]
    require_review: bool,
    /// Whether work finds its member by competency; true where it is not given.
    #[oai(default = "yes")]
    auto_route: bool,
    /// Active members at most; null for no limit.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "100000")))]
    max_members: Option<i32>,
    /// Further settings, as the runtime understands them. A text in `instructions` becomes part of
    /// every member's prompt. No secrets.
    #[oai(default)]
    settings: JsonObject,
    /// What its members should know of the project; becomes part of every member's prompt.
    #[oai(nullable, validator(max_length = 100000))]
    project_context: Option<String>,
}

fn yes() -> bool {
    true
}

impl From<CircleCreate> for circle::ActiveModel {
    fn from(new: CircleCreate) -> Self {
        let CircleCreate {
            name,
            display_name,
            description,
            require_review,
            auto_route,
            max_members,
            settings,
            project_context,
        } = new;
        let now = now();
        Self {
            id: NotSet,
            name: Set(name),
            display_name: Set(display_name),
            description: Set(description),
            status: Set(CircleStatus::Stopped),
            require_review: Set(require_review),
            auto_route: Set(auto_route),
            max_members: Set(max_members),
            settings: Set(settings),
            project_context: Set(project_context),
            is_active: Set(true),
            started_at: Set(None),
            stopped_at: Set(None),
            created_at: Set(now),
            updated_at: Set(now),
            revision: Set(1),
            member_count: NotSet,
        }
    }
}

/// What to change of a circle.
#[derive(Clone, Debug, Object)]
pub(crate) struct CircleUpdate {
    /// Stable handle, unique among live circles. A new one moves the circle's path.
    #[oai(validator(max_length = 64, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    name: Option<String>,
    /// Name for people; null clears it.
    #[oai(nullable, validator(min_length = 1, max_length = 200))]
    display_name: MaybeUndefined<String>,
    /// What the circle is for; null clears it.
    #[oai(nullable, validator(max_length = 10000))]
    description: MaybeUndefined<String>,
    /// Whether it is at work. Leaving or reaching `stopped` sets `started_at` or `stopped_at`.
    status: Option<CircleStatus>,
    /// Whether work must be reviewed by a member who may.
    require_review: Option<bool>,
    /// Whether work finds its member by competency.
    auto_route: Option<bool>,
    /// Active members at most; null for no limit. Members who are over a new limit stay.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "100000")))]
    max_members: MaybeUndefined<i32>,
    /// Further settings; they replace the ones before as a whole.
    settings: Option<JsonObject>,
    /// What its members should know of the project; null clears it.
    #[oai(nullable, validator(max_length = 100000))]
    project_context: MaybeUndefined<String>,
}

impl From<CircleUpdate> for circle::ActiveModel {
    fn from(patch: CircleUpdate) -> Self {
        let CircleUpdate {
            name,
            display_name,
            description,
            status,
            require_review,
            auto_route,
            max_members,
            settings,
            project_context,
        } = patch;
        let mut row = <Self as ActiveModelTrait>::default();
        name.apply_to(&mut row.name);
        display_name.apply_to(&mut row.display_name);
        description.apply_to(&mut row.description);
        status.apply_to(&mut row.status);
        require_review.apply_to(&mut row.require_review);
        auto_route.apply_to(&mut row.auto_route);
        max_members.apply_to(&mut row.max_members);
        settings.apply_to(&mut row.settings);
        project_context.apply_to(&mut row.project_context);
        row
    }
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
