//! `circle-registry health`, for the health checks of containers.

use std::net::TcpListener;

use rcgen::generate_simple_self_signed;
use tempfile::TempDir;

use test_support::{
    binary::{self, Server},
    on_both_databases,
};

/// The exit code, and what is said.
fn health(more: &[&str]) -> (Option<i32>, String) {
    let output = binary::run(&[&["health"], more].concat());
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).expect("text"))
}

#[tokio::test]
async fn health_is_the_readiness_of_the_service_on_the_configured_address() {
    on_both_databases(async |database| {
        let server =
            Server::start_for_all(&database.url, &["--insecure", "--shutdown-delay", "9s"]).await;
        server.wait_for("/readyz", reqwest::StatusCode::OK).await;
        let port = server.address.port();
        for bind in [format!("127.0.0.1:{port}"), format!("0.0.0.0:{port}")] {
            assert_eq!(health(&["--bind", &bind]), (Some(0), "ready\n".to_owned()));
        }
        let bind = server.address.to_string();
        server.signal("-TERM");
        server
            .wait_for("/readyz", reqwest::StatusCode::SERVICE_UNAVAILABLE)
            .await;
        let (code, said) = health(&["--bind", &bind]);
        assert!(
            code == Some(1) && said.contains("not ready (503): "),
            "{said}"
        );
        drop(server);
        let (code, said) = health(&["--bind", &bind]);
        assert!(
            code == Some(1) && said.contains("no service responds on"),
            "{said}"
        );
    })
    .await;
}

#[tokio::test]
async fn health_asks_by_tls_where_the_service_has_it() {
    on_both_databases(async |database| {
        let folder = TempDir::new().expect("a folder");
        let made = generate_simple_self_signed(["registry.example".to_owned()]).expect("a pair");
        let [certificate, key] = ["crt", "key"].map(|name| folder.path().join(name));
        std::fs::write(&certificate, made.cert.pem()).expect("written");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
        let files = [
            "--tls-cert",
            certificate.to_str().expect("a path"),
            "--tls-key",
            key.to_str().expect("a path"),
        ];
        let server = Server::start_by_tls(&database.url, &files).await;
        let bind = server.address.to_string();
        let ask = [&["--bind", &bind], &files[..]].concat();
        while health(&ask).0 != Some(0) {
            assert!(
                server.log().lines().all(|line| !line.contains("ERROR")),
                "{}",
                server.log()
            );
        }
        assert_eq!(health(&["--bind", &bind]).0, Some(1), "in the clear");
    })
    .await;
}

#[test]
fn a_service_that_does_not_respond_is_not_healthy() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let bind = silent.local_addr().expect("its address").to_string();
    let (code, said) = health(&["--bind", &bind]);
    assert!(
        code == Some(1) && said.contains("no service responds"),
        "{said}"
    );
}
