//! Migrations up and down, with rows in place, and schemas of other builds.

use circle_registry::app::{Application, StartError};
use migration::runner::{self, MigrateError};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::json;

use super::{insert_early_rows, insert_rows, read_rows, run};
use test_support::{Backend, TestApp, TestDatabase, connect_to, on_both_databases};

#[tokio::test]
async fn the_migrations_go_up_down_and_up_again_with_rows_in_place() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let database = TestDatabase::create_empty(backend).await;
        let db = connect_to(&database.url).await;
        let applied = runner::up(&db, None).await.expect("up");
        assert_eq!(read_rows(&db).await, [0; 21]);
        insert_rows(&db).await;
        assert_eq!(read_rows(&db).await, [1; 21]);
        let job = "INSERT INTO membership_jobs (agent_id, restores, ended_at) SELECT id, true, $now FROM agents";
        run(&db, &[job]).await;
        for name in applied.iter().rev() {
            let undone = runner::down(&db, Some(1)).await.expect("down");
            assert_eq!(undone, std::slice::from_ref(name));
        }
        assert!(runner::down(&db, None).await.expect("down").is_empty());
        assert_eq!(runner::up(&db, None).await.expect("up again"), applied);
        assert_eq!(read_rows(&db).await, [0; 21]);
        insert_rows(&db).await;
        runner::drop_all(&db).await.expect("everything goes");
        assert_eq!(
            runner::status(&db).await.expect("a status").pending,
            applied
        );
        assert_eq!(
            runner::up(&db, None).await.expect("up from nothing"),
            applied
        );
        db.close().await.expect("closed");
        database.remove().await;
    }
}

/// For each circle: its name, its stored count of active members, and their actual count.
async fn counts(db: &DatabaseConnection) -> Vec<(String, i64, i64)> {
    let sql = "SELECT name, member_count, (SELECT count(*) FROM members \
               WHERE circle_id = circles.id AND members.is_active) FROM circles ORDER BY name";
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let rows = db.query_all_raw(statement).await.expect(sql);
    rows.iter()
        .map(|row| row.try_get_many_by_index().expect("a circle"))
        .collect()
}

/// The sum of all revisions of circles.
async fn revisions(db: &DatabaseConnection) -> i64 {
    let sql = "SELECT CAST(sum(revision) AS bigint) FROM circles";
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let row = db.query_one_raw(statement).await.expect(sql);
    let row = row.expect("a row");
    row.try_get_by_index(0).expect("a sum")
}

#[tokio::test]
async fn the_members_that_there_are_already_are_counted_and_then_those_of_every_writer() {
    const MIGRATION: &str = "m20261124_000005_count_members";
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let database = TestDatabase::create_empty(backend).await;
        let db = connect_to(&database.url).await;
        let earlier = runner::status(&db).await.expect("a status").pending;
        let earlier = earlier.iter().position(|name| name == MIGRATION);
        let earlier = u32::try_from(earlier.expect("it is one of them")).expect("few");
        runner::up(&db, Some(earlier)).await.expect("up");
        insert_early_rows(&db).await;
        let run = async |sql: &str| {
            db.execute_unprepared(sql).await.expect(sql);
        };
        run("INSERT INTO circles (name, created_at, updated_at) \
             SELECT name || '2', created_at, updated_at FROM circles")
        .await;
        run("INSERT INTO agents (name, created_at, updated_at) \
             SELECT name || n, created_at, updated_at FROM agents, (SELECT 1 AS n UNION SELECT 2) AS n")
        .await;
        run("INSERT INTO members (circle_id, agent_id, joined_at, is_active) \
             SELECT c.id, a.id, c.created_at, a.name = 'a1' FROM circles c, agents a WHERE a.name <> 'a'")
        .await;

        runner::up(&db, Some(1)).await.expect("up");
        let is = |first: i64, second: i64| {
            [
                ("c".to_owned(), first, first),
                ("c2".to_owned(), second, second),
            ]
        };
        assert_eq!(counts(&db).await, is(2, 1));
        runner::down(&db, Some(1)).await.expect("down");
        run("UPDATE members SET is_active = true").await;
        runner::up(&db, Some(1)).await.expect("up again");
        assert_eq!(counts(&db).await, is(3, 2));

        let of = |name: &str| format!("(SELECT id FROM circles WHERE name = '{name}')");
        let (first, second) = (of("c"), of("c2"));
        let agent = "(SELECT id FROM agents WHERE name = 'a')";
        for (sql, left, shown) in [
            (
                format!("DELETE FROM members WHERE circle_id = {first} AND agent_id = {agent}"),
                (2, 2),
                1,
            ),
            (
                format!(
                    "UPDATE members SET is_active = false, role = 'lead' WHERE circle_id = {first}"
                ),
                (0, 2),
                2,
            ),
            (
                format!("DELETE FROM members WHERE circle_id = {first}"),
                (0, 2),
                0,
            ),
            (
                format!("UPDATE members SET circle_id = {first} WHERE circle_id = {second}"),
                (2, 0),
                4,
            ),
            (
                format!(
                    "UPDATE members SET circle_id = {second}, is_active = false WHERE agent_id = (SELECT id FROM agents WHERE name = 'a1')"
                ),
                (1, 0),
                3,
            ),
            (
                format!(
                    "UPDATE members SET circle_id = {first}, is_active = true WHERE circle_id = {second}"
                ),
                (2, 0),
                1,
            ),
            (
                "UPDATE members SET role = 'observer', circle_id = circle_id".to_owned(),
                (2, 0),
                2,
            ),
            ("DELETE FROM agents WHERE name = 'a2'".to_owned(), (1, 0), 1),
            (
                format!(
                    "INSERT INTO members (circle_id, agent_id, joined_at, is_active) SELECT {second}, id, created_at, name = 'a' FROM agents"
                ),
                (1, 1),
                1,
            ),
        ] {
            let before = revisions(&db).await;
            run(&sql).await;
            assert_eq!(counts(&db).await, is(left.0, left.1), "{sql}");
            assert_eq!(revisions(&db).await - before, shown, "{sql}");
        }
        db.close().await.expect("closed");
        database.remove().await;
    }
}

#[tokio::test]
async fn a_schema_newer_than_the_program_is_refused() {
    on_both_databases(async |database| {
        let db = connect_to(&database.url).await;
        runner::up(&db, None).await.expect("up");
        db.execute_unprepared("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29990101_000001_later', 0)")
            .await
            .expect("a later migration");
        for migrating in [true, false] {
            let mut settings = database.settings();
            settings.server.no_migrate = !migrating;
            let Err(StartError::Schema(error)) = Application::start(settings).await else {
                panic!("the service starts on a schema it does not know");
            };
            assert!(matches!(error, MigrateError::Newer(_)), "{error}");
            assert!(error.to_string().contains("m29990101_000001_later"), "{error}");
        }
        assert!(matches!(runner::down(&db, None).await, Err(MigrateError::Newer(_))));
        db.close().await.expect("closed");
    })
    .await;
}

#[tokio::test]
async fn an_instance_stays_ready_when_a_later_release_adds_to_the_schema_and_only_then() {
    on_both_databases(async |database| {
        let app = TestApp::start(database.backend, database.settings()).await;
        let db = connect_to(&database.url).await;
        let agent = app.an_agent("Ada").await;
        app.a_circle("team").await;
        let record = async |name: &str| {
            let sql =
                format!("INSERT INTO seaql_migrations (version, applied_at) VALUES ('{name}', 0)");
            db.execute_unprepared(&sql)
                .await
                .expect("a later migration");
        };
        for sql in [
            "CREATE TABLE later (id bigint PRIMARY KEY, agent_id bigint REFERENCES agents (id))",
            "ALTER TABLE agents ADD COLUMN later text",
            "ALTER TABLE members ADD COLUMN later bigint NOT NULL DEFAULT 7",
            "CREATE INDEX later_index ON circles (description)",
        ] {
            db.execute_unprepared(sql).await.expect(sql);
        }
        record("m29990101_000001_add_later_additive").await;
        assert_eq!(app.get("/readyz").await.status, 200);
        app.a_member("team", agent).await;
        app.patch("/v1/agents/1", &json!({"role": "tester"}))
            .await
            .ok();
        assert_eq!(app.get("/v1/circles/team").await.ok()["member_count"], 1);
        assert_eq!(app.get("/v1/agents?include=model").await.status, 200);
        let mut settings = database.settings();
        settings.server.no_migrate = true;
        TestApp::start(database.backend, settings)
            .await
            .stop()
            .await;
        TestApp::start(database.backend, database.settings())
            .await
            .stop()
            .await;
        for name in [None, Some(1)] {
            let down = runner::down(&db, name).await;
            assert!(matches!(down, Err(MigrateError::Newer(_))), "{down:?}");
        }

        record("m29990101_000002_change").await;
        app.get("/readyz").await.problem(503, "schema_not_current");
        db.close().await.expect("closed");
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_old_schema_is_refused_where_migrating_is_off() {
    on_both_databases(async |database| {
        let db = connect_to(&database.url).await;
        runner::up(&db, None).await.expect("up");
        runner::down(&db, Some(1)).await.expect("down");
        let mut settings = database.settings();
        settings.server.no_migrate = true;
        let Err(StartError::Schema(error)) = Application::start(settings).await else {
            panic!("the service starts on an old schema");
        };
        assert!(error.to_string().contains("migrate up"), "{error}");
        assert_eq!(
            runner::status(&db).await.expect("a status").pending.len(),
            1
        );
        db.close().await.expect("closed");
    })
    .await;
}

#[tokio::test]
async fn the_feed_of_changes_starts_after_the_entries_that_there_are_already() {
    const MIGRATION: &str = "m20261126_000100_order_changes_additive";
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let database = TestDatabase::create_empty(backend).await;
        let db = connect_to(&database.url).await;
        let pending = runner::status(&db).await.expect("a status").pending;
        let earlier = pending.iter().position(|name| name == MIGRATION);
        let earlier = earlier.expect("it is one of them");
        let later = u32::try_from(pending.len() - earlier).expect("few");
        runner::up(&db, u32::try_from(earlier).ok())
            .await
            .expect("up");
        // What a build without the feed writes.
        let entry = |name: &str| {
            format!(
                "INSERT INTO audit_entries (at, action, resource, name) VALUES ($now, 'update', 'agent', '{name}')"
            )
        };
        run(&db, &[&entry("first"), &entry("second")]).await;
        runner::up(&db, None).await.expect("up");
        runner::down(&db, Some(later)).await.expect("down");
        run(&db, &[&entry("third")]).await;
        runner::up(&db, None).await.expect("up again");
        run(&db, &[&entry("beside the service")]).await;

        let app = TestApp::start(backend, database.settings()).await;
        app.an_agent("Ada").await;
        let names = loop {
            let page = app.get("/v1/changes").await.ok();
            if page["held_back_since"].is_null() {
                break page["data"]
                    .as_array()
                    .expect("a page")
                    .iter()
                    .map(|change| change["name"].clone())
                    .collect::<Vec<_>>();
            }
        };
        assert_eq!(names, ["beside the service", "Ada"]);
        app.stop().await;
        db.close().await.expect("closed");
        database.remove().await;
    }
}
