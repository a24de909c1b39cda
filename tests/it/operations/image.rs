//! The root file system of the container image, with the program in it as a container runs it: as its own user, without
//! capabilities, on a root that can't be written to.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use reqwest::StatusCode;
use test_support::{
    Backend, TestDatabase,
    binary::{self, Server},
};

const MAKE_ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/image/make-root");
const USER: u32 = 65532;

fn make_root() -> TempDir {
    let root = TempDir::new().expect("a folder");
    let program = binary::command(&[]);
    let made = Command::new(MAKE_ROOT)
        .arg(program.get_program())
        .arg(root.path())
        .status();
    assert!(made.is_ok_and(|status| status.success()));
    root
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// The program in the place of a container's. `mount` prepares the root, whose path is `$1`, before it is made read-only.
fn contained(root: &Path, mount: &str, arguments: &[&str]) -> Command {
    // A test without root's rights is root in a namespace of its own, which has no other user.
    let (namespaces, user) = if is_root() {
        (&["--mount"][..], format!("--userspec={USER}:{USER}"))
    } else {
        (&["--mount", "--map-root-user"][..], String::new())
    };
    let enter = format!(
        "set -e; mount --bind \"$1\" \"$1\"; mount -o remount,bind,ro \"$1\"; {mount}; \
         exec chroot {user} \"$@\""
    );
    let mut command = Command::new("unshare");
    command
        .args(namespaces)
        .args(["sh", "-c", &enter, "sh"])
        .arg(root)
        .arg("/usr/bin/circle-registry")
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

/// What a process of the service may do.
#[track_caller]
fn assert_confined(server: &Server) {
    let of_process = |file| {
        let path = format!("/proc/{}/{file}", server.pid());
        fs::read_to_string(path).expect("a process")
    };
    let root = of_process("mountinfo");
    let root = root
        .lines()
        .find(|line| line.split(' ').nth(4) == Some("/"));
    let root = root.expect("a root");
    assert!(
        root.split(' ')
            .nth(5)
            .is_some_and(|options| options.starts_with("ro")),
        "{root}"
    );
    if is_root() {
        let status = of_process("status");
        for line in [
            &format!("Uid:\t{USER}\t{USER}"),
            "CapEff:\t0000000000000000",
        ] {
            assert!(status.contains(line), "{status}");
        }
    }
}

async fn serve_and_stop(root: &Path, mount: &str, database_url: &str) {
    let arguments = [
        "serve",
        "--database-url",
        database_url,
        "--shutdown-delay",
        "0s",
    ];
    let server = Server::run(contained(root, mount, &arguments), "127.0.0.1").await;
    server.wait_for("/readyz", StatusCode::OK).await;
    assert_confined(&server);
    let circle = serde_json::json!({"name": "team"});
    let created = server
        .client()
        .post(server.url("/v1/circles"))
        .json(&circle)
        .send();
    assert_eq!(
        created.await.expect("an answer").status(),
        StatusCode::CREATED
    );

    let mut health = contained(root, "true", &["health"]);
    let health = binary::finish(health.env("BIND", server.address.to_string()));
    assert_eq!(String::from_utf8_lossy(&health.stdout), "ready\n");

    server.signal("-TERM");
    let (code, log) = server.end().await;
    assert_eq!(code, Some(0), "{log}");
}

#[tokio::test]
async fn the_image_serves_a_postgresql_database_and_writes_no_file() {
    let root = make_root();
    let database = TestDatabase::create(Backend::Postgres).await;
    serve_and_stop(root.path(), "true", &database.url).await;
    database.remove().await;
}

#[tokio::test]
async fn the_image_serves_a_sqlite_file_in_its_volume() {
    let root = make_root();
    let volume = format!(
        "mount -t tmpfs -o mode=0700{} none \"$1/var/lib/circle-registry\"",
        if is_root() {
            format!(",uid={USER},gid={USER}")
        } else {
            String::new()
        }
    );
    let url = "sqlite:/var/lib/circle-registry/circle-registry.db";
    serve_and_stop(root.path(), &volume, url).await;
}

#[test]
fn the_image_has_the_program_and_what_it_needs_only() {
    let root = make_root();
    let mut folders = vec![root.path().to_owned()];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    let is_library = |path: &Path| path.to_string_lossy().contains(".so");
    let mut others: Vec<_> = files
        .iter()
        .filter(|path| !is_library(path))
        .map(|path| path.strip_prefix(root.path()).expect("in the root"))
        .collect();
    others.sort();
    let expected = [
        "etc/group",
        "etc/nsswitch.conf",
        "etc/passwd",
        "etc/ssl/certs/ca-certificates.crt",
        "usr/bin/circle-registry",
    ];
    assert_eq!(others, expected.map(Path::new));
}
