//! API keys on the command line.

use test_support::{TestApp, TestDatabase, binary, on_both_databases};

#[tokio::test]
async fn the_command_line_makes_lists_and_revokes_keys() {
    on_both_databases(async |database: &TestDatabase| {
        let keys = |more: &[&str]| {
            let mut arguments = vec!["keys", "--database-url", &database.url];
            arguments.extend(more);
            binary::run(&arguments)
        };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        let output = keys(&["create", "--name", "ops", "--scope", "admin"]);
        let (token, aside) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{aside}");
        assert!(aside.contains("key 1 (admin)") && !aside.contains(token.trim()));
        let token = token.strip_suffix('\n').expect("a line").to_owned();
        assert!(token.starts_with("crk_1_") && !token.contains('\n'));
        let output = keys(&[
            "create",
            "--name",
            "a runtime",
            "--scope",
            "handles",
            "--scope",
            "read",
            "--expires",
            "90d",
        ]);
        assert!(output.status.success());

        let app = TestApp::start(database.backend, database.settings()).await;
        app.get("/v1/circles").await.problem(401, "unauthenticated");
        app.get_with("/v1/keys", &token).await.ok();

        let listed = text(&keys(&["list"]).stdout);
        let lines: Vec<&str> = listed.lines().collect();
        assert_eq!(lines.len(), 3, "{listed}");
        assert!(
            lines[1].contains("active") && lines[1].ends_with("admin           ops"),
            "{listed}"
        );
        assert!(lines[2].contains("read, handles") && lines[2].ends_with("a runtime"));
        assert!(!listed.contains(&token[6..]));

        assert!(keys(&["revoke", "1"]).status.success());
        let answer = app.get_with("/v1/keys", &token).await;
        answer.problem(401, "unauthenticated");
        assert!(text(&keys(&["list"]).stdout).contains("revoked"));
        let output = keys(&["revoke", "99"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("there is no key 99"));
        app.stop().await;
    })
    .await;
}

#[test]
fn a_key_is_not_made_by_a_command_that_makes_no_sense() {
    for (arguments, complaint) in [
        (&["create"][..], "--name"),
        (&["create", "--name", "x"], "--scope"),
        (
            &["create", "--name", "", "--scope", "read"],
            "1 to 200 characters",
        ),
        (
            &["create", "--name", "x", "--scope", "root"],
            "must be one of read, write",
        ),
        (
            &[
                "create",
                "--name",
                "x",
                "--scope",
                "read",
                "--expires",
                "yesterday",
            ],
            "must be a duration, as 90d",
        ),
        (&["revoke", "all"], "invalid"),
    ] {
        let mut all = vec!["keys"];
        all.extend(arguments);
        let output = binary::run(&all);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(complaint), "{said}");
    }
}
