//! The schema and how a database gets to it.

use circle_registry::app::{Application, StartError};
use entity::{
    agent, api_key, audit_entry, circle, conversation, member, message, model, participant,
    provider,
};
use migration::{
    connection::{self, PoolSize, Target},
    runner::{self, MigrateError},
};
use sea_orm::{ConnectionTrait, DatabaseConnection, EntityTrait, Statement};

use crate::support::{Backend, TestDatabase, on_both_databases};

async fn connect(database: &TestDatabase, size: PoolSize) -> DatabaseConnection {
    let settings = database.settings().database;
    let target = Target::from_settings(&settings).expect("a target");
    connection::open(&settings, &target, size)
        .await
        .expect("a pool")
}

/// One row in every table.
async fn insert_rows(db: &DatabaseConnection) {
    const NOW: &str = "'2026-01-02T03:04:05+00:00'";
    for sql in [
        "INSERT INTO providers (name, api_type, created_at, updated_at) VALUES ('p', 'x', $now, $now)",
        "INSERT INTO models (provider_id, model_name, input_price, created_at, updated_at) \
         SELECT id, 'm', 5, $now, $now FROM providers",
        "INSERT INTO agents (name, model_id, created_at, updated_at) SELECT 'a', id, $now, $now FROM models",
        "INSERT INTO circles (name, created_at, updated_at) VALUES ('c', $now, $now)",
        "INSERT INTO members (circle_id, agent_id, joined_at) SELECT c.id, a.id, $now FROM circles c, agents a",
        "INSERT INTO conversations (topic, circle_id, created_at, updated_at) SELECT 't', id, $now, $now FROM circles",
        "INSERT INTO participants (conversation_id, agent_id, joined_at) \
         SELECT c.id, a.id, $now FROM conversations c, agents a",
        "INSERT INTO messages (conversation_id, number, author, agent_id, author_name, content, created_at) \
         SELECT conversation_id, 1, 'agent', agent_id, 'a', 'hello', $now FROM participants",
        "INSERT INTO api_keys (name, scopes, secret_hash, created_at) VALUES ('k', '[\"read\"]', 'x', $now)",
        "INSERT INTO audit_entries (at, action, resource, resource_id) SELECT $now, 'create', 'provider', id FROM providers",
    ] {
        db.execute_unprepared(&sql.replace("$now", NOW))
            .await
            .expect(sql);
    }
}

/// Counts the rows of every table by reading every column of every entity, so that a column that
/// the schema lacks is an error.
async fn read_rows(db: &DatabaseConnection) -> [usize; 10] {
    async fn count<E: EntityTrait>(db: &DatabaseConnection) -> usize {
        E::find().all(db).await.expect("rows").len()
    }
    [
        count::<provider::Entity>(db).await,
        count::<model::Entity>(db).await,
        count::<agent::Entity>(db).await,
        count::<circle::Entity>(db).await,
        count::<member::Entity>(db).await,
        count::<conversation::Entity>(db).await,
        count::<participant::Entity>(db).await,
        count::<message::Entity>(db).await,
        count::<api_key::Entity>(db).await,
        count::<audit_entry::Entity>(db).await,
    ]
}

#[tokio::test]
async fn the_migrations_go_up_down_and_up_again_with_rows_in_place() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let database = TestDatabase::create_empty(backend).await;
        let db = connect(&database, PoolSize::ONE).await;
        let applied = runner::up(&db, None).await.expect("up");
        assert_eq!(read_rows(&db).await, [0; 10]);
        insert_rows(&db).await;
        assert_eq!(read_rows(&db).await, [1; 10]);
        for name in applied.iter().rev() {
            let undone = runner::down(&db, Some(1)).await.expect("down");
            assert_eq!(undone, std::slice::from_ref(name));
        }
        assert!(runner::down(&db, None).await.expect("down").is_empty());
        assert_eq!(runner::up(&db, None).await.expect("up again"), applied);
        assert_eq!(read_rows(&db).await, [0; 10]);
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

/// What each circle's row says of its active members, and how many there are.
async fn counts(db: &DatabaseConnection) -> Vec<(String, i64, i64)> {
    let sql = "SELECT name, member_count, (SELECT count(*) FROM members \
               WHERE circle_id = circles.id AND members.is_active) FROM circles ORDER BY name";
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let rows = db.query_all_raw(statement).await.expect(sql);
    rows.iter()
        .map(|row| row.try_get_many_by_index().expect("a circle"))
        .collect()
}

#[tokio::test]
async fn the_members_that_there_are_already_are_counted_and_then_those_of_every_writer() {
    const MIGRATION: &str = "m20261124_000005_count_members";
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let database = TestDatabase::create_empty(backend).await;
        let db = connect(&database, PoolSize::ONE).await;
        let earlier = runner::status(&db).await.expect("a status").pending;
        let earlier = earlier.iter().position(|name| name == MIGRATION);
        let earlier = u32::try_from(earlier.expect("it is one of them")).expect("few");
        runner::up(&db, Some(earlier)).await.expect("up");
        insert_rows(&db).await;
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

        let revisions = async || {
            let circles = circle::Entity::find().all(&db).await.expect("circles");
            circles.iter().map(|row| row.revision).sum::<i64>()
        };
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
            let before = revisions().await;
            run(&sql).await;
            assert_eq!(counts(&db).await, is(left.0, left.1), "{sql}");
            assert_eq!(revisions().await - before, shown, "{sql}");
        }
        db.close().await.expect("closed");
        database.remove().await;
    }
}

#[tokio::test]
async fn a_schema_newer_than_the_program_is_refused() {
    on_both_databases(async |database| {
        let db = connect(database, PoolSize::ONE).await;
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
async fn an_old_schema_is_refused_where_migrating_is_off() {
    on_both_databases(async |database| {
        let db = connect(database, PoolSize::ONE).await;
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
async fn the_schema_itself_refuses_what_makes_no_sense() {
    on_both_databases(async |database| {
        let db = connect(database, PoolSize::ONE).await;
        runner::up(&db, None).await.expect("up");
        insert_rows(&db).await;
        for sql in [
            "UPDATE agents SET status = 'asleep'",
            "UPDATE agents SET temperature = 2.5",
            "UPDATE agents SET max_tokens = 0",
            "UPDATE agents SET name = ''",
            "UPDATE agents SET model_id = 99",
            "UPDATE circles SET status = 'flying'",
            "UPDATE circles SET max_members = 0",
            "UPDATE members SET role = 'king'",
            "UPDATE members SET circle_id = 99",
            "UPDATE members SET temperature = 3",
            "UPDATE models SET input_price = -1",
            "UPDATE models SET default_temperature = -1",
            "UPDATE conversations SET status = 'loud'",
            "UPDATE conversations SET turn_strategy = 'loudest'",
            "UPDATE conversations SET max_turns = 0",
            "UPDATE messages SET number = 0",
            "UPDATE messages SET author = 'nobody'",
            "UPDATE api_keys SET name = ''",
            "INSERT INTO messages (conversation_id, number, author, author_name, content, created_at) SELECT conversation_id, number, author, author_name, content, created_at FROM messages",
            "INSERT INTO participants (conversation_id, agent_id, joined_at) SELECT conversation_id, agent_id, joined_at FROM participants",
            "DELETE FROM models",
            "DELETE FROM providers",
            "UPDATE audit_entries SET action = 'none'",
            "DELETE FROM audit_entries",
            "INSERT INTO providers (name, api_type, created_at, updated_at) SELECT 'P', 'x', created_at, updated_at FROM providers",
            "INSERT INTO circles (name, created_at, updated_at) SELECT name, created_at, updated_at FROM circles",
            "INSERT INTO members (circle_id, agent_id, joined_at) SELECT circle_id, agent_id, joined_at FROM members",
        ] {
            assert!(db.execute_unprepared(sql).await.is_err(), "{sql}");
        }
        assert_eq!(read_rows(&db).await, [1; 10]);
        for sql in [
            "UPDATE circles SET is_active = false",
            "INSERT INTO circles (name, created_at, updated_at) SELECT name, created_at, updated_at FROM circles",
            "DELETE FROM circles",
        ] {
            db.execute_unprepared(sql).await.expect(sql);
        }
        assert_eq!(read_rows(&db).await, [1, 1, 1, 0, 0, 1, 1, 1, 1, 1], "members go with their circle, conversations stay");
        db.close().await.expect("closed");
    })
    .await;
}

#[tokio::test]
async fn every_foreign_key_filter_and_sort_has_an_index_behind_it() {
    const POSTGRES: &str = "SELECT indexdef AS sql FROM pg_indexes WHERE schemaname = 'public'";
    const SQLITE: &str = "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL";
    const EVERYWHERE: [&str; 34] = [
        "providers (is_local",
        "models (provider_id",
        "models (mode",
        "models (is_deprecated",
        "agents (model_id",
        "agents (status",
        "circles (status",
        "members (circle_id",
        "members (agent_id",
        "circles (name",
        "conversations (circle_id",
        "conversations (status",
        "participants (agent_id",
        "messages (conversation_id",
        "messages (agent_id",
        "providers (name",
        "providers (created_at",
        "providers (updated_at",
        "models (model_name",
        "models (created_at",
        "models (updated_at",
        "agents (name",
        "agents (created_at",
        "agents (updated_at",
        "circles (created_at",
        "circles (updated_at",
        "conversations (topic",
        "conversations (created_at",
        "conversations (updated_at",
        "audit_entries (at",
        "audit_entries (key_id",
        "audit_entries (action",
        "audit_entries (resource,",
        "audit_entries (resource_id",
    ];
    const POSTGRES_ONLY: [&str; 7] = [
        "agents (skill_names",
        "agents (competencies",
        "providers (lower(",
        "models (lower(",
        "agents (lower(",
        "circles (lower(",
        "conversations (lower(",
    ];
    on_both_databases(async |database| {
        let db = connect(database, PoolSize::ONE).await;
        runner::up(&db, None).await.expect("up");
        let (sql, wanted) = match database.backend {
            Backend::Sqlite => (SQLITE, EVERYWHERE.to_vec()),
            Backend::Postgres => (POSTGRES, [&EVERYWHERE[..], &POSTGRES_ONLY].concat()),
        };
        let statement = Statement::from_string(db.get_database_backend(), sql);
        let rows = db.query_all_raw(statement).await.expect("the indexes");
        let indexes: Vec<String> = rows
            .iter()
            .map(|row| row.try_get::<String>("", "sql").expect("a definition"))
            .map(|sql| {
                sql.replace("USING btree ", "")
                    .replace("USING gin ", "")
                    .replace("public.", "")
            })
            .collect();
        for wanted in wanted {
            assert!(
                indexes.iter().any(|index| index.contains(wanted)),
                "{wanted}: {indexes:#?}"
            );
        }
        db.close().await.expect("closed");
    })
    .await;
}
