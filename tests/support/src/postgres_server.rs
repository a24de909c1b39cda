//! A private PostgreSQL server from the installed binaries. It ends with this process: a shell (the
//! keeper) ends it when the pipe from here closes, however this process ends.

use std::{
    fs,
    io::Write,
    net::TcpListener,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use sea_orm::sqlx::{Connection, PgConnection};

pub const HELP: &str = "the tests need PostgreSQL 15 or later: install it (on Debian and Ubuntu: \
    apt-get install postgresql) or set TEST_DATABASE_URL to a server on which databases may be \
    created, as postgres://user:password@localhost/postgres";

/// A password of the user `test`, which the server does not check: that takes a debug build a tenth of a
/// second. Other users need theirs.
pub const PASSWORD: &str = "let-me-in";

/// Whether commits must survive a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// No: the tests run faster.
    Off,
    /// Yes, as in production.
    On,
}

/// A server with its own folder and port. It stops when it is dropped.
#[derive(Debug)]
pub struct PostgresServer {
    binaries: PathBuf,
    data: PathBuf,
    unprivileged: Vec<String>,
    port: u16,
    keeper: Option<Child>,
}

impl PostgresServer {
    /// Creates a server without starting it.
    pub fn create(durability: Durability) -> Self {
        let server = Self::in_a_new_folder();
        server.init();
        server.configure(durability);
        server
    }

    fn in_a_new_folder() -> Self {
        let data = tempfile::Builder::new()
            .prefix("circle-registry-pg-")
            .tempdir()
            .expect("a folder")
            .keep();
        Self {
            binaries: find_binaries().expect(HELP),
            unprivileged: as_unprivileged(&data),
            data,
            port: free_port(),
            keeper: None,
        }
    }

    /// Creates a hot standby of this server without starting it.
    #[must_use]
    pub fn create_standby(&self) -> Self {
        let standby = Self::in_a_new_folder();
        let mut backup = Command::new(&standby.unprivileged[0]);
        backup.args(&standby.unprivileged[1..]);
        backup.arg(self.binaries.join("pg_basebackup"));
        backup.args(["--host=127.0.0.1", "--username=test", "--checkpoint=fast"]);
        backup.args(["--write-recovery-conf", "--no-sync", "--pgdata"]);
        backup.arg(standby.data.join("db"));
        run(backup.arg(format!("--port={}", self.port)));
        standby.append_to_configuration(&format!("port = {}", standby.port));
        standby
    }

    /// Makes this standby a primary.
    pub async fn promote(&self) {
        let url = self.url_of("postgres");
        super::texts_of(&url, "SELECT pg_promote(wait => false)::text").await;
        let deadline = Instant::now() + Duration::from_mins(1);
        while super::texts_of(&url, "SELECT pg_is_in_recovery()::text").await != ["false"] {
            assert!(Instant::now() < deadline, "it is not promoted");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until this standby has replayed all that its primary has written by now.
    pub async fn has_replayed(&self, primary: &Self) {
        let end = "SELECT CAST(pg_current_wal_insert_lsn() AS text)";
        let end = super::texts_of(&primary.url_of("postgres"), end).await;
        let replayed = format!(
            "SELECT CAST(pg_last_wal_replay_lsn() >= '{}' AS text)",
            end[0]
        );
        while super::texts_of(&self.url_of("postgres"), &replayed).await != ["true"] {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// From its next start on, the server is a standby of this one, whose history continues its own.
    pub fn follow(&self, primary: &Self) {
        let port = primary.port;
        // What a standby was created with stands here, and takes precedence over the other file.
        self.append_to(
            "postgresql.auto.conf",
            &format!("primary_conninfo = 'host=127.0.0.1 port={port} user=test'"),
        );
        self.become_a_standby();
    }

    fn init(&self) {
        let mut init = Command::new(&self.unprivileged[0]);
        init.args(&self.unprivileged[1..]);
        init.arg(self.binaries.join("initdb"));
        init.args(["--username=test", "--encoding=UTF8", "--locale=C.UTF-8"]);
        init.args(["--auth=trust", "--no-sync", "-D"]);
        run(init.arg(self.data.join("db")));
    }

    fn append_to_configuration(&self, lines: &str) {
        self.append_to("postgresql.conf", lines);
    }

    fn append_to(&self, file: &str, lines: &str) {
        let mut configuration = fs::OpenOptions::new()
            .append(true)
            .open(self.data.join("db").join(file))
            .expect(file);
        writeln!(configuration, "{lines}").expect("the configuration is written");
    }

    fn configure(&self, durability: Durability) {
        let port = self.port;
        let fast = match durability {
            Durability::Off => "fsync = off\nsynchronous_commit = off\nfull_page_writes = off",
            Durability::On => "",
        };
        self.append_to_configuration(&format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\n\
             max_connections = 300\n{fast}"
        ));
        let access = "host all,replication test 127.0.0.1/32 trust\n\
                      host all all 127.0.0.1/32 scram-sha-256\n";
        fs::write(self.data.join("db/pg_hba.conf"), access).expect("the access is written");
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's folder, which only its user can enter.
    pub fn folder(&self) -> &Path {
        &self.data
    }

    /// Writes a file of the server's own into its folder.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.data.join(name);
        let mut writer = Command::new(&self.unprivileged[0])
            .args(&self.unprivileged[1..])
            .args(["sh", "-c", "umask 077; cat >> \"$0\""])
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut input = writer.stdin.take().expect("its input");
        input.write_all(text.as_bytes()).expect("the text");
        drop(input);
        assert!(writer.wait().expect("the end").success(), "{name}");
        path
    }

    /// Changes settings of a server that has not been started.
    pub fn configure_also(&self, lines: &str) {
        self.write("db/postgresql.conf", lines);
    }

    /// The URL of a database on this server.
    pub fn url_of(&self, database: &str) -> String {
        format!(
            "postgres://test:{PASSWORD}@127.0.0.1:{}/{database}",
            self.port
        )
    }

    /// The URL of a database that several servers have. They are tried in this order.
    pub fn url_of_all(servers: &[&Self], database: &str, attributes: &str) -> String {
        let addresses = servers
            .iter()
            .map(|server| format!("127.0.0.1:{}", server.port));
        let addresses: Vec<String> = addresses.collect();
        let addresses = addresses.join(",");
        format!(
            "postgres://test:{PASSWORD}@{addresses}/{database}?target_session_attrs={attributes}"
        )
    }

    /// Starts the server without waiting until it accepts connections.
    pub fn start(&mut self) {
        assert!(self.keeper.is_none(), "it runs already");
        // The keeper waits for the word `stop`, which leaves the folder, or for the end of its input,
        // which is the end of this process. SIGQUIT is what `pg_ctl stop -m immediate` sends.
        let script = r#""$@" >>"$0/log" 2>&1 &
            read -r word; kill -QUIT $!; wait; [ "$word" = stop ] || rm -rf "$0""#;
        let keeper = Command::new("sh")
            .args(["-c", script])
            .arg(&self.data)
            .args(&self.unprivileged)
            .arg(self.binaries.join("postgres"))
            .arg("-D")
            .arg(self.data.join("db"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        self.keeper = Some(keeper);
    }

    /// Starts the server and waits until it accepts connections.
    pub async fn start_ready(&mut self) {
        self.start();
        self.accepts().await;
    }

    /// Waits until the server accepts connections.
    pub async fn accepts(&self) {
        let url = self.url_of("postgres");
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            match PgConnection::connect(&url).await {
                Ok(connection) => return connection.close().await.expect("closed"),
                Err(error) => assert!(Instant::now() < deadline, "it lets nobody in: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Stops the server as a crash would, without a shutdown checkpoint.
    pub fn stop_immediately(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            let mut input = keeper.stdin.take().expect("the keeper's input");
            let _ = input.write_all(b"stop\n");
            let _ = keeper.wait();
        }
    }

    /// From its next start on, the server is a standby that accepts connections but no writes.
    pub fn become_a_standby(&self) {
        fs::write(self.data.join("db/standby.signal"), "").expect("the signal is written");
    }

    /// Keeps the server running until this process ends.
    pub fn leave_running(mut self) {
        std::mem::forget(self.keeper.take());
        std::mem::forget(self);
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.stop_immediately();
        let _ = fs::remove_dir_all(&self.data);
    }
}

/// Runs a program of PostgreSQL, which must succeed.
fn run(command: &mut Command) {
    let done = command.output().expect("the program runs");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// Runs one of PostgreSQL's programs.
pub fn run_tool(program: &str, arguments: &[&str]) {
    let program = find_binaries().expect(HELP).join(program);
    let output = Command::new(&program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}; {HELP}", program.display()));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", program.display());
}

/// The folder of the newest installed server and its client programs.
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
        // The programs beside a link may be fewer than those beside what it links to.
        .filter_map(|place| {
            Some(
                place
                    .join("postgres")
                    .canonicalize()
                    .ok()?
                    .parent()?
                    .to_owned(),
            )
        })
        .find(|place| place.join("initdb").is_file() && place.join("pg_basebackup").is_file())
}

/// PostgreSQL refuses to run as root. If the tests do, this gives the folder to the user `postgres`, and
/// returns the command prefix that switches to that user.
pub(crate) fn as_unprivileged(data: &Path) -> Vec<String> {
    if !is_root() {
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

/// Whether the tests run as root.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
