//! Reads and writes of API keys.

use chrono::TimeDelta;
use entity::{
    api_key,
    values::{Scope, ScopeList, now, stored},
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, Order, QueryFilter, QueryResult,
    QuerySelect, QueryTrait, Select,
};

use super::{
    dto::{Key, KeyCreate},
    token::{Secret, Token},
};
use crate::{
    database::Connections,
    error::Error,
    page::{self, Page, PageRequest},
    rows, search,
    write::{Action, Change, Resource, UnitOfWork},
};

fn change(action: Action, row: &api_key::Model) -> Change {
    Change::new(action, Resource::Key)
        .id(row.id)
        .name(&row.name)
}

/// The last use of a key is recorded at most once in this interval.
pub(crate) const USE_INTERVAL: TimeDelta = TimeDelta::minutes(1);

/// Rows of [`Key`]s.
pub(crate) async fn list(
    db: &Connections,
    name: Option<String>,
    page: PageRequest,
) -> Result<Page<QueryResult>, Error> {
    let query = rows::select_only::<_, Key>(api_key::Entity::find())
        .apply_if(name, |query, name| {
            query.filter(api_key::Column::Name.eq(name))
        });
    page::fetch(db, query, api_key::Column::Id, Order::Asc, page).await
}

pub(crate) async fn all(db: &impl ConnectionTrait) -> Result<Vec<api_key::Model>, Error> {
    Ok(api_key::Entity::find().order_by_id_asc().all(db).await?)
}

pub(crate) async fn find(
    db: &impl ConnectionTrait,
    id: i64,
) -> Result<Option<api_key::Model>, Error> {
    Ok(api_key::Entity::find_by_id(id).one(db).await?)
}

pub(crate) async fn get(db: &impl ConnectionTrait, id: i64) -> Result<api_key::Model, Error> {
    find(db, id)
        .await?
        .ok_or_else(|| Error::not_found("key", id.to_string()))
}

/// Creates a key. Its token exists only in the returned value.
pub(crate) async fn create(
    work: UnitOfWork,
    new: KeyCreate,
) -> Result<(api_key::Model, Token), Error> {
    let KeyCreate {
        name,
        scopes,
        expires_at,
    } = new;
    let (now, expires_at) = (now(), expires_at.and_then(stored));
    if expires_at.is_some_and(|time| time <= now) {
        return Err(Error::invalid("#/expires_at", "is not in the future"));
    }
    let secret = Secret::random().map_err(Error::Randomness)?;
    let row = api_key::ActiveModel {
        id: NotSet,
        name: Set(name),
        scopes: Set(distinct(&scopes)),
        secret_hash: Set(secret.hash()),
        created_at: Set(now),
        expires_at: Set(expires_at),
        revoked_at: Set(None),
        last_used_at: Set(None),
    };
    let row = row.insert(work.db()).await?;
    work.record(change(Action::Create, &row));
    let token = secret.of_key(row.id);
    Ok((row, token))
}

fn distinct(scopes: &[Scope]) -> ScopeList {
    let named = Scope::ALL
        .into_iter()
        .filter(|scope| scopes.contains(scope));
    ScopeList(named.collect())
}

/// Revokes a key, unless it is revoked already.
pub(crate) async fn revoke(work: UnitOfWork, id: i64) -> Result<(), Error> {
    let revoked = api_key::Entity::update_many()
        .set(api_key::ActiveModel {
            revoked_at: Set(Some(now())),
            ..Default::default()
        })
        .filter(api_key::Column::Id.eq(id))
        .filter(api_key::Column::RevokedAt.is_null())
        .exec_with_returning(work.db())
        .await?;
    if revoked.is_empty() {
        get(work.db(), id).await?;
    }
    work.record_all(revoked.iter().map(|row| change(Action::Revoke, row)));
    Ok(())
}

/// Whether any key exists, in any state.
pub(crate) async fn exist(db: &impl ConnectionTrait) -> Result<bool, DbErr> {
    let id: Option<i64> = api_key::Entity::find()
        .select_only()
        .column(api_key::Column::Id)
        .limit(1)
        .into_tuple()
        .one(db)
        .await?;
    Ok(id.is_some())
}

/// Whether a key exists that is neither expired nor revoked.
pub(crate) async fn usable_exist(db: &impl ConnectionTrait) -> Result<bool, DbErr> {
    let id: Option<i64> = ids_of_usable().limit(1).into_tuple().one(db).await?;
    Ok(id.is_some())
}

/// Those of these keys that are neither expired nor revoked.
pub(crate) async fn usable_among(
    db: &impl ConnectionTrait,
    ids: Vec<i64>,
) -> Result<Vec<i64>, DbErr> {
    let among = search::among(db.get_database_backend(), api_key::Column::Id, ids);
    ids_of_usable().filter(among).into_tuple().all(db).await
}

fn ids_of_usable() -> Select<api_key::Entity> {
    let not_expired = Condition::any()
        .add(api_key::Column::ExpiresAt.is_null())
        .add(api_key::Column::ExpiresAt.gt(now()));
    api_key::Entity::find()
        .select_only()
        .column(api_key::Column::Id)
        .filter(api_key::Column::RevokedAt.is_null())
        .filter(not_expired)
}

/// Records that a key was used, unless a use was recorded within [`USE_INTERVAL`].
pub(crate) async fn record_use(db: &impl ConnectionTrait, id: i64) -> Result<(), DbErr> {
    let now = now();
    let is_due = Condition::any()
        .add(api_key::Column::LastUsedAt.is_null())
        .add(api_key::Column::LastUsedAt.lte(now - USE_INTERVAL));
    api_key::Entity::update_many()
        .set(api_key::ActiveModel {
            last_used_at: Set(Some(now)),
            ..Default::default()
        })
        .filter(api_key::Column::Id.eq(id))
        .filter(is_due)
        .exec(db)
        .await?;
    Ok(())
}
