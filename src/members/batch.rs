//! Batches: every operation is decided on before the first is written, so that an operation that can't be
//! done stops the whole batch, or only itself.

use entity::member;
use sea_orm::{ActiveModelTrait, ColumnTrait, Condition, IdenStatic, IntoActiveModel, Iterable};

use super::{
    bulk::{self, LockedMembers},
    dto::{
        MemberBatch, MemberBatchResult, MemberFailure, MemberFailureCode, MemberOperationKind,
        MemberOutcome, MemberResult,
    },
    queries,
};
use crate::{
    error::{Error, FieldError},
    revision::Precondition,
    write::{UnitOfWork, merge},
};

struct BatchOperation {
    kind: MemberOperationKind,
    agent_id: i64,
    /// The columns to set.
    requested: member::ActiveModel,
}

/// An operation, and what to do about it.
struct Decision {
    kind: MemberOperationKind,
    agent_id: i64,
    plan: Result<Plan, MemberFailure>,
}

enum Plan {
    Add(member::ActiveModel),
    Restore(member::ActiveModel),
    Update(member::ActiveModel),
    Remove,
}

/// Does all operations, or with `partial` those that can be done.
pub(crate) async fn run(
    work: UnitOfWork,
    circle: &str,
    precondition: &Precondition,
    batch: MemberBatch,
    partial: bool,
) -> Result<MemberBatchResult, Error> {
    let operations = parse(batch)?;
    let agents: Vec<i64> = operations.iter().map(|row| row.agent_id).collect();
    let mut locked = bulk::lock(&work, circle, precondition, &agents).await?;
    let decide = |operation| decide(&locked, operation);
    let mut decisions: Vec<Decision> = operations.into_iter().map(decide).collect();
    assign_capacity(&locked, &mut decisions).await?;
    if !partial {
        reject_failures(&decisions)?;
    }
    let results = write(&mut locked, decisions).await?;
    Ok(MemberBatchResult { results })
}

/// Checks what the description can't express.
fn parse(batch: MemberBatch) -> Result<Vec<BatchOperation>, Error> {
    let operations: Vec<BatchOperation> = batch
        .operations
        .into_iter()
        .map(|operation| BatchOperation {
            kind: operation.op,
            agent_id: operation.agent_id,
            requested: operation.into_row(),
        })
        .collect();
    let agents: Vec<i64> = operations.iter().map(|row| row.agent_id).collect();
    let mut errors = bulk::repeated("operations", &agents);
    for (index, operation) in operations.iter().enumerate() {
        if operation.kind == MemberOperationKind::Remove {
            errors.extend(stray_fields(index, &operation.requested));
        }
    }
    bulk::reject(errors)?;
    Ok(operations)
}

fn stray_fields(index: usize, requested: &member::ActiveModel) -> impl Iterator<Item = FieldError> {
    let stray = member::Column::iter().filter(|column| requested.get(*column).is_set());
    stray.map(move |column| FieldError {
        pointer: format!("#/operations/{index}/{}", column.as_str()),
        detail: "is not a field of a removal".to_owned(),
    })
}

/// What to do about an operation, without regard to the circle's limit.
fn decide(locked: &LockedMembers<'_>, operation: BatchOperation) -> Decision {
    use MemberOperationKind::{Add, Remove, Update};
    let BatchOperation {
        kind,
        agent_id,
        requested,
    } = operation;
    let circle = &locked.circle_row.name;
    let plan = match (kind, locked.active(agent_id)) {
        (Add, _) if !locked.agents.contains(&agent_id) => Err(MemberFailure::new(
            MemberFailureCode::NotFound,
            &Error::not_found("agent", agent_id.to_string()),
        )),
        (Add, Some(_)) => Err(MemberFailure::new(
            MemberFailureCode::MemberExists,
            &queries::member_exists(circle, agent_id),
        )),
        (Add, None) if locked.members.contains_key(&agent_id) => Ok(Plan::Restore(requested)),
        (Add, None) => Ok(Plan::Add(requested)),
        (Update | Remove, None) => Err(MemberFailure::new(
            MemberFailureCode::NotFound,
            &queries::unknown(circle, agent_id),
        )),
        (Update, Some(before)) => {
            let row = merge(before.clone().into_active_model(), &requested);
            Ok(Plan::Update(row))
        }
        (Remove, Some(_)) => Ok(Plan::Remove),
    };
    Decision {
        kind,
        agent_id,
        plan,
    }
}

impl Decision {
    fn takes_place(&self) -> bool {
        matches!(self.plan, Ok(Plan::Add(_) | Plan::Restore(_)))
    }

    fn frees_place(&self) -> bool {
        matches!(self.plan, Ok(Plan::Remove))
    }
}

impl MemberFailure {
    fn new(code: MemberFailureCode, error: &Error) -> Self {
        Self {
            code,
            detail: error.to_string(),
        }
    }
}

/// Assigns the circle's free places, and those that the batch frees, to the added agents in the order of
/// the batch. Additions beyond the circle's limit fail.
async fn assign_capacity(
    locked: &LockedMembers<'_>,
    decisions: &mut [Decision],
) -> Result<(), Error> {
    let count = |which: fn(&Decision) -> bool| {
        let count = decisions.iter().filter(|row| which(row)).count();
        i64::try_from(count).unwrap_or(i64::MAX)
    };
    let (taken, freed) = (count(Decision::takes_place), count(Decision::frees_place));
    let mut free = locked
        .free_places(taken - freed)
        .await?
        .saturating_add(freed);
    for decision in decisions.iter_mut().filter(|row| row.takes_place()) {
        if free <= 0 {
            let error = locked.full();
            decision.plan = Err(MemberFailure::new(MemberFailureCode::CircleFull, &error));
        }
        free -= 1;
    }
    Ok(())
}

fn reject_failures(decisions: &[Decision]) -> Result<(), Error> {
    let failures: Vec<FieldError> = decisions
        .iter()
        .enumerate()
        .filter_map(|(index, decision)| {
            let failure = decision.plan.as_ref().err()?;
            Some(FieldError {
                pointer: format!("#/operations/{index}"),
                detail: failure.detail.clone(),
            })
        })
        .collect();
    if failures.is_empty() {
        Ok(())
    } else {
        Err(Error::BatchFailed(failures.into()))
    }
}

async fn write(
    locked: &mut LockedMembers<'_>,
    decisions: Vec<Decision>,
) -> Result<Vec<MemberResult>, Error> {
    let mut rows = Vec::new();
    let mut removed = Vec::new();
    for Decision { agent_id, plan, .. } in &decisions {
        match plan {
            Ok(Plan::Add(row) | Plan::Restore(row)) => rows.push(row.clone()),
            Ok(Plan::Update(row)) if row.is_changed() => rows.push(row.clone()),
            Ok(Plan::Remove) => removed.push(*agent_id),
            Ok(Plan::Update(_)) | Err(_) => {}
        }
    }
    let saved = locked.save(rows).await?;
    locked.members.extend(saved);
    if !removed.is_empty() {
        let of_removed = Condition::all().add(member::Column::AgentId.is_in(removed));
        let ended = locked.end(of_removed).await?;
        locked.members.extend(ended);
    }
    let results = decisions.into_iter().map(|row| result(locked, row));
    Ok(results.collect())
}

fn result(locked: &mut LockedMembers<'_>, decision: Decision) -> MemberResult {
    let Decision {
        kind,
        agent_id,
        plan,
    } = decision;
    let (status, error) = match plan {
        Ok(Plan::Add(_)) => (MemberOutcome::Added, None),
        Ok(Plan::Restore(_)) => (MemberOutcome::Restored, None),
        Ok(Plan::Update(_)) => (MemberOutcome::Updated, None),
        Ok(Plan::Remove) => (MemberOutcome::Removed, None),
        Err(failure) => (MemberOutcome::Failed, Some(failure)),
    };
    let member_row = locked.members.remove(&agent_id);
    MemberResult {
        agent_id,
        op: kind,
        status,
        member: member_row.filter(|_| error.is_none()).map(Into::into),
        error,
    }
}
