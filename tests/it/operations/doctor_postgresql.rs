//! `circle-registry doctor` on PostgreSQL.

use std::time::Duration;

use migration::runner;
use sea_orm::ConnectionTrait;

use test_support::{
    Backend, TestDatabase,
    binary::{self},
    connect_to,
    postgres_server::{Durability, PASSWORD, PostgresServer},
    proxy::Proxy,
};

use super::doctor::{Diagnosis, declare_newer};

#[tokio::test]
async fn the_doctor_finds_what_is_wrong_with_postgresql() {
    let mut postgres = PostgresServer::create(Durability::On);
    let url = postgres.url_of("postgres");
    Diagnosis::of(&url, &[]).fails("connection", "refused");
    postgres.start_ready().await;
    Diagnosis::of(
        &url.replace(&format!("test:{PASSWORD}"), "stranger:hunter2"),
        &[],
    )
    .fails("connection", "password");
    Diagnosis::of(&postgres.url_of("nowhere"), &[]).fails("connection", "does not exist");
    Diagnosis::of(&url, &[])
        .warns("schema", "are not applied")
        .warns("search", "is not installed yet");
    binary::output_of(&["migrate", "up", "--database-url", &url]);
    let sound = Diagnosis::of(&url, &[]);
    assert!(
        sound.text.lines().all(|line| line.starts_with("ok ")),
        "{}",
        sound.text
    );
    Diagnosis::of(&url, &["--instances", "13"]).finds(
        "ok",
        "connections",
        "room for a rolling update",
    );
    Diagnosis::of(&url, &["--instances", "14"])
        .warns("connections", "need 294 of 297")
        .warns("connections", "no room for a rolling update");
    Diagnosis::of(&url, &["--instances", "15"]).fails("connections", "need 315 of 297");

    let db = connect_to(&url).await;
    let run = async |sql: &str| db.execute_unprepared(sql).await.expect(sql);
    run("CREATE DATABASE narrow ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0").await;
    Diagnosis::of(&postgres.url_of("narrow"), &[]).fails("encoding", "LATIN1");
    run("ALTER DATABASE postgres SET synchronous_commit = off").await;
    Diagnosis::of(&url, &[]).warns("durability", "synchronous_commit");

    run("CREATE ROLE guest LOGIN PASSWORD 'hunter2' CONNECTION LIMIT 5").await;
    let guest = url.replace(&format!("test:{PASSWORD}"), "guest:hunter2");
    let diagnosis = Diagnosis::of(&guest, &[]);
    diagnosis.fails("permissions", "may not read and write agent");
    diagnosis.finds("error", "schema", "can't be read");
    diagnosis.finds("error", "connections", "of 5 slots");
    diagnosis.finds("warning", "permissions", "migrations of a later build");

    run("DROP EXTENSION pg_trgm CASCADE").await;
    Diagnosis::of(&url, &[]).warns("search", "reads the whole table");
    run("CREATE EXTENSION pg_trgm").await;
    Diagnosis::of(&url, &[]).warns("search", "came after");

    runner::down(&db, Some(1)).await.expect("down");
    run("GRANT ALL ON ALL TABLES IN SCHEMA public TO guest").await;
    Diagnosis::of(&guest, &[]).fails("permissions", "migrations that are pending");
    declare_newer(&url).await;
    Diagnosis::of(&url, &[]).fails("schema", "is newer");

    run(
        "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz \
         LANGUAGE sql AS $$ SELECT pg_catalog.clock_timestamp() - interval '1 minute' $$",
    )
    .await;
    run("ALTER DATABASE postgres SET search_path = public, pg_catalog").await;
    Diagnosis::of(&url, &[]).fails("clock", " s apart");
    db.close().await.expect("closed");
}

#[tokio::test]
async fn the_doctor_finds_a_postgresql_that_takes_no_writes_or_forgets_them() {
    let mut postgres = PostgresServer::create(Durability::Off);
    let url = postgres.url_of("postgres");
    postgres.start_ready().await;
    binary::output_of(&["migrate", "up", "--database-url", &url]);
    Diagnosis::of(&url, &[]).warns("durability", "with fsync and full_page_writes and");

    let db = connect_to(&url).await;
    let sql = "ALTER DATABASE postgres SET default_transaction_read_only = on";
    db.execute_unprepared(sql).await.expect(sql);
    db.close().await.expect("closed");
    Diagnosis::of(&url, &[]).fails("server", "default_transaction_read_only");

    postgres.stop_immediately();
    postgres.become_a_standby();
    postgres.start_ready().await;
    Diagnosis::of(&url, &[]).fails("server", "is a standby");
}

/// The server is made to claim what these tests cannot set up: an older version, and another host.
#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_a_postgresql_that_is_old_far_away_or_talks_in_the_clear() {
    let database = TestDatabase::create(Backend::Postgres).await;
    let proxy = Proxy::to(&database.url).await;
    proxy.delay_answers(Duration::from_millis(40));
    let far = Diagnosis::of(&proxy.url_of(&database.url), &[]);
    far.warns("connection", "run the service nearer");
    proxy.delay_answers(Duration::ZERO);

    let db = connect_to(&database.url).await;
    let run = async |sql: &str| db.execute_unprepared(sql).await.expect(sql);
    let name = database.url.rsplit('/').next().expect("a name");
    run(&format!(
        "ALTER DATABASE {name} SET search_path = public, pg_catalog"
    ))
    .await;
    run(
        "CREATE FUNCTION public.inet_server_addr() RETURNS inet LANGUAGE sql \
         AS $$ SELECT '192.0.2.7'::inet $$",
    )
    .await;
    Diagnosis::of(&database.url, &[]).warns("encryption", "can be read on the way");
    run(
        "CREATE FUNCTION public.current_setting(text) RETURNS text LANGUAGE sql AS $$ \
         SELECT CASE $1 WHEN 'server_version_num' THEN '140011' WHEN 'server_version' THEN '14.11' \
         ELSE pg_catalog.current_setting($1) END $$",
    )
    .await;
    Diagnosis::of(&database.url, &[]).fails("connection", "PostgreSQL 14.11");
    db.close().await.expect("closed");
    database.remove().await;
}
