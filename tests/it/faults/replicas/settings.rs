//! Which replicas can be named, and what the doctor says of them.

use test_support::binary;

use super::*;

#[test]
fn a_url_that_names_no_replica_is_refused_without_being_repeated() {
    for (database, replica, said) in [
        (
            "sqlite::memory:",
            "postgres://me:hunter2@standby/app",
            "READ_DATABASE_URL (--read-database-url) needs PostgreSQL",
        ),
        (
            "postgres://me@primary/app",
            "sqlite:hunter2.db",
            "READ_DATABASE_URL (--read-database-url) needs PostgreSQL",
        ),
        (
            "postgres://me@primary/app",
            "postgres://me:hunter2@one,other/app",
            "READ_DATABASE_URL (--read-database-url) names several servers",
        ),
        (
            "postgres://me@primary/app",
            "mysql://me:hunter2@standby/app",
            "READ_DATABASE_URL (--read-database-url) must start with",
        ),
    ] {
        let arguments = ["serve", "--bind", "127.0.0.1:0", "--database-url", database];
        let arguments = [&arguments[..], &["--read-database-url", replica]].concat();
        let output = binary::run(&arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(said), "{stderr}");
        assert!(!stderr.contains("hunter"), "{stderr}");
    }
}

#[tokio::test]
async fn the_doctor_says_of_each_replica_whether_it_can_be_read() {
    let cluster = Cluster::start(1).await;
    let primary = url_of(&cluster.primary);
    let standby = url_of(&cluster.standbys[0]);
    let examined = async |replicas: &str| {
        let arguments = [
            "doctor",
            "--database-url",
            &primary,
            "--read-database-url",
            replicas,
        ];
        let output = binary::run(&arguments);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let said = examined(&standby).await;
    assert!(said.contains("is a standby and can be read"), "{said}");
    let said = examined(&format!("{standby} {primary}")).await;
    assert!(said.contains("is not a standby"), "{said}");
    let nobody = "postgres://me:hunter2@127.0.0.1:1/app";
    let said = examined(nobody).await;
    assert!(said.contains("127.0.0.1:1 can't be read"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}
