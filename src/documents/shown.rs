//! Rows as a document shows them.

use std::collections::HashMap;

use sea_orm::DbErr;

use super::{
    described::Described,
    entry::{EntryField, fields_of},
};
use crate::{
    error::Error,
    rows,
    write::Resource,
    yaml::{Node, NodeMap, NodeValue},
};

/// The names by which documents refer to rows.
#[derive(Debug, Default)]
pub(crate) struct ReferenceNames(HashMap<(&'static str, i64), String>);

impl ReferenceNames {
    pub(crate) fn insert(&mut self, resource: Resource, id: i64, name: String) {
        self.0.insert((resource.as_str(), id), name);
    }

    pub(crate) fn get(&self, resource: Resource, id: i64) -> Option<&str> {
        self.0.get(&(resource.as_str(), id)).map(String::as_str)
    }

    /// All of one kind, with their ids.
    pub(crate) fn all(&self, resource: Resource) -> impl Iterator<Item = (i64, &str)> {
        let kind = resource.as_str();
        let all = self.0.iter().filter(move |((of, _), _)| *of == kind);
        all.map(|((_, id), name)| (*id, name.as_str()))
    }

    /// Names in place of ids. A row that a row of the same state refers to has a name.
    fn of(&self, resource: Resource, ids: Node) -> Result<Node, Error> {
        let value = match ids.value {
            NodeValue::Number(id) => {
                let name = id.parse().ok().and_then(|id| self.get(resource, id));
                let unknown = || Error::not_found(resource.as_str(), id.clone());
                NodeValue::Text(name.ok_or_else(unknown)?.to_owned())
            }
            NodeValue::List(ids) => {
                let names = ids.into_iter().map(|id| self.of(resource, id));
                NodeValue::List(names.collect::<Result<_, _>>()?)
            }
            other => other,
        };
        Ok(value.into())
    }
}

/// How rows of one table are shown.
#[derive(Debug)]
pub(crate) struct Form(Vec<(EntryField, Node)>);

impl Form {
    pub(crate) fn of<E: Described>() -> Result<Self, Error> {
        let field = |field: EntryField| {
            let default =
                Node::parse(&field.default.to_string()).map_err(|error| unreadable(&error))?;
            Ok((field, default))
        };
        let fields = fields_of::<E>().into_iter().map(field);
        fields.collect::<Result<_, _>>().map(Self)
    }

    /// The fields of a row that are not as by default.
    pub(crate) fn show<E: Described>(
        &self,
        row: E::Model,
        names: &ReferenceNames,
    ) -> Result<NodeMap, Error> {
        const BYTES: usize = 1 << 12;
        let json = rows::to_json(&E::Row::from(row), BYTES)?;
        self.show_json::<E>(&String::from_utf8_lossy(&json), names)
    }

    /// The same of a row as the API shows it.
    pub(crate) fn show_json<E: Described>(
        &self,
        json: &str,
        names: &ReferenceNames,
    ) -> Result<NodeMap, Error> {
        let NodeValue::Map(mut shown) =
            Node::parse(json).map_err(|error| unreadable(&error))?.value
        else {
            return Ok(NodeMap::new());
        };
        let mut entry = NodeMap::new();
        for (field, default) in &self.0 {
            let Some(mut value) = shown.swap_remove(field.field) else {
                continue;
            };
            if value == *default || value.value == NodeValue::Null {
                continue;
            }
            let mut name = field.field;
            if let Some(reference) = field.reference {
                value = names.of(reference.target, value)?;
                name = reference.name;
            }
            if field.lists_objects {
                drop_nulls(&mut value);
            }
            entry.insert(name.to_owned(), value);
        }
        Ok(entry)
    }
}

/// In a list of objects, an absent member is one that is null.
fn drop_nulls(list: &mut Node) {
    let NodeValue::List(items) = &mut list.value else {
        return;
    };
    for item in items {
        if let NodeValue::Map(members) = &mut item.value {
            members.retain(|_, value| value.value != NodeValue::Null);
        }
    }
}

fn unreadable(error: &serde_json::Error) -> DbErr {
    DbErr::Json(error.to_string())
}
