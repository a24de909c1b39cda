//! Many memberships of one circle at once: what is read and locked before they are decided on, and the
//! writes, each in one statement for any number of rows.

use std::collections::{HashMap, HashSet};

use entity::{circle, member, revision::next_in_sql};
use sea_orm::{
    ActiveModelBehavior, ActiveModelTrait,
    ActiveValue::{NotSet, Set, Unchanged},
    ColumnTrait, Condition, EntityTrait, Iterable, QueryFilter,
    sea_query::OnConflict,
};

use super::{add, queries};
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
    let members = queries::of_circle(circle_row.id)
        .filter(member::Column::AgentId.is_in(agents.iter().copied()))
        .all(db)
        .await?;
    Ok(LockedMembers {
        work,
        circle_row,
        agents: existing,
        members: by_agent(members),
    })
}

impl LockedMembers<'_> {
    pub(super) fn full(&self) -> Error {
        queries::circle_full(&self.circle_row.name, self.circle_row.max_members)
    }

    /// The agent's membership, if it is a member now.
    pub(super) fn active(&self, agent_id: i64) -> Option<&member::Model> {
        self.members
            .get(&agent_id)
            .filter(|member_row| member_row.is_active)
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
        let mut ended = member::Entity::update_many()
            .set(queries::ended())
            .col_expr(
                member::Column::Revision,
                next_in_sql(member::Column::Revision),
            )
            .filter(member::Column::CircleId.eq(self.circle_row.id))
            .filter(member::Entity::active())
            .filter(condition)
            .exec_with_returning(self.work.db())
            .await?;
        ended.sort_unstable_by_key(|member_row| member_row.id);
        let circle = &self.circle_row.name;
        let changes = ended
            .iter()
            .map(|member_row| queries::change(Action::Delete, circle, member_row));
        self.work.record_all(changes);
        Ok(by_agent(ended))
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
