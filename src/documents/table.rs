//! The entries of one kind, compared with the rows of their table.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use entity::{agent, circle, mcp_server, model, provider, values::now};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ColumnType, DbErr, IdenStatic,
    IntoActiveModel, Iterable, TryIntoModel, Value as ColumnValue,
};

use super::{
    described::Described,
    dto::DocumentSet,
    entry::{DocumentEntry, fields_of},
    planner::{NamedRow, OwnerFate, Planner, folded},
    shown::Form,
};
use crate::{
    error::Error,
    write::merge,
    yaml::{Node, NodeMap},
};

/// The entries of all documents.
#[derive(Default)]
pub(super) struct Tables {
    pub(super) providers: Vec<PlacedEntry<provider::Entity>>,
    pub(super) models: Vec<PlacedEntry<model::Entity>>,
    pub(super) mcp_servers: Vec<PlacedEntry<mcp_server::Entity>>,
    pub(super) agents: Vec<PlacedEntry<agent::Entity>>,
    pub(super) circles: Vec<PlacedEntry<circle::Entity>>,
}

/// An entry, the place that it has in the documents, and the owner of its document.
pub(super) struct PlacedEntry<E> {
    pub(super) place: String,
    pub(super) owner: Option<String>,
    pub(super) entry: DocumentEntry<E>,
}

impl Tables {
    pub(super) fn of(set: DocumentSet) -> Self {
        let mut tables = Self::default();
        for (index, document) in set.documents.into_iter().enumerate() {
            let at = |list: &str| {
                (
                    format!("#/documents/{index}/{list}"),
                    document.owner.clone(),
                )
            };
            place(&mut tables.providers, document.providers, at("providers"));
            place(&mut tables.models, document.models, at("models"));
            place(
                &mut tables.mcp_servers,
                document.mcp_servers,
                at("mcp_servers"),
            );
            place(&mut tables.agents, document.agents, at("agents"));
            place(&mut tables.circles, document.circles, at("circles"));
        }
        tables
    }
}

fn place<E>(
    placed: &mut Vec<PlacedEntry<E>>,
    entries: Vec<DocumentEntry<E>>,
    (list, owner): (String, Option<String>),
) {
    let entries = entries.into_iter().enumerate();
    placed.extend(entries.map(|(index, entry)| PlacedEntry {
        place: format!("{list}/{index}"),
        owner: owner.clone(),
        entry,
    }));
}

/// What is done to the rows of one table.
#[derive(Debug)]
pub(super) struct TablePlan<E: Described> {
    /// With their provisional ids.
    pub(super) created: Vec<(i64, E::ActiveModel)>,
    /// With the rows before.
    pub(super) changed: Vec<(E::Model, E::ActiveModel)>,
    pub(super) deleted: Vec<E::Model>,
    /// Rows that get another owner and do not change.
    pub(super) adopted: Vec<E::Model>,
}

impl<E: Described> TablePlan<E> {
    pub(super) fn is_empty(&self) -> bool {
        self.writes() + self.deleted.len() + self.adopted.len() == 0
    }

    /// How many rows are written.
    pub(super) fn writes(&self) -> usize {
        self.created.len() + self.changed.len()
    }
}

/// An entry of which the row is known that it asks for.
pub(super) struct RequestedRow<'e, E: Described> {
    pub(super) place: &'e str,
    pub(super) entry: &'e DocumentEntry<E>,
    pub(super) id: i64,
    /// The row after the change.
    pub(super) after: &'e E::Model,
}

/// What an entry says beyond its row: what there is, and what there should be.
#[derive(Debug, Default)]
pub(super) struct FurtherFields {
    pub(super) was: NodeMap,
    pub(super) is: NodeMap,
    pub(super) differ: bool,
}

/// Entries that say nothing beyond their rows.
#[expect(clippy::unnecessary_wraps, reason = "as those that do")]
pub(super) fn nothing_more<E: Described>(
    _: &mut Planner,
    _: RequestedRow<'_, E>,
) -> Result<FurtherFields, Error> {
    Ok(FurtherFields::default())
}

/// The row that an entry asks for, with the columns that the database sets as they are at first.
struct Request<E: Described> {
    placed: PlacedEntry<E>,
    row: E::ActiveModel,
    model: E::Model,
}

/// Compares entries with the rows that they describe.
pub(super) fn compare<E: Described>(
    planner: &mut Planner,
    entries: Vec<PlacedEntry<E>>,
    rows: Vec<E::Model>,
    mut further: impl FnMut(&mut Planner, RequestedRow<'_, E>) -> Result<FurtherFields, Error>,
) -> Result<TablePlan<E>, Error> {
    let requests = requests(planner, entries)?;
    let keys: HashSet<String> = requests.iter().map(|it| E::key(&it.model)).collect();
    let mut comparison = TableComparison::<E> {
        form: Form::of::<E>()?,
        columns: document_columns::<E>(),
        rows: HashMap::new(),
        plan: TablePlan {
            created: Vec::new(),
            changed: Vec::new(),
            deleted: Vec::new(),
            adopted: Vec::new(),
        },
    };
    for row in rows {
        comparison.rows.entry(E::key(&row)).or_default().push(row);
    }
    for request in requests {
        let former = E::former_key(&request.model).filter(|former| !keys.contains(former));
        match comparison.find(&request.model, former.as_ref()) {
            Ok(before) => comparison.add(planner, request, before, &mut further)?,
            Err(detail) => planner.error(&request.placed.place, detail),
        }
    }
    comparison.rest(planner)
}

/// Reads the entries, of which no two may have the same name.
fn requests<E: Described>(
    planner: &mut Planner,
    entries: Vec<PlacedEntry<E>>,
) -> Result<Vec<Request<E>>, Error> {
    let mut places: HashMap<String, String> = HashMap::new();
    let mut requests = Vec::with_capacity(entries.len());
    for placed in entries {
        let fields = placed.entry.fields.clone();
        let Some(row) = planner.requested::<E>(fields, &placed.place) else {
            continue;
        };
        let model = complete::<E>(row.clone(), planner.next_id())?;
        let name = folded(E::RESOURCE, &E::name(&model, &planner.state.names));
        if let Some(other) = places.insert(name, placed.place.clone()) {
            planner.error(&placed.place, format!("has the name of {other}"));
            continue;
        }
        requests.push(Request { placed, row, model });
    }
    Ok(requests)
}

/// The comparison so far.
struct TableComparison<E: Described> {
    form: Form,
    columns: Vec<E::Column>,
    /// The rows that no entry has asked for yet, by their keys.
    rows: HashMap<String, Vec<E::Model>>,
    plan: TablePlan<E>,
}

impl<E: Described> TableComparison<E> {
    /// The row that exists.
    fn find(
        &mut self,
        model: &E::Model,
        former: Option<&String>,
    ) -> Result<Option<E::Model>, String> {
        let found = self.rows.remove(&E::key(model));
        let found = found.or_else(|| self.rows.remove(former?));
        let mut found = found.unwrap_or_default();
        if found.len() > 1 {
            let ids: Vec<String> = found.iter().map(|row| E::id(row).to_string()).collect();
            let ids = ids.join(" and ");
            return Err(format!(
                "several have this name ({ids}); give them external ids"
            ));
        }
        Ok(found.pop())
    }

    fn add(
        &mut self,
        planner: &mut Planner,
        Request { placed, row, model }: Request<E>,
        before: Option<E::Model>,
        further: &mut impl FnMut(&mut Planner, RequestedRow<'_, E>) -> Result<FurtherFields, Error>,
    ) -> Result<(), Error> {
        let PlacedEntry {
            place,
            owner,
            entry,
        } = placed;
        let (id, row, after) = match &before {
            None => (E::id(&model), row, model),
            Some(before) => {
                let requested = self.only_described(row);
                let row = merge(before.clone().into_active_model(), &requested);
                let after = row.clone().try_into_model()?;
                (E::id(before), row, after)
            }
        };
        if let Err(error) = E::check(&after) {
            return planner.check_failed::<E>(&place, error);
        }
        planner.name::<E>(id, &after);
        let requested = RequestedRow {
            place: &place,
            entry: &entry,
            id,
            after: &after,
        };
        let FurtherFields { was, is, differ } = further(planner, requested)?;
        let named = NamedRow {
            resource: E::RESOURCE,
            id,
            name: E::name(&after, &planner.state.names),
            place,
        };
        let is = self.show(planner, after, is)?;
        let Some(before) = before else {
            planner.create(&named, owner, &is);
            self.plan.created.push((id, row));
            return Ok(());
        };
        let was = self.show(planner, before.clone(), was)?;
        let is_changed = row.is_changed();
        match planner.update(&named, owner, (&was, &is), is_changed || differ) {
            Some(_) if is_changed => self.plan.changed.push((before, row)),
            Some(OwnerFate::Changes) => self.plan.adopted.push(before),
            _ => {}
        }
        Ok(())
    }

    fn show(&self, planner: &Planner, row: E::Model, further: NodeMap) -> Result<Node, Error> {
        let mut shown = self.form.show::<E>(row, &planner.state.names)?;
        shown.extend(further);
        Ok(shown.into())
    }

    /// The columns that documents describe, of a new row.
    fn only_described(&self, mut row: E::ActiveModel) -> E::ActiveModel {
        for column in E::Column::iter() {
            if !self.columns.iter().any(|it| it.as_str() == column.as_str()) {
                row.not_set(column);
            }
        }
        row
    }

    /// Plans what becomes of the rows that no entry asked for.
    fn rest(mut self, planner: &mut Planner) -> Result<TablePlan<E>, Error> {
        let rows = std::mem::take(&mut self.rows).into_values().flatten();
        let named = rows.map(|row| (E::name(&row, &planner.state.names), row));
        let mut named: Vec<(String, E::Model)> = named.collect();
        named.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for (name, row) in named {
            let named = NamedRow {
                resource: E::RESOURCE,
                id: E::id(&row),
                name,
                place: String::new(),
            };
            let was = self.show(planner, row.clone(), NodeMap::new())?;
            if planner.not_described(named, &was) {
                self.plan.deleted.push(row);
            }
        }
        Ok(self.plan)
    }
}

/// The columns that documents describe.
fn document_columns<E: Described>() -> Vec<E::Column> {
    let fields = fields_of::<E>();
    let is_described = |column: &E::Column| fields.iter().any(|it| it.field == column.as_str());
    E::Column::iter().filter(is_described).collect()
}

/// A new row as it will be stored, apart from the columns that the database or the time decide.
pub(super) fn complete<E: Described>(mut row: E::ActiveModel, id: i64) -> Result<E::Model, DbErr> {
    for column in E::Column::iter() {
        if row.get(column) != NotSet {
            continue;
        }
        let definition = column.def();
        let value: ColumnValue = match definition.get_column_type() {
            ColumnType::TimestampWithTimeZone if definition.is_null() => {
                None::<DateTime<Utc>>.into()
            }
            ColumnType::TimestampWithTimeZone => now().into(),
            ColumnType::BigInteger if column.as_str() == "id" => id.into(),
            ColumnType::BigInteger => 0_i64.into(),
            _ => None::<String>.into(),
        };
        row.set(column, value);
    }
    row.try_into_model()
}
