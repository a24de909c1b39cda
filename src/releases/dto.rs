//! What releases and labels look like on the wire.

use entity::{
    circle_label, circle_label_move, circle_release, label_name::LabelList, values::JsonObject,
};
use poem_openapi::Object;
use serde::Serialize;

use crate::{
    diff::FieldChange,
    revision::{HasEtag, digest},
    rows::{Json, Text, Timestamp, row},
};

row! {
    /// A release: a circle as it was when it was published. It stands whatever happens to the circle, its agents and the
    /// catalogue.
    #[derive(Debug, Object, Serialize)]
    #[oai(rename = "Release")]
    pub(crate) struct ReleaseRow<'r> of circle_release without circle_id, handles, team {
        /// The releases of a circle are numbered from 1. No number is used again.
        pub(crate) number: i64,
        /// Identifies what was published, by the SHA-256 of canonical JSON (RFC 8785). A circle has one release of each digest.
        pub(crate) digest: Text<'r>,
        /// What was published, and why.
        #[oai(nullable)]
        pub(crate) message: Option<Text<'r>>,
        /// When it was published (UTC).
        pub(crate) created_at: Timestamp<'r>,
        /// The API key that published it; null without keys.
        #[oai(nullable)]
        pub(crate) key_id: Option<i64>,
    } with {
        /// The labels that point to it.
        #[oai(skip_serializing_if_is_none)]
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(crate) labels: Option<Vec<String>>,
        /// The circle with its `members`, and their `agents`, `models` (also those to fall back on), `providers` and
        /// `mcp_servers`, each as its own operation showed it then; only with `get_release`. Fields that are newer than
        /// the release are absent.
        #[oai(skip_serializing_if_is_none)]
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(crate) team: Option<Json<'r, JsonObject>>,
    }
}

/// A row that owns its values.
pub(crate) type Release = ReleaseRow<'static>;

/// A release with its labels.
#[derive(Debug)]
pub(super) struct LabelledRelease {
    pub(super) row: circle_release::Model,
    pub(super) labels: Vec<String>,
    pub(super) team: Option<JsonObject>,
}

impl From<LabelledRelease> for Release {
    fn from(release: LabelledRelease) -> Self {
        let LabelledRelease { row, labels, team } = release;
        Self {
            labels: Some(labels),
            team: team.map(Json::Owned),
            ..row.into()
        }
    }
}

/// Only its labels change.
impl HasEtag for LabelledRelease {
    fn etag(&self) -> String {
        format!("\"{}-{}\"", self.row.digest, digest(self.labels.join(",")))
    }
}

/// What to publish.
#[derive(Clone, Debug, Object)]
pub(crate) struct ReleaseCreate {
    /// What is published, and why.
    #[oai(validator(min_length = 1, max_length = 2000))]
    pub(crate) message: Option<String>,
    /// The labels to move to the release in the same transaction.
    #[oai(default)]
    pub(crate) labels: LabelList,
}

row! {
    /// A label: a name that points to a release of its circle, as `production`.
    #[derive(Debug, Object, Serialize)]
    #[oai(rename = "Label")]
    pub(crate) struct LabelRow<'r> of circle_label without id, circle_id, circle_name, revision {
        /// Unique in its circle.
        pub(crate) name: Text<'r>,
        /// The number of the release.
        pub(crate) release: i64,
        /// The digest of the release, which is the ETag of its handles.
        pub(crate) digest: Text<'r>,
        /// When it was created (UTC).
        pub(crate) created_at: Timestamp<'r>,
        /// When it was last moved (UTC).
        pub(crate) updated_at: Timestamp<'r>,
    }
}

/// A row that owns its values.
pub(crate) type Label = LabelRow<'static>;

/// Where a label points to.
#[derive(Clone, Copy, Debug, Object)]
pub(crate) struct LabelSet {
    /// The number of the release.
    #[oai(validator(minimum(value = "1")))]
    pub(crate) release: i64,
}

row! {
    /// A move of a label.
    #[derive(Debug, Object, Serialize)]
    #[oai(rename = "LabelMove")]
    pub(crate) struct LabelMoveRow<'r> of circle_label_move without circle_id, label, revision {
        /// When it was moved (UTC).
        pub(crate) at: Timestamp<'r>,
        /// The release that it pointed to before; null if there was no such label.
        #[oai(nullable)]
        pub(crate) from_release: Option<i64>,
        /// The release that it pointed to from then on; null if the label was deleted.
        #[oai(nullable)]
        pub(crate) to_release: Option<i64>,
        /// The API key that moved it; null without keys.
        #[oai(nullable)]
        pub(crate) key_id: Option<i64>,
        /// The `X-Request-Id` of the request.
        #[oai(nullable)]
        pub(crate) request_id: Option<Text<'r>>,
    }
}

pub(crate) type LabelMove = LabelMoveRow<'static>;

/// What a release changes, or what a change would be to it.
#[derive(Debug, Object, Serialize)]
pub(crate) struct ReleaseDiff {
    /// The number of the release.
    pub(crate) number: i64,
    /// What it is compared with: a number, a label or `live`; null for nothing, before the first release.
    #[oai(nullable)]
    pub(crate) against: Option<String>,
    /// The agents that joined.
    pub(crate) joined: Vec<TeamMember>,
    /// The agents that left.
    pub(crate) left: Vec<TeamMember>,
    /// The agents that stayed, and differ themselves or as members.
    pub(crate) changed: Vec<TeamMember>,
    /// Everything that differs in the `team`, field by field. What says when something was made or what it does at the
    /// moment, as an agent's `status`, does not count.
    pub(crate) changes: Vec<FieldChange>,
}

/// A member of a release.
#[derive(Clone, Debug, PartialEq, Eq, Object, Serialize)]
pub(crate) struct TeamMember {
    /// The agent's id.
    pub(crate) agent_id: i64,
    /// The agent's name.
    pub(crate) name: String,
}
