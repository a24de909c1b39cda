//! The description as it is served: as JSON, and inside Swagger UI, which loads nothing from elsewhere.

use std::{
    io::Write,
    sync::{Arc, OnceLock},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use poem::{
    Body, Endpoint, Request, Response,
    endpoint::make_sync,
    http::{HeaderMap, header},
};
use poem_openapi::{OpenApi, OpenApiService};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{finish, operation, pretty::pretty};

/// The finished description in all its forms.
pub(crate) struct Documents {
    pub(crate) description: Value,
    /// As JSON, indented, with a line end.
    pub(crate) json: Document,
    pub(crate) page: Document,
}

impl Documents {
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

/// Swagger UI with the operations folded. It asks the service that served it. It fills in examples
/// before a request is tried out, which makes no sense for filters, so theirs are in the text only.
fn page(html: &str, raw: &str, mut description: Value) -> String {
    description["servers"] = json!([{"url": "/"}]);
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
    digest: String,
}

impl Document {
    fn new(content_type: &'static str, text: String) -> Self {
        Self(Arc::new(Representations {
            content_type,
            digest: BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(&text)[..12]),
            text: text.into(),
            gzip: OnceLock::new(),
        }))
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.0.text
    }

    /// Serves it, compressed to those that accept it. With the `ETag`, a repeated visit gets a 304.
    pub(crate) fn endpoint(&self) -> impl Endpoint<Output = Response> + 'static {
        let document = self.clone();
        make_sync(move |request: Request| document.respond(request.headers()))
    }

    fn respond(&self, request: &HeaderMap) -> Response {
        let Representations {
            content_type,
            text,
            digest,
            ..
        } = &*self.0;
        let response = Response::builder()
            .content_type(content_type)
            .header(header::VARY, "Accept-Encoding")
            .header(header::CACHE_CONTROL, "no-cache");
        if accepts_gzip(request) {
            let response = response
                .header(header::CONTENT_ENCODING, "gzip")
                .header(header::ETAG, format!("\"{digest}-gzip\""));
            let compressed = self.0.gzip.get_or_init(|| compress(text));
            return response.body(Body::from_bytes(compressed.clone()));
        }
        let response = response.header(header::ETAG, format!("\"{digest}\""));
        response.body(Body::from_bytes(text.clone()))
    }
}

/// Whether `Accept-Encoding` lists gzip, other than with the weight 0 (RFC 9110, section 12.5.3).
fn accepts_gzip(request: &HeaderMap) -> bool {
    let values = request.get_all(header::ACCEPT_ENCODING).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            let weight = weight.trim().strip_prefix("q=").unwrap_or("1");
            name.trim().eq_ignore_ascii_case("gzip")
                && weight.parse::<f32>().is_ok_and(|weight| weight > 0.0)
        })
}

fn compress(text: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(text).and_then(|()| encoder.finish());
    written.expect("a vector takes all").into()
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    #[test]
    fn gzip_is_sent_to_those_that_accept_it() {
        for (value, accepted) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("deflate, gzip;q=1.0, *;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip; q=0.0", false),
            ("br", false),
            ("identity", false),
            ("", false),
        ] {
            let value = HeaderValue::from_static(value);
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, value.clone())]);
            assert_eq!(accepts_gzip(&headers), accepted, "{value:?}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
