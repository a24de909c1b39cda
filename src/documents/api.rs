//! `/v1/documents`

use poem::web::Data;
use poem_openapi::{OpenApi, param::Query, payload::Json};

use super::{
    apply::{self, Applying},
    dto::{DocumentPlan, DocumentSet},
    plan::PlanOptions,
};
use crate::{
    database::Database,
    error::Error,
    http::{Body, NotIdempotent, Shared, Tag, Untagged},
    members::jobs::MembershipsAtOnce,
    progress,
    write::{VersionMessage, WriteRequest},
};

pub(crate) struct DocumentsApi;

#[OpenApi(prefix_path = "/v1", tag = "Tag::Documents")]
impl DocumentsApi {
    /// Plan documents
    ///
    /// Says what applying the documents would do, and changes nothing. Fails with 422 `invalid_request` if a document is
    /// wrong: if it names what does not exist, has a name twice, or changes what belongs to another owner; and if the documents
    /// describe more than 500 resources and members.
    #[oai(
        path = "/documents/plan",
        method = "post",
        operation_id = "plan_documents"
    )]
    async fn plan_documents(
        &self,
        Data(database): Data<&Database>,
        /// Whether to delete what the documents' owners have and no document describes.
        prune: Query<Option<bool>>,
        /// Whether to take what belongs to another owner.
        take_over: Query<Option<bool>>,
        _once: NotIdempotent,
        set: Json<DocumentSet>,
    ) -> Result<Body<DocumentPlan>, Error> {
        check_size(&set)?;
        let options = options(prune.0, take_over.0);
        Body::new(&apply::plan(database, &set, options).await?)
    }

    /// Apply documents
    ///
    /// Makes everything as the documents say: all of it, or nothing. Responds with what was done. The audit entries of all
    /// changes have the request's id. Documents with changes of providers, models or MCP servers take the scope `admin`; those
    /// with changes of `protected_labels` take `publish`. Fails with 409 `plan_changed` if `digest` is not that of what would be
    /// done, with 409 `model_in_use`, 409 `provider_in_use` or 409 `mcp_server_in_use` if something is used that `prune` deletes,
    /// and with 422 `invalid_request` as the plan does.
    #[oai(
        path = "/documents/apply",
        method = "post",
        operation_id = "apply_documents"
    )]
    #[expect(clippy::too_many_arguments, reason = "one argument a query parameter")]
    async fn apply_documents(
        &self,
        write: WriteRequest,
        Data(database): Data<&Database>,
        Shared(at_once): Shared<&MembershipsAtOnce>,
        /// Whether to delete what the documents' owners have and no document describes.
        prune: Query<Option<bool>>,
        /// Whether to take what belongs to another owner.
        take_over: Query<Option<bool>>,
        /// The digest of the plan that is to be applied.
        #[oai(validator(max_length = 64, pattern = "^[0-9a-f]{64}$"))]
        digest: Query<Option<String>>,
        message: VersionMessage,
        set: Json<DocumentSet>,
    ) -> Result<Untagged<DocumentPlan>, Error> {
        check_size(&set)?;
        let options = options(prune.0, take_over.0);
        // What a request reads is limited, but not in a transaction. All other errors are those of the transaction, unless it
        // has a stored response.
        let planned = apply::plan(database, &set, options).await;
        if let Err(error @ (Error::ResponseTooLarge | Error::Overloaded)) = planned {
            return Err(error);
        }
        let applying = Applying {
            options,
            digest: digest.0,
            at_once: *at_once,
            progress: progress::hidden(),
        };
        let (set, applying) = (&set.0, &applying);
        write
            .with_message(message)
            .update_many(|work| apply::apply(work, set, applying))
            .await
    }
}

/// The most resources and members that one request describes: as many as other changes of many rows take.
const MAX_ENTRIES: usize = 500;

/// # Errors
/// Documents that are for the command line.
fn check_size(set: &DocumentSet) -> Result<(), Error> {
    if set.entries() > MAX_ENTRIES {
        let detail = format!(
            "describe more than {MAX_ENTRIES} resources and members; `circle-registry apply` takes any number"
        );
        return Err(Error::invalid("#/documents", detail));
    }
    Ok(())
}

fn options(prune: Option<bool>, take_over: Option<bool>) -> PlanOptions {
    PlanOptions {
        prune: prune.unwrap_or_default(),
        take_over: take_over.unwrap_or_default(),
    }
}
