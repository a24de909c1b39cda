//! Reads and writes of providers.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use entity::{agent, model, provider};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect,
    QueryTrait, Select, sea_query::Expr,
};

use super::base_url;
use crate::{
    error::{Error, OnConstraint},
    page::Page,
    revision::{Precondition, VersionedTable},
    search,
    sort::{self, Sortable, SortedRequest},
    write::{Action, Change, Fields, Resource, UnitOfWork},
};

const IN_USE: &str = "provider_in_use";
const MODEL_IN_USE: &str = "model_in_use";

const SORTABLE: Sortable<provider::Column> = Sortable {
    id: provider::Column::Id,
    name: provider::Column::Name,
    created_at: provider::Column::CreatedAt,
    updated_at: provider::Column::UpdatedAt,
};

const VERSIONED: VersionedTable<provider::Column> = VersionedTable {
    id: provider::Column::Id,
    updated_at: provider::Column::UpdatedAt,
    revision: provider::Column::Revision,
};

fn change(action: Action, row: &provider::Model) -> Change {
    Change::new(action, Resource::Provider)
        .id(row.id)
        .name(&row.name)
}

/// Which providers a list shows.
#[derive(Debug, Default)]
pub(crate) struct ProviderFilter {
    pub(crate) q: Option<String>,
    pub(crate) is_local: Option<bool>,
    pub(crate) updated_since: Option<DateTime<Utc>>,
}

pub(crate) async fn list(
    db: &impl ConnectionTrait,
    filter: ProviderFilter,
    page: SortedRequest,
) -> Result<Page<provider::Model>, Error> {
    let ProviderFilter {
        q,
        is_local,
        updated_since,
    } = filter;
    let backend = db.get_database_backend();
    let names = [provider::Column::Name, provider::Column::DisplayName];
    let query = provider::Entity::find()
        .apply_if(q, |query, q| {
            query.filter(search::text_in(backend, &names, &q))
        })
        .apply_if(is_local, |query, is_local| {
            query.filter(provider::Column::IsLocal.eq(is_local))
        })
        .apply_if(updated_since, |query, since| {
            query.filter(search::since(provider::Column::UpdatedAt, since))
        });
    sort::fetch(db, query, SORTABLE, page, |row: &provider::Model| row).await
}

pub(crate) async fn get(db: &impl ConnectionTrait, id: i64) -> Result<provider::Model, Error> {
    provider::Entity::find_by_id(id)
        .one(db)
        .await?
        .ok_or_else(|| unknown(id))
}

async fn get_for_update(db: &impl ConnectionTrait, id: i64) -> Result<provider::Model, Error> {
    provider::Entity::find_by_id(id)
        .lock_exclusive()
        .one(db)
        .await?
        .ok_or_else(|| unknown(id))
}

/// Those of these ids, in one statement.
pub(crate) async fn by_id(
    db: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = i64>,
) -> Result<HashMap<i64, provider::Model>, Error> {
    let among = search::among(db.get_database_backend(), provider::Column::Id, ids);
    let rows = provider::Entity::find().filter(among).all(db).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

pub(crate) async fn create(
    work: &UnitOfWork,
    row: provider::ActiveModel,
) -> Result<provider::Model, Error> {
    let row = reachable(row.insert(work.db()).await.on_unique(name_taken)?)?;
    work.record(change(Action::Create, &row).revision(row.revision));
    Ok(row)
}

/// Changes the columns that are set, in one statement, where the row is in an precondition state. What it
/// changed may turn out to make no sense together.
pub(crate) async fn update(
    work: &UnitOfWork,
    id: i64,
    precondition: &Precondition,
    changes: provider::ActiveModel,
) -> Result<provider::Model, Error> {
    let db = work.db();
    let fields = Fields::set_in(&changes);
    if fields.is_empty() {
        let row = get(db, id).await?;
        precondition.check(id, row.revision)?;
        return Ok(row);
    }
    let moves = changes.base_url.is_set() || changes.is_local.is_set();
    let rows = provider::Entity::update_many();
    let after = VERSIONED.update(db, rows, id, precondition, changes).await;
    let Some(mut row) = after.on_unique(name_taken)? else {
        return Err(precondition.explain_no_match(get(db, id).await));
    };
    if moves {
        row = reachable(row)?;
    }
    let change = change(Action::Update, &row).revision(row.revision);
    work.record(change.fields(fields));
    Ok(row)
}

/// Holds what has just been written against where a provider may be.
fn reachable(row: provider::Model) -> Result<provider::Model, Error> {
    match base_url::check(row.base_url.as_deref(), row.is_local) {
        Ok(()) => Ok(row),
        Err(detail) => Err(Error::invalid("#/base_url", detail)),
    }
}

/// Deletes a provider; with `cascade`, its models too.
pub(crate) async fn delete(
    work: &UnitOfWork,
    id: i64,
    precondition: &Precondition,
    cascade: bool,
) -> Result<(), Error> {
    let db = work.db();
    let row = get_for_update(db, id).await?;
    precondition.check(id, row.revision)?;
    if cascade {
        let models = model::Entity::find().filter(model::Column::ProviderId.eq(id));
        delete_models(work, models).await?;
    } else {
        refuse_if_used(db, id).await?;
    }
    provider::Entity::delete_by_id(id)
        .exec(db)
        .await
        .on_foreign_key(|| Error::conflict(IN_USE, "the provider has just got a model"))?;
    work.record(change(Action::Delete, &row));
    Ok(())
}

/// Deletes models, if no agent runs on any of them: the one way to delete models, one by one and with
/// their provider. Deleted agents don't count; they lose their model.
pub(crate) async fn delete_models(
    work: &UnitOfWork,
    models: Select<model::Entity>,
) -> Result<(), Error> {
    let db = work.db();
    let ids = || {
        models
            .clone()
            .select_only()
            .column(model::Column::Id)
            .into_query()
    };
    let users = agent::Entity::find()
        .filter(agent::Column::ModelId.in_subquery(ids()))
        .filter(search::is_true(agent::Column::IsActive));
    if let Some(users) = search::examples(db, users, agent::Column::Name).await? {
        return Err(Error::conflict(
            MODEL_IN_USE,
            format!("agents run on it ({users}); give them another model first"),
        ));
    }
    agent::Entity::update_many()
        .col_expr(agent::Column::ModelId, Expr::value(None::<i64>))
        .filter(agent::Column::ModelId.in_subquery(ids()))
        .filter(agent::Column::IsActive.eq(false))
        .exec(db)
        .await?;
    let mut deleted = model::Entity::delete_many()
        .filter(model::Column::Id.in_subquery(ids()))
        .exec_with_returning(db)
        .await
        .on_foreign_key(|| {
            Error::conflict(MODEL_IN_USE, "an agent has just been given this model")
        })?;
    deleted.sort_unstable_by_key(|row| row.id);
    work.record_all(deleted.iter().map(model_change));
    Ok(())
}

fn model_change(row: &model::Model) -> Change {
    Change::new(Action::Delete, Resource::Model)
        .id(row.id)
        .name(&row.model_name)
}

async fn refuse_if_used(db: &impl ConnectionTrait, id: i64) -> Result<(), Error> {
    let models = model::Entity::find().filter(model::Column::ProviderId.eq(id));
    let Some(users) = search::examples(db, models, model::Column::ModelName).await? else {
        return Ok(());
    };
    Err(Error::conflict(
        IN_USE,
        format!(
            "provider {id} still has models ({users}); delete them first, or with it by cascade=true"
        ),
    ))
}

fn unknown(id: i64) -> Error {
    Error::not_found("provider", id.to_string())
}

fn name_taken() -> Error {
    Error::conflict(
        "provider_name_taken",
        "a provider of that name exists (names are unique regardless of case)",
    )
}
