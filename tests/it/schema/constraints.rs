//! What the schema itself refuses.

use migration::runner;
use sea_orm::ConnectionTrait;
use serde_json::json;

use super::{insert_rows, read_rows};
use test_support::{Backend, connect_to, on_both, on_both_databases};

#[tokio::test]
async fn the_schema_itself_refuses_what_makes_no_sense() {
    on_both_databases(async |database| {
        let db = connect_to(&database.url).await;
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
            "UPDATE mcp_servers SET name = ''",
            "UPDATE mcp_servers SET transport = 'pigeon'",
            "DELETE FROM mcp_servers",
            "INSERT INTO mcp_servers (name, url, created_at, updated_at) SELECT name, url, created_at, updated_at FROM mcp_servers",
            "UPDATE agent_mcp_servers SET mcp_server_id = 99",
            "DELETE FROM circle_releases",
            "UPDATE circle_labels SET release = 2",
            "INSERT INTO circle_releases SELECT circle_id, 2, digest, message, created_at, key_id, handles, team FROM circle_releases",
            "UPDATE agent_fallback_models SET model_id = 99",
            "UPDATE audit_entries SET action = 'none'",
            "UPDATE agent_versions SET definition = '[]'",
            "INSERT INTO agent_versions (agent_id, number, definition, digest, created_at) SELECT agent_id, number, '{}', 'x', created_at FROM agent_versions",
            "INSERT INTO agent_versions (agent_id, number, definition, digest, created_at) SELECT agent_id, 0, '{}', 'x', created_at FROM agent_versions",
            "DELETE FROM audit_entries",
            "UPDATE webhooks SET name = ''",
            "UPDATE webhooks SET pause_reason = 'tired'",
            "UPDATE webhook_deliveries SET failures = -1",
            "UPDATE webhook_attempts SET webhook_id = 99",
            "INSERT INTO providers (name, api_type, created_at, updated_at) SELECT 'P', 'x', created_at, updated_at FROM providers",
            "INSERT INTO circles (name, created_at, updated_at) SELECT name, created_at, updated_at FROM circles",
            "INSERT INTO members (circle_id, agent_id, joined_at) SELECT circle_id, agent_id, joined_at FROM members",
        ] {
            assert!(db.execute_unprepared(sql).await.is_err(), "{sql}");
        }
        assert_eq!(read_rows(&db).await, [1; 21]);
        for sql in [
            "UPDATE circles SET is_active = false",
            "INSERT INTO circles (name, created_at, updated_at) SELECT name, created_at, updated_at FROM circles",
            "DELETE FROM circles",
        ] {
            db.execute_unprepared(sql).await.expect(sql);
        }
        assert_eq!(read_rows(&db).await, [1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1], "members and releases go with their circle, conversations stay");
        db.close().await.expect("closed");
    })
    .await;
}

#[tokio::test]
async fn an_id_that_the_database_gives_out_twice_is_its_own_fault_and_no_name_that_is_taken() {
    on_both(async |app| {
        for path in ["/v1/providers", "/v1/circles"] {
            let body = |name: &str| match path {
                "/v1/circles" => json!({"name": name}),
                _ => json!({"name": name, "api_type": "openai"}),
            };
            app.post(path, &body("first")).await.created();
            let table = path.trim_start_matches("/v1/");
            let rewind = match app.backend {
                // It takes the higher of the sequence and the largest id.
                Backend::Sqlite => {
                    format!("UPDATE sqlite_sequence SET seq = 0 WHERE name = '{table}'")
                }
                Backend::Postgres => {
                    format!("SELECT setval(pg_get_serial_sequence('{table}', 'id'), 1, false)")
                }
            };
            app.database
                .connection()
                .execute_unprepared(&rewind)
                .await
                .expect(&rewind);
            let answer = app.post(path, &body("second")).await;
            match app.backend {
                Backend::Sqlite => _ = answer.created(),
                Backend::Postgres => _ = answer.problem(500, "internal"),
            }
            // The failed attempt has moved the sequence on.
            app.post(path, &body("third")).await.created();
            assert_eq!(app.post(path, &body("third")).await.status, 409);
        }
    })
    .await;
}
