//! Writing the providers of a price list, and those that come with the program, into the catalogue.

use std::collections::{HashMap, HashSet};

use entity::{model, provider, values::JsonObject};
use poem_openapi::types::MaybeUndefined;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel,
    QueryFilter, QuerySelect,
};

use super::{
    builtin::{self, KnownProvider},
    price_list::{ListedModel, PriceList, Remark},
    summary::{Summary, Tally},
    upsert::Changes,
};
use crate::{
    providers::{
        base_url,
        dto::{ProviderCreate, ProviderUpdate},
    },
    write::merge,
};

/// What became of the providers of a list.
pub(super) struct WrittenProviders {
    pub(super) tally: Tally,
    /// The ids by lower-case name in the list.
    pub(super) ids: HashMap<String, i64>,
    pub(super) notes: Vec<Remark>,
}

/// Adds the providers of these models that are missing.
pub(super) async fn write_providers(
    db: &DatabaseTransaction,
    list: &PriceList,
    models: &[&ListedModel],
    dry_run: bool,
) -> Result<WrittenProviders, DbErr> {
    let mut existing = providers_by_name(db).await?;
    let renamed = find_renamed(db, list, models, &existing).await?;
    let mut notes = Vec::new();
    let mut changes = Changes::<provider::ActiveModel>::default();
    let mut seen = HashSet::new();
    for ListedModel { provider, .. } in models {
        let name = provider.to_lowercase();
        if !seen.insert(name.clone()) {
            continue;
        }
        if let Some(row) = renamed.get(&name) {
            notes.push(renamed_note(provider, row));
            changes.keep();
        } else if existing.contains_key(&name) {
            changes.keep();
        } else {
            let new = list.providers.get(&name).cloned();
            changes.add(listed(new.unwrap_or_else(|| new_provider(provider))));
        }
    }
    let tally = changes.write(db, "providers", dry_run).await?;
    if tally.writes() > 0 && !dry_run {
        existing = providers_by_name(db).await?;
    }
    existing.extend(renamed);
    let ids = existing.into_iter().map(|(name, row)| (name, row.id));
    let mut ids: HashMap<String, i64> = ids.collect();
    // A dry run has no row of a new provider, and thus none of its models.
    for (new_id, name) in (1..).zip(seen) {
        ids.entry(name).or_insert(-new_id);
    }
    Ok(WrittenProviders { tally, ids, notes })
}

/// The providers that the catalogue has under a name of its own, by their names in the list: they have models
/// with keys of the list, and the list has no provider of their name.
async fn find_renamed(
    db: &DatabaseTransaction,
    list: &PriceList,
    models: &[&ListedModel],
    existing: &HashMap<String, provider::Model>,
) -> Result<HashMap<String, provider::Model>, DbErr> {
    let is_missing = |model: &&&ListedModel| !existing.contains_key(&model.provider.to_lowercase());
    let mut found = by_list_name(existing);
    let is_missing = |model: &&&ListedModel| {
        is_missing(model) && !found.contains_key(&model.provider.to_lowercase())
    };
    let listed = list.provider_names();
    let unlisted = existing.iter().filter(|(name, _)| !listed.contains(*name));
    let unlisted: HashMap<i64, &provider::Model> = unlisted.map(|(_, row)| (row.id, row)).collect();
    if unlisted.is_empty() || !models.iter().any(|model| is_missing(&model)) {
        return Ok(found);
    }
    let keys: Vec<(String, i64)> = model::Entity::find()
        .filter(model::Column::CatalogKey.is_not_null())
        .select_only()
        .columns([model::Column::CatalogKey, model::Column::ProviderId])
        .into_tuple()
        .all(db)
        .await?;
    let keys = keys.into_iter().filter(|(_, id)| unlisted.contains_key(id));
    let provider_of: HashMap<String, i64> = keys.collect();
    let missing = models.iter().filter(is_missing);
    let by_key = missing.filter_map(|model| {
        let row = unlisted[provider_of.get(&model.key)?];
        Some((model.provider.to_lowercase(), row.clone()))
    });
    let by_key: Vec<_> = by_key.collect();
    found.extend(by_key);
    Ok(found)
}

/// The providers that have another name than in the list that they were imported from, by their names there.
fn by_list_name(existing: &HashMap<String, provider::Model>) -> HashMap<String, provider::Model> {
    let named = existing
        .values()
        .filter_map(|row| Some((row.catalog_name.clone()?, row.clone())));
    named
        .filter(|(name, _)| !existing.contains_key(name))
        .collect()
}

fn renamed_note(listed: &str, row: &provider::Model) -> Remark {
    Remark {
        key: listed.to_owned(),
        provider: Some(listed.to_owned()),
        text: format!("the provider is named {} in the catalogue", row.name),
    }
}

/// A new provider's row.
fn listed(new: ProviderCreate) -> provider::ActiveModel {
    provider::ActiveModel {
        catalog_name: Set(Some(new.name.to_lowercase())),
        ..new.into()
    }
}

async fn providers_by_name(
    db: &DatabaseTransaction,
) -> Result<HashMap<String, provider::Model>, DbErr> {
    let rows = provider::Entity::find().all(db).await?;
    let by_name = rows.into_iter().map(|row| (row.name.to_lowercase(), row));
    Ok(by_name.collect())
}

/// Price lists do not state which protocol a provider speaks.
const UNKNOWN: &str = "unknown";

/// A provider with this name, with what is known about it.
pub(super) fn new_provider(name: &str) -> ProviderCreate {
    let known = builtin::known_provider(name);
    let owned = |fact: Option<&str>| fact.map(ToOwned::to_owned);
    ProviderCreate {
        name: name.to_owned(),
        api_type: known.map_or(UNKNOWN, |known| known.api_type).to_owned(),
        display_name: owned(known.map(|known| known.display_name)),
        base_url: owned(known.and_then(|known| known.base_url)),
        api_key_env: owned(known.and_then(|known| known.api_key_env)),
        is_local: known.is_some_and(|known| known.is_local),
        config: JsonObject::default(),
    }
}

/// Sets the fields that are not set yet.
fn fill_in(before: &provider::Model, known: &KnownProvider) -> ProviderUpdate {
    let fill = |field: &Option<String>, fact: Option<&str>| match (field, fact) {
        (None, Some(fact)) => MaybeUndefined::Value(fact.to_owned()),
        _ => MaybeUndefined::Undefined,
    };
    ProviderUpdate {
        api_type: (before.api_type == UNKNOWN).then(|| known.api_type.to_owned()),
        display_name: fill(&before.display_name, Some(known.display_name)),
        base_url: fill(&before.base_url, known.base_url),
        api_key_env: fill(&before.api_key_env, known.api_key_env),
        ..ProviderUpdate::default()
    }
}

/// Adds the providers that come with the program, and fills in what is not known of those that exist.
pub(super) async fn add_builtin(db: &DatabaseTransaction, dry_run: bool) -> Result<Summary, DbErr> {
    let existing = providers_by_name(db).await?;
    let renamed = by_list_name(&existing);
    let mut changes = Changes::default();
    let (mut notes, mut skipped) = (Vec::new(), Vec::new());
    for known in builtin::PROVIDERS {
        let Some(before) = existing.get(known.name).or_else(|| renamed.get(known.name)) else {
            changes.add(listed(new_provider(known.name)));
            continue;
        };
        if renamed.contains_key(known.name) {
            notes.push(renamed_note(known.name, before));
        }
        let update = fill_in(before, known);
        let base_url = update.base_url.value().or(before.base_url.as_ref());
        match base_url::check(base_url.map(String::as_str), before.is_local) {
            Ok(()) => {
                let mut row = merge(before.clone().into_active_model(), &update.into());
                row.catalog_name
                    .set_if_not_equals(Some(known.name.to_owned()));
                changes.update(row);
            }
            Err(wrong) => skipped.push(Remark {
                key: before.name.clone(),
                provider: Some(before.name.clone()),
                text: format!("its base_url {wrong}"),
            }),
        }
    }
    Ok(Summary {
        providers: changes.write(db, "providers", dry_run).await?,
        notes,
        skipped,
        ..Summary::default()
    })
}
