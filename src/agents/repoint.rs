//! Moving agents from one model to another.

use entity::{
    agent,
    revision::next_in_sql,
    values::{FallbackList, now},
};
use poem_openapi::Object;
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockType},
};
use serde::Serialize;

use super::queries::{falling_back_on, get, save};
use crate::{
    error::Error,
    models::{self, ModelDifference, differences},
    revision::Precondition,
    search, versions,
    write::{Action, Change, Resource, UnitOfWork},
};

/// Where to move the agents of a model.
#[derive(Clone, Debug, Object)]
pub(crate) struct RepointOperation {
    /// The model that they run on from then on.
    #[oai(validator(minimum(value = "1")))]
    pub(crate) to: i64,
    /// Whether to report only, without changing anything.
    #[oai(default)]
    pub(crate) dry_run: bool,
}

/// What moving the agents of a model changes.
#[derive(Debug, Object, Serialize)]
pub(crate) struct Repointing {
    /// The model that they ran on.
    pub(crate) from: i64,
    /// The model that they run on.
    pub(crate) to: i64,
    /// Whether nothing was changed.
    pub(crate) dry_run: bool,
    /// How many agents ran on the model.
    pub(crate) agent_count: i64,
    /// How many other agents could fall back on it.
    pub(crate) fallback_count: i64,
    /// The first hundred of all, by id.
    pub(crate) agents: Vec<RepointedAgent>,
    /// What differs between the models.
    pub(crate) differences: Vec<ModelDifference>,
}

/// An agent that is moved to another model.
#[derive(Debug, Object, Serialize)]
pub(crate) struct RepointedAgent {
    /// The agent's id.
    pub(crate) id: i64,
    /// Its name.
    pub(crate) name: String,
}

/// Moves all agents that are not deleted from a model to another, and their fallbacks.
pub(crate) async fn repoint(
    work: UnitOfWork,
    from: i64,
    operation: &RepointOperation,
) -> Result<Repointing, Error> {
    let RepointOperation { to, dry_run } = *operation;
    let before = models::queries::get(work.db(), from).await?;
    let no_model = |_| Error::invalid("#/to", "there is no such model");
    let after = models::queries::get(work.db(), to)
        .await
        .map_err(no_model)?;
    if from == to {
        return Err(Error::invalid(
            "#/to",
            "is the model that the agents are moved from",
        ));
    }
    let uses = Condition::any()
        .add(agent::Column::ModelId.eq(from))
        .add(agent::Column::Id.in_subquery(falling_back_on(from)));
    // Without the prompts, which may be long.
    let rows: Vec<Locked> = agent::Entity::find_not_deleted()
        .select_only()
        .columns([
            agent::Column::Id,
            agent::Column::Name,
            agent::Column::ModelId,
            agent::Column::FallbackModelIds,
        ])
        .expr_as(versions::size(), "size")
        .filter(uses)
        .order_by_asc(agent::Column::Id)
        .lock(LockType::NoKeyUpdate)
        .into_tuple()
        .all(work.db())
        .await?;
    let on_model = rows.iter().filter(|row| row.2 == Some(from)).count();
    let repointing = Repointing {
        from,
        to,
        dry_run,
        agent_count: count(on_model),
        fallback_count: count(rows.len() - on_model),
        agents: rows.iter().take(100).map(shown).collect(),
        differences: differences(&before, &after),
    };
    if !dry_run {
        move_all(&work, rows, from, to).await?;
    }
    Ok(repointing)
}

fn count(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// An agent that is locked: its id, name, model, fallbacks and size.
type Locked = (i64, String, Option<i64>, FallbackList, i64);

fn shown((id, name, ..): &Locked) -> RepointedAgent {
    RepointedAgent {
        id: *id,
        name: name.clone(),
    }
}

/// Moves locked agents: those without a fallback on one of the models many at once.
async fn move_all(work: &UnitOfWork, rows: Vec<Locked>, from: i64, to: i64) -> Result<(), Error> {
    let falls_back =
        |(_, _, _, FallbackList(ids), _): &Locked| ids.contains(&from) || ids.contains(&to);
    let (single, plain): (Vec<_>, Vec<_>) = rows.into_iter().partition(falls_back);
    for (id, _, model_id, fallbacks, _) in single {
        let model_id = if model_id == Some(from) {
            Some(to)
        } else {
            model_id
        };
        let changes = agent::ActiveModel {
            model_id: Set(model_id),
            fallback_model_ids: Set(replaced(&fallbacks, from, to, model_id)),
            ..ActiveModelTrait::default()
        };
        let row = get(work.db(), id).await?;
        save(work, row, &Precondition::Any, changes).await?;
    }
    for ids in versions::in_groups(plain.iter().map(|row| (row.0, row.4))) {
        move_plain(work, ids, to).await?;
    }
    Ok(())
}

/// Moves agents that have no fallback on one of the models: a statement, and one for their versions.
async fn move_plain(work: &UnitOfWork, ids: Vec<i64>, to: i64) -> Result<(), Error> {
    let backend = work.db().get_database_backend();
    let ids = search::among(backend, agent::Column::Id, ids);
    let mut moved = agent::Entity::update_many()
        .col_expr(agent::Column::ModelId, Expr::value(to))
        .col_expr(agent::Column::UpdatedAt, Expr::value(now()))
        .col_expr(
            agent::Column::Revision,
            next_in_sql(agent::Column::Revision),
        )
        .col_expr(agent::Column::Version, versions::next_in_sql())
        .filter(ids)
        .exec_with_returning(work.db())
        .await?;
    moved.sort_unstable_by_key(|row| row.id);
    work.record_all(moved.iter().map(|row| {
        Change::new(Action::Update, Resource::Agent)
            .id(row.id)
            .name(&row.name)
            .revision(row.revision)
            .fields(["model_id"].into_iter().collect())
    }));
    Ok(versions::record(work, moved).await?)
}

/// The fallbacks with another model, each once and without the model that the agent runs on.
fn replaced(
    FallbackList(ids): &FallbackList,
    from: i64,
    to: i64,
    model_id: Option<i64>,
) -> FallbackList {
    let mut new = Vec::with_capacity(ids.len());
    for id in ids.iter().map(|id| if *id == from { to } else { *id }) {
        if !new.contains(&id) && model_id != Some(id) {
            new.push(id);
        }
    }
    FallbackList(new)
}
