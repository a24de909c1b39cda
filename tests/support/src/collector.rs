//! An OpenTelemetry collector: it records the spans that it is sent by OTLP over HTTP, and answers as the test says.

use std::{collections::BTreeMap, time::Duration};

use circle_registry::config::Settings;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, status::StatusCode},
};
use prost::Message;
use tokio::time::{Instant, sleep};

use super::receiver::{Behavior, Receiver};

/// How long a test waits for what is to be exported.
const EXPORT_TIMEOUT: Duration = Duration::from_mins(2);

/// A span that was exported.
#[derive(Clone, Debug)]
pub struct ExportedSpan {
    pub name: String,
    /// `Server`, `Client` and so on.
    pub kind: String,
    pub trace_id: String,
    pub span_id: String,
    /// Empty for a root.
    pub parent_id: String,
    pub trace_state: String,
    pub attributes: BTreeMap<String, String>,
    pub is_error: bool,
    /// Nanoseconds since 1970.
    pub start: u64,
    pub end: u64,
}

impl ExportedSpan {
    /// An attribute; empty if there is none.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

impl From<Span> for ExportedSpan {
    fn from(span: Span) -> Self {
        Self {
            kind: format!("{:?}", span.kind()),
            is_error: span
                .status
                .as_ref()
                .is_some_and(|status| status.code() == StatusCode::Error),
            name: span.name,
            trace_id: hex::encode(&span.trace_id),
            span_id: hex::encode(&span.span_id),
            parent_id: hex::encode(&span.parent_span_id),
            trace_state: span.trace_state,
            attributes: texts(&span.attributes),
            start: span.start_time_unix_nano,
            end: span.end_time_unix_nano,
        }
    }
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |attribute: &KeyValue| match attribute.value.clone()?.value? {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("an attribute of another type: {other:?}"),
    };
    attributes
        .iter()
        .filter_map(|attribute| Some((attribute.key.clone(), text(attribute)?)))
        .collect()
}

/// A collector on a port of its own. It ends when it is dropped.
#[derive(Debug)]
pub struct Collector {
    /// For what arrives, and how it is answered.
    pub receiver: Receiver,
}

impl Collector {
    pub async fn start() -> Self {
        Self {
            receiver: Receiver::start(takes_all_but(0)).await,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/v1/traces", self.receiver.address)
    }

    /// Settings by which so many requests are traced.
    pub fn traced(&self, mut settings: Settings, ratio: f64) -> Settings {
        settings.traces.traces_endpoint = Some(self.url().parse().expect("a URL"));
        settings.traces.traces_sample_ratio = ratio;
        settings
    }

    fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        let received = self.receiver.received();
        received
            .iter()
            .map(|received| {
                assert_eq!(received.path, "/v1/traces");
                assert_eq!(received.headers["content-type"], "application/x-protobuf");
                ExportTraceServiceRequest::decode(&*received.body).expect("OTLP")
            })
            .collect()
    }

    /// All that arrived so far.
    pub fn spans(&self) -> Vec<ExportedSpan> {
        let of_services = self.requests().into_iter().flat_map(|it| it.resource_spans);
        let of_scopes = of_services.flat_map(|service| service.scope_spans);
        let spans = of_scopes.flat_map(|scope| scope.spans);
        spans.map(ExportedSpan::from).collect()
    }

    /// The attributes of the service that the first spans came from.
    pub fn service(&self) -> BTreeMap<String, String> {
        let requests = self.requests();
        let first = requests.first().and_then(|it| it.resource_spans.first());
        let service = first.and_then(|spans| spans.resource.as_ref());
        texts(&service.expect("a resource").attributes)
    }

    /// Waits for a span, and returns it with all that arrived.
    pub async fn find(
        &self,
        what: &str,
        is_it: impl Fn(&ExportedSpan) -> bool,
    ) -> (ExportedSpan, Vec<ExportedSpan>) {
        let deadline = Instant::now() + EXPORT_TIMEOUT;
        loop {
            let spans = self.spans();
            if let Some(found) = spans.iter().find(|span| is_it(span)) {
                return (found.clone(), spans);
            }
            assert!(Instant::now() < deadline, "no {what}: {spans:#?}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Takes batches, but rejects so many spans of each.
pub fn takes_all_but(rejected: i64) -> Behavior {
    let partial_success = (rejected > 0).then(|| ExportTracePartialSuccess {
        rejected_spans: rejected,
        error_message: "too old".to_owned(),
    });
    Behavior::Body(ExportTraceServiceResponse { partial_success }.encode_to_vec())
}
