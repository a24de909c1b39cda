//! `circle-registry doctor`: every finding is provoked.

use std::{
    fs::{self, Permissions},
    net::TcpListener,
    os::unix::fs::{FileExt, PermissionsExt},
    process::Output,
};

use migration::runner;
use rcgen::{CertificateParams, KeyPair};
use sea_orm::ConnectionTrait;
use serde_json::Value;
use tempfile::TempDir;
use time::{Duration as TimeDuration, OffsetDateTime};

use test_support::{
    Backend,
    binary::{self, Server},
    connect_to,
    faults::{report, small_disk},
    on_both_databases,
    postgres_server::PASSWORD,
    texts_of,
};

/// The findings about a database.
pub(super) struct Diagnosis {
    pub(super) code: Option<i32>,
    pub(super) text: String,
}

impl Diagnosis {
    pub(super) fn of(url: &str, more: &[&str]) -> Self {
        let arguments = [&["doctor", "--database-url", url], more].concat();
        Self::from(binary::run(&arguments))
    }

    pub(super) fn from(output: Output) -> Self {
        assert!(output.stderr.is_empty(), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(
            !text.contains(PASSWORD) && !text.contains("hunter2"),
            "{text}"
        );
        Self {
            code: output.status.code(),
            text,
        }
    }

    /// This is the only failure.
    #[track_caller]
    pub(super) fn warns(&self, subject: &str, about: &str) -> &Self {
        self.finds("warning", subject, about);
        assert_eq!(self.code, Some(0), "{}", self.text);
        self
    }

    #[track_caller]
    pub(super) fn fails(&self, subject: &str, about: &str) -> &Self {
        self.finds("error", subject, about);
        assert_eq!(self.code, Some(1), "{}", self.text);
        self
    }

    #[track_caller]
    pub(super) fn finds(&self, level: &str, subject: &str, about: &str) {
        let line = self.text.lines().find(|line| {
            let mut words = line.split_whitespace();
            words.next() == Some(level) && words.next() == Some(subject) && line.contains(about)
        });
        let line = line.unwrap_or_else(|| panic!("no {level} {subject} {about}: {}", self.text));
        assert_eq!(level == "ok", !line.contains("; "), "what to do: {line}");
    }
}

#[tokio::test]
async fn the_doctor_finds_nothing_wrong_where_nothing_is() {
    on_both_databases(async |database| {
        binary::output_of(&["migrate", "up", "--database-url", &database.url]);
        let diagnosis = Diagnosis::of(&database.url, &[]);
        assert_eq!(diagnosis.code, Some(0), "{}", diagnosis.text);
        for subject in ["configuration", "schema", "clock"] {
            diagnosis.finds("ok", subject, "");
        }
        let diagnosis = Diagnosis::of(&database.url, &["--format", "json"]);
        let report: Value = serde_json::from_str(&diagnosis.text).expect("JSON");
        let findings = report["findings"].as_array().expect("findings");
        assert!(
            findings
                .iter()
                .any(|finding| finding["subject"] == "schema")
        );
        assert!(findings.iter().all(|finding| finding["level"] != "error"));
    })
    .await;
}

#[test]
fn the_doctor_finds_settings_that_do_not_fit_together() {
    let folder = TempDir::new().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("test.db").display());
    for (settings, about) in [
        ("--shutdown-timeout 40s", "stopping may take 46s"),
        ("--db-pool-min 30 --db-pool-max 20", "minimum of 30"),
        ("--db-idle-timeout 2h", "idle timeout is longer"),
        (
            "--db-lock-timeout 6s",
            "lock timeout of 6s is never reached",
        ),
    ] {
        let settings: Vec<&str> = settings.split(' ').collect();
        Diagnosis::of(&url, &settings).warns("configuration", about);
    }
    assert!(!folder.path().join("test.db").exists(), "it makes nothing");
    Diagnosis::of("mysql://u:hunter2@h/d", &[]).fails("connection", "must start with");
}

#[tokio::test]
async fn the_doctor_finds_a_certificate_that_the_start_refuses_or_clients_do() {
    on_both_databases(async |database| {
        let folder = TempDir::new().expect("a folder");
        let write = |name: &str, days: [i64; 2]| {
            let key = KeyPair::generate().expect("a key");
            let mut parameters = CertificateParams::new(["localhost".to_owned()]).expect("a name");
            let [from, until] =
                days.map(|days| OffsetDateTime::now_utc() + TimeDuration::days(days));
            (parameters.not_before, parameters.not_after) = (from, until);
            let certificate = parameters.self_signed(&key).expect("a certificate");
            let path = |end| folder.path().join(format!("{name}.{end}"));
            fs::write(path("crt"), certificate.pem()).expect("written");
            fs::write(path("key"), key.serialize_pem()).expect("written");
        };
        for (name, days) in [
            ("sound", [-1, 90]),
            ("soon", [-80, 10]),
            ("expired", [-90, -1]),
            ("early", [1, 90]),
        ] {
            write(name, days);
        }
        let examine = |certificate: &str, key: &str| {
            let path = |file: &str| folder.path().join(file).display().to_string();
            let (certificate, key) = (path(certificate), path(key));
            let more = ["--tls-cert", &certificate, "--tls-key", &key];
            Diagnosis::of(&database.url, &more)
        };
        examine("sound.crt", "sound.key").finds("ok", "tls", "valid from");
        examine("soon.crt", "soon.key").warns("tls", "valid from");
        examine("expired.crt", "expired.key").fails("tls", "valid from");
        examine("early.crt", "early.key").fails("tls", "valid from");
        examine("none.crt", "sound.key").fails("tls", "none.crt can't be read");
        examine("sound.crt", "soon.key").fails("tls", "is not that of the certificate");
        examine("sound.key", "sound.key").fails("tls", "holds no certificate");
        Diagnosis::of(&database.url, &["--tls-cert", "a"]).fails("tls", "--tls-key is missing");
    })
    .await;
}

#[tokio::test]
async fn the_doctor_finds_an_address_that_is_taken_and_one_without_keys() {
    on_both_databases(async |database| {
        let url = &database.url;
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = taken.local_addr().expect("its address").to_string();
        Diagnosis::of(url, &["--bind", &address]).fails("address", "can't listen on 127.0.0.1:");
        Diagnosis::of(url, &["--bind", "192.0.2.1:8000"]).fails("address", "can't listen on");
        let server = Server::start_ready(url, &[]).await;
        let address = server.address.to_string();
        Diagnosis::of(url, &["--bind", &address]).finds("ok", "address", "the service listens on");

        let open = ["--bind", "0.0.0.0:0"];
        Diagnosis::of(url, &open).fails("keys", "can be reached from other machines");
        let insecure = [&open[..], &["--insecure"]].concat();
        Diagnosis::of(url, &insecure).warns("keys", "may read and change everything");
        Diagnosis::of(url, &["--require-key"]).fails("keys", "--require-key is set");
        binary::output_of(&[
            "keys",
            "create",
            "--name",
            "k",
            "--scope",
            "admin",
            "--database-url",
            url,
        ]);
        Diagnosis::of(url, &open).finds("ok", "keys", "every request needs");
    })
    .await;
    let folder = TempDir::new().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("new.db").display());
    Diagnosis::of(&url, &["--bind", "0.0.0.0:0"]).fails("keys", "has no usable API key");
    assert!(!folder.path().join("new.db").exists(), "it makes nothing");
}

#[tokio::test]
async fn the_doctor_finds_files_that_other_users_can_read() {
    on_both_databases(async |database| {
        let folder = TempDir::new().expect("a folder");
        let file = |name: &str, text: &str, mode| {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("a file");
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("a mode");
            path.to_str().expect("a path").to_owned()
        };
        let url = &database.url;
        binary::output_of(&["migrate", "up", "--database-url", url]);
        if let Some(path) = url.strip_prefix("sqlite:") {
            Diagnosis::of(url, &[]).finds("ok", "files", path);
            fs::set_permissions(path, Permissions::from_mode(0o644)).expect("a mode");
            Diagnosis::of(url, &[]).warns("files", "(mode 644)");
        }
        for (text, mode, level) in [
            ("db_password = \"hunter2\"", 0o644, "warning"),
            (
                "database_url = \"postgres://u:hunter2@h/d\"",
                0o604,
                "warning",
            ),
            (
                "database_url = \"postgres://h/d?password=hunter2\"",
                0o666,
                "warning",
            ),
            (
                "read_database_url = \"postgres://h/d postgres://u:hunter2@h/d\"",
                0o644,
                "warning",
            ),
            ("db_password = \"hunter2\"", 0o640, "ok"),
        ] {
            let settings = file("settings.toml", text, mode);
            let diagnosis = Diagnosis::of(url, &["--config", &settings]);
            diagnosis.finds(level, "files", "settings.toml");
        }
        let settings = file("settings.toml", "db_pool_max = 3", 0o644);
        let diagnosis = Diagnosis::of(url, &["--config", &settings]);
        assert!(
            !diagnosis.text.contains("settings.toml"),
            "{}",
            diagnosis.text
        );
        for (mode, level) in [(0o644, "warning"), (0o600, "ok")] {
            let key = file("key.pem", "", mode);
            let diagnosis = Diagnosis::of(url, &["--tls-cert", &key, "--tls-key", &key]);
            diagnosis.finds(level, "files", "the TLS key");
            let pair = rcgen::generate_simple_self_signed(["client".to_owned()]).expect("a pair");
            let cert = file("client.pem", &pair.cert.pem(), 0o644);
            let key = file("client.key", &pair.signing_key.serialize_pem(), mode);
            let url = format!("postgres://127.0.0.1:1/d?sslcert={cert}&sslkey={key}");
            Diagnosis::of(&url, &[]).finds(level, "files", "the key for the database");
        }
    })
    .await;
}

#[tokio::test]
async fn the_doctor_finds_what_is_wrong_with_a_sqlite_file() {
    let folder = TempDir::new().expect("a folder");
    let url = |path: &str| format!("sqlite:{}", folder.path().join(path).display());
    Diagnosis::of("sqlite::memory:", &[]).warns("file", "in memory");
    Diagnosis::of(&url("nowhere/test.db"), &[]).fails("file", "does not exist");
    Diagnosis::of(&url("test.db"), &[]).warns("file", "does not exist yet");
    binary::output_of(&[
        "migrate",
        "up",
        "-n",
        "3",
        "--database-url",
        &url("test.db"),
    ]);
    Diagnosis::of(&url("test.db"), &[]).warns("schema", "are not applied");
    Diagnosis::of(&format!("{}?mode=ro", url("test.db")), &[]).fails("file", "readonly");
    declare_newer(&url("test.db")).await;
    Diagnosis::of(&url("test.db"), &[]).fails("schema", "is newer");

    fs::write(
        folder.path().join("odd.db"),
        "no database at all".repeat(1000),
    )
    .expect("a file");
    Diagnosis::of(&url("odd.db"), &[]).fails("file", "not a database");
    let place = folder.path().to_str().expect("a path");
    match small_disk(place) {
        None => report(
            "a small disk",
            "NOT RUN, mounting one is not permitted here",
        ),
        Some(wrapper) => {
            let arguments = ["doctor", "--database-url", &url("other.db")];
            let output = binary::finish(&mut binary::command_under(&wrapper, &arguments));
            Diagnosis::from(output).fails("disk", "MiB are free");
        }
    }
}

pub(super) async fn declare_newer(url: &str) {
    let db = connect_to(url).await;
    db.execute_unprepared(
        "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29990101_000001_later', 0)",
    )
    .await
    .expect("a later migration");
    db.close().await.expect("closed");
}

#[tokio::test]
async fn the_doctor_finds_a_sqlite_file_without_a_write_ahead_log_or_with_damage() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("test.db");
    // Dot-file locks, as for file systems without better ones. They have no shared memory.
    let url = format!("sqlite:{}?vfs=unix-dotfile", file.display());
    binary::output_of(&["migrate", "up", "--database-url", &url]);
    Diagnosis::of(&url, &[]).fails("journal", "is in mode delete");

    let url = format!("sqlite:{}", file.display());
    Diagnosis::of(&url, &[]).finds("ok", "journal", "write-ahead log");
    let pages = "SELECT cast(rootpage AS text) FROM sqlite_master WHERE name = 'models'";
    let page: u64 = texts_of(&url, pages).await[0].parse().expect("a number");
    let disk = fs::OpenOptions::new().write(true).open(&file);
    let disk = disk.expect("the file");
    disk.write_all_at(&[0xff; 4096], 4096 * (page - 1))
        .expect("damage");
    Diagnosis::of(&url, &[]).fails("integrity", "page");
}

/// As a restore of the rows alone does it: triggers fire, and ids are not drawn from their sequences.
#[tokio::test]
async fn the_doctor_finds_agents_without_a_version_and_records_one() {
    on_both_databases(async |database| {
        let db = connect_to(&database.url).await;
        runner::up(&db, None).await.expect("up");
        let sql = "INSERT INTO agents (name, created_at, updated_at) \
            VALUES ('Ada', '2026-01-02T03:04:05+00:00', '2026-01-02T03:04:05+00:00')";
        db.execute_unprepared(sql).await.expect(sql);
        db.close().await.expect("closed");
        let found = Diagnosis::of(&database.url, &[]);
        found.finds("warning", "versions", "1 agents have none");
        let repaired = Diagnosis::of(&database.url, &["--repair"]);
        repaired.finds("ok", "versions", "recorded for 1 agents");
        let examined = Diagnosis::of(&database.url, &[]);
        examined.finds("ok", "versions", "every agent has one");
        let versions = "SELECT CAST(number AS text) || definition FROM agent_versions";
        let versions = texts_of(&database.url, versions).await;
        assert!(versions[0].starts_with(r#"1{"name":"Ada""#), "{versions:?}");
    })
    .await;
}

#[tokio::test]
async fn the_doctor_finds_and_repairs_derived_data_and_sequences_that_do_not_agree_with_the_rows() {
    on_both_databases(async |database| {
        let db = connect_to(&database.url).await;
        runner::up(&db, None).await.expect("up");
        let now = "'2026-01-02T03:04:05+00:00'";
        for sql in [
            format!("INSERT INTO agents (id, name, created_at, updated_at) VALUES (5, 'a', {now}, {now})"),
            format!(
                "INSERT INTO circles (id, name, member_count, created_at, updated_at) \
                 VALUES (7, 'c', 1, {now}, {now}), (8, 'right', 0, {now}, {now})"
            ),
            format!("INSERT INTO members (id, circle_id, agent_id, joined_at) VALUES (9, 7, 5, {now})"),
            format!(
                "INSERT INTO conversations (id, topic, turn_count, created_at, updated_at) \
                 VALUES (3, 't', 4, {now}, {now})"
            ),
            format!(
                "INSERT INTO circle_releases (circle_id, number, digest, created_at, handles, team) \
                 VALUES (7, 1, 'd', {now}, '', '')"
            ),
            format!(
                "INSERT INTO circle_labels (circle_id, circle_name, name, release, digest, created_at, updated_at) \
                 VALUES (7, 'c', 'right', 1, 'd', {now}, {now}), (7, 'other', 'wrong', 1, 'd', {now}, {now})"
            ),
            "INSERT INTO circle_labels (circle_id, name, release, digest, created_at, updated_at) \
             SELECT circle_id, 'none', release, digest, created_at, updated_at FROM circle_labels WHERE name = 'right'"
                .to_owned(),
            "UPDATE circle_labels SET circle_name = NULL WHERE name = 'none'".to_owned(),
        ] {
            db.execute_unprepared(&sql).await.expect(&sql);
        }
        db.close().await.expect("closed");
        let counts = "SELECT name || ' ' || member_count || ' ' || revision FROM circles ORDER BY id";
        let before = texts_of(&database.url, counts).await;
        assert!(before[0].starts_with("c 2 "), "{before:?}");

        let examined = Diagnosis::of(&database.url, &[]);
        examined.fails(
            "derived",
            "the member_count of 1 circles, the turn_count of 1 conversations, the circle_name of 2 circle_labels",
        );
        if database.backend == Backend::Postgres {
            examined.fails(
                "sequences",
                "the sequence of agents, the sequence of circles, the sequence of conversations, \
                 the sequence of members",
            );
        }
        assert_eq!(texts_of(&database.url, counts).await, before, "it only looked");

        let repaired = Diagnosis::of(&database.url, &["--repair"]);
        repaired.finds("ok", "derived", "repaired: the member_count of 1 circles");
        assert_eq!(repaired.code, Some(0), "{}", repaired.text);
        let after = texts_of(&database.url, counts).await;
        assert!(after[0].starts_with("c 1 ") && after[1] == before[1], "{after:?}");
        let examined = Diagnosis::of(&database.url, &["--repair"]);
        examined.finds("ok", "derived", "values agree with the rows");
        if database.backend == Backend::Postgres {
            examined.finds("ok", "sequences", "are ahead of their tables");
        }
        assert_eq!(texts_of(&database.url, counts).await, after);
        let names = "SELECT DISTINCT circle_name FROM circle_labels";
        assert_eq!(texts_of(&database.url, names).await, ["c"]);
        let ids = "INSERT INTO circles (name, created_at, updated_at) \
                   SELECT 'next', created_at, updated_at FROM agents RETURNING CAST(id AS text)";
        assert_eq!(texts_of(&database.url, ids).await, ["9"]);
    })
    .await;
}
