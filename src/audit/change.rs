//! What there is to tell of a change: which thing it was, what was done with it, and which of its
//! fields were set; never to what.

use entity::values::StringList;
use sea_orm::{ActiveModelTrait, ActiveValue, EntityTrait, IdenStatic, Iterable};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Create,
    Update,
    Delete,
    Restore,
    Start,
    Stop,
    Revoke,
    Import,
}

/// What kind of thing it was done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    Provider,
    Model,
    Agent,
    Circle,
    Member,
    Conversation,
    Participant,
    Message,
    Key,
    /// All providers and models.
    Catalog,
}

impl Action {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Restore => "restore",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Revoke => "revoke",
            Self::Import => "import",
        }
    }
}

impl Resource {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Agent => "agent",
            Self::Circle => "circle",
            Self::Member => "member",
            Self::Conversation => "conversation",
            Self::Participant => "participant",
            Self::Message => "message",
            Self::Key => "key",
            Self::Catalog => "catalog",
        }
    }
}

/// Names of fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<&'static str>);

/// What an action means, or every change sets.
const IMPLIED: [&str; 3] = ["is_active", "updated_at", "revision"];

impl Fields {
    /// Those that a row sets.
    pub(crate) fn set_in<A: ActiveModelTrait>(row: &A) -> Self {
        let columns = <A::Entity as EntityTrait>::Column::iter();
        let set = columns.filter(|column| matches!(row.get(*column), ActiveValue::Set(_)));
        let names = set.map(|column| column.as_str());
        Self(names.filter(|name| !IMPLIED.contains(name)).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<&'static str> for Fields {
    fn from_iter<I: IntoIterator<Item = &'static str>>(names: I) -> Self {
        Self(names.into_iter().collect())
    }
}

impl From<Fields> for StringList {
    fn from(fields: Fields) -> Self {
        Self(fields.0.into_iter().map(ToOwned::to_owned).collect())
    }
}

/// One thing that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(super) action: Action,
    pub(super) resource: Resource,
    pub(super) id: Option<i64>,
    pub(super) name: Option<String>,
    pub(super) fields: Fields,
    pub(super) revision: Option<i64>,
}

impl Change {
    pub(crate) fn new(action: Action, resource: Resource) -> Self {
        Self {
            action,
            resource,
            id: None,
            name: None,
            fields: Fields::default(),
            revision: None,
        }
    }

    pub(crate) fn id(self, id: i64) -> Self {
        Self {
            id: Some(id),
            ..self
        }
    }

    /// How people and paths call it.
    pub(crate) fn name(self, name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            ..self
        }
    }

    pub(crate) fn fields(self, fields: Fields) -> Self {
        Self { fields, ..self }
    }

    /// Its revision afterwards.
    pub(crate) fn revision(self, revision: i64) -> Self {
        Self {
            revision: Some(revision),
            ..self
        }
    }
}
