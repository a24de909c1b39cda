//! Planning and applying documents.

use indicatif::ProgressBar;
use sea_orm::DbErr;
use tokio::task::spawn_blocking;

use super::{
    blocked::blocked_deletions,
    dto::{DocumentPlan, DocumentSet},
    named::NamedRows,
    plan::{PlanOptions, RegistryPlan, plan as compare},
    state::RegistryState,
    writer::Writer,
};
use crate::{
    database::Database, error::Error, members::jobs::MembershipsAtOnce, write::UnitOfWork,
};

/// What applying documents would do. Compares with one snapshot, and changes nothing.
///
/// # Errors
/// What is wrong with the documents, or the database reports.
pub(crate) async fn plan(
    database: &Database,
    set: &DocumentSet,
    options: PlanOptions,
) -> Result<DocumentPlan, Error> {
    let named = NamedRows::of(set);
    let state = database.retry_once(|| load(database, &named)).await?;
    let mut plan = compared(set, state, options).await?;
    plan.shown.blocked_deletions = blocked_deletions(&database.reader(), &plan).await?;
    Ok(plan.shown)
}

async fn load(database: &Database, named: &NamedRows) -> Result<RegistryState, Error> {
    let snapshot = database.connection().snapshot().await?;
    let state = RegistryState::of(&snapshot, named).await;
    snapshot.end(state).await
}

/// Compares on a thread on which it makes no other request wait.
async fn compared(
    set: &DocumentSet,
    state: RegistryState,
    options: PlanOptions,
) -> Result<RegistryPlan, Error> {
    let set = set.clone();
    spawn_blocking(move || compare(set, state, options))
        .await
        .map_err(|error| DbErr::Custom(error.to_string()))?
}

/// How a plan is written.
#[derive(Clone, Debug)]
pub(crate) struct Applying {
    pub(crate) options: PlanOptions,
    /// Which plan is to be applied; the one that there is now if `None`.
    pub(crate) digest: Option<String>,
    pub(crate) at_once: MembershipsAtOnce,
    pub(crate) progress: ProgressBar,
}

/// Makes everything as the documents say.
///
/// # Errors
/// What is wrong with the documents, a plan that is not the one with the digest, a scope that the caller lacks, or what the
/// database reports. Nothing has changed then.
pub(crate) async fn apply(
    work: UnitOfWork,
    set: &DocumentSet,
    applying: &Applying,
) -> Result<DocumentPlan, Error> {
    let named = NamedRows::of(set);
    named.lock(work.db()).await?;
    let state = RegistryState::of(work.db(), &named).await?;
    let plan = compared(set, state, applying.options).await?;
    if let Some(digest) = &applying.digest
        && *digest != plan.shown.digest
    {
        let detail = format!("what would be done is not the plan {digest}; plan again");
        return Err(Error::conflict("plan_changed", detail));
    }
    let shown = plan.shown.clone();
    let writer = Writer::new(work, &applying.progress, applying.at_once);
    writer.write(plan).await?;
    Ok(shown)
}
