//! The SQLite file is removed or replaced while the service runs: what it wrote from then on would be lost
//! when it stops, so it refuses.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::StatusCode;
use serde_json::json;
use tempfile::TempDir;
use test_support::{
    Answer,
    binary::{self, Server},
};

async fn create_circle(server: &Server, name: &str) -> Answer {
    let request = server.client().post(server.url("/v1/circles"));
    Answer::to(request.json(&json!({"name": name}))).await
}

async fn assert_refused(server: &Server) {
    for answer in [
        create_circle(server, "lost").await,
        server.get("/v1/circles").await,
        server.get("/readyz").await,
    ] {
        assert_eq!(answer.header("retry-after"), "1");
        let problem = answer.problem(503, "database_unavailable");
        let detail = problem["detail"].as_str().expect("a detail");
        assert!(detail.contains("removed or replaced"), "{detail}");
    }
    server
        .wait_for_log("its file was removed or replaced")
        .await;
}

fn url_of(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

/// A folder with a database and a second one.
fn two_databases() -> (TempDir, PathBuf, PathBuf) {
    let folder = TempDir::new().expect("a folder");
    let (file, other) = (
        folder.path().join("teams.db"),
        folder.path().join("other.db"),
    );
    for path in [&file, &other] {
        binary::output_of(&["migrate", "up", "--database-url", &url_of(path)]);
    }
    (folder, file, other)
}

#[tokio::test]
async fn a_sqlite_file_that_is_removed_is_missed_until_it_is_back() {
    let (folder, file, _) = two_databases();
    let away = folder.path().join("away.db");
    // Connections that the pool opens by itself must not create the file again.
    let more = ["--db-max-lifetime", "100ms", "--db-idle-timeout", "100ms"];
    let server = Server::start_ready(&url_of(&file), &more).await;
    create_circle(&server, "kept").await.created();
    fs::rename(&file, &away).expect("moved");
    assert_refused(&server).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(!file.exists(), "a database was created in its place");
    fs::rename(&away, &file).expect("moved back");
    create_circle(&server, "later").await.created();
    server.get("/readyz").await.ok();
}

#[tokio::test]
async fn a_sqlite_file_that_is_replaced_is_refused_until_the_restart() {
    let (_folder, file, other) = two_databases();
    let server = Server::start_ready(&url_of(&file), &[]).await;
    create_circle(&server, "before").await.created();
    fs::rename(&other, &file).expect("replaced");
    assert_refused(&server).await;
    server.signal("-TERM");
    let (code, log) = server.end().await;
    assert_eq!(code, Some(0), "{log}");

    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", file.display()));
    }
    let server = Server::start_ready(&url_of(&file), &[]).await;
    create_circle(&server, "after").await.created();
}

#[tokio::test]
async fn a_link_to_another_sqlite_file_replaces_the_first() {
    let (folder, file, other) = two_databases();
    let link = folder.path().join("link.db");
    symlink(&file, &link).expect("a link");
    let server = Server::start(&url_of(&link), &[]).await;
    server.wait_for("/readyz", StatusCode::OK).await;
    create_circle(&server, "kept").await.created();
    fs::remove_file(&link).expect("removed");
    symlink(&other, &link).expect("another link");
    assert_refused(&server).await;
}
