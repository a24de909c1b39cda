//! Faults particular to SQLite: concurrent writers, several processes on one file, and a full disk.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use futures_util::future::{join, join_all};
use reqwest::StatusCode;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;
use tempfile::TempDir;

use test_support::{
    Answer, Backend, TestDatabase,
    binary::{self, Server},
    connect_to,
    faults::{in_full, report, small_disk},
};

/// These tests make writers wait for each other, so no request may time out while it waits.
const LONG_TIMEOUT: [&str; 2] = ["--db-acquire-timeout", "30s"];

#[tokio::test]
async fn eight_writers_and_eight_readers_never_see_a_locked_database_or_lose_an_update() {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let server = Server::start_ready(&database.url, &LONG_TIMEOUT).await;
    contend(&[&server]).await;
    drop(server);
    database.remove().await;
}

#[tokio::test]
async fn two_services_on_one_file_see_each_other_s_writes_and_lose_none() {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let one = Server::start_ready(&database.url, &LONG_TIMEOUT).await;
    let other = Server::start_ready(&database.url, &LONG_TIMEOUT).await;
    contend(&[&one, &other]).await;
    drop((one, other));
    database.remove().await;
}

/// Eight writers and eight readers share the servers. Each writer increments a number that all writers
/// share, from the state that it read, and adds rows of its own.
async fn contend(servers: &[&Server]) {
    let zero = json!({"name": "counter", "api_type": "openai", "config": {"count": 0}});
    let request = servers[0].client().post(servers[0].url("/v1/providers"));
    let path = Answer::to(request.json(&zero)).await;
    let path = path.header("location").to_owned();
    let end = Instant::now() + Duration::from_secs(if in_full() { 30 } else { 5 });
    let writers = (0..8).map(|n| count_up(servers[n % servers.len()], &path, n, end));
    let readers = (0..8).map(|n| read(servers[n % servers.len()], &path, end));
    let (written, read) = join(join_all(writers), join_all(readers)).await;
    let (counted, read): (u64, u64) = (written.iter().sum(), read.iter().sum());
    for server in servers {
        let row = server.get(&path).await.ok();
        assert_eq!(row["config"]["count"], counted, "an update is lost");
        let list = server.get("/v1/agents?count=true&limit=1").await.ok();
        assert_eq!(list["total"], counted, "a row is lost");
    }
    assert!(counted > 0 && read > 0);
    report(
        &format!(
            "8 writers and 8 readers, processes on the file: {}",
            servers.len()
        ),
        &format!("{counted} counted writes and {read} reads, no error"),
    );
}

/// Increments the number until `end`, and returns how often it did.
async fn count_up(server: &Server, path: &str, writer: usize, end: Instant) -> u64 {
    let mut counted = 0;
    while Instant::now() < end {
        let before = server.get(path).await;
        let tag = before.header("etag").to_owned();
        let count = before.ok()["config"]["count"].as_u64().expect("a count");
        let request = server.client().patch(server.url(path));
        let request = request.header("if-match", tag);
        let after = Answer::to(request.json(&json!({"config": {"count": count + 1}}))).await;
        if after.status == 412 {
            continue;
        }
        after.ok();
        counted += 1;
        let agent = json!({"name": format!("w{writer}-{counted}")});
        let create = server.client().post(server.url("/v1/agents"));
        Answer::to(create.json(&agent)).await.created();
    }
    counted
}

/// Reads until `end`, and returns how often it did.
async fn read(server: &Server, path: &str, end: Instant) -> u64 {
    let mut read = 0;
    while Instant::now() < end {
        server.get(path).await.ok();
        server
            .get("/v1/agents?sort=-updated_at&limit=20")
            .await
            .ok();
        read += 2;
    }
    read
}

/// The limit is on the size of files (`ulimit -f`), which needs no privilege.
#[tokio::test]
async fn a_database_that_may_not_grow_answers_507_to_writes_and_goes_on_reading() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("test.db");
    let url = format!("sqlite:{}", file.display());
    binary::output_of(&["migrate", "up", "--database-url", &url]);
    // Blocks have 512 bytes: 2 MiB. SIGXFSZ is ignored, because it would end the process.
    let limited = [
        "sh",
        "-c",
        "trap '' XFSZ; ulimit -f 4096; exec \"$@\"",
        "sh",
    ];
    let server = Server::start_under(&limited, &url, &[]).await;
    server.wait_for("/readyz", StatusCode::OK).await;
    let written = write_until_full(&server).await;
    reads_go_on(&server, &written).await;
    server.signal("-TERM");
    let (code, log) = server.end().await;
    assert_eq!(code, Some(0), "{log}");

    check_integrity(&url).await;
    let server = Server::start_ready(&url, &[]).await;
    reads_go_on(&server, &written).await;
    assert_eq!(write(&server).await.status, 201);
    drop(server);
}

/// The server has a disk of a few megabytes in its own mount namespace.
#[tokio::test]
async fn a_full_disk_answers_507_to_writes_goes_on_reading_and_recovers() {
    let folder = TempDir::new().expect("a folder");
    let place = folder.path().to_str().expect("a path");
    let Some(wrapper) = small_disk(place) else {
        report(
            "a full disk",
            "NOT RUN, mounting a small one is not permitted here",
        );
        return;
    };
    let url = format!("sqlite:{place}/test.db");
    let server = Server::start_under(&wrapper, &url, &[]).await;
    server.wait_for("/readyz", StatusCode::OK).await;
    let inside = PathBuf::from(format!("/proc/{}/root{place}", server.pid()));

    fill(&inside.join("filler"));
    let written = write_until_full(&server).await;
    reads_go_on(&server, &written).await;
    fs::remove_file(inside.join("filler")).expect("space");
    let recovered = Instant::now();
    assert_eq!(write(&server).await.status, 201, "{}", server.log());
    report(
        "a full disk",
        &format!(
            "507; the first write with space again took {:?}",
            recovered.elapsed()
        ),
    );
    reads_go_on(&server, &written).await;
    check_integrity(&format!("sqlite:{}", inside.join("test.db").display())).await;
    drop(server);
}

fn fill(filler: &Path) {
    let mut file = fs::File::create(filler).expect("a file");
    while file.write_all(&[0; 4096]).is_ok() {}
}

/// Writes a row of a few kilobytes.
async fn write(server: &Server) -> Answer {
    let agent = json!({"name": "large", "system_prompt": "x".repeat(100_000)});
    let request = server.client().post(server.url("/v1/agents"));
    Answer::to(request.json(&agent)).await
}

/// Writes until there is no space left, and returns the paths of the rows that were created.
async fn write_until_full(server: &Server) -> Vec<String> {
    let mut written = Vec::new();
    for _ in 0..100 {
        let answer = write(server).await;
        if answer.status != 201 {
            answer.problem(507, "insufficient_storage");
            write(server).await.problem(507, "insufficient_storage");
            return written;
        }
        written.push(answer.header("location").to_owned());
    }
    panic!("100 writes fit");
}

async fn reads_go_on(server: &Server, written: &[String]) {
    server.get("/readyz").await.ok();
    let list = server.get("/v1/agents?count=true&limit=200").await.ok();
    assert!(list["total"].as_u64() >= Some(written.len() as u64));
    for path in written {
        let agent = server.get(path).await.ok();
        assert_eq!(agent["system_prompt"].as_str().map(str::len), Some(100_000));
    }
}

async fn check_integrity(url: &str) {
    let db = connect_to(url).await;
    let statement = Statement::from_string(db.get_database_backend(), "PRAGMA integrity_check");
    let found = db.query_all_raw(statement).await.expect("a check");
    let found: Vec<String> = found
        .iter()
        .map(|row| row.try_get_by_index(0).expect("a text"))
        .collect();
    assert_eq!(found, ["ok"]);
    db.close().await.expect("closed");
}

#[tokio::test]
async fn a_new_file_is_its_owner_s_alone_under_any_umask() {
    for umask in ["000", "022", "0777"] {
        let folder = TempDir::new().expect("a folder");
        let file = folder.path().join("teams.db");
        let url = format!("sqlite:{}", file.display());
        let script = format!("umask {umask}; exec \"$0\" \"$@\"");
        let server = Server::start_under(&["sh", "-c", &script], &url, &[]).await;
        server.wait_for("/readyz", StatusCode::OK).await;
        for suffix in ["", "-wal", "-shm"] {
            let name = format!("{}{suffix}", file.display());
            let mode = fs::metadata(&name).expect("a file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name} under {umask}");
        }
    }
}
