//! No secret is in any output: the log at its most verbose, errors, responses and standard output are
//! searched for every password and token that was used.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    process::Command,
};

use reqwest::{Method, StatusCode, header};
use serde_json::json;
use tempfile::TempDir;
use url::Url;

use test_support::{
    Answer, Backend, TestDatabase,
    binary::{self, Server},
    keys::TestKey,
    on_both_databases,
};

/// A password that no other text resembles.
const PASSWORD: &str = "canary-Xq7pLm2vTz";

/// All output, with its source.
#[derive(Default)]
struct Output(Vec<(String, String)>);

impl Output {
    fn record(&mut self, source: &str, text: impl Into<String>) {
        self.0.push((source.to_owned(), text.into()));
    }

    fn answer(&mut self, source: &str, answer: &Answer) {
        self.record(source, format!("{:?} {}", answer.headers, answer.text));
    }

    /// Runs a command to its end and records its output.
    fn run(&mut self, source: &str, command: &mut Command) -> bool {
        let output = binary::finish(command);
        for stream in [&output.stdout, &output.stderr] {
            self.record(source, String::from_utf8_lossy(stream));
        }
        output.status.success()
    }

    #[track_caller]
    fn never(&self, secret: &str) {
        assert!(
            self.0.iter().any(|(_, text)| !text.is_empty()),
            "nothing was said"
        );
        for (source, text) in &self.0 {
            if let Some(at) = text.find(secret) {
                let from = text.floor_char_boundary(at.saturating_sub(200));
                panic!("a secret in {source}: {}", &text[from..at]);
            }
        }
    }
}

/// The URL of a user that needs a password; the user of the tests needs none.
fn for_a_stranger(url: &str, password: &str) -> String {
    let mut url = Url::parse(url).expect("a URL");
    url.set_username("stranger").expect("a user");
    url.set_password(Some(password)).expect("a password");
    url.to_string()
}

fn password_of(url: &str) -> String {
    let url = Url::parse(url).expect("a URL");
    url.password().expect("a password").to_owned()
}

/// The program at its most verbose.
fn talkative(arguments: &[&str]) -> Command {
    let mut command = binary::command(arguments);
    command.args(["--log", "trace", "--shutdown-delay", "0s"]);
    command
}

/// The same settings, given in every possible way.
fn ways(arguments: &[&str], url: &str, file: &std::path::Path) -> [(&'static str, Command); 4] {
    let parsed = Url::parse(url).expect("a URL");
    let in_parts = |command: &mut Command| {
        command
            .env("DB_HOST", parsed.host_str().expect("a host"))
            .env("DB_PORT", parsed.port().expect("a port").to_string())
            .env("DB_USER", parsed.username())
            .env("DB_NAME", parsed.path().trim_start_matches('/'));
    };
    let password = password_of(url);
    let mut by_url = talkative(arguments);
    by_url.env("DATABASE_URL", url);
    let mut by_flag = talkative(arguments);
    by_flag.args(["--database-url", url]);
    let mut by_parts = talkative(arguments);
    in_parts(&mut by_parts);
    by_parts.env("DB_PASSWORD", &password);
    let mut by_file = talkative(arguments);
    in_parts(&mut by_file);
    fs::write(file, format!("db_password = \"{password}\"\n")).expect("a file");
    by_file.arg("--config").arg(file);
    [
        ("DATABASE_URL", by_url),
        ("--database-url", by_flag),
        ("DB_PASSWORD", by_parts),
        ("the settings file", by_file),
    ]
}

#[tokio::test]
async fn a_database_password_is_never_said_when_it_is_right() {
    let database = TestDatabase::create(Backend::Postgres).await;
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("settings.toml");
    let mut said = Output::default();
    for (way, command) in ways(&["serve"], &database.url, &file) {
        let server = Server::run(command, "127.0.0.1").await;
        server.wait_for("/readyz", StatusCode::OK).await;
        for path in ["/readyz", "/v1/pool", "/v1/circles", "/v1/none"] {
            said.answer(path, &server.get(path).await);
        }
        server.signal("-TERM");
        let (code, log) = server.end().await;
        assert_eq!(code, Some(0), "{way}");
        assert!(log.contains("TRACE") && log.contains("database pool closed"));
        said.record(way, log);
    }
    for arguments in [["migrate", "status"], ["keys", "list"]] {
        for (way, mut command) in ways(&arguments, &database.url, &file) {
            assert!(said.run(way, &mut command), "{way}");
        }
    }
    said.never(&password_of(&database.url));
    database.remove().await;
}

#[tokio::test]
async fn a_database_password_is_never_said_when_nothing_comes_of_it() {
    let database = TestDatabase::create(Backend::Postgres).await;
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("settings.toml");
    let mut said = Output::default();
    let wrong = for_a_stranger(&database.url, PASSWORD);
    for arguments in [&["serve"][..], &["migrate", "status"], &["keys", "list"]] {
        for (way, mut command) in ways(arguments, &wrong, &file) {
            command.env("BIND", "127.0.0.1:0");
            assert!(
                !said.run(way, &mut command),
                "{way}: the password is asked for"
            );
        }
    }
    for nobody in ["127.0.0.1:1", "nowhere.invalid:5432"] {
        let url = format!("postgres://test:{PASSWORD}@{nobody}/teams");
        let mut command = talkative(&["serve", "--db-acquire-timeout", "1s"]);
        command.env("DATABASE_URL", &url);
        let server = Server::run(command, "127.0.0.1").await;
        for path in ["/readyz", "/v1/pool", "/v1/circles"] {
            said.answer(path, &server.get(path).await);
        }
        server.signal("-TERM");
        said.record(nobody, server.end().await.1);
    }
    for unreadable in [
        format!("postgres://test:{PASSWORD}@[::1/teams"),
        format!("postgres://test:{PASSWORD}@127.0.0.1:port/teams"),
        format!("postgres://test:{PASSWORD}@127.0.0.1"),
        format!("mysql://test:{PASSWORD}@127.0.0.1/teams"),
        format!("test:{PASSWORD}@127.0.0.1/teams"),
        format!("postgres://test:5/{PASSWORD}@127.0.0.1/teams"),
        format!("postgres://test:a@b/{PASSWORD}@127.0.0.1/teams"),
        format!("postgres://test:5/a?{PASSWORD}=b@127.0.0.1/teams"),
        format!("postgres://test:{PASSWORD}%@127.0.0.1/teams"),
        format!("postgres://test@127.0.0.1:{PASSWORD}/teams"),
        format!("postgres://test@127.0.0.1/teams?sslpassword={PASSWORD}"),
        format!("postgres://test@127.0.0.1/teams?password=a&{PASSWORD}=b"),
        format!("postgres://test@127.0.0.1/teams?sslmode={PASSWORD}"),
        format!("postgres://test@127.0.0.1/teams?sslkey={PASSWORD}&sslcert={PASSWORD}"),
        PASSWORD.to_owned(),
    ] {
        for arguments in [
            &["serve"][..],
            &["migrate", "status"],
            &["serve", "--bogus"],
        ] {
            let mut command = talkative(arguments);
            command.env("DATABASE_URL", &unreadable);
            assert!(!said.run("an unreadable URL", &mut command));
        }
        let mut command = binary::command(&["--help"]);
        command
            .env("DATABASE_URL", &unreadable)
            .env("DB_HOST", &unreadable)
            .env("DB_PASSWORD", PASSWORD);
        assert!(said.run("--help", &mut command));
    }
    let url = format!("postgres://test:{PASSWORD}@127.0.0.1/teams");
    for misplaced in [
        &[&*url][..],
        &["serve", &url],
        &["--db-port", &url],
        &["--db-host", &url],
        &["--bind", &url, "migrate", "status"],
    ] {
        assert!(!said.run("a misplaced URL", &mut talkative(misplaced)));
    }
    let passwords = folder.path().join("pgpass");
    fs::write(&passwords, format!("127.0.0.1:{PASSWORD}\n")).expect("a file");
    fs::set_permissions(&passwords, Permissions::from_mode(0o600)).expect("its mode");
    let mut command = talkative(&["migrate", "status", "--db-acquire-timeout", "1s"]);
    command.env("PGPASSFILE", &passwords);
    assert!(!said.run(
        "a password file",
        command.env("DATABASE_URL", "postgres://127.0.0.1:1/a")
    ));
    for broken in [
        format!("db_password = {PASSWORD}"),
        format!("db_password = \"{PASSWORD}"),
        format!("db_password = [\"{PASSWORD}\"]"),
        format!("database_url = \"postgres://u:{PASSWORD}@[\""),
    ] {
        fs::write(&file, broken).expect("a file");
        let mut command = talkative(&["serve"]);
        assert!(!said.run("a broken file", command.arg("--config").arg(&file)));
    }
    said.never(PASSWORD);
    database.remove().await;
}

#[tokio::test]
async fn a_token_is_never_said_but_to_whom_it_is_given() {
    on_both_databases(async |database| {
        const PROVIDER_KEY: &str = "sk-ant-api03-Zq3vT9xKpL2mWc8RnY5bJd7HfGs1AeUi";
        let mut said = Output::default();
        let mut command = talkative(&["keys", "create", "--name", "a", "--scope", "admin"]);
        let output = command.args(["--database-url", &database.url]).output();
        let output = output.expect("the program runs");
        said.record("keys create", String::from_utf8_lossy(&output.stderr));
        let printed = String::from_utf8(output.stdout).expect("a text");
        let admin = printed.trim();

        let server = Server::run(
            talkative(&["serve", "--database-url", &database.url]),
            "127.0.0.1",
        );
        let server = server.await;
        server.wait_for("/readyz", StatusCode::OK).await;
        let ask = |method: Method, path: &str, authorization: &str| {
            let request = server.client().request(method, server.url(path));
            request.header(header::AUTHORIZATION, authorization)
        };
        let bearer = format!("Bearer {admin}");
        let new = json!({"name": "b", "scopes": ["read"]});
        let created = Answer::to(ask(Method::POST, "/v1/keys", &bearer).json(&new)).await;
        let other = TestKey::of(&created.created());
        let mistyped = format!("{}0", &other.token[..other.token.len() - 1]);
        for authorization in [
            bearer.clone(),
            format!("Bearer {}", other.token),
            format!("Bearer {mistyped}"),
            format!("Basic {PASSWORD}"),
            format!("Bearer {PASSWORD}"),
            PASSWORD.to_owned(),
        ] {
            for (method, path) in [
                (Method::GET, "/v1/circles"),
                (Method::GET, "/v1/keys"),
                (Method::GET, "/v1/none"),
                (Method::POST, "/v1/keys"),
                (Method::DELETE, "/v1/agents/99"),
                (Method::GET, "/livez"),
            ] {
                let answer = Answer::to(ask(method, path, &authorization)).await;
                said.answer(path, &answer);
            }
        }
        let body = json!({"name": "p", "api_type": "x", "config": {"key": PROVIDER_KEY}});
        let answer = Answer::to(ask(Method::POST, "/v1/providers", &bearer).json(&body)).await;
        said.answer("a provider with a key in it", &answer);
        answer.invalid(&["#/config/key"]);
        server.signal("-TERM");
        let (_, log) = server.end().await;
        assert!(log.contains("TRACE") && log.contains("key=1"), "{log}");
        said.record("the log", log);
        let mut command = talkative(&["keys", "list", "--database-url", &database.url]);
        assert!(said.run("keys list", &mut command));

        for token in [admin, &other.token, &mistyped] {
            let (_, secret) = token.rsplit_once('_').expect("a token");
            said.never(&secret[..30]);
        }
        said.never(PASSWORD);
        said.never(PROVIDER_KEY);
    })
    .await;
}
