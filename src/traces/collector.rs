//! The collector: OTLP over HTTP, in Protocol Buffers.

use std::{io, time::Duration};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    HeaderMap, Request, StatusCode, Uri,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderValue, USER_AGENT},
};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tokio::time::timeout;
use url::Url;

use crate::egress::{self, with_causes};

/// How long an attempt may take: OpenTelemetry's default.
const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection is kept for the next batch.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// What is read of a response.
const MAX_RESPONSE: usize = 64 << 10;
/// What is logged of a collector's words.
const MAX_REASON: usize = 200;

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("circle-registry/", env!("CARGO_PKG_VERSION")));

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExportError {
    #[error("the collector can't be reached: {0}")]
    Unreachable(String),
    #[error(
        "the collector does not respond within {}",
        humantime::format_duration(TIMEOUT)
    )]
    TimedOut,
    #[error("the collector answers {0}")]
    Refused(StatusCode),
}

impl ExportError {
    /// Whether the same batch may be taken later, as OTLP has it.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::TimedOut => true,
            Self::Refused(status) => matches!(status.as_u16(), 429 | 502..=504),
        }
    }
}

/// What a collector says of a batch that it took.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// How many of its spans it rejected.
    pub(super) rejected: usize,
    pub(super) reason: String,
}

#[derive(Debug)]
pub(super) struct Collector {
    client: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    uri: Uri,
    headers: HeaderMap,
}

impl Collector {
    /// # Errors
    /// TLS, and a system without certificates of authorities.
    pub(super) fn new(url: &Url, mut headers: HeaderMap) -> io::Result<Self> {
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = if url.scheme() == "https" {
            egress::https_or_http(http)?
        } else {
            egress::http_only(http)?
        };
        headers.insert(CONTENT_TYPE, PROTOBUF);
        headers.entry(USER_AGENT).or_insert(AGENT);
        Ok(Self {
            client: legacy::Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE_TIMEOUT)
                .build(connector),
            uri: url.as_str().parse().map_err(io::Error::other)?,
            headers,
        })
    }

    /// Sends a batch. A redirect is not followed: the fields of authorization are for this collector only.
    pub(super) async fn send(&self, body: Bytes) -> Result<Taken, ExportError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = hyper::Method::POST;
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().clone_from(&self.headers);
        let exchange = async {
            let response = self.client.request(request).await;
            let response =
                response.map_err(|error| ExportError::Unreachable(with_causes(&error)))?;
            let (head, body) = response.into_parts();
            // The body is read in any case, so that the connection can be used again.
            let taken = read(body).await;
            match head.status {
                status if status.is_success() => Ok(taken),
                status => Err(ExportError::Refused(status)),
            }
        };
        let outcome = timeout(TIMEOUT, exchange).await;
        outcome.unwrap_or(Err(ExportError::TimedOut))
    }
}

/// What the body of a success says. One that can't be read says nothing: the batch was taken.
async fn read(body: Incoming) -> Taken {
    let Ok(body) = Limited::new(body, MAX_RESPONSE).collect().await else {
        return Taken::default();
    };
    taken(body.to_bytes())
}

fn taken(body: Bytes) -> Taken {
    let response = ExportTraceServiceResponse::decode(body);
    let partial = response.ok().and_then(|response| response.partial_success);
    partial.map_or_else(Taken::default, |partial| Taken {
        rejected: usize::try_from(partial.rejected_spans).unwrap_or_default(),
        reason: partial.error_message.chars().take(MAX_REASON).collect(),
    })
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

    use super::*;

    #[test]
    fn a_response_says_how_many_spans_were_rejected() {
        let partial_success = Some(ExportTracePartialSuccess {
            rejected_spans: 3,
            error_message: "x".repeat(MAX_REASON + 1),
        });
        let response = ExportTraceServiceResponse { partial_success };
        let said = taken(response.encode_to_vec().into());
        assert_eq!((said.rejected, said.reason.len()), (3, MAX_REASON));
        for nothing in ["", "received", "\u{7f}\u{7f}"] {
            assert_eq!(taken(nothing.into()), Taken::default(), "{nothing}");
        }
    }

    #[test]
    fn what_may_pass_is_what_otlp_says() {
        let status = |status| StatusCode::from_u16(status).map(ExportError::Refused);
        for (code, expected) in [
            (400, false),
            (401, false),
            (429, true),
            (500, false),
            (503, true),
        ] {
            let error = status(code).expect("a status");
            assert_eq!(error.may_pass(), expected, "{code}");
        }
        assert!(ExportError::TimedOut.may_pass());
    }
}
