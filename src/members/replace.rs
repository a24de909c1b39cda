//! Replacing the members of a circle with a given set.

use entity::member;
use sea_orm::{ActiveModelTrait, ActiveValue::NotSet, IntoActiveModel};

use super::{
    bulk::{self, LockedMembers},
    dto::{MemberChanges, MemberCreate, MemberSet},
};
use crate::{
    error::{Error, FieldError},
    revision::Precondition,
    write::{UnitOfWork, merge},
};

/// Makes exactly these agents the circle's members. Existing members stay, and are written only if
/// something differs.
pub(crate) async fn run(
    work: UnitOfWork,
    circle: &str,
    precondition: &Precondition,
    MemberSet { members }: MemberSet,
) -> Result<MemberChanges, Error> {
    let agents: Vec<i64> = members.iter().map(|new| new.agent_id).collect();
    bulk::reject(bulk::repeated("members", &agents))?;
    let locked = bulk::lock(&work, circle, precondition, &agents).await?;
    bulk::reject(unknown(&locked, &agents))?;
    let (rows, mut changes) = compare(&locked, members);
    check_capacity(&locked, agents.len(), &changes)?;
    locked.save(rows).await?;
    changes.removed = locked.end_others(agents).await?;
    changes.removed.sort_unstable();
    Ok(changes)
}

fn unknown(locked: &LockedMembers<'_>, agents: &[i64]) -> Vec<FieldError> {
    let unknown = agents
        .iter()
        .enumerate()
        .filter(|(_, id)| !locked.agents.contains(*id));
    unknown
        .map(|(index, _)| FieldError {
            pointer: format!("#/members/{index}/agent_id"),
            detail: "there is no such agent".to_owned(),
        })
        .collect()
}

/// The rows to write, and what they change.
fn compare(
    locked: &LockedMembers<'_>,
    members: Vec<MemberCreate>,
) -> (Vec<member::ActiveModel>, MemberChanges) {
    let mut rows = Vec::new();
    let mut changes = MemberChanges::default();
    for new in members {
        let agent_id = new.agent_id;
        let requested = member::ActiveModel::from(new);
        match locked.members.get(&agent_id) {
            None => {
                changes.added.push(agent_id);
                rows.push(requested);
            }
            Some(before) if !before.is_active => {
                changes.restored.push(agent_id);
                rows.push(requested);
            }
            Some(before) => {
                let requested = member::ActiveModel {
                    joined_at: NotSet,
                    ..requested
                };
                let row = merge(before.clone().into_active_model(), &requested);
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

/// A set that is larger than the circle's limit is accepted only if it adds no agent: a circle keeps the
/// members it has when its limit is lowered.
fn check_capacity(
    locked: &LockedMembers<'_>,
    members: usize,
    changes: &MemberChanges,
) -> Result<(), Error> {
    let adds = !(changes.added.is_empty() && changes.restored.is_empty());
    let limit = locked.circle_row.max_members.map_or(i64::MAX, i64::from);
    if adds && i64::try_from(members).is_ok_and(|members| members > limit) {
        return Err(locked.full());
    }
    Ok(())
}
