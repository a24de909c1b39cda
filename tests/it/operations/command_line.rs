//! The command line.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use test_support::{TestDatabase, binary, on_both_databases};

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
        assert_eq!(run(&["down"]).lines().count(), 1);
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
    for command in ["fresh", "refresh", "reset"] {
        let output = binary::run(&["migrate", command, "--database-url", &url]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("--yes"), "{said}");
    }
    assert!(
        !folder.path().join("test.db").exists(),
        "nothing was opened"
    );
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
