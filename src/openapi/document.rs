//! The description as it is served: as JSON, and inside Swagger UI, which loads nothing from elsewhere.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use poem::{Body, Endpoint, Request, Response, endpoint::make_sync, http::header};
use poem_openapi::{OpenApi, OpenApiService};
use serde_json::{Value, json};

use super::{finish, operation, pretty::pretty};
use crate::{
    http::{Gzipped, accepts_gzip, gzip_once},
    revision::content_etag,
};

/// The finished description in all its forms.
pub(crate) struct Documents {
    pub(crate) description: Value,
    /// As JSON, indented, with a line end.
    pub(crate) json: Document,
    pub(crate) page: Document,
}

impl Documents {
    /// The description of a service that is published under this path.
    pub(crate) fn json_at(&self, base_path: Option<&str>) -> Document {
        let Some(path) = base_path else {
            return self.json.clone();
        };
        let mut description = self.description.clone();
        description["servers"] = json!([{"url": path}]);
        Document::new("application/json", pretty(&description))
    }

    pub(crate) fn of<T: OpenApi>(service: &OpenApiService<T, ()>) -> Self {
        let raw = service.spec();
        let mut description: Value = serde_json::from_str(&raw).unwrap_or_default();
        finish(&mut description);
        let json = Document::new("application/json", pretty(&description));
        let page = page(&service.swagger_ui_html(), &raw, description.clone());
        Self {
            description,
            json,
            page: Document::new("text/html; charset=utf-8", page),
        }
    }
}

/// Swagger UI with the operations folded. It asks the service that served it, by an address relative to the page's
/// own. It fills in examples before a request is tried out, which makes no sense for filters, so theirs are in the
/// text only.
fn page(html: &str, raw: &str, mut description: Value) -> String {
    description["servers"] = json!([{"url": "./"}]);
    let shared = description["components"]["parameters"].as_object_mut();
    shared
        .into_iter()
        .flatten()
        .for_each(|(_, parameter)| example_as_text(parameter));
    operation::each(&mut description, |operation| {
        let parameters = operation.parameters_mut();
        parameters.into_iter().flatten().for_each(example_as_text);
    });
    html.replace(raw, &description.to_string())
        .replace("filter: false,", "filter: false, docExpansion: 'none',")
        .replace(
            "<title>Swagger UI</title>",
            "<title>circle-registry</title>",
        )
}

fn example_as_text(parameter: &mut Value) {
    if parameter["required"] != true
        && let Some(example) = parameter
            .as_object_mut()
            .and_then(|it| it.shift_remove("example"))
    {
        let text = parameter["description"].as_str().unwrap_or_default();
        let example = example
            .as_str()
            .map_or_else(|| example.to_string(), str::to_owned);
        parameter["description"] = format!("{text} Example: `{example}`").into();
    }
}

/// A text that never changes while the service runs. Clones share it.
#[derive(Clone)]
pub(crate) struct Document(Arc<Representations>);

struct Representations {
    content_type: &'static str,
    text: Bytes,
    /// Made at the first request for it: tests start the service often and rarely ask.
    gzip: OnceLock<Bytes>,
    etag: String,
}

impl Document {
    pub(crate) fn new(content_type: &'static str, text: String) -> Self {
        Self(Arc::new(Representations {
            content_type,
            etag: content_etag(&text),
            text: text.into(),
            gzip: OnceLock::new(),
        }))
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.0.text
    }

    /// Serves it. With the `ETag`, a repeated visit gets a 304.
    pub(crate) fn endpoint(&self) -> impl Endpoint<Output = Response> + 'static {
        let document = self.clone();
        make_sync(move |request: Request| document.respond(accepts_gzip(request.headers())))
    }

    fn respond(&self, accepts_gzip: bool) -> Response {
        let Representations {
            content_type,
            text,
            gzip,
            etag,
        } = &*self.0;
        let mut response = Response::builder()
            .content_type(content_type)
            .header(header::CACHE_CONTROL, "no-cache")
            .header(header::ETAG, etag)
            .body(Body::from_bytes(text.clone()));
        if accepts_gzip {
            let compressed = gzip.get_or_init(|| gzip_once(text));
            let compressed = Gzipped(compressed.clone());
            response.extensions_mut().insert(compressed);
        }
        response
    }
}
