//! Many memberships of one circle at once: what is read and held before they are decided on, and
//! the writes, each in one statement however many rows there are.

use std::collections::{HashMap, HashSet};

use entity::{circle, member};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, Condition, EntityTrait, Iterable, QueryFilter,
    sea_query::{Expr, ExprTrait, OnConflict},
};

use super::{add, queries};
use crate::{
    circles,
    error::{Error, FieldError},
    search,
    write::{Action, Fields, UnitOfWork},
};

/// A circle, some agents, and the memberships that they have or had in it, held against changes by
/// others until the transaction ends.
pub(super) struct Held<'t> {
    pub(super) work: &'t UnitOfWork,
    pub(super) circle_row: circle::Model,
    /// Those of the agents that exist.
    pub(super) agents: HashSet<i64>,
    /// By agent.
    pub(super) members: HashMap<i64, member::Model>,
}

/// Agents are held before the circle, as everywhere: who takes locks in one order never waits in a
/// ring.
pub(super) async fn hold<'t>(
    work: &'t UnitOfWork,
    circle: &str,
    agents: &[i64],
) -> Result<Held<'t>, Error> {
    let db = work.db();
    let live = add::lock_agents(db, agents).await?;
    let circle_row = circles::queries::get_for_update(db, circle).await?;
    let members = queries::of_circle(circle_row.id)
        .filter(member::Column::AgentId.is_in(agents.iter().copied()))
        .all(db)
        .await?;
    Ok(Held {
        work,
        circle_row,
        agents: live,
        members: by_agent(members),
    })
}

impl Held<'_> {
    /// The agent's membership where it is a member now.
    pub(super) fn active(&self, agent_id: i64) -> Option<&member::Model> {
        self.members
            .get(&agent_id)
            .filter(|member_row| member_row.is_active)
    }

    /// Writes complete rows, new ones and changed ones; the id is the database's to give.
    pub(super) async fn save(
        &self,
        rows: Vec<member::ActiveModel>,
    ) -> Result<HashMap<i64, member::Model>, Error> {
        if rows.is_empty() {
            return Ok(HashMap::new());
        }
        let overwrite = OnConflict::columns([member::Column::CircleId, member::Column::AgentId])
            .update_columns(
                member::Column::iter().filter(|column| !matches!(column, member::Column::Id)),
            )
            .to_owned();
        let mut fields: HashMap<i64, Fields> = rows
            .iter()
            .filter_map(|row| Some((*row.agent_id.try_as_ref()?, Fields::set_in(row))))
            .collect();
        let rows = rows.into_iter().map(|row| {
            let mut row = row.reset_all();
            row.not_set(member::Column::Id);
            row.circle_id = Set(self.circle_row.id);
            row.revision = Set(self.next_revision(&row));
            row
        });
        let mut saved = member::Entity::insert_many(rows)
            .on_conflict(overwrite)
            .exec_with_returning(self.work.db())
            .await?;
        saved.sort_unstable_by_key(|member_row| member_row.id);
        for member_row in &saved {
            self.note_saved(member_row, fields.remove(&member_row.agent_id));
        }
        Ok(by_agent(saved))
    }

    fn note_saved(&self, after: &member::Model, fields: Option<Fields>) {
        let (action, fields) = match self.members.get(&after.agent_id) {
            None => (Action::Create, None),
            Some(before) if !before.is_active => (Action::Restore, None),
            Some(_) => (Action::Update, fields),
        };
        let change = queries::change(action, &self.circle_row.name, after);
        self.work.record(change.fields(fields.unwrap_or_default()));
    }

    fn next_revision(&self, row: &member::ActiveModel) -> i64 {
        let before = row
            .agent_id
            .try_as_ref()
            .and_then(|id| self.members.get(id));
        before.map_or(1, |before| before.revision + 1)
    }

    /// Ends those of the circle's memberships that `which` selects.
    pub(super) async fn end(&self, which: Condition) -> Result<HashMap<i64, member::Model>, Error> {
        let mut ended = member::Entity::update_many()
            .set(queries::ended())
            .col_expr(
                member::Column::Revision,
                Expr::col(member::Column::Revision).add(1),
            )
            .filter(member::Column::CircleId.eq(self.circle_row.id))
            .filter(search::is_true(member::Column::IsActive))
            .filter(which)
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

/// Points at every agent of a list that stands in it before.
pub(super) fn repeated(list: &str, agents: &[i64]) -> Vec<FieldError> {
    let mut seen = HashSet::new();
    let again = agents
        .iter()
        .enumerate()
        .filter(|(_, id)| !seen.insert(**id));
    again
        .map(|(index, _)| FieldError {
            pointer: format!("#/{list}/{index}/agent_id"),
            detail: "names an agent that is in the list before".to_owned(),
        })
        .collect()
}

/// The request is refused where anything is wrong with it.
pub(super) fn refuse(errors: Vec<FieldError>) -> Result<(), Error> {
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Error::Invalid(errors))
    }
}
