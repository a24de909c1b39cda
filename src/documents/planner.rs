//! The plan so far: what names stand for, what is wrong, and what is done to rows, as it is shown.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use entity::agent;
use poem_openapi::types::ParseFromJSON;
use serde_json::{Map, Value, json};

use super::{
    described::Described,
    dto::{DocumentPlan, DocumentResource, NotDescribed, PlannedAction, PlannedChange},
    plan::{OwnerChange, PlanOptions},
    shown::ReferenceNames,
    state::RegistryState,
    table::PlacedEntry,
};
use crate::{
    diff::{Differ, FieldChange},
    digest,
    error::{Error, FieldError, FieldErrors},
    write::Resource,
    yaml::Node,
};

/// Ids from here on are of rows that the plan creates.
const FIRST_PROVISIONAL: i64 = i64::MAX / 2;

/// The plan so far.
pub(super) struct Planner {
    pub(super) state: RegistryState,
    options: PlanOptions,
    document_owners: HashSet<String>,
    errors: FieldErrors,
    /// The ids that names stand for; several if the rows can't be told apart.
    ids: HashMap<(&'static str, String), Vec<i64>>,
    /// Where documents refer to what has these ids.
    used: HashMap<(&'static str, i64), String>,
    next_id: i64,
    owners: Vec<OwnerChange>,
    /// What is done, and all that the digest covers of it.
    changes: Vec<(PlannedChange, Value)>,
    deletions: Vec<(PlannedChange, Value)>,
    deleted: Vec<(&'static str, i64)>,
    unchanged: i64,
    not_described: Vec<NotDescribed>,
    differ: Differ,
}

impl Planner {
    pub(super) fn new(
        state: RegistryState,
        options: PlanOptions,
        document_owners: HashSet<String>,
    ) -> Self {
        /// Texts are compared line by line for so long, all of them together.
        const TEXTS_TIMEOUT: Duration = Duration::from_secs(2);
        Self {
            state,
            options,
            document_owners,
            errors: FieldErrors::default(),
            ids: HashMap::new(),
            used: HashMap::new(),
            next_id: FIRST_PROVISIONAL,
            owners: Vec::new(),
            changes: Vec::new(),
            deletions: Vec::new(),
            deleted: Vec::new(),
            unchanged: 0,
            not_described: Vec::new(),
            differ: Differ::within(TEXTS_TIMEOUT),
        }
    }

    /// Learns what existing rows are called.
    pub(super) fn know<E: Described>(&mut self, rows: &[E::Model]) {
        for row in rows {
            let name = folded(E::RESOURCE, &E::name(row, &self.state.names));
            let ids = self.ids.entry((E::RESOURCE.as_str(), name)).or_default();
            ids.push(E::id(row));
        }
    }

    pub(super) fn error(&mut self, place: &str, detail: impl Into<String>) {
        let (pointer, detail) = (place.to_owned(), detail.into());
        self.errors.push(|| FieldError { pointer, detail });
    }

    /// The id that a name stands for.
    fn id_of(&mut self, resource: Resource, name: &str, place: &str) -> Option<i64> {
        let key = (resource.as_str(), folded(resource, name));
        match self.ids.get(&key).map(Vec::as_slice) {
            Some([id]) => {
                let used = (resource.as_str(), *id);
                self.used.entry(used).or_insert_with(|| place.to_owned());
                Some(*id)
            }
            Some([_, _, ..]) => {
                let detail = format!("several have the name {name:?}; give them external ids");
                self.error(place, detail);
                None
            }
            _ => {
                let detail = format!("there is no {} named {name:?}", resource.as_str());
                self.error(place, detail);
                None
            }
        }
    }

    /// The fields of an entry, with ids in place of names. `None` if a name stands for nothing.
    pub(super) fn with_ids<E: Described>(
        &mut self,
        mut fields: Map<String, Value>,
        place: &str,
    ) -> Option<Map<String, Value>> {
        for (name, _) in E::further() {
            fields.remove(name);
        }
        let mut is_whole = true;
        for reference in E::REFERENCES {
            let Some(value) = fields.remove(reference.name) else {
                continue;
            };
            let place = format!("{place}/{}", reference.name);
            let ids = match value {
                Value::String(name) => match self.id_of(reference.target, &name, &place) {
                    Some(id) => id.into(),
                    None => Value::Null,
                },
                Value::Array(names) => {
                    let names = names.iter().enumerate();
                    let id = |(index, name): (usize, &Value)| {
                        let place = format!("{place}/{index}");
                        self.id_of(reference.target, name.as_str()?, &place)
                    };
                    let ids: Vec<Option<i64>> = names.map(id).collect();
                    is_whole &= ids.iter().all(Option::is_some);
                    json!(ids)
                }
                other => {
                    fields.insert(reference.field.to_owned(), other);
                    continue;
                }
            };
            is_whole &= !ids.is_null();
            fields.insert(reference.field.to_owned(), ids);
        }
        is_whole.then_some(fields)
    }

    /// The row that an entry asks for. `None` if it is wrong, which is then recorded.
    pub(super) fn requested<E: Described>(
        &mut self,
        fields: Map<String, Value>,
        place: &str,
    ) -> Option<E::ActiveModel> {
        let fields = self.with_ids::<E>(fields, place)?;
        match E::Create::parse_from_json(Some(fields.into())) {
            Ok(input) => Some(input.into()),
            Err(error) => {
                self.error(place, error.into_message());
                None
            }
        }
    }

    /// The plan as it is shown, the changes of owners, and the names of all rows.
    ///
    /// # Errors
    /// All that is wrong.
    pub(super) fn finish(
        mut self,
    ) -> Result<(DocumentPlan, Vec<OwnerChange>, ReferenceNames), Error> {
        self.check_deletions();
        if !self.errors.is_empty() {
            return Err(Error::Invalid(self.errors));
        }
        // What refers to others goes before them.
        self.changes.extend(self.deletions.into_iter().rev());
        let facts: Vec<&Value> = self.changes.iter().map(|(_, facts)| facts).collect();
        let digest = digest::of_text(&json!(facts).to_string())?;
        let changes = self.changes.into_iter().map(|(change, _)| change);
        let changes: Vec<PlannedChange> = changes.collect();
        let shown = DocumentPlan {
            digest,
            has_changes: !changes.is_empty(),
            changes,
            unchanged: self.unchanged,
            not_described: self.not_described,
            blocked_deletions: Vec::new(),
        };
        Ok((shown, self.owners, self.state.names))
    }

    /// Checks that no document refers to what is deleted because no document describes it.
    fn check_deletions(&mut self) {
        for (row, (deletion, _)) in std::mem::take(&mut self.deleted)
            .into_iter()
            .zip(&self.deletions)
        {
            if let Some(place) = self.used.get(&row) {
                let detail = format!(
                    "refers to {:?}, which is deleted: no document describes it",
                    deletion.name
                );
                let pointer = place.clone();
                self.errors.push(|| FieldError { pointer, detail });
            }
        }
    }

    /// Checks that the MCP servers exist that the tools of agents name.
    pub(super) fn check_tools(&mut self, agents: &[PlacedEntry<agent::Entity>]) {
        for PlacedEntry { place, entry, .. } in agents {
            let tools = entry.fields.get("tools").and_then(Value::as_array);
            for (index, tool) in tools.into_iter().flatten().enumerate() {
                if let Some(server) = tool["server"].as_str() {
                    let place = format!("{place}/tools/{index}/server");
                    self.id_of(Resource::McpServer, server, &place);
                }
            }
        }
    }

    /// Takes over the errors of a check that knows nothing of documents.
    pub(super) fn check_failed<E: Described>(
        &mut self,
        place: &str,
        error: Error,
    ) -> Result<(), Error> {
        let Error::Invalid(errors) = error else {
            return Err(error);
        };
        for FieldError { pointer, detail } in errors.listed() {
            let pointer = pointer.trim_start_matches('#');
            let renamed = E::REFERENCES.iter().find_map(|reference| {
                let rest = pointer.strip_prefix('/')?.strip_prefix(reference.field)?;
                Some(format!("/{}{rest}", reference.name))
            });
            let pointer = renamed.as_deref().unwrap_or(pointer);
            self.error(&format!("{place}{pointer}"), detail.clone());
        }
        Ok(())
    }

    /// Lets others refer to a row by its name.
    pub(super) fn name<E: Described>(&mut self, id: i64, row: &E::Model) {
        let name = E::name(row, &self.state.names);
        let key = (E::RESOURCE.as_str(), folded(E::RESOURCE, &name));
        self.ids.insert(key, vec![id]);
        self.state.names.insert(E::RESOURCE, id, name);
    }

    pub(super) fn next_id(&mut self) -> i64 {
        self.next_id += 1;
        self.next_id
    }

    /// Plans the creation of a row.
    pub(super) fn create(&mut self, row: &NamedRow, owner: Option<String>, is: &Node) {
        let facts = json!({"action": "create", "owner": owner, "after": is.to_value()});
        self.changes
            .push(row.change(PlannedAction::Create, Vec::new(), facts));
        if owner.is_some() {
            self.owners.push(row.owned_by(owner));
        }
    }

    /// Plans the change of a row, and says what of it is written. `None` if nothing is to be done, or an error is recorded.
    pub(super) fn update(
        &mut self,
        row: &NamedRow,
        owner: Option<String>,
        (was, is): (&Node, &Node),
        differs: bool,
    ) -> Option<OwnerFate> {
        let stored = self.state.owner(row.resource, row.id).map(str::to_owned);
        let is_others = stored.is_some() && stored != owner;
        if is_others && !self.options.take_over && differs {
            let stored = stored.unwrap_or_default();
            let detail = format!(
                "belongs to {stored:?}, whose documents alone may change it unless it is taken over"
            );
            self.error(&row.place, detail);
            return None;
        }
        let fate = match (&stored, &owner) {
            (stored, owner) if stored == owner => OwnerFate::Stays,
            (Some(_), _) if !self.options.take_over => OwnerFate::Stays,
            _ => OwnerFate::Changes,
        };
        if !differs && fate == OwnerFate::Stays {
            self.unchanged += 1;
            return None;
        }
        let (was, is) = (was.to_value(), is.to_value());
        let mut fields = self.differ.changes_between(&was, &is);
        let mut facts = json!({"action": "update", "before": was, "after": is});
        if fate == OwnerFate::Changes {
            let value = |owner: &Option<String>| owner.as_deref().map(Value::from);
            fields.push(FieldChange {
                path: "owner".to_owned(),
                before: value(&stored),
                after: value(&owner),
                diff: None,
            });
            facts["owner"] = json!([stored, owner]);
            self.owners.push(row.owned_by(owner));
        }
        self.changes
            .push(row.change(PlannedAction::Update, fields, facts));
        Some(fate)
    }

    /// Plans what becomes of a row that no document describes. Says whether it is deleted.
    pub(super) fn not_described(&mut self, row: NamedRow, was: &Node) -> bool {
        let owner = self.state.owner(row.resource, row.id);
        if !owner.is_some_and(|owner| self.document_owners.contains(owner)) {
            return false;
        }
        if self.options.prune {
            let facts = json!({"action": "delete", "before": was.to_value()});
            self.owners.push(row.owned_by(None));
            self.deleted.push((row.resource.as_str(), row.id));
            let deletion = row.change(PlannedAction::Delete, Vec::new(), facts);
            self.deletions.push(deletion);
        } else {
            self.not_described.push(NotDescribed {
                resource: DocumentResource::of(row.resource),
                name: row.name,
            });
        }
        self.options.prune
    }
}

/// Whether a row gets another owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnerFate {
    Stays,
    Changes,
}

/// A row, and where documents describe it.
#[derive(Clone, Debug)]
pub(super) struct NamedRow {
    pub(super) resource: Resource,
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) place: String,
}

impl NamedRow {
    fn owned_by(&self, owner: Option<String>) -> OwnerChange {
        OwnerChange {
            resource: self.resource,
            id: self.id,
            owner,
        }
    }

    /// A change, and what the digest covers of it.
    fn change(
        &self,
        action: PlannedAction,
        fields: Vec<FieldChange>,
        mut facts: Value,
    ) -> (PlannedChange, Value) {
        facts["resource"] = self.resource.as_str().into();
        facts["name"] = self.name.as_str().into();
        let change = PlannedChange {
            resource: DocumentResource::of(self.resource),
            name: self.name.clone(),
            action,
            fields,
        };
        (change, facts)
    }
}

/// A name in the form in which it is unique: those of providers are so regardless of case.
pub(super) fn folded(resource: Resource, name: &str) -> String {
    match resource {
        Resource::Provider => name.to_ascii_lowercase(),
        Resource::Model => {
            let (provider, model) = name.split_once('/').unwrap_or_default();
            format!("{}/{model}", provider.to_ascii_lowercase())
        }
        _ => name.to_owned(),
    }
}
