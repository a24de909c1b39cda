//! Replacing the members of a circle by a given set.

use entity::member;
use sea_orm::{ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, Condition, IntoActiveModel};

use super::{
    bulk::{self, Held},
    dto::{MemberChanges, MemberCreate, MemberSet, lay_over},
    queries,
};
use crate::{
    error::{Error, FieldError},
    write::UnitOfWork,
};

/// Makes exactly these agents the circle's members. Who is one already stays one, and is written
/// only where something differs.
pub(crate) async fn run(
    work: &UnitOfWork,
    circle: &str,
    MemberSet { members }: MemberSet,
) -> Result<MemberChanges, Error> {
    let agents: Vec<i64> = members.iter().map(|new| new.agent_id).collect();
    bulk::refuse(bulk::repeated("members", &agents))?;
    let held = bulk::hold(work, circle, &agents).await?;
    bulk::refuse(unknown(&held, &agents))?;
    let (rows, mut changes) = compare(&held, members);
    refuse_if_full(&held, agents.len(), &changes)?;
    held.save(rows).await?;
    let others = Condition::all().add(member::Column::AgentId.is_not_in(agents));
    changes.removed = held.end(others).await?.into_keys().collect();
    changes.removed.sort_unstable();
    Ok(changes)
}

fn unknown(held: &Held<'_>, agents: &[i64]) -> Vec<FieldError> {
    let unknown = agents
        .iter()
        .enumerate()
        .filter(|(_, id)| !held.agents.contains(*id));
    unknown
        .map(|(index, _)| FieldError {
            pointer: format!("#/members/{index}/agent_id"),
            detail: "there is no such agent".to_owned(),
        })
        .collect()
}

/// The rows to write, and what they change.
fn compare(
    held: &Held<'_>,
    members: Vec<MemberCreate>,
) -> (Vec<member::ActiveModel>, MemberChanges) {
    let mut rows = Vec::new();
    let mut changes = MemberChanges::default();
    for new in members {
        let agent_id = new.agent_id;
        let wanted = member::ActiveModel::from(new);
        match held.members.get(&agent_id) {
            None => {
                changes.added.push(agent_id);
                rows.push(wanted);
            }
            Some(before) if !before.is_active => {
                changes.restored.push(agent_id);
                rows.push(wanted);
            }
            Some(before) => {
                let wanted = member::ActiveModel {
                    joined_at: NotSet,
                    revision: NotSet,
                    ..wanted
                };
                let row = lay_over(before.clone().into_active_model(), &wanted);
                if row.is_changed() {
                    changes.updated.push(agent_id);
                    rows.push(row);
                } else {
                    changes.unchanged.push(agent_id);
                }
            }
        }
    }
    (rows, changes)
}

/// As when members are added one by one: a circle over its limit keeps whom it has, and takes
/// nobody in.
fn refuse_if_full(held: &Held<'_>, members: usize, changes: &MemberChanges) -> Result<(), Error> {
    let takes_in = !(changes.added.is_empty() && changes.restored.is_empty());
    match held.circle_row.max_members {
        Some(limit) if takes_in && i64::try_from(members).is_ok_and(|n| n > i64::from(limit)) => {
            Err(queries::full(&held.circle_row, limit))
        }
        _ => Ok(()),
    }
}
