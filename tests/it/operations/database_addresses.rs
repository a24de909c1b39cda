//! The forms in which the settings name a database. What they name is what is opened, or the program
//! ends with a line that names the setting.

use std::{net::TcpListener, process::Command};

use tempfile::TempDir;

use test_support::{
    Backend, TestDatabase, binary,
    postgres_server::{Durability, PostgresServer},
};

/// Runs a command that opens the database.
fn status_of(variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = binary::command(&["migrate", "status", "--db-acquire-timeout", "5s"]);
    finish(command.envs(variables.iter().copied()))
}

fn finish(command: &mut Command) -> (Option<i32>, String) {
    let output = binary::finish(command);
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[tokio::test]
async fn every_form_of_address_that_libpq_knows_opens_the_database_that_it_names() {
    let mut postgres = PostgresServer::create(Durability::Off);
    let folder = postgres.folder().display().to_string();
    postgres.configure_also(&format!(
        "listen_addresses = '127.0.0.1, ::1'\nunix_socket_directories = '{folder}'\n"
    ));
    let trusted = "local all all trust\nhost all all ::1/128 trust\n";
    postgres.write("db/pg_hba.conf", trusted);
    postgres.start_ready().await;
    let port = postgres.port().to_string();
    binary::output_of(&[
        "migrate",
        "up",
        "--database-url",
        &postgres.url_of("postgres"),
    ]);

    let encoded = folder.replace('/', "%2F");
    let mut urls = vec![
        format!("postgres:///postgres?host={folder}&port={port}&user=test"),
        format!("postgres://test@{encoded}:{port}/postgres"),
        format!("postgresql:///?host=127.0.0.1&port={port}&user=test&dbname=postgres"),
        format!(
            "postgres://other@nowhere.invalid:1/none?host=localhost&port={port}&user=test&dbname=postgres"
        ),
        format!("postgres://test@nowhere.invalid:{port}/postgres?hostaddr=127.0.0.1"),
        format!("postgres://test:a?b#c@d@localhost:{port}/postgres?application_name=x"),
        format!(" postgres://test@localhost:{port}/postgres?ssl-mode=prefer\n"),
    ];
    let named_port = format!("127.0.0.1:{port}");
    let mut hosts = vec![
        ("127.0.0.1", &*port),
        (&folder, &port),
        (&named_port, ""),
        (&named_port, &port),
    ];
    // Some containers have no IPv6 at all.
    if TcpListener::bind("[::1]:0").is_ok() {
        urls.push(format!("postgres://test@[::1]:{port}/postgres"));
        hosts.extend([("::1", &*port), ("[::1]", &port)]);
    }
    for url in &urls {
        let (code, said) = status_of(&[("DATABASE_URL", url)]);
        assert!(code == Some(0) && said.contains("applied"), "{url}: {said}");
    }
    for (host, port) in hosts {
        let parts = [
            ("DB_HOST", host),
            ("DB_PORT", port),
            ("DB_USER", "test"),
            ("DB_NAME", "postgres"),
        ];
        let (code, said) = status_of(&parts);
        assert!(
            code == Some(0) && said.contains("applied"),
            "{host} {port}: {said}"
        );
    }
}

#[test]
fn an_address_that_can_not_be_meant_is_refused_by_the_name_of_its_setting() {
    for (variable, address) in [
        ("DATABASE_URL", "postgres://app:5/hunter2@127.0.0.1/app"),
        ("DATABASE_URL", "postgres://app:hunter2%zz@127.0.0.1/app"),
        ("DATABASE_URL", "postgres://127.0.0.1:hunter2/app"),
        ("DATABASE_URL", "postgres://hun ter2/app"),
        ("DATABASE_URL", "postgres://127.0.0.256/app"),
        ("DATABASE_URL", "postgres:///app?host=hunter2/x"),
        (
            "DATABASE_URL",
            "postgres://127.0.0.1/app?sslpassword=hunter2",
        ),
        (
            "DATABASE_URL",
            "postgres://127.0.0.1/app?connect_timeout=hunter2",
        ),
        ("DATABASE_URL", "postgres://127.0.0.1/app?hunter2"),
        ("DATABASE_URL", "sqlite:hunter2?key=hunter2"),
        ("DB_HOST", "postgres://app:hunter2@127.0.0.1/app"),
        ("DB_HOST", "127.0.0.1/hunter2"),
        ("DB_HOST", "127.0.0.1:hunter2"),
        ("DB_HOST", "5432"),
        ("DB_HOST", "[::1"),
    ] {
        let (code, said) = status_of(&[(variable, address)]);
        assert_eq!(code, Some(1), "{address}: {said}");
        assert!(
            said.contains(variable) && !said.contains("hunter2"),
            "{address}: {said}"
        );
    }
    let (code, said) = status_of(&[("DB_HOST", "127.0.0.1:5433"), ("DB_PORT", "5434")]);
    assert!(code == Some(1) && said.contains("DB_PORT"), "{said}");
}

#[test]
fn a_sqlite_url_opens_the_file_that_it_names_or_none() {
    let folder = TempDir::new().expect("a folder");
    let run = |arguments: &[&str], url: &str| {
        let mut command = binary::command(arguments);
        finish(command.current_dir(&folder).env("DATABASE_URL", url))
    };
    for (url, reason) in [
        ("sqlite:", "must name a file"),
        ("sqlite://", "must name a file"),
        ("sqlite:?mode=rwc", "must name a file"),
        ("sqlite:missing.db?mode=rw", "does not exist"),
        ("sqlite:missing.db?mode=ro", "does not exist"),
        ("sqlite:missing.db?mode=hunter2", "SQLite"),
        ("sqlite:missing.db?password=hunter2", "`password`"),
    ] {
        for arguments in [
            &["migrate", "up"][..],
            &["serve", "--bind", "127.0.0.1:0"],
            &["keys", "list"],
        ] {
            let (code, said) = run(arguments, url);
            assert_eq!(code, Some(1), "{url}: {said}");
            assert!(
                said.contains("DATABASE_URL") && said.contains(reason),
                "{url}: {said}"
            );
            assert!(!said.contains("hunter2"), "{url}: {said}");
        }
    }
    let files = || std::fs::read_dir(&folder).expect("the folder").count();
    assert_eq!(files(), 0, "no file was made");
    for (url, file) in [
        ("sqlite:a:memory:.db", "a:memory:.db"),
        ("sqlite:mode=memory.db", "mode=memory.db"),
        ("sqlite://b%3Fc.db?mode=rwc", "b?c.db"),
    ] {
        let (code, said) = run(&["migrate", "up"], url);
        assert!(
            code == Some(0) && folder.path().join(file).is_file(),
            "{url}: {said}"
        );
        let (_, said) = run(&["migrate", "status"], url);
        assert!(said.starts_with("applied"), "{url}: {said}");
    }
    let (code, said) = run(&["migrate", "status"], "sqlite:a:memory:.db?mode=rw");
    assert!(code == Some(0) && said.starts_with("applied"), "{said}");
}

#[tokio::test]
async fn a_flag_of_the_parts_wins_over_a_url_of_the_environment() {
    let database = TestDatabase::create(Backend::Postgres).await;
    let url = reqwest::Url::parse(&database.url).expect("a URL");
    let port = url.port().expect("a port").to_string();
    let mut command = binary::command(&[
        "migrate",
        "status",
        "--db-host",
        url.host_str().expect("a host"),
        "--db-port",
        &port,
        "--db-user",
        url.username(),
        "--db-name",
        url.path().trim_start_matches('/'),
    ]);
    command.env("DATABASE_URL", "sqlite::memory:");
    let (code, said) = finish(command.env("DB_PASSWORD", url.password().unwrap_or_default()));
    assert!(code == Some(0) && said.starts_with("applied"), "{said}");
    database.remove().await;
}
