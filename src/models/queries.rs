//! Reads and writes of models.

use std::{collections::HashMap, sync::LazyLock};

use chrono::{DateTime, Utc};
use entity::{agent, model};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryResult,
    QuerySelect, QueryTrait, Select, sea_query::Expr,
};

use super::dto::Model;
use crate::{
    audit::{Action, Change, Fields, Resource},
    error::{Error, OnConstraint},
    page::Page,
    revision::{Expected, Revised},
    rows::Field,
    search,
    sort::{self, Sortable, SortedRequest},
    write::Work,
};

const IN_USE: &str = "model_in_use";

const SORTABLE: Sortable<model::Column> = Sortable {
    id: model::Column::Id,
    name: model::Column::ModelName,
    created_at: model::Column::CreatedAt,
    updated_at: model::Column::UpdatedAt,
};

const REVISED: Revised<model::Column> = Revised {
    id: model::Column::Id,
    updated_at: model::Column::UpdatedAt,
    revision: model::Column::Revision,
};

fn change(action: Action, row: &model::Model) -> Change {
    Change::new(action, Resource::Model)
        .id(row.id)
        .name(&row.model_name)
}

/// Which models a list shows.
#[derive(Debug, Default)]
pub(crate) struct ModelFilter {
    pub(crate) provider_id: Option<i64>,
    pub(crate) mode: Option<String>,
    pub(crate) is_deprecated: Option<bool>,
    pub(crate) q: Option<String>,
    pub(crate) updated_since: Option<DateTime<Utc>>,
}

/// Rows of [`Model::FIELDS`], for each list to start from.
static ROWS: LazyLock<Select<model::Entity>> =
    LazyLock::new(|| Field::select(model::Entity::find(), &Model::FIELDS));

/// Rows of [`Model::FIELDS`].
pub(crate) async fn list(
    db: &impl ConnectionTrait,
    filter: ModelFilter,
    page: SortedRequest,
) -> Result<Page<QueryResult>, Error> {
    let ModelFilter {
        provider_id,
        mode,
        is_deprecated,
        q,
        updated_since,
    } = filter;
    let backend = db.get_database_backend();
    let names = [model::Column::ModelName, model::Column::ModelAlias];
    let query = ROWS
        .clone()
        .apply_if(provider_id, |query, id| {
            query.filter(model::Column::ProviderId.eq(id))
        })
        .apply_if(mode, |query, mode| {
            query.filter(model::Column::Mode.eq(mode))
        })
        .apply_if(is_deprecated, |query, is_deprecated| {
            query.filter(model::Column::IsDeprecated.eq(is_deprecated))
        })
        .apply_if(q, |query, q| {
            query.filter(search::text_in(backend, &names, &q))
        })
        .apply_if(updated_since, |query, since| {
            query.filter(search::since(model::Column::UpdatedAt, since))
        });
    sort::fetch_rows(db, query, &Model::FIELDS, SORTABLE, page).await
}

pub(crate) async fn get(db: &impl ConnectionTrait, id: i64) -> Result<model::Model, Error> {
    model::Entity::find_by_id(id)
        .one(db)
        .await?
        .ok_or_else(|| unknown(id))
}

/// Those of these ids, in one statement.
pub(crate) async fn by_id(
    db: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = i64>,
) -> Result<HashMap<i64, model::Model>, Error> {
    let among = search::among(db.get_database_backend(), model::Column::Id, ids);
    let rows = model::Entity::find().filter(among).all(db).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

pub(crate) async fn create(work: &Work, row: model::ActiveModel) -> Result<model::Model, Error> {
    let row = row
        .insert(work.db())
        .await
        .on_unique(name_taken)
        .on_foreign_key(no_provider)?;
    work.note(change(Action::Create, &row).revision(row.revision));
    Ok(row)
}

/// Changes the columns that are set, in one statement, where the row is in an expected state.
pub(crate) async fn update(
    work: &Work,
    id: i64,
    expected: &Expected,
    changes: model::ActiveModel,
) -> Result<model::Model, Error> {
    let db = work.db();
    let fields = Fields::set_in(&changes);
    if fields.is_empty() {
        let row = get(db, id).await?;
        expected.check(id, row.revision)?;
        return Ok(row);
    }
    let rows = model::Entity::update_many();
    let after = REVISED.update(db, rows, id, expected, changes).await;
    let Some(row) = after.on_unique(name_taken)? else {
        return Err(expected.why_missed(get(db, id).await));
    };
    let change = change(Action::Update, &row).revision(row.revision);
    work.note(change.fields(fields));
    Ok(row)
}

/// Deletes a model that no agent runs on.
pub(crate) async fn delete(work: &Work, id: i64, expected: &Expected) -> Result<(), Error> {
    let this = model::Entity::find_by_id(id);
    let row = this.clone().lock_exclusive().one(work.db()).await?;
    expected.check(id, row.ok_or_else(|| unknown(id))?.revision)?;
    delete_unused(work, this).await
}

/// Deletes all models of a provider, as part of deleting it.
pub(crate) async fn delete_of_provider(work: &Work, provider_id: i64) -> Result<(), Error> {
    let its = model::Entity::find().filter(model::Column::ProviderId.eq(provider_id));
    delete_unused(work, its).await
}

/// Deletes these models where no agent runs on any of them. Agents that were deleted themselves
/// don't count; they lose their model.
async fn delete_unused(work: &Work, models: Select<model::Entity>) -> Result<(), Error> {
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
            IN_USE,
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
        .on_foreign_key(|| Error::conflict(IN_USE, "an agent has just been given this model"))?;
    deleted.sort_unstable_by_key(|row| row.id);
    work.note_all(deleted.iter().map(|row| change(Action::Delete, row)));
    Ok(())
}

fn unknown(id: i64) -> Error {
    Error::not_found("model", id.to_string())
}

fn no_provider() -> Error {
    Error::invalid("#/provider_id", "there is no such provider")
}

fn name_taken() -> Error {
    Error::conflict("model_name_taken", "the provider has a model of that name")
}
