//! Batches: every change is judged before the first is written, so that a change that can't be
//! made stops the whole batch, or nothing but itself.

use entity::member;
use sea_orm::{ActiveModelTrait, ColumnTrait, Condition, IdenStatic, IntoActiveModel, Iterable};

use super::{
    bulk::{self, Held},
    dto::{
        MemberBatch, MemberBatchResult, MemberFailure, MemberFailureCode, MemberOperationKind,
        MemberOutcome, MemberResult, lay_over,
    },
    queries,
};
use crate::{
    error::{Error, FieldError},
    write::UnitOfWork,
};

/// A change that is asked for.
struct Operation {
    kind: MemberOperationKind,
    agent_id: i64,
    /// The columns that are to be set.
    said: member::ActiveModel,
}

/// A change that was judged.
struct Judged {
    kind: MemberOperationKind,
    agent_id: i64,
    verdict: Result<Step, MemberFailure>,
}

/// What a change comes to.
enum Step {
    Add(member::ActiveModel),
    Restore(member::ActiveModel),
    Update(member::ActiveModel),
    Remove,
}

/// Makes the changes in one step: all of them, or with `partial` those that can be made.
pub(crate) async fn run(
    work: &UnitOfWork,
    circle: &str,
    batch: MemberBatch,
    partial: bool,
) -> Result<MemberBatchResult, Error> {
    let operations = read(batch)?;
    let agents: Vec<i64> = operations.iter().map(|asked| asked.agent_id).collect();
    let mut held = bulk::hold(work, circle, &agents).await?;
    let mut judged: Vec<Judged> = operations
        .into_iter()
        .map(|operation| judge(&held, operation))
        .collect();
    if judged.iter().any(Judged::takes_a_place) {
        give_places(&held, &mut judged);
    }
    if !partial {
        refuse_failures(&judged)?;
    }
    let results = write(&mut held, judged).await?;
    Ok(MemberBatchResult { results })
}

/// Checks what the description can't say.
fn read(batch: MemberBatch) -> Result<Vec<Operation>, Error> {
    let operations: Vec<Operation> = batch
        .operations
        .into_iter()
        .map(|operation| Operation {
            kind: operation.op,
            agent_id: operation.agent_id,
            said: operation.into_row(),
        })
        .collect();
    let agents: Vec<i64> = operations.iter().map(|asked| asked.agent_id).collect();
    let mut errors = bulk::repeated("operations", &agents);
    for (index, operation) in operations.iter().enumerate() {
        if operation.kind == MemberOperationKind::Remove {
            errors.extend(stray_fields(index, &operation.said));
        }
    }
    bulk::refuse(errors)?;
    Ok(operations)
}

fn stray_fields(index: usize, said: &member::ActiveModel) -> impl Iterator<Item = FieldError> {
    let stray = member::Column::iter().filter(|column| said.get(*column).is_set());
    stray.map(move |column| FieldError {
        pointer: format!("#/operations/{index}/{}", column.as_str()),
        detail: "is no field of a removal".to_owned(),
    })
}

/// What a change comes to, not counting places.
fn judge(held: &Held<'_>, operation: Operation) -> Judged {
    let Operation {
        kind,
        agent_id,
        said,
    } = operation;
    let circle = &held.circle_row.name;
    let failed = |code, error: &Error| Err(MemberFailure::new(code, error));
    let verdict = match (kind, held.active(agent_id)) {
        (MemberOperationKind::Add, _) if !held.agents.contains(&agent_id) => {
            let unknown = Error::not_found("agent", agent_id.to_string());
            failed(MemberFailureCode::NotFound, &unknown)
        }
        (MemberOperationKind::Add, Some(_)) => {
            let exists = queries::exists(circle, agent_id);
            failed(MemberFailureCode::MemberExists, &exists)
        }
        (MemberOperationKind::Add, None) if held.members.contains_key(&agent_id) => {
            Ok(Step::Restore(said))
        }
        (MemberOperationKind::Add, None) => Ok(Step::Add(said)),
        (_, None) => {
            let unknown = queries::unknown(circle, agent_id);
            failed(MemberFailureCode::NotFound, &unknown)
        }
        (MemberOperationKind::Update, Some(before)) => {
            let row = lay_over(before.clone().into_active_model(), &said);
            Ok(Step::Update(row))
        }
        (MemberOperationKind::Remove, Some(_)) => Ok(Step::Remove),
    };
    Judged {
        kind,
        agent_id,
        verdict,
    }
}

impl Judged {
    fn takes_a_place(&self) -> bool {
        matches!(self.verdict, Ok(Step::Add(_) | Step::Restore(_)))
    }

    fn frees_a_place(&self) -> bool {
        matches!(self.verdict, Ok(Step::Remove))
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

/// Gives the free places, and those that the batch frees, to the agents that come in, in the order
/// of the batch; the ones beyond the circle's limit fail.
fn give_places(held: &Held<'_>, judged: &mut [Judged]) {
    let Some(limit) = held.circle_row.max_members else {
        return;
    };
    let freed: i64 = judged
        .iter()
        .map(|row| i64::from(row.frees_a_place()))
        .sum();
    let mut free = i64::from(limit) - held.circle_row.member_count + freed;
    for row in judged.iter_mut().filter(|row| row.takes_a_place()) {
        if free <= 0 {
            let full = queries::full(&held.circle_row, limit);
            row.verdict = Err(MemberFailure::new(MemberFailureCode::CircleFull, &full));
        }
        free -= 1;
    }
}

fn refuse_failures(judged: &[Judged]) -> Result<(), Error> {
    let failures: Vec<FieldError> = judged
        .iter()
        .enumerate()
        .filter_map(|(index, row)| {
            let failure = row.verdict.as_ref().err()?;
            Some(FieldError {
                pointer: format!("#/operations/{index}"),
                detail: failure.detail.clone(),
            })
        })
        .collect();
    if failures.is_empty() {
        Ok(())
    } else {
        Err(Error::BatchFailed(failures))
    }
}

async fn write(held: &mut Held<'_>, judged: Vec<Judged>) -> Result<Vec<MemberResult>, Error> {
    let mut rows = Vec::new();
    let mut leaving = Vec::new();
    for Judged {
        agent_id, verdict, ..
    } in &judged
    {
        match verdict {
            Ok(Step::Add(row) | Step::Restore(row)) => rows.push(row.clone()),
            Ok(Step::Update(row)) if row.is_changed() => rows.push(row.clone()),
            Ok(Step::Remove) => leaving.push(*agent_id),
            Ok(Step::Update(_)) | Err(_) => {}
        }
    }
    let saved = held.save(rows).await?;
    held.members.extend(saved);
    if !leaving.is_empty() {
        let these = Condition::all().add(member::Column::AgentId.is_in(leaving));
        let ended = held.end(these).await?;
        held.members.extend(ended);
    }
    let results = judged.into_iter().map(|row| result(held, row));
    Ok(results.collect())
}

fn result(held: &mut Held<'_>, judged: Judged) -> MemberResult {
    let Judged {
        kind,
        agent_id,
        verdict,
    } = judged;
    let (status, error) = match verdict {
        Ok(Step::Add(_)) => (MemberOutcome::Added, None),
        Ok(Step::Restore(_)) => (MemberOutcome::Restored, None),
        Ok(Step::Update(_)) => (MemberOutcome::Updated, None),
        Ok(Step::Remove) => (MemberOutcome::Removed, None),
        Err(failure) => (MemberOutcome::Failed, Some(failure)),
    };
    let member_row = held.members.remove(&agent_id);
    MemberResult {
        agent_id,
        op: kind,
        status,
        member: member_row.filter(|_| error.is_none()).map(Into::into),
        error,
    }
}
