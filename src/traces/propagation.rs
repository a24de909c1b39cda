//! The context of a trace in header fields, by the W3C's Trace Context.

use std::str::FromStr;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The length of version 00, which later versions begin with.
const TRACEPARENT_LENGTH: usize = 55;
/// As much as has to be propagated.
const MAX_TRACESTATE_LENGTH: usize = 512;

/// The caller's span, if the request names one.
pub(super) fn extract(headers: &HeaderMap) -> Option<SpanContext> {
    let mut parents = headers.get_all(TRACEPARENT).iter();
    let (parent, None) = (parents.next()?, parents.next()) else {
        return None;
    };
    let (trace_id, span_id, flags) = parse(parent.to_str().ok()?)?;
    let context = SpanContext::new(trace_id, span_id, flags, true, trace_state(headers));
    context.is_valid().then_some(context)
}

fn parse(text: &str) -> Option<(TraceId, SpanId, TraceFlags)> {
    let (known, rest) = text.split_at_checked(TRACEPARENT_LENGTH)?;
    let mut parts = known.split('-');
    let version = hex(parts.next()?, 2)?;
    let trace_id = TraceId::from_hex(hex(parts.next()?, 32)?).ok()?;
    let span_id = SpanId::from_hex(hex(parts.next()?, 16)?).ok()?;
    let flags = u8::from_str_radix(hex(parts.next()?, 2)?, 16).ok()?;
    let is_known = match version {
        "ff" => false,
        "00" => rest.is_empty(),
        _ => rest.is_empty() || rest.starts_with('-'),
    };
    (is_known && parts.next().is_none()).then(|| {
        let flags = TraceFlags::new(flags) & TraceFlags::SAMPLED;
        (trace_id, span_id, flags)
    })
}

/// The text, if it is a number of so many digits.
fn hex(text: &str, digits: usize) -> Option<&str> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (text.len() == digits && text.bytes().all(is_digit)).then_some(text)
}

/// What the caller's systems say of the trace. It is passed on as it is, or not at all.
fn trace_state(headers: &HeaderMap) -> TraceState {
    let lines = headers.get_all(TRACESTATE).iter();
    let lines: Option<Vec<&str>> = lines.map(|line| line.to_str().ok()).collect();
    let state = lines.unwrap_or_default().join(",");
    if state.len() > MAX_TRACESTATE_LENGTH {
        return TraceState::default();
    }
    TraceState::from_str(&state).unwrap_or_default()
}

pub(super) fn inject(context: &SpanContext, headers: &mut HeaderMap) {
    let parent = format!(
        "00-{}-{}-{:02x}",
        context.trace_id(),
        context.span_id(),
        context.trace_flags().to_u8()
    );
    let state = context.trace_state().header();
    for (name, value) in [(TRACEPARENT, parent), (TRACESTATE, state)] {
        if let Ok(value) = HeaderValue::from_str(&value)
            && !value.is_empty()
        {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    fn extracted(lines: &[(&'static str, &str)]) -> Option<SpanContext> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().expect("a value"));
        }
        extract(&headers)
    }

    #[test]
    fn a_parent_is_read_as_it_is_written() {
        let sampled = format!("00-{TRACE}-{SPAN}-01");
        let context = extracted(&[
            ("traceparent", &sampled),
            ("tracestate", "a=1"),
            ("tracestate", "b=2"),
        ]);
        let context = context.expect("a context");
        assert!(context.is_sampled() && context.is_remote());
        assert_eq!(context.trace_state().header(), "a=1,b=2");
        let mut headers = HeaderMap::new();
        inject(&context, &mut headers);
        assert_eq!(headers["traceparent"], sampled);
        assert_eq!(headers["tracestate"], "a=1,b=2");
        for (text, is_sampled) in [
            (format!("00-{TRACE}-{SPAN}-00"), false),
            (format!("00-{TRACE}-{SPAN}-02"), false),
            (format!("cc-{TRACE}-{SPAN}-03-what-comes-later"), true),
        ] {
            let context = extracted(&[("traceparent", &text)]).expect(&text);
            assert_eq!(context.is_sampled(), is_sampled, "{text}");
            assert_eq!(context.trace_id().to_string(), TRACE);
        }
    }

    #[test]
    fn what_is_no_parent_is_ignored() {
        for text in [
            String::new(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-01-x"),
            format!("00-{TRACE}-{SPAN}-01 "),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("cc-{TRACE}-{SPAN}-01x"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-+{}-{SPAN}-01", &TRACE[1..]),
            format!("00-{TRACE}{SPAN}-01-{}", "0".repeat(2)),
        ] {
            assert_eq!(extracted(&[("traceparent", &text)]), None, "{text}");
        }
        let parent = format!("00-{TRACE}-{SPAN}-01");
        let twice = [("traceparent", &*parent), ("traceparent", &*parent)];
        assert_eq!(extracted(&twice), None);
    }

    #[test]
    fn a_state_that_is_too_long_or_no_state_is_left_out() {
        let parent = format!("00-{TRACE}-{SPAN}-01");
        for state in [
            "no state".to_owned(),
            format!("a={},b={}", "x".repeat(255), "y".repeat(256)),
        ] {
            let context = extracted(&[("traceparent", &parent), ("tracestate", &state)]);
            let context = context.expect("a context");
            assert_eq!(context.trace_state().header(), "", "{state}");
        }
    }
}
