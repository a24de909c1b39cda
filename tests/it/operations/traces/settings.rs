//! Settings of traces: what is taken, from which variables, and how a wrong value is reported.

use reqwest::StatusCode;

use test_support::{
    binary::{self, Server},
    collector::{Collector, ExportedSpan},
    on_both_databases,
    receiver::Behavior,
};

/// A credential that no other text resembles.
const SECRET: &str = "canary-Xq7pLm2vTz";

#[tokio::test]
async fn the_variables_of_opentelemetry_are_read() {
    on_both_databases(async |database| {
        let collector = Collector::start().await;
        let base = collector.url().replace("/v1/traces", "");
        let mut command = binary::command(&["serve", "--database-url", &database.url]);
        command.args(["--log", "trace", "--shutdown-delay", "0s"]);
        command.envs([
            ("OTEL_EXPORTER_OTLP_ENDPOINT", base.as_str()),
            ("OTEL_SERVICE_NAME", "teams"),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "service.name=other,deployment.environment.name=a%2Cb, service.instance.id=pod-1",
            ),
            ("TRACES_SAMPLE_RATIO", "1"),
        ]);
        let headers = format!("Authorization=Bearer%20{SECRET},x-tenant=7");
        command.env("OTEL_EXPORTER_OTLP_HEADERS", headers);
        let server = Server::run(command, "127.0.0.1").await;
        server.wait_for("/readyz", StatusCode::OK).await;
        server.get("/v1/circles").await.ok();
        let is_it = |span: &ExportedSpan| span.name == "GET /v1/circles";
        collector.find("request", is_it).await;
        let service = collector.service();
        for (name, value) in [
            ("service.name", "teams"),
            ("service.instance.id", "pod-1"),
            ("deployment.environment.name", "a,b"),
        ] {
            assert_eq!(service[name], value, "{service:?}");
        }
        let sent = &collector.receiver.received()[0].headers;
        assert_eq!(sent["authorization"], format!("Bearer {SECRET}"));
        assert_eq!(sent["x-tenant"], "7");
        server.signal("-TERM");
        let (_, log) = server.end().await;
        assert!(log.contains("TRACE") && log.contains("traces are exported"));
        assert!(!log.contains(SECRET), "{log}");
    })
    .await;
}

#[tokio::test]
async fn what_is_said_of_traces_wins_over_what_is_said_of_all_signals() {
    on_both_databases(async |database| {
        let (own, other) = (Collector::start().await, Collector::start().await);
        let mut command = binary::command(&["serve", "--database-url", &database.url]);
        command.envs([
            ("OTEL_EXPORTER_OTLP_ENDPOINT", other.url()),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", own.url()),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=7".to_owned()),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-team=8".to_owned()),
            ("TRACES_SAMPLE_RATIO", "1".to_owned()),
        ]);
        let server = Server::run(command, "127.0.0.1").await;
        server.wait_for("/readyz", StatusCode::OK).await;
        server.get("/v1/circles").await.ok();
        own.find("request", |span| span.name == "GET /v1/circles")
            .await;
        let sent = &own.receiver.received()[0].headers;
        assert_eq!(sent["x-team"], "8");
        assert!(!sent.contains_key("x-tenant"), "{sent:?}");
        assert!(other.receiver.received().is_empty());
    })
    .await;
}

#[tokio::test]
async fn traces_can_be_turned_off_where_the_platform_names_a_collector() {
    on_both_databases(async |database| {
        let collector = Collector::start().await;
        let mut command = binary::command(&["serve", "--database-url", &database.url]);
        command.env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collector.url());
        command.env("TRACES_SAMPLE_RATIO", "1");
        command.env("OTEL_SDK_DISABLED", "true");
        let server = Server::run(command, "127.0.0.1").await;
        server.wait_for("/readyz", StatusCode::OK).await;
        server.get("/v1/circles").await.ok();
        server.signal("-TERM");
        let (_, log) = server.end().await;
        assert!(!log.contains("traces are exported"), "{log}");
        assert!(collector.receiver.received().is_empty());
    })
    .await;
}

#[tokio::test]
async fn the_doctor_asks_the_collector_and_wants_its_credentials_to_be_private() {
    on_both_databases(async |database| {
        let collector = Collector::start().await;
        let folder = tempfile::TempDir::new().expect("a folder");
        let file = folder.path().join("settings.toml");
        let settings = format!(
            "traces_endpoint = \"{}\"\ntraces_headers = \"authorization={SECRET}\"\n",
            collector.url()
        );
        std::fs::write(&file, settings).expect("a file");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(&file, mode).expect("its mode");
        let file = file.display().to_string();
        // The collector answers meanwhile.
        let said = async || {
            let (file, url) = (file.clone(), database.url.clone());
            let doctor =
                move || binary::run(&["doctor", "--config", &file, "--database-url", &url]);
            let output = tokio::task::spawn_blocking(doctor)
                .await
                .expect("an output");
            String::from_utf8(output.stdout).expect("text")
        };
        let good = said().await;
        assert!(good.contains("takes traces"), "{good}");
        assert!(good.contains("the settings file with a secret"), "{good}");
        let asked = collector.receiver.received();
        assert_eq!(asked[0].headers["authorization"], SECRET);
        assert!(collector.spans().is_empty());
        collector.receiver.behave(Behavior::Status(401));
        let refused = said().await;
        assert!(refused.contains("the collector answers 401"), "{refused}");
        for said in [good, refused] {
            assert!(!said.contains(SECRET), "{said}");
        }
    })
    .await;
}

#[test]
fn a_wrong_value_is_reported_with_what_it_must_be_and_without_secrets() {
    let credentials = format!("http://me:{SECRET}@collector:4318");
    let token = format!("Bearer {SECRET}");
    let own_field = format!("host={SECRET}");
    for (flag, variable, value, expected) in [
        (
            "--traces-endpoint",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "collector:4318",
            "must be a URL such as http://collector:4318",
        ),
        (
            "--otlp-endpoint",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "grpc://collector:4317",
            "must be a URL",
        ),
        (
            "--otlp-endpoint",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            &credentials,
            "must not contain a user or a password",
        ),
        (
            "--traces-headers",
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
            &token,
            "must be header fields such as authorization=Bearer%20TOKEN",
        ),
        (
            "--otlp-headers",
            "OTEL_EXPORTER_OTLP_HEADERS",
            &own_field,
            "must not contain header fields of the request itself",
        ),
        (
            "--traces-sample-ratio",
            "TRACES_SAMPLE_RATIO",
            "10%",
            "must be a number from 0 to 1",
        ),
        (
            "--resource-attributes",
            "OTEL_RESOURCE_ATTRIBUTES",
            "production",
            "must be attributes such as",
        ),
        ("--no-traces", "OTEL_SDK_DISABLED", "maybe", "boolean"),
    ] {
        let by_flag = binary::run(&[&format!("{flag}={value}"), "settings-reference"]);
        let mut command = binary::command(&["settings-reference"]);
        let by_variable = binary::finish(command.env(variable, value));
        for (output, name) in [(by_flag, flag), (by_variable, variable)] {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{name}={value}: {said}");
            assert!(said.contains(name) && said.contains(expected), "{said}");
            assert!(!said.contains(SECRET), "{said}");
        }
    }
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, format!("traces_headers = \"{token}\"\n")).expect("a file");
    let file = file.display().to_string();
    let output = binary::run(&["--config", &file, "settings-reference"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("settings file") && !said.contains(SECRET),
        "{said}"
    );
    let mut help = binary::command(&["--help"]);
    let output = binary::finish(help.env("OTEL_EXPORTER_OTLP_HEADERS", format!("a={SECRET}")));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("--otlp-headers"));
    assert!(!said.contains(SECRET), "{said}");
}
