//! The runner by itself, as `cargo run -p migration -- …` starts it.

use std::{fs, process::Command};

fn run(folder: &std::path::Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_migration"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("DATABASE_URL")
        .env_remove("DB_HOST")
        .output()
        .expect("the runner runs");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8(said).expect("text"),
    )
}

#[test]
fn the_runner_by_itself_reads_the_same_settings_as_the_service() {
    let folder = tempfile::TempDir::new().expect("a folder");
    // The file is the server's: a key that only the server knows is none of the runner's business.
    let settings = "database_url = \"sqlite:by-file.db\"\nbind = \"127.0.0.1:1\"\n";
    fs::write(folder.path().join("settings.toml"), settings).expect("a file");
    let (well, said) = run(folder.path(), &["--config", "settings.toml", "up"]);
    assert!(well && said.starts_with("applied  m2026"), "{said}");
    assert!(folder.path().join("by-file.db").exists());

    let (well, said) = run(folder.path(), &["up"]);
    assert!(well && said.starts_with("applied  m2026"), "{said}");
    assert!(
        folder.path().join("circle-registry.db").exists(),
        "the default"
    );
    let (well, said) = run(folder.path(), &["status"]);
    assert!(
        well && said.lines().all(|line| line.starts_with("applied")),
        "{said}"
    );
    let (well, said) = run(folder.path(), &["fresh"]);
    assert!(!well && said.contains("--yes"), "{said}");
}
