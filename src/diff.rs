//! What differs between two JSON documents, field by field.

mod print;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use indexmap::IndexMap;
use poem_openapi::Object;
use sea_orm::DbErr;
use serde::Serialize;
use serde_json::{Map, Value};
use similar::TextDiff;
use tokio::task::spawn_blocking;

pub(crate) use print::print;

/// A field in which two documents differ.
#[derive(Clone, Debug, PartialEq, Object, Serialize)]
pub(crate) struct FieldChange {
    /// The field, as `params.top_p`, or `tools[web_search].config` for the object of that name in a list.
    pub(crate) path: String,
    /// Its value before; absent if there was none, or if `diff` says what changed. For a list whose items
    /// were only put into another order, their names.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<Value>,
    /// Its value after; absent if there is none, or if `diff` says what changed.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<Value>,
    /// What changed between two texts of several lines, as a unified diff.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) diff: Option<String>,
}

/// How long all texts of a document are compared line by line. What is left then is shown as replaced.
const TEXT_TIMEOUT: Duration = Duration::from_millis(200);

/// The fields in which two documents differ, in the order of the first one. None, exactly if they are equal.
fn changes(before: &Value, after: &Value) -> Vec<FieldChange> {
    Differ::new().changes_between(before, after)
}

/// [`changes`], on a thread on which it makes no other request wait.
pub(crate) async fn compare(before: Value, after: Value) -> Result<Vec<FieldChange>, DbErr> {
    spawn_blocking(move || changes(&before, &after))
        .await
        .map_err(|error| DbErr::Custom(error.to_string()))
}

/// Compares a document in parts.
pub(crate) struct Differ {
    /// What differs in the parts so far.
    pub(crate) changes: Vec<FieldChange>,
    deadline: Instant,
}

impl Differ {
    pub(crate) fn new() -> Self {
        Self::within(TEXT_TIMEOUT)
    }

    /// Compares texts line by line for so long.
    pub(crate) fn within(timeout: Duration) -> Self {
        Self {
            changes: Vec::new(),
            deadline: Instant::now() + timeout,
        }
    }

    /// The fields in which two documents differ.
    pub(crate) fn changes_between(&mut self, before: &Value, after: &Value) -> Vec<FieldChange> {
        self.compare("", Some(before), Some(after));
        std::mem::take(&mut self.changes)
    }

    /// Compares what stands at a path.
    pub(crate) fn compare(&mut self, path: &str, before: Option<&Value>, after: Option<&Value>) {
        use Value::{Array, Object, String};
        match (before, after) {
            _ if before == after => {}
            (Some(Object(before)), Some(Object(after))) => self.members(path, before, after),
            (Some(Array(before)), Some(Array(after))) => self.lists(path, before, after),
            (Some(String(before)), Some(String(after)))
                if before.contains('\n') || after.contains('\n') =>
            {
                self.texts(path, before, after);
            }
            _ => self.add(path, before.cloned(), after.cloned()),
        }
    }

    fn add(&mut self, path: &str, before: Option<Value>, after: Option<Value>) {
        self.changes.push(FieldChange {
            path: path.to_owned(),
            before,
            after,
            diff: None,
        });
    }

    fn members(&mut self, path: &str, before: &Map<String, Value>, after: &Map<String, Value>) {
        let added = after.keys().filter(|name| !before.contains_key(*name));
        for name in before.keys().chain(added) {
            let path = match path {
                "" => name.clone(),
                path => format!("{path}.{name}"),
            };
            self.compare(&path, before.get(name), after.get(name));
        }
    }

    /// Compares lists of objects by what they are called, and other lists as a whole.
    fn lists(&mut self, path: &str, before: &[Value], after: &[Value]) {
        let (Some(named_before), Some(named_after)) = (named(before), named(after)) else {
            return self.add(path, Some(before.into()), Some(after.into()));
        };
        let was = order(&named_before, &named_after);
        let is = order(&named_after, &named_before);
        if was != is {
            self.add(path, Some(was), Some(is));
        }
        let added = named_after
            .keys()
            .filter(|name| !named_before.contains_key(*name));
        for name in named_before.keys().chain(added) {
            let path = format!("{path}[{name}]");
            let (before, after) = (named_before.get(name), named_after.get(name));
            self.compare(&path, before.copied(), after.copied());
        }
    }

    fn texts(&mut self, path: &str, before: &str, after: &str) {
        let diff = TextDiff::configure()
            .deadline(self.deadline)
            .diff_lines(before, after);
        self.changes.push(FieldChange {
            path: path.to_owned(),
            before: None,
            after: None,
            diff: Some(diff.unified_diff().to_string()),
        });
    }
}

/// What an object in a list is called by: the first of these that it has.
const NAMES: [&str; 5] = ["id", "agent_id", "agent", "name", "server"];

type NamedItems<'v> = IndexMap<String, &'v Value>;

/// The items of a list by what they are called; `None` if one has no name, or the name of another.
fn named(items: &[Value]) -> Option<NamedItems<'_>> {
    let mut named = NamedItems::with_capacity(items.len());
    for item in items {
        let name = match NAMES.iter().find_map(|name| item.get(name))? {
            Value::String(name) => name.clone(),
            Value::Number(id) => id.to_string(),
            _ => return None,
        };
        if named.insert(name, item).is_some() {
            return None;
        }
    }
    Some(named)
}

/// The names of the items that are in the other list, too.
fn order(items: &NamedItems<'_>, other: &NamedItems<'_>) -> Value {
    let names = items.keys().filter(|name| other.contains_key(*name));
    names.cloned().collect()
}
