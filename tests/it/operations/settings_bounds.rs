//! Every number and every time among the settings has bounds.

use test_support::binary;

/// What the documentation says of the settings: flag and default.
fn settings() -> Vec<(&'static str, &'static str)> {
    let rows = include_str!("../../../docs/configuration.md").lines();
    rows.filter_map(|row| {
        let mut columns = row
            .split(" | ")
            .map(|column| column.trim_matches(['|', ' ', '`']));
        let flag = columns.next().filter(|flag| flag.starts_with("--"))?;
        columns.next()?;
        Some((flag, columns.next()?))
    })
    .collect()
}

/// Runs a command that reads all settings and needs none; whether it takes them.
fn is_taken(flag: &str, value: &str) -> bool {
    let output = binary::run(&[&format!("{flag}={value}"), "settings-reference"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => true,
        Some(2) => {
            assert!(stderr.contains(flag), "{flag} {value}: {stderr}");
            false
        }
        other => panic!("{flag} {value}: {other:?} {stderr}"),
    }
}

fn is_time(default: &str) -> bool {
    let number = default.trim_end_matches(['m', 's', 'h']);
    number != default && number.parse::<u64>().is_ok()
}

#[test]
fn a_number_that_is_too_large_is_refused() {
    let mut numbers = 0;
    for (flag, default) in settings() {
        let is_number = default.parse::<u64>().is_ok() || default.contains(" on PostgreSQL");
        if is_number || flag == "--db-pool-min" {
            numbers += 1;
            for value in [
                "4611686018427387904",
                "18446744073709551615",
                "-1",
                "1.5",
                "",
            ] {
                assert!(!is_taken(flag, value), "{flag} {value}");
            }
        }
    }
    assert!(numbers >= 10, "{numbers} numbers were found");
}

#[test]
fn a_time_that_is_too_long_is_refused() {
    let mut times = 0;
    for (flag, default) in settings() {
        if is_time(default) {
            times += 1;
            for value in ["25h", "584542046090years", "-1s", "5", ""] {
                assert!(!is_taken(flag, value), "{flag} {value}");
            }
            assert!(is_taken(flag, "24h"), "{flag}");
        }
    }
    assert!(times >= 14, "{times} times were found");
}

/// Nothing is rounded to no limit, and 0 is taken only where its meaning is described.
#[test]
fn zero_is_refused_where_it_would_mean_no_limit_or_no_service() {
    const TAKE_ZERO: [&str; 8] = [
        "--rate-limit-reads",
        "--rate-limit-writes",
        "--rate-limit-auth-failures",
        "--roster-cache-mib",
        "--shutdown-delay",
        "--shutdown-timeout",
        "--pool-close-timeout",
        "--db-pool-min",
    ];
    for (flag, default) in settings() {
        let (zero, tiny) = if is_time(default) {
            ("0s", Some("500us"))
        } else if default.parse::<u64>().is_ok() || flag.starts_with("--db-pool") {
            ("0", None)
        } else {
            continue;
        };
        let takes_zero = TAKE_ZERO.contains(&flag);
        assert_eq!(is_taken(flag, zero), takes_zero, "{flag}");
        for tiny in tiny.iter().filter(|_| !takes_zero) {
            assert!(!is_taken(flag, tiny), "{flag} {tiny}");
        }
    }
}

#[test]
fn a_file_without_end_is_refused() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("test.db").display());
    let import = ["catalog", "import", "/dev/zero", "--database-url", &url];
    let tls = ["--tls-cert", "/dev/zero", "--tls-key", "/dev/zero"];
    let serve = [
        &["serve", "--bind", "127.0.0.1:0", "--database-url", &url],
        &tls[..],
    ]
    .concat();
    let settings = ["--config", "/dev/zero", "settings-reference"];
    for arguments in [&import[..], &serve, &settings] {
        let output = binary::run(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains("larger than"), "{arguments:?}: {stderr}");
    }
}
