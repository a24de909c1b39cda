//! Reads and writes of models.

use std::sync::LazyLock;

use entity::{model, provider, values::now};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, JoinType, QueryFilter,
    QueryResult, QuerySelect, QueryTrait, RelationTrait, Select, sea_query::LockType,
};

use super::{dto::Model, facts};
use crate::{
    database::Connections,
    error::{Error, OnConstraint},
    page::Page,
    providers::{self, dto::Provider},
    revision::Precondition,
    rows, search,
    sort::{Sortable, SortedList, SortedRequest},
    write::{self, Action, Change, Resource, UnitOfWork},
};

const SORTABLE: Sortable<model::Column> = Sortable {
    id: model::Column::Id,
    name: model::Column::ModelName,
    created_at: model::Column::CreatedAt,
    updated_at: model::Column::UpdatedAt,
};

pub(crate) fn change(action: Action, row: &model::Model) -> Change {
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
    /// The columns of capabilities.
    pub(crate) supports: Option<Vec<model::Column>>,
    pub(crate) accepts_sampling: Option<bool>,
    pub(crate) q: Option<String>,
}

static LIST: LazyLock<SortedList<model::Entity>> =
    LazyLock::new(|| SortedList::new::<Model>(model::Entity::find(), SORTABLE));

/// Rows of [`Model`]s, followed by their [`Provider`]s if those are included.
pub(crate) async fn list(
    db: &Connections,
    filter: ModelFilter,
    with_provider: bool,
    page: SortedRequest,
) -> Result<Page<QueryResult>, Error> {
    let ModelFilter {
        provider_id,
        mode,
        is_deprecated,
        supports,
        accepts_sampling,
        q,
    } = filter;
    let backend = db.get_database_backend();
    let names = [model::Column::ModelName, model::Column::ModelAlias];
    let query = LIST
        .query()
        .apply_if(provider_id, |query, id| {
            query.filter(model::Column::ProviderId.eq(id))
        })
        .apply_if(mode, |query, mode| {
            query.filter(model::Column::Mode.eq(mode))
        })
        .apply_if(is_deprecated, |query, wanted| {
            let deprecated = model::is_deprecated(now().date_naive());
            query.filter(if wanted { deprecated } else { deprecated.not() })
        })
        .apply_if(supports, |query, columns| {
            let add = |query: Select<_>, column: model::Column| query.filter(column.eq(true));
            columns.into_iter().fold(query, add)
        })
        .apply_if(accepts_sampling, |query, wanted| {
            query.filter(model::Column::AcceptsSampling.eq(wanted))
        })
        .apply_if(q, |query, q| {
            query.filter(search::text_in(backend, &names, &q))
        })
        .apply_if(with_provider.then_some(()), |query, ()| {
            let joined = query.join(JoinType::InnerJoin, model::Relation::Provider.def());
            rows::also_select::<_, Provider>(joined)
        });
    LIST.fetch(db, query, page).await
}

pub(crate) async fn get(db: &impl ConnectionTrait, id: i64) -> Result<model::Model, Error> {
    model::Entity::find_by_id(id)
        .one(db)
        .await?
        .ok_or_else(|| unknown(id))
}

/// The model of that name, of the provider of that name.
pub(crate) async fn find_named(
    db: &impl ConnectionTrait,
    provider: &str,
    name: &str,
) -> Result<Option<model::Model>, Error> {
    Ok(model::Entity::find()
        .inner_join(provider::Entity)
        .filter(provider::Column::Name.eq(provider))
        .filter(model::Column::ModelName.eq(name))
        .one(db)
        .await?)
}

pub(crate) async fn create(
    work: UnitOfWork,
    row: model::ActiveModel,
) -> Result<model::Model, Error> {
    facts::check(&row)?;
    let row = facts::priced(row)
        .insert(work.db())
        .await
        .on_unique(NAME_INDEX, name_taken)
        .on_foreign_key(no_provider)?;
    work.record(change(Action::Create, &row).revision(row.revision));
    Ok(row)
}

/// A model, locked until the transaction ends. Rows may still refer to it.
async fn get_for_update(db: &impl ConnectionTrait, id: i64) -> Result<model::Model, Error> {
    model::Entity::find_by_id(id)
        .lock(LockType::NoKeyUpdate)
        .one(db)
        .await?
        .ok_or_else(|| unknown(id))
}

/// Sets the columns that `changes` sets.
pub(crate) async fn update(
    work: UnitOfWork,
    id: i64,
    precondition: &Precondition,
    changes: model::ActiveModel,
) -> Result<model::Model, Error> {
    let before = get_for_update(work.db(), id).await?;
    precondition.check(id, before.revision)?;
    facts::check(&changes)?;
    let changes = facts::with_consequences(&before, changes);
    let saved = write::save_changes(work.db(), &before, &changes).await;
    let Some((row, fields)) = saved.on_unique(NAME_INDEX, name_taken)? else {
        return Ok(before);
    };
    work.record(
        change(Action::Update, &row)
            .revision(row.revision)
            .fields(fields),
    );
    Ok(row)
}

/// Deletes a model that no agent runs on.
pub(crate) async fn delete(
    work: UnitOfWork,
    id: i64,
    precondition: &Precondition,
) -> Result<(), Error> {
    let this = model::Entity::find_by_id(id);
    let row = this.clone().lock_exclusive().one(work.db()).await?;
    precondition.check(id, row.ok_or_else(|| unknown(id))?.revision)?;
    providers::queries::delete_models(&work, this).await
}

fn unknown(id: i64) -> Error {
    Error::not_found("model", id.to_string())
}

fn no_provider() -> Error {
    Error::invalid("#/provider_id", "there is no such provider")
}

const NAME_INDEX: &str = "models_name_unique";

fn name_taken() -> Error {
    Error::conflict(
        "model_name_taken",
        "the provider has a model with this name",
    )
}
