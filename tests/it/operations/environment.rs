//! Settings from the environment: what is taken, what is not read, and how a wrong value is reported.

use std::process::{Command, Stdio};

use reqwest::StatusCode;

use test_support::{
    binary::{self, Server},
    on_both_databases,
    postgres::free_port,
};

/// Runs a command that reads all settings and needs none.
fn read(variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = binary::command(&["settings-reference"]);
    let output = binary::finish(command.envs(variables.iter().copied()));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

/// A command that serves on the address of the environment.
fn serve(url: &str, variables: &[(&str, String)]) -> Command {
    let mut command = binary::command(&["serve", "--database-url", url]);
    command.envs(variables.iter().cloned());
    command.stderr(Stdio::null());
    command
}

#[tokio::test]
async fn what_is_not_needed_is_not_read() {
    on_both_databases(async |database| {
        for ignored in [
            // What Kubernetes sets for services called `db`, `circle-registry` and so on.
            ("DB_PORT", "tcp://10.96.0.12:5432"),
            ("PORT", "tcp://10.96.0.12:5432"),
            ("CIRCLE_REGISTRY_PORT", "tcp://10.96.0.12:8000"),
            ("CIRCLE_REGISTRY_SERVICE_HOST", "10.96.0.12"),
            // What the URL takes the place of.
            ("DB_PORT", "none"),
            ("DB_HOST", "a b"),
            ("CIRCLE_REGISTRY_DB_PORT", "none"),
            // What is empty.
            ("DB_POOL_MAX", ""),
            ("CIRCLE_REGISTRY_DB_POOL_MAX", ""),
            ("DB_STATEMENT_TIMEOUT", ""),
            ("CORS_ORIGIN", ""),
            ("TLS_CERT", ""),
            ("NO_MIGRATE", ""),
            ("BIND", ""),
            ("LOG_FORMAT", ""),
            ("CIRCLE_REGISTRY_CONFIG", ""),
        ] {
            let mut command = binary::command(&["migrate", "status"]);
            command.env("DATABASE_URL", &database.url);
            let output = binary::finish(command.env(ignored.0, ignored.1));
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{ignored:?}: {said}");
        }
    })
    .await;
}

#[test]
fn an_empty_url_is_no_url() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let mut command = binary::command(&["migrate", "up"]);
    command.current_dir(&folder).env("DATABASE_URL", "");
    let output = binary::finish(&mut command);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(folder.path().join("circle-registry.db").is_file());
}

#[tokio::test]
async fn a_variable_with_the_program_s_prefix_wins() {
    on_both_databases(async |database| {
        let mut command = binary::command(&["migrate", "status"]);
        command.env("DATABASE_URL", "postgres://of-another-program.invalid/x");
        command.env("CIRCLE_REGISTRY_DATABASE_URL", &database.url);
        command.env("DB_POOL_MAX", "of another program");
        let output = binary::finish(command.env("CIRCLE_REGISTRY_DB_POOL_MAX", "3"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    })
    .await;
}

#[tokio::test]
async fn an_address_without_a_port_listens_on_the_port_of_its_variable() {
    on_both_databases(async |database| {
        let port = || free_port().to_string();
        let (one, two, three, four) = (port(), port(), port(), port());
        for (variables, at) in [
            (vec![("PORT", one.clone())], &one),
            (vec![("BIND", format!("localhost:{two}"))], &two),
            (
                vec![("BIND", "127.0.0.1".to_owned()), ("PORT", three.clone())],
                &three,
            ),
            (
                vec![
                    ("BIND", format!(":{four}")),
                    ("PORT", one.clone()),
                    ("INSECURE", "1".to_owned()),
                ],
                &four,
            ),
        ] {
            let mut child = serve(&database.url, &variables).spawn().expect("it starts");
            let url = format!("http://127.0.0.1:{at}/readyz");
            let mut answered = false;
            for _ in 0..300 {
                answered = reqwest::get(&url)
                    .await
                    .is_ok_and(|answer| answer.status() == StatusCode::OK);
                if answered {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
            child.kill().expect("killed");
            child.wait().expect("ended");
            assert!(answered, "{variables:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_switch_takes_the_usual_words() {
    on_both_databases(async |database| {
        for yes in ["1", "true", "TRUE", "yes", "on"] {
            let mut command = binary::command(&["serve", "--bind", "127.0.0.1:0"]);
            command
                .env("DATABASE_URL", &database.url)
                .env("REQUIRE_KEY", yes);
            let output = binary::finish(&mut command);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(78), "{yes}: {said}");
        }
        let mut command = binary::command(&["serve", "--database-url", &database.url]);
        for variable in ["REQUIRE_KEY", "NO_MIGRATE", "INSECURE"] {
            command.env(variable, "0");
        }
        let server = Server::run(command, "127.0.0.1").await;
        server.wait_for("/readyz", StatusCode::OK).await;
    })
    .await;
}

#[test]
fn a_wrong_value_is_reported_by_the_name_of_its_variable() {
    for (variable, value, expected) in [
        ("REQUEST_TIMEOUT", "30", "30sec"),
        ("NO_MIGRATE", "maybe", "boolean"),
        ("BIND", "here:8000", "127.0.0.1:8000"),
        ("BIND", "127.0.0.1:http", "127.0.0.1:8000"),
        ("BIND", ":", "127.0.0.1:8000"),
        ("PORT", "70000", "65535"),
        ("PORT", "http", "digit"),
        ("DB_POOL_MAX", "many", "digit"),
        ("CIRCLE_REGISTRY_DB_POOL_MAX", "0", "1..=10000"),
        ("LOG_FORMAT", "yaml", "json"),
        ("CORS_ORIGIN", "console.example", "https://console.example"),
    ] {
        let (code, said) = read(&[(variable, value)]);
        assert_eq!(code, Some(2), "{variable}={value}: {said}");
        assert!(
            said.contains(&format!("the variable {variable})")),
            "{said}"
        );
        assert!(said.contains(expected), "{variable}={value}: {said}");
    }
    let (code, said) = read(&[("DB_HOST", "db"), ("DB_PORT", "none")]);
    assert!(
        code == Some(2) && said.contains("the variable DB_PORT"),
        "{said}"
    );
}

#[test]
fn a_wrong_value_in_the_settings_file_is_reported_as_one() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(&file, "request_timeout = 30\n").expect("written");
    let (code, said) = read(&[(
        "CIRCLE_REGISTRY_CONFIG",
        file.path().to_str().expect("a path"),
    )]);
    assert!(
        code == Some(2) && said.contains("the settings file"),
        "{said}"
    );
}
