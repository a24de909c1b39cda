//! Settings of traces.
//!
//! Their variables are those of OpenTelemetry where it has one, because platforms set these for every service.

use std::str::FromStr;

use clap::{
    Args,
    builder::{BoolishValueParser, NonEmptyStringValueParser},
};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use url::Url;

/// Where a collector takes traces, below its address.
const TRACES_PATH: &str = "v1/traces";

/// Header fields that belong to the request itself.
const OWN_FIELDS: [HeaderName; 5] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::HOST,
    header::TRANSFER_ENCODING,
];

/// Which requests are traced, and where their traces are sent.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Traces")]
pub struct TraceSettings {
    /// URL to send traces to by OTLP over HTTP (Protocol Buffers, not gRPC), such as
    /// http://collector:4318/v1/traces. Takes precedence over --otlp-endpoint [default: no traces]
    #[arg(
        long,
        global = true,
        env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        value_name = "URL",
        value_parser = collector
    )]
    pub traces_endpoint: Option<Url>,

    /// URL of a collector, such as http://collector:4318: traces are sent to `v1/traces` below it
    #[arg(
        long,
        global = true,
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        value_name = "URL",
        value_parser = collector
    )]
    pub otlp_endpoint: Option<Url>,

    /// Header fields to send with traces, such as `authorization=Bearer%20TOKEN`, percent-encoded and separated by
    /// commas. They take the place of those of --otlp-headers. Secret: never logged or printed
    #[arg(
        long,
        global = true,
        env = "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        value_name = "FIELDS",
        value_parser = header_fields
    )]
    pub traces_headers: Option<HeaderMap>,

    /// The same, for all that is sent to a collector
    #[arg(
        long,
        global = true,
        env = "OTEL_EXPORTER_OTLP_HEADERS",
        value_name = "FIELDS",
        value_parser = header_fields
    )]
    pub otlp_headers: Option<HeaderMap>,

    /// Share of the requests to trace, from 0 to 1. The sampled flag of a request's `traceparent` takes precedence
    #[arg(
        long,
        global = true,
        env = "TRACES_SAMPLE_RATIO",
        value_name = "RATIO",
        default_value = "0.1",
        value_parser = ratio
    )]
    pub traces_sample_ratio: f64,

    /// Name of this service in traces [default: circle-registry]
    #[arg(
        long,
        global = true,
        env = "OTEL_SERVICE_NAME",
        value_name = "NAME",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub service_name: Option<String>,

    /// Attributes of this service in traces, such as `deployment.environment.name=production`, percent-encoded and
    /// separated by commas
    #[arg(
        long,
        global = true,
        env = "OTEL_RESOURCE_ATTRIBUTES",
        value_name = "ATTRIBUTES",
        value_parser = ResourceAttributes::from_str
    )]
    pub resource_attributes: Option<ResourceAttributes>,

    /// Send no traces, whatever the other settings say
    #[arg(
        long,
        global = true,
        env = "OTEL_SDK_DISABLED",
        num_args = 0..=1,
        default_value = "false",
        default_missing_value = "true",
        hide_default_value = true,
        value_parser = BoolishValueParser::new()
    )]
    pub no_traces: bool,
}

impl TraceSettings {
    /// The URL to send traces to, if they are sent.
    pub(crate) fn url(&self) -> Option<Url> {
        if self.no_traces {
            return None;
        }
        self.traces_endpoint
            .clone()
            .or_else(|| self.otlp_endpoint.clone().map(below))
    }

    pub(crate) fn headers(&self) -> HeaderMap {
        let specific = self.traces_headers.as_ref();
        let headers = specific.or(self.otlp_headers.as_ref());
        headers.cloned().unwrap_or_default()
    }

    pub(crate) fn attributes(&self) -> impl Iterator<Item = &(String, String)> {
        self.resource_attributes.iter().flat_map(|all| &all.0)
    }
}

/// The place of traces below a collector's address.
fn below(mut collector: Url) -> Url {
    let path = collector.path().trim_end_matches('/');
    collector.set_path(&format!("{path}/{TRACES_PATH}"));
    collector
}

fn collector(text: &str) -> Result<Url, &'static str> {
    const NOT_A_URL: &str = "must be a URL such as http://collector:4318";
    let url = Url::parse(text).map_err(|_| NOT_A_URL)?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || url.fragment().is_some() {
        return Err(NOT_A_URL);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user or a password; --traces-headers takes credentials");
    }
    Ok(url)
}

fn ratio(text: &str) -> Result<f64, &'static str> {
    let ratio = text
        .parse()
        .ok()
        .filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or("must be a number from 0 to 1")
}

/// The names and values in a list such as `a=1,b=2%2C3`, which is how OpenTelemetry's variables are written.
fn pairs(text: &str) -> impl Iterator<Item = Option<(String, String)>> {
    let items = text.split(',').map(str::trim);
    items.filter(|item| !item.is_empty()).map(|item| {
        let (name, value) = item.split_once('=')?;
        let decoded = |text: &str| {
            let text = percent_decode_str(text.trim()).decode_utf8();
            text.ok().map(String::from)
        };
        Some((decoded(name)?, decoded(value)?)).filter(|(name, _)| !name.is_empty())
    })
}

/// Parses header fields. Their values are sensitive: `Debug` does not show them, and no error repeats them.
fn header_fields(text: &str) -> Result<HeaderMap, &'static str> {
    const NOT_FIELDS: &str =
        "must be header fields such as authorization=Bearer%20TOKEN, separated by commas";
    let mut headers = HeaderMap::new();
    for pair in pairs(text) {
        let (name, value) = pair.ok_or(NOT_FIELDS)?;
        let name = HeaderName::from_str(&name).map_err(|_| NOT_FIELDS)?;
        if OWN_FIELDS.contains(&name) {
            return Err(
                "must not contain header fields of the request itself, such as content-type",
            );
        }
        let mut value = HeaderValue::from_str(&value).map_err(|_| NOT_FIELDS)?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

/// Attributes of the resource that spans come from, in OpenTelemetry's sense: of this service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceAttributes(Vec<(String, String)>);

impl FromStr for ResourceAttributes {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let attributes: Option<Vec<_>> = pairs(text).collect();
        attributes.map(Self).ok_or(
            "must be attributes such as deployment.environment.name=production, separated by commas",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_have_their_place_below_a_collector() {
        for (base, expected) in [
            ("http://collector:4318", "http://collector:4318/v1/traces"),
            (
                "https://c.example/otlp/",
                "https://c.example/otlp/v1/traces",
            ),
        ] {
            let url = collector(base).expect(base);
            assert_eq!(below(url).as_str(), expected);
        }
    }

    #[test]
    fn header_fields_are_decoded_and_not_shown() {
        let headers = header_fields("authorization=Bearer%20a%2Cb, x-tenant=7").expect("fields");
        assert_eq!(headers["authorization"], "Bearer a,b");
        assert_eq!(headers["x-tenant"], "7");
        assert!(!format!("{headers:?}").contains("a,b"));
        for text in [
            "canary",
            "=canary",
            "a b=canary",
            "a=canary%0A",
            "Content-Type=canary",
        ] {
            let complaint = header_fields(text).expect_err(text);
            assert!(!complaint.contains("canary"), "{complaint}");
        }
    }

    #[test]
    fn a_ratio_is_from_0_to_1() {
        assert_eq!(ratio("0"), Ok(0.0));
        assert_eq!(ratio("1"), Ok(1.0));
        for text in ["-0.1", "1.01", "NaN", "10%", ""] {
            assert!(ratio(text).is_err(), "{text}");
        }
    }
}
