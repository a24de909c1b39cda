//! The command line.

use std::{fs, io::Write, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;

use test_support::{Backend, TestDatabase, binary, on_both_databases};

#[tokio::test]
async fn the_migration_runner_brings_a_database_up_and_down() {
    on_both_databases(async |database: &TestDatabase| {
        let run = |more: &[&str]| {
            let mut arguments = vec!["migrate", "--database-url", &database.url];
            arguments.extend(more);
            binary::output_of(&arguments)
        };
        run(&["up"]);
        assert_eq!(run(&["up"]), "nothing to do\n");
        let all = run(&["status"]);
        assert!(
            all.lines().all(|line| line.starts_with("applied  m2026")),
            "{all}"
        );
        assert_eq!(run(&["down", "--yes"]).lines().count(), 1);
        assert!(
            run(&["status"])
                .lines()
                .last()
                .is_some_and(|line| line.starts_with("pending"))
        );
        assert_eq!(run(&["up"]).lines().count(), 1);
        let lines = all.lines().count();
        assert_eq!(run(&["fresh", "--yes"]).lines().count(), lines);
        assert_eq!(run(&["refresh", "--yes"]).lines().count(), 2 * lines);
        assert_eq!(run(&["reset", "--yes"]).lines().count(), lines);
    })
    .await;
}

#[test]
fn what_loses_all_data_asks_for_consent() {
    let folder = TempDir::new().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("test.db").display());
    for command in ["down", "fresh", "refresh", "reset"] {
        let output = binary::run(&["migrate", command, "--database-url", &url]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("--yes"), "{said}");
    }
    assert!(
        !folder.path().join("test.db").exists(),
        "nothing was opened"
    );
}

/// The program on a terminal on which somebody types an answer, under `script` of util-linux.
fn answer_on_a_terminal(arguments: &str, answer: &str) -> (bool, String) {
    let program = binary::command(&[]).get_program().to_owned();
    let line = format!("{} {arguments}", program.display());
    let mut child = std::process::Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("script runs");
    let input = child.stdin.as_mut().expect("its input");
    writeln!(input, "{answer}").expect("an answer");
    let output = child.wait_with_output().expect("an end");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), said)
}

#[tokio::test]
async fn on_a_terminal_the_loss_of_data_is_asked_for() {
    on_both_databases(async |database| {
        let url = &database.url;
        binary::output_of(&["migrate", "up", "--database-url", url]);
        let down = format!("migrate down -n 30 --database-url {url}");
        let (reverted, said) = answer_on_a_terminal(&down, "n");
        assert!(!reverted && said.contains("continue? [y/N]"), "{said}");
        let status = ["migrate", "status", "--exit-code", "--database-url", url];
        binary::output_of(&status);
        let (reverted, said) = answer_on_a_terminal(&down, "y");
        assert!(reverted && said.contains("reverted m2026"), "{said}");
    })
    .await;
}

#[tokio::test]
async fn the_status_is_an_exit_code_and_json_for_programs() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let database = TestDatabase::create_empty(backend).await;
        let status = |more: &[&str]| {
            let command = ["migrate", "status", "--database-url", &database.url];
            binary::run(&[&command, more].concat())
        };
        let json = || -> Value {
            let output = status(&["--format", "json"]);
            serde_json::from_slice(&output.stdout).expect("JSON")
        };
        let all = json()["pending"].as_array().expect("a list").clone();
        assert_eq!(status(&[]).status.code(), Some(0));
        assert_eq!(status(&["--exit-code"]).status.code(), Some(1));
        if let Some(file) = database.url.strip_prefix("sqlite:") {
            assert!(!Path::new(file).exists(), "no file is created");
        }
        binary::output_of(&["migrate", "up", "--database-url", &database.url]);
        assert_eq!(status(&["--exit-code"]).status.code(), Some(0));
        assert_eq!(
            json(),
            json!({"applied": all, "pending": [], "additive": [], "unknown": [], "foreign": [], "missing": [], "unfinished_copy": false})
        );
        database.remove().await;
    }
}

#[test]
fn a_flag_wins_over_the_environment_over_the_file_over_the_default() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("settings.toml");
    fs::write(
        &file,
        "database_url = \"sqlite:file.db\"\ndb_pool_max = 7\nno_migrate = true\n",
    )
    .expect("a file");
    let database = |environment: Option<&str>, flag: Option<&str>, file: Option<&str>| {
        let mut arguments = vec!["migrate", "up"];
        arguments.extend(file.iter().flat_map(|file| ["--config", file]));
        arguments.extend(flag.iter().flat_map(|url| ["--database-url", url]));
        let mut command = binary::command(&arguments);
        command.current_dir(folder.path());
        command.envs(environment.map(|url| ("DATABASE_URL", url)));
        let output = command.output().expect("the program runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let made = ["flag.db", "env.db", "file.db", "circle-registry.db"]
            .into_iter()
            .find(|name| folder.path().join(name).exists())
            .expect("a database");
        fs::remove_file(folder.path().join(made)).expect("it goes");
        made
    };
    let (environment, flag) = (Some("sqlite:env.db"), Some("sqlite:flag.db"));
    let file = file.to_str();
    assert_eq!(database(environment, flag, file), "flag.db");
    assert_eq!(database(environment, None, file), "env.db");
    assert_eq!(database(None, None, file), "file.db");
    assert_eq!(database(None, None, None), "circle-registry.db");
}

#[test]
fn a_settings_file_with_a_mistake_is_refused() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("settings.toml");
    let path = file.to_str().expect("a path");
    for (text, complaint) in [
        ("databse_url = \"x\"", "unknown key `databse_url`"),
        ("db_pool_max = [1]", "`db_pool_max` must be one value"),
        ("db_pool_max = 0", "0 is not in"),
        ("bind = \"here\"", "invalid"),
        ("bind =", "settings file"),
    ] {
        fs::write(&file, text).expect("a file");
        let output = binary::run(&["--config", path]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(complaint), "{text}: {said}");
    }
    let output = binary::run(&["--config", "no-such-file.toml"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("no-such-file.toml"));
}

#[test]
fn help_names_every_setting_with_its_variable_and_default() {
    let help = binary::output_of(&["--help"]);
    for part in [
        "DATABASE_URL",
        "DB_POOL_MIN",
        "DB_POOL_MAX",
        "[default: 2s]",
        "[default: 5s]",
        "127.0.0.1:8000",
        "--no-migrate",
        "--config",
    ] {
        assert!(help.contains(part), "{part}: {help}");
    }
}

#[test]
fn the_description_is_printed_and_checked() {
    let printed = binary::output_of(&["openapi"]);
    let description: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(description["info"]["title"], "circle-registry");
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("openapi.json");
    let path = file.to_str().expect("a path");
    fs::write(&file, &printed).expect("a file");
    assert_eq!(binary::output_of(&["openapi", "--check", path]), "");

    fs::write(&file, printed.replace("\"get_circle\"", "\"fetch_circle\"")).expect("a file");
    let output = binary::run(&["openapi", "--check", path]);
    assert!(!output.status.success());
    let diff = String::from_utf8(output.stdout).expect("text");
    assert!(
        diff.contains("-    \"operationId\": \"fetch_circle\""),
        "{diff}"
    );
    assert!(
        diff.contains("+    \"operationId\": \"get_circle\""),
        "{diff}"
    );
}

#[test]
fn the_committed_settings_reference_is_the_one_that_is_printed() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
    let command = ["settings-reference", "--check", file];
    assert_eq!(binary::output_of(&command), "");
}

#[test]
fn completions_are_printed_for_a_shell() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(binary::output_of(&["completions", shell]).contains("circle-registry"));
    }
}
