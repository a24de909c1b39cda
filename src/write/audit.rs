//! Audit entries: which resource was changed, how, and which of its fields were set. Values are not recorded.

use chrono::{DateTime, Utc};
use entity::{
    audit_entry,
    values::{StringList, now},
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
    ConnectionTrait, EntityTrait, IdenStatic, Iterable, Value,
};

use super::Actor;
use crate::{error::Error, rows};

/// What a change did.
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
    Prune,
}

/// The kind of resource that was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    Provider,
    Model,
    McpServer,
    Agent,
    Circle,
    Member,
    Release,
    Label,
    Conversation,
    Participant,
    Message,
    Key,
    Webhook,
    /// All providers and models together.
    Catalog,
    /// The audit trail itself.
    Audit,
}

impl Action {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Restore => "restore",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Revoke => "revoke",
            Self::Import => "import",
            Self::Prune => "prune",
        }
    }
}

impl Resource {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Model => "model",
            Self::McpServer => "mcp_server",
            Self::Agent => "agent",
            Self::Circle => "circle",
            Self::Member => "member",
            Self::Release => "release",
            Self::Label => "label",
            Self::Conversation => "conversation",
            Self::Participant => "participant",
            Self::Message => "message",
            Self::Key => "key",
            Self::Webhook => "webhook",
            Self::Catalog => "catalog",
            Self::Audit => "audit",
        }
    }
}

/// Names of fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<&'static str>);

/// Columns that an action implies, or that every change sets.
const IMPLIED: [&str; 5] = [
    "is_active",
    "priced_at",
    "updated_at",
    "revision",
    "version",
];

impl Fields {
    /// The columns that a row sets.
    pub(crate) fn set_in<A: ActiveModelTrait>(row: &A) -> Self {
        let columns = <A::Entity as EntityTrait>::Column::iter();
        let set = columns.filter(|column| matches!(row.get(*column), Set(_)));
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

/// A change of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) action: Action,
    pub(crate) resource: Resource,
    pub(crate) id: Option<i64>,
    pub(crate) name: Option<String>,
    pub(crate) fields: Fields,
    pub(crate) revision: Option<i64>,
    pub(crate) circle_id: Option<i64>,
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
            circle_id: None,
        }
    }

    pub(crate) fn id(self, id: i64) -> Self {
        Self {
            id: Some(id),
            ..self
        }
    }

    /// The resource's name for people, or its path.
    pub(crate) fn name(self, name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            ..self
        }
    }

    pub(crate) fn fields(self, fields: Fields) -> Self {
        Self { fields, ..self }
    }

    /// The resource's revision after the change.
    pub(crate) fn revision(self, revision: i64) -> Self {
        Self {
            revision: Some(revision),
            ..self
        }
    }

    /// The circle that is changed, or whose part is.
    pub(crate) fn circle(self, id: impl Into<Option<i64>>) -> Self {
        Self {
            circle_id: id.into(),
            ..self
        }
    }
}

/// Rows in one statement. An entry has eleven columns, and SQLite accepts 32,766 values.
const CHUNK: usize = 1000;

/// Inserts an entry for each change, in the order of the changes.
pub(crate) async fn insert_entries(
    db: &impl ConnectionTrait,
    actor: &Actor,
    changes: Vec<Change>,
) -> Result<(), Error> {
    let at = now();
    let rows: Vec<audit_entry::ActiveModel> = changes
        .into_iter()
        .map(|change| entry(actor, at, change))
        .collect();
    for chunk in rows.chunks(CHUNK) {
        audit_entry::Entity::insert_many(chunk.iter().cloned())
            .exec_without_returning(db)
            .await?;
    }
    Ok(())
}

/// An entry as part of the statement that makes the change: one for each row of `made`, with its `id`,
/// `revision` and `circle_id`. Its values start at `$first` and are those of [`entry_values`].
pub(crate) fn entry_sql(first: usize) -> String {
    use audit_entry::Column;
    let selected = [
        (Column::ResourceId, "made.id"),
        (Column::Revision, "made.revision"),
        (Column::CircleId, "made.circle_id"),
    ];
    let (insert, _) = rows::insert_text::<audit_entry::Entity>(&selected, first);
    format!("{insert} FROM made")
}

pub(crate) fn entry_values(actor: &Actor, change: Change) -> impl Iterator<Item = Value> {
    rows::insert_values(audit_entry::ActiveModel {
        resource_id: NotSet,
        revision: NotSet,
        circle_id: NotSet,
        ..entry(actor, now(), change)
    })
}

fn entry(actor: &Actor, at: DateTime<Utc>, change: Change) -> audit_entry::ActiveModel {
    let Change {
        action,
        resource,
        id,
        name,
        fields,
        revision,
        circle_id,
    } = change;
    audit_entry::ActiveModel {
        id: NotSet,
        at: Set(at),
        key_id: Set(actor.caller.key_id()),
        action: Set(action.as_str().to_owned()),
        resource: Set(resource.as_str().to_owned()),
        resource_id: Set(id),
        name: Set(name),
        fields: Set(fields.into()),
        revision: Set(revision),
        request_id: Set(actor.request_id.clone()),
        client_address: Set(actor.client_address.map(|address| address.to_string())),
        circle_id: Set(circle_id),
    }
}
