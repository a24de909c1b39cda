//! The log: its formats, its filter, its colours and its last line.

use std::{net::TcpListener, process::Command};

use serde_json::Value;

use test_support::{
    Backend, TestDatabase,
    binary::{self, Server},
    on_both_databases,
};

/// The lines of a log in JSON.
#[track_caller]
fn lines(log: &str) -> Vec<Value> {
    let line = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
    log.lines().map(line).collect()
}

#[tokio::test]
async fn numbers_are_numbers_in_json() {
    on_both_databases(async |database| {
        let filter = "info,circle_registry=trace";
        let more = [
            "--log-format",
            "json",
            "--log",
            filter,
            "--shutdown-delay",
            "0s",
        ];
        let server = Server::start_ready(&database.url, &more).await;
        server.get("/v1/circles").await.ok();
        server.signal("-TERM");
        let (_, log) = server.end().await;
        let (mut times, lines) = (0, lines(&log));
        for (name, value) in lines
            .iter()
            .flat_map(|line| line.as_object().expect("an object"))
        {
            let is_number_as_text = value
                .as_str()
                .is_some_and(|text| text.parse::<f64>().is_ok());
            assert!(!is_number_as_text, "{name}: {value}");
            times += i32::from(name == "elapsed_us" && value.is_u64());
        }
        assert!(times > 2, "{log}");
    })
    .await;
}

#[tokio::test]
async fn the_last_line_before_an_exit_has_the_format_of_the_log() {
    on_both_databases(async |database| {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let taken = taken.local_addr().expect("its address").to_string();
        let nowhere = "sqlite:/no/such/folder/teams.db".to_owned();
        for (bind, url, cause, code) in [
            (&*taken, &database.url, "can't listen on", 1),
            (
                "0.0.0.0:0",
                &database.url,
                "can be reached from other machines",
                78,
            ),
            ("127.0.0.1:0", &nowhere, "can't be used", 1),
        ] {
            let serve = [
                "serve",
                "--bind",
                bind,
                "--database-url",
                url,
                "--log-format",
                "json",
            ];
            let output = binary::run(&serve);
            assert_eq!(output.status.code(), Some(code), "{cause}");
            let said = String::from_utf8(output.stderr).expect("text");
            let lines = lines(&said);
            let last = lines.last().expect("a line");
            assert_eq!(last["level"], "ERROR", "{last}");
            assert!(
                last["cause"]
                    .as_str()
                    .is_some_and(|text| text.contains(cause)),
                "{last}"
            );
        }
    })
    .await;
}

#[test]
fn a_filter_with_a_mistake_is_complained_of_by_name() {
    for filter in ["debgu", "info,circle_registry=lots", "sqlx"] {
        let mut command = binary::command(&["serve", "--database-url", "sqlite::memory:"]);
        let output = binary::finish(command.env("RUST_LOG", filter));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("RUST_LOG") && said.contains(filter), "{said}");
    }
}

/// The tests may run under `nohup`.
const HEEDS_HANGUPS: [&str; 2] = ["env", "--default-signal=HUP"];

#[tokio::test]
async fn a_hangup_stops_as_other_signals_do_unless_it_is_ignored() {
    on_both_databases(async |database| {
        let delay = ["--shutdown-delay", "0s"];
        let server = Server::start_under(&HEEDS_HANGUPS, &database.url, &delay).await;
        server.wait_for("/readyz", reqwest::StatusCode::OK).await;
        server.signal("-HUP");
        let (code, log) = server.end().await;
        assert_eq!(code, Some(0), "{log}");
        let last = log.lines().last().expect("a line");
        assert!(last.contains("database pool closed"), "{last}");

        let detached = ["sh", "-c", "trap '' HUP; exec \"$0\" \"$@\""];
        let server =
            Server::start_under(&detached, &database.url, &["--shutdown-delay", "0s"]).await;
        server.signal("-HUP");
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        server.wait_for("/readyz", reqwest::StatusCode::OK).await;
        server.signal("-TERM");
        assert_eq!(server.end().await.0, Some(0));
    })
    .await;
}

#[tokio::test]
async fn the_end_by_a_second_signal_is_logged() {
    on_both_databases(async |database| {
        let more = ["--shutdown-delay", "20s", "--log-format", "json"];
        let server = Server::start_under(&HEEDS_HANGUPS, &database.url, &more).await;
        server.wait_for("/readyz", reqwest::StatusCode::OK).await;
        server.signal("-HUP");
        server.wait_for_log("no longer ready").await;
        server.signal("-TERM");
        let (code, log) = server.end().await;
        assert_eq!(code, Some(130), "{log}");
        let last = &lines(&log).pop().expect("a line")["message"];
        assert!(
            last.as_str()
                .is_some_and(|text| text.contains("second stop signal")),
            "{log}"
        );
    })
    .await;
}

#[test]
fn colours_are_for_terminals_whose_user_wants_them() {
    let program = binary::command(&[]).get_program().to_owned();
    let serve = "serve --bind 127.0.0.1:0 --database-url sqlite:/no/such/folder/teams.db";
    let line = format!("{} {serve}", program.display());
    let said_on_a_terminal = |no_color: &str| {
        let mut terminal = Command::new("script");
        terminal
            .args(["-qec", &line, "/dev/null"])
            .env("NO_COLOR", no_color);
        String::from_utf8(binary::finish(&mut terminal).stdout).expect("text")
    };
    assert!(said_on_a_terminal("").contains("\u{1b}["));
    let plain = said_on_a_terminal("1");
    assert!(
        plain.contains("INFO") && !plain.contains('\u{1b}'),
        "{plain}"
    );
    let words: Vec<&str> = serve.split(' ').collect();
    let output = binary::run(&words);
    assert!(!output.stderr.contains(&0x1b));
}

#[tokio::test]
async fn the_first_start_logs_no_notices_of_what_exists() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let database = TestDatabase::create_empty(backend).await;
        let more = ["--log", "info", "--shutdown-delay", "0s"];
        let server = Server::start_ready(&database.url, &more).await;
        server.signal("-TERM");
        let (_, log) = server.end().await;
        assert!(log.contains("migration applied"), "{log}");
        assert!(!log.contains("already exists"), "{log}");
        database.remove().await;
    }
}
