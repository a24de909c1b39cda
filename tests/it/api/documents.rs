//! The documents that the service serves: the OpenAPI description, and Swagger UI.

use std::io::Read;

use flate2::read::GzDecoder;
use reqwest::Method;

use test_support::{Answer, on_both};

const COMMITTED: &str = include_str!("../../../openapi.json");

#[tokio::test]
async fn the_committed_description_is_the_one_that_is_served() {
    assert_eq!(
        COMMITTED,
        circle_registry::routes::description(),
        "run `cargo run -- openapi > openapi.json`"
    );
    on_both(async |app| {
        let answer = app.get("/openapi.json").await;
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.text, COMMITTED);
    })
    .await;
}

#[tokio::test]
async fn swagger_ui_is_served_whole_and_needs_nothing_from_elsewhere() {
    on_both(async |app| {
        let page = app.get("/docs").await;
        assert_eq!(
            (page.status, page.header("content-type")),
            (200, "text/html; charset=utf-8")
        );
        assert!(page.text.contains("SwaggerUIBundle(") && page.text.contains("\"get_circle\""));
        assert!(
            page.text.contains("docExpansion: 'none'"),
            "operations are folded"
        );
        for outside in ["<script src=", "<link "] {
            assert!(!page.text.contains(outside), "{outside}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_documents_are_compressed_and_cached() {
    on_both(async |app| {
        for path in ["/docs", "/openapi.json"] {
            let plain = app.get(path).await;
            assert_eq!(plain.header("content-encoding"), "", "{path}");
            let gzip = || {
                app.request(Method::GET, path)
                    .header("accept-encoding", "br, gzip")
            };
            let response = gzip().send().await.expect("an answer");
            assert_eq!(response.headers()["content-encoding"], "gzip", "{path}");
            assert_eq!(response.headers()["vary"], "Accept-Encoding", "{path}");
            let etag = response.headers()["etag"].clone();
            assert_ne!(etag, plain.header("etag"), "{path}: each form has its own");
            let compressed = response.bytes().await.expect("a body");
            assert!(
                3 * compressed.len() < plain.text.len(),
                "{path}: {}",
                compressed.len()
            );
            let mut text = String::new();
            let mut decoder = GzDecoder::new(&*compressed);
            decoder.read_to_string(&mut text).expect("gzip");
            assert!(text == plain.text, "{path}");
            for (request, etag) in [
                (gzip(), etag.to_str().expect("a text")),
                (app.request(Method::GET, path), plain.header("etag")),
            ] {
                let answer = Answer::to(request.header("if-none-match", etag)).await;
                assert_eq!((answer.status, answer.text.as_str()), (304, ""), "{path}");
                assert_eq!(answer.header("etag"), etag);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_root_leads_to_swagger_ui_and_there_is_an_icon() {
    on_both(async |app| {
        let page = app.get("/").await;
        assert!(page.status == 200 && page.text.contains("SwaggerUIBundle("));
        let icon = app.get("/favicon.ico").await;
        assert_eq!(
            (icon.status, icon.header("content-type")),
            (200, "image/svg+xml")
        );
    })
    .await;
}
