//! What is measured of requests.

use std::time::Instant;

use poem::http::{Method, StatusCode};
use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, core::Collector,
    proto::MetricFamily,
};

use crate::http::ERROR_CODES;

/// The bounds of `http.server.request.duration`, in seconds, as OpenTelemetry's conventions advise.
const BOUNDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// nginx's status for a client that did not wait for the response.
const CLIENT_CLOSED: &str = "499";

#[derive(Clone, Debug)]
pub(crate) struct RequestMetrics {
    durations: HistogramVec,
    active: IntGauge,
    problems: IntCounterVec,
}

impl Default for RequestMetrics {
    fn default() -> Self {
        let durations = HistogramOpts::new(
            "http_server_request_duration_seconds",
            "Duration of requests to operations, from routing to the response's head.",
        );
        let labels = [
            "http_request_method",
            "http_route",
            "http_response_status_code",
        ];
        let active = IntGauge::new(
            "http_server_active_requests",
            "Requests to operations under way.",
        );
        let problems = Opts::new(
            "circle_registry_problems_total",
            "Requests that were answered with a problem, by its code.",
        );
        let problems = IntCounterVec::new(problems, &["code"]).expect("sound names");
        // Each from the start: Prometheus would not see the step from nothing to one.
        for (code, ..) in ERROR_CODES {
            problems.with_label_values(&[*code]);
        }
        Self {
            durations: HistogramVec::new(durations.buckets(BOUNDS.to_vec()), &labels)
                .expect("sound names"),
            active: active.expect("a sound name"),
            problems,
        }
    }
}

impl RequestMetrics {
    pub(super) fn collect(&self) -> Vec<MetricFamily> {
        let families = [
            self.durations.collect(),
            self.active.collect(),
            self.problems.collect(),
        ];
        families.concat()
    }

    pub(crate) fn count_problem(&self, code: &str) {
        self.problems.with_label_values(&[code]).inc();
    }

    /// Starts to measure a request. What is dropped before [`finish`](RequestTimer::finish) counts, too.
    pub(crate) fn start<'m>(&'m self, method: &'m Method, route: &'m str) -> RequestTimer<'m> {
        self.active.inc();
        RequestTimer {
            metrics: self,
            method,
            route,
            started: Instant::now(),
            status: None,
        }
    }
}

pub(crate) struct RequestTimer<'m> {
    metrics: &'m RequestMetrics,
    method: &'m Method,
    route: &'m str,
    started: Instant,
    status: Option<StatusCode>,
}

impl RequestTimer<'_> {
    pub(crate) fn finish(mut self, status: StatusCode) {
        self.status = Some(status);
    }
}

impl Drop for RequestTimer<'_> {
    fn drop(&mut self) {
        let status = match &self.status {
            Some(status) => status.as_str(),
            None if std::thread::panicking() => "500",
            None => CLIENT_CLOSED,
        };
        let labels = [self.method.as_str(), self.route, status];
        let duration = self.metrics.durations.with_label_values(&labels);
        duration.observe(self.started.elapsed().as_secs_f64());
        self.metrics.active.dec();
    }
}
