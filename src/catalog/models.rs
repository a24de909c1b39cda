//! Writing the models of a price list into the catalogue.

use std::collections::{HashMap, HashSet};

use entity::{
    model::{self, Column},
    prices::Prices,
    values::{StringList, now},
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set, Unchanged},
    ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, IdenStatic, IntoActiveModel, Iterable,
    QueryFilter,
};

use super::{
    compare::{Difference, differences},
    price_list::{ListedModel, Remark},
    summary::Tally,
    upsert::Changes,
};
use crate::{
    models::{
        dto::ModelCreate,
        facts::{PRICES, pinnable},
    },
    write::merge,
};

/// What became of the models of a list.
#[derive(Default)]
pub(super) struct WrittenModels {
    pub(super) tally: Tally,
    /// Fields that the list has another value for, and that keep theirs.
    pub(super) pinned: Vec<Remark>,
}

/// Adds and changes models. A model is found by its key in the list and then by its name, so a model that was
/// given another name keeps it.
pub(super) async fn write_models(
    db: &DatabaseTransaction,
    models: &[&ListedModel],
    provider_ids: &HashMap<String, i64>,
    skipped: &mut Vec<Remark>,
    dry_run: bool,
) -> Result<WrittenModels, DbErr> {
    let (pairs, mut existing) = pair(db, models, provider_ids).await?;
    let mut changes = Changes::default();
    let mut name_taken = Vec::new();
    let mut pinned = Vec::new();
    for (provider_id, model, row) in pairs {
        let name = (provider_id, model.model_name.clone());
        match row {
            Some(row) => changes.update(changed(row, model, &mut pinned)?),
            None if existing.has_name(&name) => name_taken.push(Remark {
                key: model.key.clone(),
                provider: Some(model.provider.clone()),
                text: format!("another model in the catalogue is named {}", name.1),
            }),
            None => changes.add(new_model(provider_id, model)),
        }
    }
    for remark in skipped.iter_mut() {
        let provider = remark.provider.as_ref().map(|name| name.to_lowercase());
        let id = provider.and_then(|name| provider_ids.get(&name));
        if let Some(row) = id.and_then(|id| existing.take_leftover(*id, &remark.key)) {
            let id = row.id;
            let hint = format!("; the catalogue has it as model {id}, which you can delete");
            remark.text.push_str(&hint);
        }
    }
    skipped.append(&mut name_taken);
    let tally = changes.write(db, "models", dry_run).await?;
    Ok(WrittenModels { tally, pinned })
}

/// A model of a list, the id of its provider, and its row in the catalogue.
pub(super) type Pair<'l> = (i64, &'l ListedModel, Option<model::Model>);

/// The models with their rows, and the rows that are left.
pub(super) async fn pair<'l>(
    db: &DatabaseTransaction,
    models: &[&'l ListedModel],
    provider_ids: &HashMap<String, i64>,
) -> Result<(Vec<Pair<'l>>, ExistingModels), DbErr> {
    let mut listed = Vec::with_capacity(models.len());
    for model in models {
        let id = provider_ids.get(&model.provider.to_lowercase());
        let id = id.ok_or_else(|| DbErr::RecordNotFound(model.provider.clone()))?;
        listed.push((*id, *model));
    }
    let mut existing = ExistingModels::read(db, listed.iter().map(|(id, _)| *id)).await?;
    // All by their keys first: a row that has the name of one model may be another's by its key.
    let by_key: Vec<_> = listed
        .iter()
        .map(|(provider_id, model)| existing.take_by_key(*provider_id, &model.key))
        .collect();
    let pairs = listed.into_iter().zip(by_key).map(|((id, model), by_key)| {
        let by_name = || existing.take_by_name(&(id, model.model_name.clone()));
        (id, model, by_key.or_else(by_name))
    });
    Ok((pairs.collect(), existing))
}

/// The models of some providers. A row that is taken keeps its name.
pub(super) struct ExistingModels {
    rows: Vec<Option<model::Model>>,
    by_key: HashMap<(i64, String), usize>,
    by_name: HashMap<(i64, String), usize>,
}

impl ExistingModels {
    async fn read(
        db: &DatabaseTransaction,
        provider_ids: impl Iterator<Item = i64>,
    ) -> Result<Self, DbErr> {
        let provider_ids: HashSet<i64> = provider_ids.collect();
        let rows = model::Entity::find()
            .filter(Column::ProviderId.is_in(provider_ids))
            .all(db)
            .await?;
        let mut by_key = HashMap::new();
        let mut by_name = HashMap::new();
        for (index, row) in rows.iter().enumerate() {
            by_name.insert((row.provider_id, row.model_name.clone()), index);
            if let Some(key) = &row.catalog_key {
                by_key.insert((row.provider_id, key.clone()), index);
            }
        }
        let rows = rows.into_iter().map(Some).collect();
        Ok(Self {
            rows,
            by_key,
            by_name,
        })
    }

    fn take_by_key(&mut self, provider_id: i64, key: &str) -> Option<model::Model> {
        let index = self.by_key.get(&(provider_id, key.to_owned()))?;
        self.rows[*index].take()
    }

    fn take_by_name(&mut self, name: &(i64, String)) -> Option<model::Model> {
        let index = self.by_name.get(name)?;
        self.rows[*index].take()
    }

    /// A row that an earlier import made of an entry that is now skipped.
    fn take_leftover(&mut self, provider_id: i64, key: &str) -> Option<model::Model> {
        self.take_by_key(provider_id, key)
            .or_else(|| self.take_by_name(&(provider_id, key.to_owned())))
    }

    /// The keys of imported models that no model of the list was found for.
    pub(super) fn left_keys(self) -> Vec<String> {
        let rows = self.rows.into_iter().flatten();
        rows.filter_map(|row| row.catalog_key).collect()
    }

    fn has_name(&self, name: &(i64, String)) -> bool {
        self.by_name.contains_key(name)
    }
}

/// The row with what the list states. It keeps its name and its pinned fields; one that a person created keeps
/// all that the person set, which is pinned from then on.
fn changed(
    row: model::Model,
    listed: &ListedModel,
    pinned: &mut Vec<Remark>,
) -> Result<model::ActiveModel, DbErr> {
    let mut facts = stated(&row, listed);
    let mut pins = row.pinned_fields.clone();
    if row.catalog_key.is_none() && row.pinned_fields == StringList::default() {
        pins = set_by_hand(&row, &facts);
        facts.pinned_fields = Set(pins.clone());
    }
    let StringList(pins) = pins;
    if !pins.is_empty() {
        for difference in differences(&row, &facts)? {
            if pins.iter().any(|pin| difference.is_in(pin)) {
                let Difference {
                    field,
                    first,
                    second,
                } = difference;
                let text = format!("{field} is pinned and stays {first}; the list has {second}");
                pinned.push(listed.remark(text));
            }
        }
        let is_pinned = |column: &Column| pins.iter().any(|pin| pin == column.as_str());
        Column::iter()
            .filter(is_pinned)
            .for_each(|column| facts.not_set(column));
        if PRICES.iter().any(is_pinned) {
            facts.price_source = NotSet;
        }
    }
    Ok(keyed(merge(row.into_active_model(), &facts), listed))
}

/// The facts for a row that exists: further prices that the list does not state stay.
pub(super) fn stated(row: &model::Model, listed: &ListedModel) -> model::ActiveModel {
    let mut facts = listed.facts.clone();
    if let Set(Prices(prices)) = &mut facts.prices {
        for (key, price) in &row.prices.0 {
            prices.entry(key.clone()).or_insert(*price);
        }
    }
    facts
}

/// The fields that a row has other values of than a new one, and the list, too.
fn set_by_hand(row: &model::Model, facts: &model::ActiveModel) -> StringList {
    let new = model::ActiveModel::from(ModelCreate::default());
    let row = row.clone().into_active_model();
    let is_set = |column: &Column| {
        let value = row.get(*column).into_value();
        facts.get(*column).is_set()
            && value != new.get(*column).into_value()
            && value != facts.get(*column).into_value()
    };
    let columns = pinnable().filter(is_set);
    StringList(columns.map(|column| column.as_str().to_owned()).collect())
}

/// A row of nothing, to compare facts with.
pub(super) fn blank() -> model::ActiveModel {
    model::ActiveModel {
        id: Unchanged(0),
        catalog_key: Unchanged(None),
        priced_at: Unchanged(None),
        created_at: Unchanged(now()),
        updated_at: Unchanged(now()),
        revision: Unchanged(0),
        ..ModelCreate::default().into()
    }
}

/// A row with what the list states. Lists rarely state whether a model streams; models that write text do,
/// unless the list says otherwise.
fn new_model(provider_id: i64, listed: &ListedModel) -> model::ActiveModel {
    let new = ModelCreate {
        provider_id,
        model_name: listed.model_name.clone(),
        supports_streaming: matches!(
            listed.mode.as_deref(),
            Some("chat" | "completion" | "responses")
        ),
        accepts_sampling: true,
        ..ModelCreate::default()
    };
    keyed(merge(new.into(), &listed.facts), listed)
}

/// With the key in the list, and the time of the prices if they change.
fn keyed(mut row: model::ActiveModel, listed: &ListedModel) -> model::ActiveModel {
    let is_keyed = matches!(&row.catalog_key, Unchanged(Some(_)));
    if !(is_keyed && listed.yields_key) {
        row.catalog_key.set_if_not_equals(Some(listed.key.clone()));
    }
    let priced = PRICES.iter().chain(&[Column::PriceSource]);
    let states = |column: &&Column| listed.facts.get(**column).is_set();
    if priced
        .filter(states)
        .any(|column| row.get(*column).is_set())
    {
        row.priced_at = Set(Some(now()));
    }
    row
}
