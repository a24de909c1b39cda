//! Models that retire soon or are retired, with the agents and circles that they take along.

use std::{collections::HashMap, sync::LazyLock};

use chrono::{Days, NaiveDate};
use entity::{agent, agent_fallback, model, values::now};
use poem_openapi::Object;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, DbErr, EntityTrait, FromQueryResult,
    JoinType, Order, QueryFilter, QueryResult, QuerySelect, QueryTrait, RelationTrait, Statement,
};
use serde::Serialize;

use crate::{
    database::Connections,
    error::Error,
    page::{self, Page, PageRequest},
    rows::{self, Columns, FromRow, Text, row},
    search,
};

row! {
    /// What a retirement shows of its model.
    struct RetiringRow<'r> {
        id: i64 = model::Id,
        provider_id: i64 = model::ProviderId,
        model_name: Text<'r> = model::ModelName,
        deprecation_date: Option<NaiveDate> = model::DeprecationDate,
        is_deprecated: bool = model::IsDeprecated,
    }
}

/// A model that retires soon or is retired, with what depends on it.
#[derive(Debug, Object, Serialize)]
#[oai(rename = "Retirement")]
pub(crate) struct Retirement {
    /// The model.
    pub(crate) model_id: i64,
    /// Its provider.
    pub(crate) provider_id: i64,
    /// Its name in the provider's API.
    pub(crate) model_name: Text<'static>,
    /// The day the provider retires it; null if it is only marked as deprecated.
    #[oai(nullable)]
    pub(crate) deprecation_date: Option<NaiveDate>,
    /// Whether that day has come, or the model is marked as deprecated.
    pub(crate) is_deprecated: bool,
    /// How many agents run on it or may fall back on it.
    pub(crate) agent_count: i64,
    /// The first twenty of them; those that run on it come first.
    pub(crate) agents: Vec<RetirementAgent>,
    /// How many circles these agents are members of.
    pub(crate) circle_count: i64,
    /// The first twenty of them, by id.
    pub(crate) circles: Vec<RetirementCircle>,
}

/// An agent on a model that retires.
#[derive(Clone, Debug, FromQueryResult, Object, Serialize)]
pub(crate) struct RetirementAgent {
    /// The agent's id.
    pub(crate) id: i64,
    /// Its name.
    pub(crate) name: String,
    /// Whether it only falls back on the model, and runs on another one.
    pub(crate) is_fallback: bool,
}

/// A circle with a member on a model that retires.
#[derive(Clone, Debug, FromQueryResult, Object, Serialize)]
pub(crate) struct RetirementCircle {
    /// The circle's id.
    pub(crate) id: i64,
    /// Its name.
    pub(crate) name: String,
}

/// Up to `$2` rows of each model of `$1`, with the number of all.
fn numbered(found: &str, order: &str) -> [String; 2] {
    ["IN (SELECT value FROM json_each($1))", "= ANY(CAST($1 AS bigint[]))"].map(|among| {
        format!(
            "WITH uses AS ( \
                SELECT a.model_id, a.id, a.name, false AS is_fallback FROM agents a \
                WHERE a.is_active AND a.model_id {among} \
                UNION ALL \
                SELECT f.model_id, a.id, a.name, true FROM agent_fallback_models f \
                JOIN agents a ON a.id = f.agent_id WHERE a.is_active AND f.model_id {among} \
            ), found AS ({found}), numbered AS ( \
                SELECT found.*, row_number() OVER (PARTITION BY model_id ORDER BY {order}) AS place, \
                count(*) OVER (PARTITION BY model_id) AS total FROM found \
            ) SELECT * FROM numbered WHERE place <= 20 ORDER BY model_id, place"
        )
    })
}

/// The agents that run on models or may fall back on them, for SQLite and PostgreSQL.
static AGENTS: LazyLock<[String; 2]> =
    LazyLock::new(|| numbered("SELECT * FROM uses", "is_fallback, id"));

/// The circles that these agents are members of.
static CIRCLES: LazyLock<[String; 2]> = LazyLock::new(|| {
    let found = "SELECT DISTINCT u.model_id, c.id, c.name FROM uses u \
        JOIN members m ON m.agent_id = u.id AND m.is_active \
        JOIN circles c ON c.id = m.circle_id AND c.is_active";
    numbered(found, "id")
});

/// The first rows of each model, and how many there are.
type FirstRows<T> = HashMap<i64, (i64, Vec<T>)>;

async fn shown<T: FromQueryResult>(
    db: &Connections,
    sql: &[String; 2],
    model_ids: &[i64],
) -> Result<FirstRows<T>, DbErr> {
    let backend = db.get_database_backend();
    let text = match backend {
        DbBackend::Sqlite => &sql[0],
        _ => &sql[1],
    };
    let ids = search::list_of_ids(backend, model_ids.iter().copied());
    let statement = Statement::from_sql_and_values(backend, text, [ids.into()]);
    let mut found = FirstRows::new();
    for row in db.query_all_raw(statement).await? {
        let (model_id, total) = (row.try_get("", "model_id")?, row.try_get("", "total")?);
        let (_, rows) = found.entry(model_id).or_insert((total, Vec::new()));
        rows.push(T::from_query_result(&row, "")?);
    }
    Ok(found)
}

/// Models that retire within so many days; with `only_used`, those that agents run on or may fall back on.
pub(crate) async fn list(
    db: &Connections,
    within: Days,
    only_used: bool,
    request: PageRequest,
) -> Result<Page<Retirement>, Error> {
    let today = now().date_naive();
    let until = today.checked_add_days(within).unwrap_or(NaiveDate::MAX);
    let query = rows::select_only::<_, RetiringRow<'static>>(model::Entity::find());
    let query = query
        .filter(model::is_deprecated(until))
        .apply_if(only_used.then_some(()), |query, ()| query.filter(is_used()));
    let Page {
        rows,
        next_cursor,
        total,
        watermark,
    } = page::fetch(db, query, model::Column::Id, Order::Asc, request).await?;
    let ids = rows::ids(&rows)?;
    let (mut agents, mut circles) = if ids.is_empty() {
        (FirstRows::new(), FirstRows::new())
    } else {
        (
            shown(db, &AGENTS, &ids).await?,
            shown(db, &CIRCLES, &ids).await?,
        )
    };
    let read = |row: &QueryResult| -> Result<Retirement, DbErr> {
        let row = RetiringRow::read(&mut Columns::of(row))?;
        let (agent_count, agents) = agents.remove(&row.id).unwrap_or_default();
        let (circle_count, circles) = circles.remove(&row.id).unwrap_or_default();
        Ok(Retirement {
            model_id: row.id,
            provider_id: row.provider_id,
            model_name: String::from(row.model_name).into(),
            is_deprecated: row.is_deprecated
                || model::retired_on(row.deprecation_date, today).is_some(),
            deprecation_date: row.deprecation_date,
            agent_count,
            agents,
            circle_count,
            circles,
        })
    };
    let rows: Result<Vec<_>, _> = rows.iter().map(read).collect();
    Ok(Page {
        rows: rows?,
        next_cursor,
        total,
        watermark,
    })
}

/// The condition that an agent that is not deleted runs on a model, or may fall back on it.
fn is_used() -> Condition {
    let on = agent::Entity::find_not_deleted()
        .select_only()
        .column(agent::Column::ModelId)
        .filter(agent::Column::ModelId.is_not_null());
    let falling_back = agent_fallback::Entity::find()
        .select_only()
        .column(agent_fallback::Column::ModelId)
        .join(JoinType::InnerJoin, agent_fallback::Relation::Agent.def())
        .filter(agent::Entity::not_deleted());
    Condition::any()
        .add(model::Column::Id.in_subquery(on.into_query()))
        .add(model::Column::Id.in_subquery(falling_back.into_query()))
}
