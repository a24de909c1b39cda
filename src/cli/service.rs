//! A registry's service, asked over HTTP.

use std::{io::Write, time::Duration};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, StatusCode,
    body::Bytes,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, LOCATION},
};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use poem_openapi::types::ParseFromJSON;
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use super::Failure;
use crate::{
    documents::{DocumentPlan, ExportSelection, PlanOptions},
    egress,
    error::{Error, FieldError, FieldErrors},
    text::Terminal,
    yaml::Node,
};

/// Longer than the service takes before it gives up itself.
const TIMEOUT: Duration = Duration::from_mins(2);
/// The largest response, in bytes: twice what a service sends.
const MAX_RESPONSE: usize = 16 << 20;

/// What a request failed for.
#[derive(Debug)]
pub(super) enum ServiceError {
    /// The parts of the documents that are wrong.
    Invalid(FieldErrors),
    Other(Failure),
}

impl<E: Into<Failure>> From<E> for ServiceError {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

impl ServiceError {
    /// As the error of a database, whose places in documents can be located, or as it is.
    pub(super) fn into_failure(self, locate: impl FnOnce(Error) -> Failure) -> Failure {
        match self {
            Self::Invalid(errors) => locate(Error::Invalid(errors)),
            Self::Other(failure) => failure,
        }
    }
}

/// A client of the service at an address.
#[derive(Debug)]
pub(super) struct ServiceClient {
    http: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    address: Url,
    api_key: Option<String>,
}

/// A successful response.
struct ServiceResponse {
    headers: HeaderMap,
    json: String,
}

impl ServiceClient {
    pub(super) fn new(address: Url, api_key: Option<String>) -> Result<Self, Failure> {
        if !matches!(address.scheme(), "http" | "https") || !address.has_host() {
            return Err("--server must be an address, as https://registry.example.com".into());
        }
        if address.scheme() == "http" && api_key.is_some() && !is_loopback(&address) {
            let mut messages = Terminal(std::io::stderr());
            writeln!(messages, "warning: the API key is sent without TLS")?;
        }
        let connector = egress::https_or_http(HttpConnector::new())?;
        let http = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self {
            http,
            address,
            api_key,
        })
    }

    pub(super) async fn export(&self, selection: &ExportSelection) -> Result<Node, ServiceError> {
        let mut url = self.url("export");
        if !selection.circles.is_empty() {
            let circles = selection.circles.join(",");
            url.query_pairs_mut().append_pair("circles", &circles);
        }
        if let Some(owner) = &selection.owner {
            url.query_pairs_mut().append_pair("owner", owner);
        }
        let response = self.send(Method::GET, &url, Vec::new()).await?;
        Ok(Node::parse(&response.json)?)
    }

    pub(super) async fn plan(
        &self,
        documents: Vec<u8>,
        options: PlanOptions,
    ) -> Result<DocumentPlan, ServiceError> {
        let mut url = self.url("plan");
        add_options(&mut url, options);
        let response = self.send(Method::POST, &url, documents).await?;
        parse_plan(&response.json)
    }

    /// Returns the id of the request, which is that of the change set.
    pub(super) async fn apply(
        &self,
        documents: Vec<u8>,
        options: PlanOptions,
        digest: &str,
        message: Option<&str>,
    ) -> Result<String, ServiceError> {
        let mut url = self.url("apply");
        add_options(&mut url, options);
        url.query_pairs_mut().append_pair("digest", digest);
        if let Some(message) = message {
            url.query_pairs_mut().append_pair("message", message);
        }
        let response = self.send(Method::POST, &url, documents).await?;
        let id = response.headers.get("x-request-id");
        let id = id.and_then(|id| id.to_str().ok());
        Ok(id.unwrap_or_default().to_owned())
    }

    fn url(&self, operation: &str) -> Url {
        let mut url = self.address.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments
                .pop_if_empty()
                .extend(["v1", "documents", operation]);
        }
        url.set_query(None);
        url
    }

    /// Sends a request. Redirects are not followed: they would send documents to an address that the user did not name.
    async fn send(
        &self,
        method: Method,
        url: &Url,
        body: Vec<u8>,
    ) -> Result<ServiceResponse, ServiceError> {
        let mut request = Request::builder()
            .method(method)
            .uri(url.as_str())
            .header(CONTENT_TYPE, "application/json");
        if let Some(key) = &self.api_key {
            request = request.header(AUTHORIZATION, format!("Bearer {key}"));
        }
        let request = request.body(Full::from(body))?;
        let exchange = async {
            let response = self.http.request(request).await?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_RESPONSE).collect().await?;
            Ok::<_, Failure>((head, body.to_bytes()))
        };
        let (head, body) = timeout(TIMEOUT, exchange)
            .await
            .map_err(|_| "the service does not respond")?
            .map_err(|error| unreachable(&error))?;
        let json = String::from_utf8_lossy(&body).into_owned();
        if head.status == StatusCode::OK {
            let headers = head.headers;
            return Ok(ServiceResponse { headers, json });
        }
        Err(refusal(head.status, &head.headers, &json))
    }
}

fn is_loopback(address: &Url) -> bool {
    let host = address.host_str().unwrap_or_default();
    let host = host.trim_matches(['[', ']']);
    host == "localhost"
        || host
            .parse()
            .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

fn add_options(url: &mut Url, options: PlanOptions) {
    for (name, is_set) in [("prune", options.prune), ("take_over", options.take_over)] {
        if is_set {
            url.query_pairs_mut().append_pair(name, "true");
        }
    }
}

fn parse_plan(json: &str) -> Result<DocumentPlan, ServiceError> {
    let plan = DocumentPlan::parse_from_json(Some(serde_json::from_str(json)?));
    plan.map_err(|error| format!("the response is not a plan: {}", error.into_message()).into())
}

fn unreachable(error: &Failure) -> Failure {
    let error = egress::with_causes(&**error);
    format!("the service can't be reached: {error}").into()
}

/// What a response says that is not a success.
fn refusal(status: StatusCode, headers: &HeaderMap, json: &str) -> ServiceError {
    if let Some(target) = headers.get(LOCATION).filter(|_| status.is_redirection()) {
        let target = String::from_utf8_lossy(target.as_bytes());
        return format!("the service redirects to {target}; give --server that address").into();
    }
    let problem: Value = serde_json::from_str(json).unwrap_or_default();
    let Some(code) = problem["code"].as_str() else {
        return format!("the response is {status}, and not from circle-registry").into();
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut errors = FieldErrors::default();
    for error in problem["errors"].as_array().into_iter().flatten() {
        errors.push(|| FieldError {
            pointer: text(&error["pointer"]),
            detail: text(&error["detail"]),
        });
    }
    if errors.is_empty() {
        return format!("{} ({} {code})", text(&problem["detail"]), status.as_u16()).into();
    }
    ServiceError::Invalid(errors)
}
