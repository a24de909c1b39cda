//! `/v1/documents`

use poem::web::Data;
use poem_openapi::{OpenApi, param::Query, payload::Json};
use sea_orm::DbErr;

use super::{
    apply::{self, Applying},
    dto::{DocumentPlan, DocumentSet, RegistryDocument},
    export::export,
    plan::PlanOptions,
    state::ExportSelection,
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
    /// Export a document
    ///
    /// The registry, or a part of it, as a document that can be kept in a repository and applied. It is the same for the
    /// same resources. With `circles`, all that their members are built from is in it; with `owner`, only what the owner's
    /// documents describe. Fails with 409 `agent_name_ambiguous` if two agents have one name, and with 422 `response_too_large` if the
    /// document is for the command line.
    #[oai(
        path = "/documents/export",
        method = "get",
        operation_id = "export_document"
    )]
    async fn export_document(
        &self,
        Data(database): Data<&Database>,
        /// Only these circles, as `review,support`. Fails with 404 `not_found` if one does not exist.
        #[oai(validator(
            max_length = 1000,
            pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*(,[A-Za-z0-9][A-Za-z0-9._-]*)*$"
        ))]
        circles: Query<Option<String>>,
        /// Only what this owner's documents describe.
        #[oai(validator(max_length = 64, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
        owner: Query<Option<String>>,
    ) -> Result<Body<RegistryDocument>, Error> {
        let circles = circles.0.as_deref().unwrap_or_default();
        let names = circles.split(',').filter(|name| !name.is_empty());
        let selection = ExportSelection {
            circles: names.map(str::to_owned).collect(),
            owner: owner.0,
        };
        let document = export(database, &selection).await?;
        let json = serde_json::to_vec(&document);
        Body::of_json(json.map_err(|error| DbErr::Json(error.to_string()))?)
    }

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
