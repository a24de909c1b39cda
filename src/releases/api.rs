//! `/v1/circles/{circle_name}/releases`

use poem::{
    http::{HeaderMap, header},
    web::Data,
};
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};

use super::{
    diff,
    dto::{LabelledRelease, Release, ReleaseCreate, ReleaseDiff, ReleaseRow},
    publish, queries,
};
use crate::{
    database::Database,
    error::Error,
    handles::{
        CircleHandles,
        released::{self, ReleaseKey},
    },
    http::{
        Body, BodyCache, CachedAnswer, CreatedOrReplaced, Immutable, NoContent, PageBody, Shared,
        Tag, Tagged, joined,
    },
    page::PageRequest,
    rows::FromRow,
    write::WriteRequest,
};

pub(crate) struct ReleasesApi;

#[OpenApi(prefix_path = "/v1/circles", tag = "Tag::Releases")]
impl ReleasesApi {
    /// List releases
    ///
    /// The releases of a circle, newest first, with their labels and without their teams. Fails with 404 `not_found` if there is no circle
    /// with this name.
    #[oai(
        path = "/:circle_name/releases",
        method = "get",
        operation_id = "list_releases"
    )]
    async fn list_releases(
        &self,
        Data(database): Data<&Database>,
        /// The circle's name.
        circle_name: Path<String>,
        page: PageRequest,
    ) -> Result<Body<PageBody<Release>>, Error> {
        let (page, labels) = queries::list(database.connection(), &circle_name.0, page).await?;
        Body::page(&page, |columns| {
            let mut release = ReleaseRow::read(columns)?;
            let own = labels
                .iter()
                .filter(|(number, _)| *number == release.number);
            release.labels = Some(own.map(|(_, name)| name.clone()).collect());
            Ok(release)
        })
    }

    /// Publish a release
    ///
    /// Freezes the circle with its members, their agents, models, providers and MCP servers, and the handles resolved from
    /// them, and moves the labels to the release. If the circle has a release of the same digest, that one is returned
    /// (200), and the labels are moved to it. What says only when something was made or what it does at the moment, as an
    /// agent's `status`, does not count for the digest. Moving one of the circle's `protected_labels` takes the scope
    /// `publish`. Fails with 404 `not_found` if there is no circle with this name, with 409 `too_many_labels` if the circle
    /// would have more than 100 labels, and with 422 `response_too_large` if its handles are larger than a response
    /// may be.
    #[oai(
        path = "/:circle_name/releases",
        method = "post",
        operation_id = "create_release"
    )]
    async fn create_release(
        &self,
        Data(database): Data<&Database>,
        write: WriteRequest,
        /// The circle's name.
        circle_name: Path<String>,
        new: Json<ReleaseCreate>,
    ) -> Result<CreatedOrReplaced<Release>, Error> {
        let packed = publish::pack(database, &circle_name).await?;
        let path = |release: &LabelledRelease| {
            format!(
                "/v1/circles/{}/releases/{}",
                circle_name.0, release.row.number
            )
        };
        write
            .create_or_replace(path, |work| {
                publish::publish(work, &circle_name, packed.clone(), new.0.clone())
            })
            .await
    }

    /// Get a release
    ///
    /// With its team: what the handles were resolved from. Fails with 404 `not_found` if there is no circle with this name,
    /// or no such release.
    #[oai(
        path = "/:circle_name/releases/:number",
        method = "get",
        operation_id = "get_release"
    )]
    async fn get_release(
        &self,
        Data(database): Data<&Database>,
        /// The circle's name.
        circle_name: Path<String>,
        /// The release's number.
        #[oai(validator(minimum(value = "1")))]
        number: Path<i64>,
    ) -> Result<Tagged<Release>, Error> {
        Tagged::row(queries::get(database.connection(), &circle_name.0, number.0).await?)
    }

    /// Delete a release
    ///
    /// Its number is not used again. Fails with 404 `not_found` if there is no circle with this name, or no such release,
    /// and with 409 `release_labelled` if a label points to it.
    #[oai(
        path = "/:circle_name/releases/:number",
        method = "delete",
        operation_id = "delete_release"
    )]
    async fn delete_release(
        &self,
        write: WriteRequest,
        /// The circle's name.
        circle_name: Path<String>,
        /// The release's number.
        #[oai(validator(minimum(value = "1")))]
        number: Path<i64>,
    ) -> Result<NoContent, Error> {
        write
            .delete(|work| queries::delete(work, &circle_name, number.0))
            .await
    }

    /// Get the handles of a release
    ///
    /// The circle's handles as they were when it was published. They never change, and `Cache-Control` says so. A cache goes
    /// by the path, though: empty it if another circle gets the name of this one. Fails with 404 `not_found` if there is no circle with this name, or no such release.
    #[oai(
        path = "/:circle_name/releases/:number/handles",
        method = "get",
        operation_id = "get_release_handles"
    )]
    async fn get_release_handles(
        &self,
        Data(database): Data<&Database>,
        Shared(cache): Shared<&BodyCache>,
        /// The circle's name.
        circle_name: Path<String>,
        /// The release's number.
        #[oai(validator(minimum(value = "1")))]
        number: Path<i64>,
        headers: &HeaderMap,
    ) -> Result<Immutable<CachedAnswer<CircleHandles<'static>>>, Error> {
        let known = joined(headers, &header::IF_NONE_MATCH).ok().flatten();
        let release = ReleaseKey::Number(number.0);
        let db = database.connection();
        let answer = released::get(cache, db, &circle_name.0, release, known.as_deref());
        answer.await.map(Immutable)
    }

    /// Compare a release
    ///
    /// What it changes relative to the release before it or, with `against`, to another one. With `against=live`, the
    /// differences lead the other way, from the release to the circle as it is now: they are what would change if that were
    /// published. Fails with 404 `not_found` if there is no circle with this name, or no such release or label.
    #[oai(
        path = "/:circle_name/releases/:number/diff",
        method = "get",
        operation_id = "diff_release"
    )]
    async fn diff_release(
        &self,
        Data(database): Data<&Database>,
        /// The circle's name.
        circle_name: Path<String>,
        /// The release's number.
        #[oai(validator(minimum(value = "1")))]
        number: Path<i64>,
        /// What to compare it with: the number of a release, the name of a label, or `live` for the circle as it is now. By
        /// default the release before; the first one is compared with nothing then.
        #[oai(validator(max_length = 64, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
        against: Query<Option<String>>,
    ) -> Result<Tagged<ReleaseDiff>, Error> {
        let against = against.0.as_deref();
        Tagged::view(&diff::of_release(database, &circle_name.0, number.0, against).await?)
    }
}
