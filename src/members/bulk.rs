//! Many memberships of one circle at once: what is read and locked before they are decided on, and the
//! writes, each in one statement for any number of rows.

use std::collections::{HashMap, HashSet};

use entity::{circle, member, values::JsonObject};
use sea_orm::{
    ActiveModelBehavior, ActiveModelTrait,
    ActiveValue::{NotSet, Set, Unchanged},
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, IdenStatic,
    Iterable, QueryFilter, QueryResult, QuerySelect, QueryTrait,
    sea_query::{Expr, OnConflict},
};

use super::{add, of_agent, queries};
use crate::{
    circles,
    error::{Error, FieldError},
    revision::Precondition,
    write::{Action, Fields, UnitOfWork},
};

/// A circle, some agents, and their current and past memberships in it, locked until the transaction ends.
pub(super) struct LockedMembers<'t> {
    pub(super) work: &'t UnitOfWork,
    pub(super) circle_row: circle::Model,
    /// Those of the agents that exist.
    pub(super) agents: HashSet<i64>,
    /// By agent.
    pub(super) members: HashMap<i64, member::Model>,
}

/// Agents are locked before the circle, as everywhere, so that transactions never wait for each other in a
/// circle.
pub(super) async fn lock<'t>(
    work: &'t UnitOfWork,
    circle: &str,
    precondition: &Precondition,
    agents: &[i64],
) -> Result<LockedMembers<'t>, Error> {
    let db = work.db();
    let existing = add::lock_agents(db, agents).await?;
    let circle_row = circles::queries::get_for_update(db, circle).await?;
    precondition.check(circle_row.id, circle_row.revision)?;
    let members = load(db, circle_row.id, agents).await?;
    Ok(LockedMembers {
        work,
        circle_row,
        agents: existing,
        members: by_agent(members),
    })
}

/// The most free JSON of all members that one request reads, in bytes. In memory it is many times as large.
const MAX_FREE_JSON: usize = 1 << 20;

/// The memberships of these agents, unless their free JSON is too large together: the database adds up its
/// size, and does not send it then.
async fn load(
    db: &impl ConnectionTrait,
    circle_id: i64,
    agents: &[i64],
) -> Result<Vec<member::Model>, Error> {
    use member::Column::{Params, Permissions};
    let backend = db.get_database_backend();
    let size = match backend {
        DbBackend::Sqlite => "length(CAST(permissions AS BLOB)) + length(CAST(params AS BLOB))",
        _ => "octet_length(permissions) + octet_length(params)",
    };
    let unless_large = |column: member::Column| {
        let name = column.as_str();
        Expr::cust(format!(
            "CASE WHEN sum({size}) OVER () > {MAX_FREE_JSON} THEN NULL ELSE {name} END"
        ))
    };
    let others = member::Column::iter().filter(|it| !matches!(it, Permissions | Params));
    let query = queries::of_circle(circle_id)
        .filter(member::Column::AgentId.is_in(agents.iter().copied()))
        .select_only()
        .columns(others)
        .expr_as(unless_large(Permissions), Permissions.as_str())
        .expr_as(unless_large(Params), Params.as_str());
    let read = |row: &QueryResult| {
        let permissions: Option<JsonObject> = row.try_get("", Permissions.as_str())?;
        if permissions.is_none() {
            return Err(Error::ResponseTooLarge);
        }
        Ok(member::Model::from_query_result(row, "")?)
    };
    let rows = db.query_all_raw(query.build(backend)).await?;
    rows.iter().map(read).collect()
}

impl LockedMembers<'_> {
    pub(super) fn full(&self) -> Error {
        queries::circle_full(&self.circle_row.name, self.circle_row.max_members)
    }

    /// The agent's membership, if it is a member now. That of a deleted agent has ended, even where its row does not
    /// say so yet.
    pub(super) fn active(&self, agent_id: i64) -> Option<&member::Model> {
        let member_row = self.members.get(&agent_id)?;
        (member_row.is_active && self.agents.contains(&agent_id)).then_some(member_row)
    }

    /// How many places the circle has left, where `needed` are asked for.
    pub(super) async fn free_places(&self, needed: i64) -> Result<i64, Error> {
        let circle::Model { id, name, .. } = &self.circle_row;
        let free = queries::free_places(&self.circle_row);
        if free >= needed {
            return Ok(free);
        }
        Ok(free.saturating_add(of_agent::end_of_deleted(self.work, *id, name).await?))
    }

    /// Writes whole rows, new ones and changed ones. The database assigns the ids.
    pub(super) async fn save(
        &self,
        rows: Vec<member::ActiveModel>,
    ) -> Result<HashMap<i64, member::Model>, Error> {
        if rows.is_empty() {
            return Ok(HashMap::new());
        }
        let db = self.work.db();
        let (mut fields, mut stamped) = (HashMap::new(), Vec::with_capacity(rows.len()));
        for row in rows {
            let agent_id = row.agent_id.try_as_ref().copied().unwrap_or_default();
            fields.insert(agent_id, Fields::set_in(&row));
            let before = self.members.get(&agent_id);
            let row = member::ActiveModel {
                id: NotSet,
                circle_id: Set(self.circle_row.id),
                revision: before.map_or(NotSet, |before| Unchanged(before.revision)),
                ..row.reset_all()
            };
            stamped.push(row.before_save(db, before.is_none()).await?);
        }
        let columns = member::Column::iter();
        let overwrite = OnConflict::columns([member::Column::CircleId, member::Column::AgentId])
            .update_columns(columns.filter(|column| !matches!(column, member::Column::Id)))
            .to_owned();
        let mut saved = member::Entity::insert_many(stamped)
            .on_conflict(overwrite)
            .exec_with_returning(db)
            .await?;
        saved.sort_unstable_by_key(|member_row| member_row.id);
        for member_row in &saved {
            self.record_saved(member_row, fields.remove(&member_row.agent_id));
        }
        Ok(by_agent(saved))
    }

    fn record_saved(&self, after: &member::Model, fields: Option<Fields>) {
        let (action, fields) = match self.members.get(&after.agent_id) {
            None => (Action::Create, None),
            Some(before) if !before.is_active => (Action::Restore, None),
            Some(_) => (Action::Update, fields),
        };
        let change = queries::change(action, &self.circle_row.name, after);
        self.work.record(change.fields(fields.unwrap_or_default()));
    }

    /// Ends those of the circle's memberships that `condition` selects.
    pub(super) async fn end(
        &self,
        condition: Condition,
    ) -> Result<HashMap<i64, member::Model>, Error> {
        let ending = queries::setting(queries::ended(), self.own(condition));
        let mut ended = ending.exec_with_returning(self.work.db()).await?;
        ended.sort_unstable_by_key(|member_row| member_row.id);
        let circle = &self.circle_row.name;
        let changes = ended
            .iter()
            .map(|member_row| queries::change(Action::Delete, circle, member_row));
        self.work.record_all(changes);
        Ok(by_agent(ended))
    }

    /// Ends the memberships of all other agents, and returns their ids. Those of deleted agents are left to their jobs.
    pub(super) async fn end_others(&self, agents: Vec<i64>) -> Result<Vec<i64>, Error> {
        let others = Condition::all()
            .add(member::Column::AgentId.is_not_in(agents))
            .add(member::Column::AgentId.not_in_subquery(of_agent::deleted_agents()));
        let others = self.own(others);
        let ending = queries::setting(queries::ended(), others);
        let ended = queries::fetch_changed(self.work.db(), ending).await?;
        let circle_of = |_| self.circle_row.name.as_str();
        let changes = ended
            .iter()
            .map(|member| member.change(Action::Delete, circle_of));
        self.work.record_all(changes);
        Ok(ended.iter().map(|member| member.agent_id).collect())
    }

    /// Those of the circle's active memberships that meet a condition.
    fn own(&self, condition: Condition) -> Condition {
        condition
            .add(member::Column::CircleId.eq(self.circle_row.id))
            .add(member::Entity::active())
    }
}

fn by_agent(rows: Vec<member::Model>) -> HashMap<i64, member::Model> {
    rows.into_iter().map(|row| (row.agent_id, row)).collect()
}

/// Points at every agent that appears earlier in the list.
pub(super) fn repeated(list: &str, agents: &[i64]) -> Vec<FieldError> {
    let mut seen = HashSet::new();
    let repeated = agents
        .iter()
        .enumerate()
        .filter(|(_, id)| !seen.insert(**id));
    repeated
        .map(|(index, _)| FieldError {
            pointer: format!("#/{list}/{index}/agent_id"),
            detail: "names an agent that appears earlier in the list".to_owned(),
        })
        .collect()
}

/// Rejects the request if there are any errors.
pub(super) fn reject(errors: Vec<FieldError>) -> Result<(), Error> {
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Error::Invalid(errors.into()))
    }
}
