//! `/v1/circles/{circle_name}/members`

use entity::{member, values::MemberRole};
use poem::web::Data;
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};

use super::{
    add, batch,
    dto::{
        AgentCircle, Member, MemberBatch, MemberBatchResult, MemberChanges, MemberCreate,
        MemberSet, MemberUpdate,
    },
    queries::{self, MemberFilter},
    replace,
};
use crate::{
    database::Database,
    error::Error,
    http::{Body, Created, NoContent, PageBody, Tag, Tagged, Untagged},
    page::PageRequest,
    revision::Precondition,
    write::{FastPath, WriteRequest},
};

pub(crate) struct MembersApi;

#[OpenApi(prefix_path = "/v1", tag = "Tag::Members")]
impl MembersApi {
    /// List a circle's members
    ///
    /// The memberships alone, in the order of their ids; the roster (`get_circle`) shows them with
    /// their agents, models and providers. Fails with 404 `not_found` where there is no live
    /// circle of that name.
    #[oai(
        path = "/circles/:circle_name/members",
        method = "get",
        operation_id = "list_members"
    )]
    async fn list_members(
        &self,
        Data(database): Data<&Database>,
        /// The circle's name.
        circle_name: Path<String>,
        /// Only those in this role.
        role: Query<Option<MemberRole>>,
        /// Whether to show memberships that ended too.
        include_inactive: Query<Option<bool>>,
        page: PageRequest,
    ) -> Result<Body<PageBody<Member>>, Error> {
        let filter = MemberFilter {
            role: role.0,
            include_inactive: include_inactive.0.unwrap_or(false),
        };
        let rows = queries::list(database.connection(), &circle_name.0, filter, page).await?;
        Ok(Body(rows.into()))
    }

    /// Add an agent to a circle
    ///
    /// An agent that was in the circle before gets its old membership back, with the role and
    /// lists given now. Fails with 404 `not_found` where there is no live circle of that name, 422
    /// `invalid_request` where there is no such agent, 409 `member_exists` where it is in the
    /// circle, and 409 `circle_full` where the circle has `max_members` already.
    #[oai(
        path = "/circles/:circle_name/members",
        method = "post",
        operation_id = "add_member"
    )]
    async fn add_member(
        &self,
        write: WriteRequest,
        /// The circle's name.
        circle_name: Path<String>,
        new: Json<MemberCreate>,
    ) -> Result<Created<Member>, Error> {
        let agent_id = new.agent_id;
        let path = |_: &member::Model| format!("/v1/circles/{}/members/{agent_id}", circle_name.0);
        // One row for all attempts, so that its `joined_at` identifies it.
        let row = member::ActiveModel::from(new.0);
        let statement =
            |db, actor| add::add_in_one_statement(db, actor, &circle_name, agent_id, row.clone());
        let may_exist = match write.fast_path(statement).await? {
            FastPath::Done(added) => return Created::row(path(&added), added),
            FastPath::NotDone { may_exist } => may_exist,
        };
        write
            .create(path, |work| {
                add::add(work, &circle_name, agent_id, row.clone(), may_exist)
            })
            .await
    }

    /// Replace a circle's members
    ///
    /// Makes exactly these agents the members: adds or restores those that are missing, updates
    /// those that differ, ends the memberships of all others, and leaves the rest alone. An absent
    /// field means its usual value, as when a member is added. All or nothing. Fails with 404
    /// `not_found` where there is no live circle of that name, 422 `invalid_request` where there is
    /// no such agent or one is named twice, and 409 `circle_full` where somebody new would come in
    /// and the set has more than `max_members`.
    #[oai(
        path = "/circles/:circle_name/members",
        method = "put",
        operation_id = "replace_members"
    )]
    async fn replace_members(
        &self,
        write: WriteRequest,
        /// The circle's name.
        circle_name: Path<String>,
        members: Json<MemberSet>,
    ) -> Result<Untagged<MemberChanges>, Error> {
        write
            .update_many(|work| replace::run(work, &circle_name, members.0.clone()))
            .await
    }

    /// Change many members at once
    ///
    /// Up to 500 additions, updates and removals, in one step. All or nothing: where one of them
    /// can't be done, nothing is, and the batch fails with 409 `batch_failed`, whose `errors` point
    /// at every one that is in the way. With `partial=true` those that can be done are done, and
    /// the result of each of the others says why not. Against `max_members` counts what the circle
    /// has in the end: removals free places, wherever in the batch they stand, and additions take
    /// them in order. Fails with 404 `not_found` where there is no live circle of that name, and
    /// 422 `invalid_request` where an agent is named twice or a removal has other fields.
    #[oai(
        path = "/circles/:circle_name/members:batch",
        method = "post",
        operation_id = "batch_members"
    )]
    async fn batch_members(
        &self,
        write: WriteRequest,
        /// The circle's name.
        circle_name: Path<String>,
        /// Whether to do what can be done where not all of it can.
        partial: Query<Option<bool>>,
        batch: Json<MemberBatch>,
    ) -> Result<Untagged<MemberBatchResult>, Error> {
        let partial = partial.0.unwrap_or(false);
        write
            .update_many(|work| batch::run(work, &circle_name, batch.0.clone(), partial))
            .await
    }

    /// Get a member
    ///
    /// Fails with 404 `not_found` where there is no live circle of that name, or the agent is not
    /// in it.
    #[oai(
        path = "/circles/:circle_name/members/:agent_id",
        method = "get",
        operation_id = "get_member"
    )]
    async fn get_member(
        &self,
        Data(database): Data<&Database>,
        /// The circle's name.
        circle_name: Path<String>,
        /// The agent's id.
        #[oai(validator(minimum(value = "1")))]
        agent_id: Path<i64>,
    ) -> Result<Tagged<Member>, Error> {
        Tagged::row(queries::get(database.connection(), &circle_name.0, agent_id.0).await?)
    }

    /// Update a member
    ///
    /// An absent field stays. Fails with 404 `not_found` where there is no live circle of that
    /// name, or the agent is not in it.
    #[oai(
        path = "/circles/:circle_name/members/:agent_id",
        method = "patch",
        operation_id = "update_member"
    )]
    async fn update_member(
        &self,
        write: WriteRequest,
        /// The circle's name.
        circle_name: Path<String>,
        /// The agent's id.
        #[oai(validator(minimum(value = "1")))]
        agent_id: Path<i64>,
        precondition: Precondition,
        update: Json<MemberUpdate>,
    ) -> Result<Tagged<Member>, Error> {
        write
            .update(|work| {
                let changes = update.0.clone().into();
                queries::update(work, &circle_name, agent_id.0, &precondition, changes)
            })
            .await
    }

    /// Remove a member
    ///
    /// Ends the membership; adding the agent again restores it. Fails with 404 `not_found` where
    /// there is no live circle of that name, or the agent is not in it.
    #[oai(
        path = "/circles/:circle_name/members/:agent_id",
        method = "delete",
        operation_id = "remove_member"
    )]
    async fn remove_member(
        &self,
        write: WriteRequest,
        /// The circle's name.
        circle_name: Path<String>,
        /// The agent's id.
        #[oai(validator(minimum(value = "1")))]
        agent_id: Path<i64>,
        precondition: Precondition,
    ) -> Result<NoContent, Error> {
        write
            .delete(|work| queries::remove(work, &circle_name, agent_id.0, &precondition))
            .await
    }

    /// List an agent's circles
    ///
    /// The live circles it is an active member of, in the order of its memberships' ids. Fails
    /// with 404 `not_found` where there is no agent of that id.
    #[oai(
        path = "/agents/:id/circles",
        method = "get",
        operation_id = "list_agent_circles"
    )]
    async fn list_agent_circles(
        &self,
        Data(database): Data<&Database>,
        /// The agent's id.
        #[oai(validator(minimum(value = "1")))]
        id: Path<i64>,
        page: PageRequest,
    ) -> Result<Body<PageBody<AgentCircle>>, Error> {
        let db = database.connection();
        let rows = queries::list_of_agent(db, id.0, page).await?;
        Ok(Body(rows.into()))
    }
}
