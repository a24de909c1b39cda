//! Writing a plan, in few statements however many rows there are.

use std::collections::{HashMap, HashSet};

use entity::{agent, circle, document_owner, mcp_server, member, model, provider, values::Scope};
use indicatif::ProgressBar;
use sea_orm::{
    ActiveValue::{self, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter,
};

use super::{
    described::Described,
    members::{MemberPlan, end},
    plan::{OwnerChange, RegistryPlan},
    shown::ReferenceNames,
    table::TablePlan,
};
use crate::{
    agents,
    circles::{self, queries::check_protection},
    error::Error,
    mcp_servers,
    members::{self, jobs::MembershipsAtOnce},
    models::facts,
    providers,
    revision::Precondition,
    search, versions,
    write::{Action, Fields, Resource, UnitOfWork, bulk},
};

/// Writes the tables, those first that others refer to.
pub(super) struct Writer<'p> {
    work: UnitOfWork,
    /// The ids of the rows that had provisional ones.
    ids: HashMap<i64, i64>,
    /// Agents whose definition stays the same.
    unversioned: HashSet<i64>,
    progress: &'p ProgressBar,
    at_once: MembershipsAtOnce,
}

impl<'p> Writer<'p> {
    pub(super) fn new(
        work: UnitOfWork,
        progress: &'p ProgressBar,
        at_once: MembershipsAtOnce,
    ) -> Self {
        Self {
            work,
            ids: HashMap::new(),
            unversioned: HashSet::new(),
            progress,
            at_once,
        }
    }

    pub(super) async fn write(mut self, plan: RegistryPlan) -> Result<(), Error> {
        let RegistryPlan {
            providers,
            mut models,
            mcp_servers,
            mut agents,
            circles,
            members,
            owners,
            names,
            shown: _,
        } = plan;
        if !(providers.is_empty() && models.is_empty() && mcp_servers.is_empty()) {
            self.work.actor().require(Scope::Admin)?;
        }
        for (before, row) in &circles.changed {
            check_protection(self.work.actor(), Some(before), row)?;
        }
        for (_, row) in &circles.created {
            check_protection(self.work.actor(), None, row)?;
        }
        let rows = providers.writes() + models.writes() + mcp_servers.writes();
        let rows = rows + agents.writes() + circles.writes() + members.writes();
        self.progress.set_length(rows as u64);

        let providers = self.save(providers).await?;
        self.prepare_models(&mut models);
        let models = self.save(models).await?;
        let mcp_servers = self.save(mcp_servers).await?;
        self.prepare_agents(&mut agents)?;
        let agents = self.save(agents).await?;
        self.follow_agents(&agents).await?;
        let circles = self.save(circles).await?;
        self.save_members(members, &names).await?;
        self.delete_circles(circles.deleted).await?;
        self.delete_agents(agents.deleted).await?;
        self.delete_servers(mcp_servers.deleted).await?;
        self.delete_models(models.deleted, providers.deleted)
            .await?;
        self.save_owners(owners).await
    }

    async fn delete_circles(&self, rows: Vec<circle::Model>) -> Result<(), Error> {
        for row in rows {
            circles::queries::delete(self.work.clone(), &row.name, &Precondition::Any).await?;
        }
        Ok(())
    }

    async fn delete_agents(&self, rows: Vec<agent::Model>) -> Result<(), Error> {
        for row in rows {
            let work = self.work.clone();
            agents::queries::delete(work, row.id, &Precondition::Any, self.at_once).await?;
        }
        Ok(())
    }

    async fn delete_servers(&self, rows: Vec<mcp_server::Model>) -> Result<(), Error> {
        for row in rows {
            mcp_servers::queries::delete(self.work.clone(), row.id, &Precondition::Any).await?;
        }
        Ok(())
    }

    async fn delete_models(
        &self,
        models: Vec<model::Model>,
        providers: Vec<provider::Model>,
    ) -> Result<(), Error> {
        if !models.is_empty() {
            let backend = self.work.db().get_database_backend();
            let ids = models.iter().map(|row| row.id);
            let these = search::among(backend, model::Column::Id, ids);
            let models = model::Entity::find().filter(these);
            providers::queries::delete_models(&self.work, models).await?;
        }
        for row in providers {
            let work = self.work.clone();
            providers::queries::delete(work, row.id, &Precondition::Any, false).await?;
        }
        Ok(())
    }

    /// The id of a row in the database.
    fn real(&self, id: i64) -> i64 {
        self.ids.get(&id).copied().unwrap_or(id)
    }

    fn make_real(&self, id: &mut ActiveValue<i64>) {
        if let Set(id) = id {
            *id = self.real(*id);
        }
    }

    /// Writes the rows of one table, and records what is done.
    async fn save<E: Described>(&mut self, plan: TablePlan<E>) -> Result<SavedRows<E>, Error> {
        let TablePlan {
            created,
            changed,
            deleted,
            adopted,
        } = plan;
        let db = self.work.db();
        let (ids, rows): (Vec<i64>, Vec<E::ActiveModel>) = created.into_iter().unzip();
        let created = bulk::insert_all(db, rows, self.progress).await;
        let mut created = created.map_err(overtaken)?;
        // Ids are given out in the order of the rows.
        created.sort_unstable_by_key(E::id);
        self.ids
            .extend(ids.into_iter().zip(created.iter().map(E::id)));
        let changes = created.iter().map(|row| E::change(Action::Create, row));
        self.work.record_all(changes);

        let fields_of =
            |(before, row): &(E::Model, E::ActiveModel)| (E::id(before), Fields::set_in(row));
        let mut fields: HashMap<i64, Fields> = changed.iter().map(fields_of).collect();
        let rows = changed.into_iter().map(|(_, row)| row).collect();
        let updated = bulk::update_all(db, rows, self.progress).await;
        let mut updated = updated.map_err(overtaken)?;
        updated.sort_unstable_by_key(E::id);
        let change = |row, fields| E::change(Action::Update, row).fields(fields);
        self.work.record_all(updated.iter().map(|row| {
            let fields = fields.remove(&E::id(row)).unwrap_or_default();
            change(row, fields)
        }));
        let owner = || ["owner"].into_iter().collect();
        self.work
            .record_all(adopted.iter().map(|row| change(row, owner())));
        Ok(SavedRows {
            created,
            updated,
            deleted,
        })
    }

    fn prepare_models(&self, plan: &mut TablePlan<model::Entity>) {
        for (_, row) in &mut plan.created {
            self.make_real(&mut row.provider_id);
            *row = facts::priced(row.clone());
        }
        for (before, row) in &mut plan.changed {
            // A document says what is pinned, and where prices are from.
            row.priced_at = facts::with_consequences(before, row.clone()).priced_at;
        }
    }

    fn prepare_agents(&mut self, plan: &mut TablePlan<agent::Entity>) -> Result<(), Error> {
        let created = plan.created.iter_mut().map(|(_, row)| row);
        for row in created.chain(plan.changed.iter_mut().map(|(_, row)| row)) {
            if let Set(Some(id)) = &mut row.model_id {
                *id = self.real(*id);
            }
            if let Set(fallbacks) = &mut row.fallback_model_ids {
                for id in &mut fallbacks.0 {
                    *id = self.real(*id);
                }
            }
        }
        for (before, row) in &mut plan.changed {
            match versions::next(before, row)? {
                Some(version) => row.version = Set(version),
                None => {
                    self.unversioned.insert(before.id);
                }
            }
        }
        Ok(())
    }

    /// What follows from a change of agents: their links and versions.
    async fn follow_agents(&self, saved: &SavedRows<agent::Entity>) -> Result<(), Error> {
        let SavedRows {
            created, updated, ..
        } = saved;
        let all = [created.as_slice(), updated].concat();
        agents::links::replace_all(self.work.db(), &all)
            .await
            .map_err(overtaken)?;
        let is_versioned = |row: &&agent::Model| !self.unversioned.contains(&row.id);
        let versioned: Vec<_> = all.iter().filter(is_versioned).cloned().collect();
        for chunk in versioned.chunks(bulk::CHUNK) {
            versions::record(&self.work, chunk.to_vec()).await?;
        }
        Ok(())
    }

    async fn save_members(&self, plan: MemberPlan, names: &ReferenceNames) -> Result<(), Error> {
        let MemberPlan {
            mut added,
            changed,
            ended,
        } = plan;
        let db = self.work.db();
        for row in &mut added {
            self.make_real(&mut row.circle_id);
            self.make_real(&mut row.agent_id);
        }
        let circle_names: HashMap<i64, &str> = names
            .all(Resource::Circle)
            .map(|(id, name)| (self.real(id), name))
            .collect();
        let change = |action, row: &member::Model| {
            let circle = circle_names.get(&row.circle_id).copied();
            members::queries::change(action, circle.unwrap_or_default(), row)
        };
        let added = bulk::insert_all(db, added, self.progress).await;
        let mut added = added.map_err(overtaken)?;
        added.sort_unstable_by_key(|row| row.id);
        let changes = added.iter().map(|row| change(Action::Create, row));
        self.work.record_all(changes);

        let action_of = |(before, row): &(member::Model, member::ActiveModel)| {
            let action = if before.is_active {
                (Action::Update, Fields::set_in(row))
            } else {
                (Action::Restore, Fields::default())
            };
            (before.id, action)
        };
        let mut actions: HashMap<i64, (Action, Fields)> = changed.iter().map(action_of).collect();
        let none = (Action::Delete, Fields::default());
        let ending = ended.into_iter().map(end);
        let rows = changed.into_iter().map(|(_, row)| row).chain(ending);
        let rows = rows.collect();
        let mut updated = bulk::update_all(db, rows, self.progress).await?;
        updated.sort_unstable_by_key(|row| row.id);
        self.work.record_all(updated.iter().map(|row| {
            let (action, fields) = actions.remove(&row.id).unwrap_or(none.clone());
            change(action, row).fields(fields)
        }));
        Ok(())
    }

    async fn save_owners(&self, owners: Vec<OwnerChange>) -> Result<(), Error> {
        let db = self.work.db();
        let backend = db.get_database_backend();
        let mut ids: HashMap<&'static str, Vec<i64>> = HashMap::new();
        let mut rows = Vec::new();
        for OwnerChange {
            resource,
            id,
            owner,
        } in owners
        {
            let (resource, id) = (resource.as_str(), self.real(id));
            ids.entry(resource).or_default().push(id);
            rows.extend(owner.map(|owner| document_owner::ActiveModel {
                resource: Set(resource.to_owned()),
                resource_id: Set(id),
                owner: Set(owner),
            }));
        }
        for (resource, ids) in ids {
            document_owner::Entity::delete_many()
                .filter(document_owner::Column::Resource.eq(resource))
                .filter(search::among(
                    backend,
                    document_owner::Column::ResourceId,
                    ids,
                ))
                .exec(db)
                .await?;
        }
        for chunk in rows.chunks(bulk::CHUNK) {
            document_owner::Entity::insert_many(chunk.to_vec())
                .exec_without_returning(db)
                .await?;
        }
        Ok(())
    }
}

/// The rows of one table as they are after the writes, and those that are still to be deleted.
struct SavedRows<E: Described> {
    created: Vec<E::Model>,
    updated: Vec<E::Model>,
    deleted: Vec<E::Model>,
}

/// A name that was just taken, or a row that was just deleted: the next attempt finds it as it is now.
fn overtaken(error: impl Into<Error>) -> Error {
    match error.into() {
        Error::Unique { cause, .. } | Error::ForeignKey(cause) => Error::Contended(cause),
        other => other,
    }
}
