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
        MemberRow, MemberSet, MemberUpdate,
    },
    queries::{self, MemberFilter},
    replace,
};
use crate::{
    circles::dto::CircleRow,
    database::Database,
    error::Error,
    http::{Body, Created, NoContent, PageBody, Tag, Tagged, Untagged},
    page::PageRequest,
    revision::Precondition,
    rows::FromRow,
    write::{FastPath, WriteRequest},
};

pub(crate) struct MembersApi;

#[OpenApi(prefix_path = "/v1", tag = "Tag::Members")]
impl MembersApi {
    /// List a circle's members
    ///
    /// The memberships alone, ordered by id. The roster (`get_circle`) shows them with their agents,
    /// models and providers. Fails with 404 `not_found` if there is no circle with this name.
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
        /// Only members with this role.
        role: Query<Option<MemberRole>>,
        /// Whether to include memberships that have ended.
        include_inactive: Query<Option<bool>>,
        page: PageRequest,
    ) -> Result<Body<PageBody<Member>>, Error> {
        let filter = MemberFilter {
            role: role.0,
            include_inactive: include_inactive.0.unwrap_or(false),
        };
        let page = queries::list(database.connection(), &circle_name.0, filter, page).await?;
        Body::page(&page, MemberRow::read)
    }

    /// Add an agent to a circle
    ///
    /// If the agent was a member before, its previous membership is restored with the fields of this
    /// request. Fails with 404 `not_found` if there is no circle with this name, with 422
    /// `invalid_request` if there is no such agent, with 409 `member_exists` if it is already a member,
    /// and with 409 `circle_full` if the circle has `max_members` members.
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
        precondition: Precondition,
        new: Json<MemberCreate>,
    ) -> Result<Created<Member>, Error> {
        let agent_id = new.agent_id;
        let path = |_: &member::Model| format!("/v1/circles/{}/members/{agent_id}", circle_name.0);
        // One row for all attempts, so that its `joined_at` identifies it.
        let row = member::ActiveModel::from(new.0);
        let statement =
            |db, actor| add::add_in_one_statement(db, actor, &circle_name, agent_id, row.clone());
        let mut may_exist = false;
        // The statement does not compare the circle's revision.
        if precondition == Precondition::Any {
            may_exist = match write.fast_path(statement).await? {
                FastPath::Done(added) => return Created::row(path(&added), added),
                FastPath::NotDone { may_exist } => may_exist,
            };
        }
        write
            .create(path, |work| {
                add::add(work, &circle_name, &precondition, row.clone(), may_exist)
            })
            .await
    }

    /// Replace a circle's members
    ///
    /// Makes exactly these agents the members: adds or restores those that are missing, updates those
    /// that differ, ends all other memberships, and leaves the rest unchanged. An absent field takes
    /// its default, as when a member is added. All or nothing. Fails with 404 `not_found` if there is
    /// no circle with this name, with 422 `invalid_request` if there is no such agent or one is
    /// repeated, and with 409 `circle_full` if the set adds an agent and is larger than `max_members`.
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
        precondition: Precondition,
        members: Json<MemberSet>,
    ) -> Result<Untagged<MemberChanges>, Error> {
        write
            .update_many(|work| replace::run(work, &circle_name, &precondition, members.0.clone()))
            .await
    }

    /// Change many members at once
    ///
    /// Up to 500 additions, updates and removals in one transaction. All or nothing: if an operation
    /// can't be done, the batch fails with 409 `batch_failed`, and `errors` points at every such
    /// operation. With `partial=true`, the others are done, and the result of each failed operation
    /// says why. `max_members` limits what the circle has in the end: removals free places, wherever
    /// they are in the batch, and additions take them in order. Fails with 404 `not_found` if there is
    /// no circle with this name, and with 422 `invalid_request` if an agent is repeated or a removal
    /// has other fields.
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
        /// Whether to do the operations that can be done if others can't.
        partial: Query<Option<bool>>,
        precondition: Precondition,
        batch: Json<MemberBatch>,
    ) -> Result<Untagged<MemberBatchResult>, Error> {
        let partial = partial.0.unwrap_or(false);
        write
            .update_many(|work| {
                batch::run(work, &circle_name, &precondition, batch.0.clone(), partial)
            })
            .await
    }

    /// Get a member
    ///
    /// Fails with 404 `not_found` if there is no circle with this name, or the agent is not a member.
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
    /// Absent fields are left unchanged; null clears a nullable field. Fails with 404 `not_found` if
    /// there is no circle with this name, or the agent is not a member.
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
    /// Ends the membership. Adding the agent again restores it. Fails with 404 `not_found` if there is
    /// no circle with this name, or the agent is not a member.
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
    /// The circles that the agent is a member of, ordered by the ids of the memberships. Deleted
    /// circles are not listed. Fails with 404 `not_found` if there is no agent with this id.
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
        /// Whether to include memberships that have ended.
        include_inactive: Query<Option<bool>>,
        page: PageRequest,
    ) -> Result<Body<PageBody<AgentCircle<'static>>>, Error> {
        let db = database.connection();
        let include_inactive = include_inactive.0.unwrap_or(false);
        let page = queries::list_of_agent(db, id.0, include_inactive, page).await?;
        Body::page(&page, |columns| {
            Ok(AgentCircle {
                membership: MemberRow::read(columns)?,
                circle: CircleRow::read(columns)?,
            })
        })
    }
}
