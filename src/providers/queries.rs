//! Reads and writes of providers.

use std::sync::LazyLock;

use entity::{agent, agent_fallback, model, provider};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter,
    QueryResult, QuerySelect, QueryTrait, Select,
    sea_query::{Expr, SimpleExpr},
};

use super::{base_url, dto::Provider};
use crate::{
    database::Connections,
    error::{Error, OnConstraint},
    page::Page,
    revision::Precondition,
    search,
    sort::{Sortable, SortedList, SortedRequest},
    versions,
    write::{self, Action, Change, Resource, UnitOfWork},
};

const IN_USE: &str = "provider_in_use";
const MODEL_IN_USE: &str = "model_in_use";

const SORTABLE: Sortable<provider::Column> = Sortable {
    id: provider::Column::Id,
    name: provider::Column::Name,
    created_at: provider::Column::CreatedAt,
    updated_at: provider::Column::UpdatedAt,
};

pub(crate) fn change(action: Action, row: &provider::Model) -> Change {
    Change::new(action, Resource::Provider)
        .id(row.id)
        .name(&row.name)
}

/// Which providers a list shows.
#[derive(Debug, Default)]
pub(crate) struct ProviderFilter {
    pub(crate) q: Option<String>,
    pub(crate) is_local: Option<bool>,
}

static LIST: LazyLock<SortedList<provider::Entity>> =
    LazyLock::new(|| SortedList::new::<Provider>(provider::Entity::find(), SORTABLE));

/// Rows of [`Provider`]s.
pub(crate) async fn list(
    db: &Connections,
    filter: ProviderFilter,
    page: SortedRequest,
) -> Result<Page<QueryResult>, Error> {
    let ProviderFilter { q, is_local } = filter;
    let backend = db.get_database_backend();
    let names = [provider::Column::Name, provider::Column::DisplayName];
    let query = LIST
        .query()
        .apply_if(q, |query, q| {
            query.filter(search::text_in(backend, &names, &q))
        })
        .apply_if(is_local, |query, is_local| {
            query.filter(provider::Column::IsLocal.eq(is_local))
        });
    LIST.fetch(db, query, page).await
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

pub(crate) async fn create(
    work: UnitOfWork,
    row: provider::ActiveModel,
) -> Result<provider::Model, Error> {
    let row = row
        .insert(work.db())
        .await
        .on_unique(NAME_INDEX, name_taken)?;
    check_address(&row)?;
    work.record(change(Action::Create, &row).revision(row.revision));
    Ok(row)
}

/// Sets the columns that `changes` sets, and checks the row that results.
pub(crate) async fn update(
    work: UnitOfWork,
    id: i64,
    precondition: &Precondition,
    changes: provider::ActiveModel,
) -> Result<provider::Model, Error> {
    let before = get_for_update(work.db(), id).await?;
    precondition.check(id, before.revision)?;
    let sets_address = changes.base_url.is_set() || changes.is_local.is_set();
    let saved = write::save_changes(work.db(), &before, &changes).await;
    let Some((row, fields)) = saved.on_unique(NAME_INDEX, name_taken)? else {
        return Ok(before);
    };
    if sets_address {
        check_address(&row)?;
    }
    work.record(
        change(Action::Update, &row)
            .revision(row.revision)
            .fields(fields),
    );
    Ok(row)
}

/// Checks a row as it was just written: an update may set one of the two fields alone.
pub(crate) fn check_address(row: &provider::Model) -> Result<(), Error> {
    base_url::check(row.base_url.as_deref(), row.is_local)
        .map_err(|detail| Error::invalid("#/base_url", detail))
}

/// Deletes a provider; with `cascade`, its models too.
pub(crate) async fn delete(
    work: UnitOfWork,
    id: i64,
    precondition: &Precondition,
    cascade: bool,
) -> Result<(), Error> {
    let db = work.db();
    let row = get_for_update(db, id).await?;
    precondition.check(id, row.revision)?;
    if cascade {
        let models = model::Entity::find().filter(model::Column::ProviderId.eq(id));
        delete_models(&work, models).await?;
    } else {
        check_unused(db, id).await?;
    }
    provider::Entity::delete_by_id(id)
        .exec(db)
        .await
        .on_foreign_key(|| Error::conflict(IN_USE, "a model was just added to the provider"))?;
    work.record(change(Action::Delete, &row));
    Ok(())
}

/// Deletes models, if no agent runs on any of them or may fall back on one. Deleted agents do not count; they lose their
/// model.
/// This is in `providers` because deleting a provider needs it as well, and `models` imports `providers`.
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
    let fallbacks = agent_fallback::Entity::find()
        .select_only()
        .column(agent_fallback::Column::AgentId)
        .filter(agent_fallback::Column::ModelId.in_subquery(ids()));
    let on_them = Condition::any()
        .add(agent::Column::ModelId.in_subquery(ids()))
        .add(agent::Column::Id.in_subquery(fallbacks.into_query()));
    let users = agent::Entity::find_not_deleted().filter(on_them);
    if let Some(users) = search::examples(db, users, agent::Column::Name).await? {
        return Err(Error::conflict(
            MODEL_IN_USE,
            format!("agents use the model ({users}); assign them another one first"),
        ));
    }
    let on_model = agent::Column::ModelId.in_subquery(ids());
    unset_model_of_deleted(work, on_model).await?;
    agent_fallback::Entity::delete_many()
        .filter(agent_fallback::Column::ModelId.in_subquery(ids()))
        .exec(db)
        .await?;
    let mut deleted = model::Entity::delete_many()
        .filter(model::Column::Id.in_subquery(ids()))
        .exec_with_returning(db)
        .await
        .on_foreign_key(|| {
            Error::conflict(MODEL_IN_USE, "the model was just assigned to an agent")
        })?;
    deleted.sort_unstable_by_key(|row| row.id);
    work.record_all(deleted.iter().map(model_change));
    Ok(())
}

/// Takes their model from deleted agents, which makes versions of them. Their last change stays their deletion.
async fn unset_model_of_deleted(work: &UnitOfWork, on_model: SimpleExpr) -> Result<(), Error> {
    let deleted = agent::Entity::find()
        .filter(on_model)
        .filter(agent::Column::IsActive.eq(false));
    let backend = work.db().get_database_backend();
    for ids in versions::lock(work, deleted).await? {
        let changed = agent::Entity::update_many()
            .col_expr(agent::Column::ModelId, Expr::value(None::<i64>))
            .col_expr(agent::Column::Version, versions::next_in_sql())
            .filter(search::among(backend, agent::Column::Id, ids))
            .exec_with_returning(work.db())
            .await?;
        versions::record(work, changed).await?;
    }
    Ok(())
}

fn model_change(row: &model::Model) -> Change {
    Change::new(Action::Delete, Resource::Model)
        .id(row.id)
        .name(&row.model_name)
}

async fn check_unused(db: &impl ConnectionTrait, id: i64) -> Result<(), Error> {
    let models = model::Entity::find().filter(model::Column::ProviderId.eq(id));
    let Some(users) = search::examples(db, models, model::Column::ModelName).await? else {
        return Ok(());
    };
    Err(Error::conflict(
        IN_USE,
        format!("provider {id} still has models ({users}); delete them first, or set cascade=true"),
    ))
}

fn unknown(id: i64) -> Error {
    Error::not_found("provider", id.to_string())
}

const NAME_INDEX: &str = "providers_name_unique";

fn name_taken() -> Error {
    Error::conflict(
        "provider_name_taken",
        "a provider with this name exists (names are not case-sensitive)",
    )
}
