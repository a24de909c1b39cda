//! `/v1/circles/{circle_name}/labels`

use chrono::{DateTime, Utc};
use entity::{circle_label, label_name::LabelName};
use poem::web::Data;
use poem_openapi::{
    OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};

use super::{
    dto::{Label, LabelMove, LabelMoveRow, LabelRow, LabelSet},
    labels::{self, LabelPrecondition},
};
use crate::{
    database::Database,
    error::Error,
    http::{Body, CreatedOrReplaced, NoContent, PageBody, Tag, Tagged},
    page::PageRequest,
    revision::Precondition,
    rows::FromRow,
    write::WriteRequest,
};

pub(crate) struct LabelsApi;

#[OpenApi(prefix_path = "/v1/circles", tag = "Tag::Releases")]
impl LabelsApi {
    /// List labels
    ///
    /// In the order in which they were created. Fails with 404 `not_found` if there is no circle with this name.
    #[oai(
        path = "/:circle_name/labels",
        method = "get",
        operation_id = "list_labels"
    )]
    async fn list_labels(
        &self,
        Data(database): Data<&Database>,
        /// The circle's name.
        circle_name: Path<String>,
        page: PageRequest,
    ) -> Result<Body<PageBody<Label>>, Error> {
        let page = labels::list(database.connection(), &circle_name.0, page).await?;
        Body::page(&page, |columns| {
            columns.next::<i64>()?;
            LabelRow::read(columns)
        })
    }

    /// Get a label
    ///
    /// Fails with 404 `not_found` if there is no circle with this name, or no such label.
    #[oai(
        path = "/:circle_name/labels/:label",
        method = "get",
        operation_id = "get_label"
    )]
    async fn get_label(
        &self,
        Data(database): Data<&Database>,
        /// The circle's name.
        circle_name: Path<String>,
        /// The label's name.
        label: Path<LabelName>,
    ) -> Result<Tagged<Label>, Error> {
        Tagged::row(labels::get(database.connection(), &circle_name.0, &label.0).await?)
    }

    /// Move a label
    ///
    /// Points it to a release, and creates it (201) if there is none of this name; `live` is not the name of a label. Every
    /// instance answers the new release's handles with its next request. Moving one of the circle's `protected_labels`
    /// takes the scope `publish`. Fails with 404 `not_found` if there is no circle with this name, with 409
    /// `too_many_labels` if the circle has 100 labels and this would be one more, and with 422 `invalid_request` if there is
    /// no such release.
    #[oai(
        path = "/:circle_name/labels/:label",
        method = "put",
        operation_id = "replace_label"
    )]
    async fn replace_label(
        &self,
        write: WriteRequest,
        /// The circle's name.
        circle_name: Path<String>,
        /// The label's name.
        label: Path<LabelName>,
        precondition: Precondition,
        /// `*`: the label is created only. If there is one of this name, the request fails with 412
        /// `precondition_failed`.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
        target: Json<LabelSet>,
    ) -> Result<CreatedOrReplaced<Label>, Error> {
        let precondition = LabelPrecondition::new(precondition, if_none_match.0.as_deref())?;
        let path = |row: &circle_label::Model| {
            format!("/v1/circles/{}/labels/{}", circle_name.0, row.name)
        };
        write
            .create_or_replace(path, |work| {
                labels::replace(work, &circle_name, &label, target.release, &precondition)
            })
            .await
    }

    /// Delete a label
    ///
    /// Its history stays. Deleting one of the circle's `protected_labels` takes the scope `publish`. Fails with 404
    /// `not_found` if there is no circle with this name, or no such label.
    #[oai(
        path = "/:circle_name/labels/:label",
        method = "delete",
        operation_id = "delete_label"
    )]
    async fn delete_label(
        &self,
        write: WriteRequest,
        /// The circle's name.
        circle_name: Path<String>,
        /// The label's name.
        label: Path<LabelName>,
        precondition: Precondition,
    ) -> Result<NoContent, Error> {
        write
            .delete(|work| labels::delete(work, &circle_name, &label, &precondition))
            .await
    }

    /// List the moves of a label
    ///
    /// Newest first, also of a label that was deleted. With `at`, the first move is the one that held at that time: it says
    /// what the label pointed to then. Fails with 404 `not_found` if there is no circle with this name.
    #[oai(
        path = "/:circle_name/labels/:label/history",
        method = "get",
        operation_id = "list_label_moves"
    )]
    async fn list_label_moves(
        &self,
        Data(database): Data<&Database>,
        /// The circle's name.
        circle_name: Path<String>,
        /// The label's name.
        label: Path<LabelName>,
        /// Only moves at this time or earlier.
        at: Query<Option<DateTime<Utc>>>,
        page: PageRequest,
    ) -> Result<Body<PageBody<LabelMove>>, Error> {
        let db = database.connection();
        let page = labels::history(db, &circle_name.0, &label.0, at.0, page).await?;
        Body::page(&page, |columns| {
            columns.next::<i64>()?;
            LabelMoveRow::read(columns)
        })
    }
}
