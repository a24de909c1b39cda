//! Writing the models of a price list into the catalogue.

use std::collections::{HashMap, HashSet};

use entity::{model, values::StringList};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, IdenStatic,
    IntoActiveModel, Iterable, QueryFilter,
};

use super::{
    price_list::{ListedModel, Remark},
    summary::Tally,
    upsert::Changes,
};
use crate::{models::dto::ModelCreate, write::merge};

/// Adds and changes models. A model is found by its key in the list and then by its name, so a model that was
/// given another name keeps it.
pub(super) async fn write_models(
    db: &DatabaseTransaction,
    models: &[&ListedModel],
    provider_ids: &HashMap<String, i64>,
    skipped: &mut Vec<Remark>,
    dry_run: bool,
) -> Result<Tally, DbErr> {
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
    let mut changes = Changes::default();
    let mut name_taken = Vec::new();
    for ((provider_id, model), by_key) in listed.into_iter().zip(by_key) {
        let name = (provider_id, model.model_name.clone());
        match by_key.or_else(|| existing.take_by_name(&name)) {
            Some(row) => changes.update(changed(row, model)),
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
    changes.write(db, "models", dry_run).await
}

/// The models of some providers. A row that is taken keeps its name.
struct ExistingModels {
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
            .filter(model::Column::ProviderId.is_in(provider_ids))
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

    fn has_name(&self, name: &(i64, String)) -> bool {
        self.by_name.contains_key(name)
    }
}

/// The row with what the list states. It keeps its name and its pinned fields.
fn changed(row: model::Model, listed: &ListedModel) -> model::ActiveModel {
    let mut facts = listed.facts.clone();
    let StringList(pinned) = &row.pinned_fields;
    for column in model::Column::iter().filter(|it| pinned.iter().any(|name| name == it.as_str())) {
        facts.not_set(column);
    }
    keyed(merge(row.into_active_model(), &facts), listed)
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

fn keyed(mut row: model::ActiveModel, listed: &ListedModel) -> model::ActiveModel {
    row.catalog_key.set_if_not_equals(Some(listed.key.clone()));
    row
}
