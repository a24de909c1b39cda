//! `/v1/circles/{circle_name}/export`

use entity::label_name::LabelName;
use poem::{IntoResponse, Response, http::header, web::Data};
use poem_openapi::{
    ApiResponse, OpenApi,
    param::{Path, Query},
    registry::{MetaMediaType, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
    types::Type,
};

use super::{
    dto::{CircleFiles, ExportFormat},
    snapshot,
};
use crate::{
    circles::labels,
    database::Database,
    error::Error,
    http::{Tag, Tagged},
    revision,
};

pub(crate) struct ExportsApi;

#[OpenApi(prefix_path = "/v1", tag = "Tag::Handles")]
impl ExportsApi {
    /// Export a circle
    ///
    /// The circle as another system loads it. `docker-agent` and `document` are YAML as it is: `docker agent run` takes the
    /// address of this operation. `claude` is JSON with a file for each member. What the format has no place for is in
    /// comments at the head of the YAML, or in `report`. With `label`, the circle is as it was in the release that the label
    /// points to. The ETag changes exactly when the response does. Fails with 404 `not_found` if there is no circle with this
    /// name, or no such label, and with 409 `agent_name_ambiguous` if a document can't tell two agents apart.
    #[oai(
        path = "/circles/:circle_name/export",
        method = "get",
        operation_id = "export_circle"
    )]
    async fn export_circle(
        &self,
        Data(database): Data<&Database>,
        /// The circle's name.
        circle_name: Path<String>,
        /// What the circle is exported as.
        format: Query<ExportFormat>,
        /// The label of a release, as `production`.
        label: Query<Option<LabelName>>,
    ) -> Result<ExportAnswer, Error> {
        if let Some(label) = &label.0 {
            labels::check("query/label", label)?;
        }
        let exported = snapshot::export(database, &circle_name.0, label.0.as_ref(), format.0);
        // Boxed, because several futures around this one have room for it.
        let CircleFiles { files, report } = Box::pin(exported).await?;
        if format.0 == ExportFormat::Claude {
            let files = CircleFiles { files, report };
            return Ok(ExportAnswer::Files(Tagged::view(&files)?));
        }
        let yaml = files.into_iter().map(|file| file.content).collect();
        Ok(ExportAnswer::Yaml(yaml))
    }
}

const YAML: &str = "application/yaml";

/// The response: one file as it is, or several in JSON.
pub(super) enum ExportAnswer {
    Yaml(String),
    Files(Tagged<CircleFiles>),
}

impl IntoResponse for ExportAnswer {
    fn into_response(self) -> Response {
        match self {
            Self::Yaml(text) => Response::builder()
                .content_type(YAML)
                .header(header::ETAG, revision::content_etag(&text))
                .body(text),
            Self::Files(files) => files.into_response(),
        }
    }
}

impl ApiResponse for ExportAnswer {
    fn meta() -> MetaResponses {
        let mut meta = Tagged::<CircleFiles>::meta();
        for response in &mut meta.responses {
            response.content.push(MetaMediaType {
                content_type: YAML,
                // Clients read YAML as they read JSON: the schema is that of what is in it.
                schema: MetaSchemaRef::Inline(Box::new(MetaSchema::new("object"))),
            });
        }
        meta
    }

    fn register(registry: &mut Registry) {
        CircleFiles::register(registry);
    }
}
