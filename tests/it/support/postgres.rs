//! A private PostgreSQL for the tests, from the installed binaries, or the server that
//! `TEST_DATABASE_URL` names. It lives as long as this process and not a moment longer: its
//! keeper ends it when the pipe from here closes, however this process ends.

use std::{
    fs,
    io::Write,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use migration::{
    connection::{self, PoolSize, Target},
    runner,
};
use sea_orm::{ConnectionTrait, DatabaseConnection};
use tokio::sync::OnceCell;
use url::Url;

use super::settings_for;

const HELP: &str = "the tests need PostgreSQL 15 or later: install it (on Debian and Ubuntu: \
    apt-get install postgresql) or set TEST_DATABASE_URL to a server on which databases may be \
    created, as postgres://user:password@localhost/postgres";

/// It is asked for, so that a test can have a wrong one.
const PASSWORD: &str = "hunter2-of-the-tests";

/// The server's own database, from which others are created.
fn admin_url() -> &'static Url {
    static ADMIN: OnceLock<Url> = OnceLock::new();
    ADMIN.get_or_init(|| {
        let url = std::env::var("TEST_DATABASE_URL").unwrap_or_else(|_| start());
        Url::parse(&url).expect("TEST_DATABASE_URL is a URL")
    })
}

/// The URL of a database on the test server.
pub(crate) fn url_of(name: &str) -> String {
    let mut url = admin_url().clone();
    url.set_path(name);
    url.to_string()
}

/// A new database with the schema in it.
pub(crate) async fn create_migrated() -> String {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    let template = TEMPLATE
        .get_or_init(|| async {
            let name = create_empty().await;
            let db = connect(&name).await;
            runner::up(&db, None).await.expect("the migrations apply");
            db.close().await.expect("the template is let go");
            name
        })
        .await;
    let name = fresh_name();
    admin(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
    name
}

/// A new database with nothing in it.
pub(crate) async fn create_empty() -> String {
    let name = fresh_name();
    admin(&format!("CREATE DATABASE {name}")).await;
    name
}

pub(crate) async fn drop_database(name: &str) {
    admin(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
}

/// One connection to a database on the test server.
pub(crate) async fn connect(name: &str) -> DatabaseConnection {
    let settings = settings_for(&url_of(name)).database;
    let target = Target::from_settings(&settings).expect("a target");
    connection::open(&settings, &target, PoolSize::ONE)
        .await
        .expect("a connection")
}

async fn admin(sql: &str) {
    let name = admin_url().path().trim_start_matches('/').to_owned();
    let db = connect(&name).await;
    for attempt in 0.. {
        match db.execute_unprepared(sql).await {
            Ok(_) => break,
            Err(_) if attempt < 50 => tokio::time::sleep(Duration::from_millis(100)).await,
            Err(error) => panic!("{sql}: {error}"),
        }
    }
    db.close().await.expect("the connection is let go");
}

fn fresh_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("circle_test_{}_{number}", std::process::id())
}

/// Starts a server in a folder of its own and returns the URL of its first database.
fn start() -> String {
    let binaries = find_binaries().expect(HELP);
    let data = tempfile::Builder::new()
        .prefix("circle-registry-pg-")
        .tempdir()
        .expect("a folder")
        .keep();
    let unprivileged = as_unprivileged(&data);
    let run = |program: &Path| {
        let mut command = Command::new(&unprivileged[0]);
        command.args(&unprivileged[1..]).arg(program);
        command
    };
    let password = data.join("password");
    fs::write(&password, PASSWORD).expect("a file");
    let made = run(&binaries.join("initdb"))
        .arg("--pwfile")
        .arg(password)
        .args([
            "--username=test",
            "--auth=password",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        ])
        .args(["--no-sync", "-D"])
        .arg(data.join("db"))
        .output()
        .expect("initdb runs");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let port = free_port();
    let mut configuration = fs::OpenOptions::new()
        .append(true)
        .open(data.join("db/postgresql.conf"))
        .expect("postgresql.conf");
    writeln!(
        configuration,
        "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\n\
         max_connections = 300\nfsync = off\nsynchronous_commit = off\nfull_page_writes = off"
    )
    .expect("the configuration is written");
    // The keeper waits for the end of its input, which is the end of this process.
    let keeper = r#""$@" >"$0/log" 2>&1 & read -r _; kill -QUIT $!; wait; rm -rf "$0""#;
    #[expect(
        clippy::zombie_processes,
        reason = "it outlives this process by a moment"
    )]
    let child = Command::new("sh")
        .args(["-c", keeper])
        .arg(&data)
        .args(&unprivileged)
        .arg(binaries.join("postgres"))
        .arg("-D")
        .arg(data.join("db"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server starts");
    std::mem::forget(child.stdin);
    format!("postgres://test:{PASSWORD}@127.0.0.1:{port}/postgres")
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// The folder of the newest installed server.
fn find_binaries() -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&on_path).collect();
    for (root, rest) in [
        ("/usr/lib/postgresql", "bin"),
        ("/usr/local/opt", "bin"),
        ("/opt/homebrew/opt", "bin"),
    ] {
        let versions = fs::read_dir(root).into_iter().flatten().flatten();
        let mut found: Vec<PathBuf> = versions.map(|entry| entry.path().join(rest)).collect();
        found.sort();
        places.extend(found.into_iter().rev());
    }
    places
        .into_iter()
        .find(|place| place.join("initdb").is_file() && place.join("postgres").is_file())
}

/// PostgreSQL refuses to run as root; then the words that make a command run as `postgres`, who
/// also gets the folder.
fn as_unprivileged(data: &Path) -> Vec<String> {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt;
        own.uid() == 0
    });
    if !is_root {
        return vec!["env".to_owned()];
    }
    let given = Command::new("chown").arg("postgres").arg(data).status();
    assert!(given.is_ok_and(|status| status.success()), "{HELP}");
    [
        "setpriv",
        "--reuid=postgres",
        "--regid=postgres",
        "--clear-groups",
        "--",
    ]
    .map(str::to_owned)
    .to_vec()
}
