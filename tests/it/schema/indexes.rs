//! Indexes: all that are needed exist, and the statements of the hot path use them. Those statements
//! come from the log of a server.

use std::collections::BTreeSet;

use migration::runner;
use reqwest::Method;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::{Value, json};

use test_support::{
    Answer, Backend, TestDatabase, binary::Server, connect_to, on_both_databases, texts_of,
};

#[tokio::test]
async fn every_foreign_key_filter_and_sort_has_an_index_behind_it() {
    const POSTGRES: &str = "SELECT indexdef AS sql FROM pg_indexes WHERE schemaname = 'public'";
    const SQLITE: &str = "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL";
    const EVERYWHERE: [&str; 47] = [
        "providers (is_local",
        "models (provider_id",
        "models (mode",
        "models (is_deprecated",
        "agents (model_id",
        "agents (status",
        "agents (external_id",
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
        "mcp_servers (name",
        "mcp_servers (created_at",
        "mcp_servers (updated_at",
        "agent_mcp_servers (mcp_server_id",
        "agent_fallback_models (model_id",
        "circle_releases (digest, circle_id",
        "circle_labels (circle_name, name",
        "circle_labels (circle_id, name",
        "circle_labels (circle_id, id",
        "circle_labels (circle_id, release",
        "webhook_attempts (webhook_id, id",
        "audit_entries (at",
        "audit_entries (key_id",
        "audit_entries (action",
        "audit_entries (resource,",
        "audit_entries (resource_id",
        "audit_entries (name",
    ];
    const POSTGRES_ONLY: [&str; 9] = [
        "audit_entries (transaction_id, id)",
        "agents (skill_names",
        "agents (competencies",
        "providers (lower(",
        "models (lower(",
        "mcp_servers (lower(",
        "agents (lower(",
        "circles (lower(",
        "conversations (lower(",
    ];
    on_both_databases(async |database| {
        let db = connect_to(&database.url).await;
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

/// Sixty circles of twenty members of two thousand agents, two of which have ten thousand versions, on six hundred models: every list has a second
/// page, and no table is so small that a sequential scan would be the right plan.
pub(super) async fn fill(db: &DatabaseConnection) {
    const NOW: &str = "'2026-01-02T03:04:05+00:00'";
    for sql in [
        "INSERT INTO providers (name, api_type, created_at, updated_at) \
         SELECT 'p' || i, 'x', $now, $now FROM n WHERE i <= 60",
        "INSERT INTO models (provider_id, model_name, created_at, updated_at) \
         SELECT p.id, 'm' || n.i, $now, $now FROM providers p, n WHERE n.i <= 10",
        "INSERT INTO agents (name, model_id, created_at, updated_at) \
         SELECT 'a' || i, 1 + i % 600, $now, $now FROM n",
        "INSERT INTO circles (name, created_at, updated_at) SELECT 'c' || i, $now, $now FROM n WHERE i <= 60",
        "INSERT INTO members (circle_id, agent_id, joined_at) SELECT c.id, a.id, $now \
         FROM circles c, agents a WHERE (a.id + c.id) % 100 = 0",
        "INSERT INTO agent_versions (agent_id, number, definition, digest, created_at) \
         SELECT a.id, 5 * i + k, '{}', 'x', $now FROM agents a, n, (SELECT 1 AS k UNION SELECT 2 UNION SELECT 3 \
         UNION SELECT 4 UNION SELECT 5) AS five WHERE a.id <= 2",
    ] {
        let numbers =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)";
        let sql = format!("{numbers} {}", sql.replace("$now", NOW));
        db.execute_unprepared(&sql).await.expect(&sql);
    }
    db.execute_unprepared("ANALYZE").await.expect("statistics");
}

/// Arguments of a server that logs each statement.
pub(super) const LOG_STATEMENTS: [&str; 6] = [
    "--log",
    "circle_registry::database=trace",
    "--log-format",
    "json",
    "--shutdown-delay",
    "0s",
];

/// Sends every frequent kind of request, and returns the statements that the server ran.
async fn statements_of_the_hot_path(database: &TestDatabase) -> BTreeSet<String> {
    let server = Server::start_ready(&database.url, &LOG_STATEMENTS).await;
    let second_page = async |path: &str| {
        let page = server.get(path).await.ok();
        let cursor = page["next_cursor"].as_str().expect("a second page");
        server.get(&format!("{path}&cursor={cursor}")).await.ok();
    };
    server.get("/v1/circles/c1").await.ok();
    server.get("/v1/circles/c1").await.ok();
    server.get("/v1/circles/c1/handles").await.ok();
    server.get("/v1/agents/1/handle").await.ok();
    server.get("/v1/agents/1/versions/5000").await.ok();
    server.get("/v1/agents/1/versions/5000/diff").await.ok();
    second_page("/v1/agents/1/versions?limit=50").await;
    second_page("/v1/circles?limit=50").await;
    second_page("/v1/circles?limit=50&include=members").await;
    second_page("/v1/circles?limit=50&sort=-updated_at").await;
    second_page("/v1/circles?limit=50&sort=updated_at&include_deleted=true").await;
    second_page(
        "/v1/agents?limit=50&sort=updated_at&include_deleted=true&updated_since=2020-01-01T00:00:00Z",
    )
    .await;
    second_page("/v1/models?limit=50").await;
    second_page("/v1/agents?limit=50&include=model").await;
    let url = server.url("/v1/circles/c1/members");
    let add = |agent: i64| {
        let body = json!({"agent_id": agent});
        server.client().request(Method::POST, &url).json(&body)
    };
    Answer::to(add(1)).await.created();
    Answer::to(add(2).header("Idempotency-Key", "k"))
        .await
        .created();
    statements_of(server).await
}

/// Stops the server, and returns the statements that it ran.
pub(super) async fn statements_of(server: Server) -> BTreeSet<String> {
    server.signal("-TERM");
    let (code, log) = server.end().await;
    assert_eq!(code, Some(0), "{log}");
    log.lines()
        .filter_map(|line| {
            serde_json::from_str::<Value>(line).ok()?["sql"]
                .as_str()
                .map(str::to_owned)
        })
        .filter(|sql| {
            !sql.contains("seaql_migrations")
                && !sql.contains("sqlite_master")
                && !sql.contains("pg_")
        })
        .collect()
}

/// The sequential scans in PostgreSQL's plan, although they are off unless there is no other way. The
/// first page of a list begins at the end of an index.
async fn whole_reads_on_postgres(db: &DatabaseConnection, sql: &str) -> Vec<String> {
    fn collect(node: &Value, limited: bool, found: &mut Vec<String>) {
        let kind = node["Node Type"].as_str().unwrap_or_default();
        let is_read = kind.ends_with("Scan") && node["Relation Name"].is_string();
        let is_bounded = !node["Index Cond"].is_null() || kind == "Bitmap Heap Scan";
        if is_read && !is_bounded && (kind == "Seq Scan" || !limited) {
            found.push(format!("{kind} of {}", node["Relation Name"]));
        }
        for inner in node["Plans"].as_array().into_iter().flatten() {
            collect(inner, limited || kind == "Limit", found);
        }
    }
    let places = (1..100)
        .take_while(|number| sql.contains(&format!("${number}")))
        .count();
    let values = vec!["NULL"; places].join(", ");
    let values = if places == 0 {
        values
    } else {
        format!("({values})")
    };
    db.execute_unprepared(&format!("PREPARE explained AS {sql}"))
        .await
        .expect(sql);
    let explain = format!("EXPLAIN (FORMAT JSON) EXECUTE explained{values}");
    let rows = query(db, &explain).await;
    let plan: Value = rows[0].try_get_by_index(0).expect("a plan");
    db.execute_unprepared("DEALLOCATE explained")
        .await
        .expect("it is there");
    let mut found = Vec::new();
    collect(&plan[0]["Plan"], false, &mut found);
    found
}

/// The same on SQLite, which reads the pages of a list in the order of ids from the table itself.
async fn whole_reads_on_sqlite(db: &DatabaseConnection, sql: &str) -> Vec<String> {
    let rows = query(db, &format!("EXPLAIN QUERY PLAN {sql}")).await;
    let steps = rows
        .iter()
        .map(|row| row.try_get_by_index::<String>(3).expect("a step"));
    steps
        .filter(|step| {
            let whole = step.starts_with("SCAN ") && !step.contains("json_each");
            let in_order = sql.contains("LIMIT");
            (whole && !in_order) || step.contains("TEMP B-TREE")
        })
        .collect()
}

pub(super) async fn query(db: &DatabaseConnection, sql: &str) -> Vec<sea_orm::QueryResult> {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    db.query_all_raw(statement).await.expect(sql)
}

/// Fails if a statement reads a whole table.
pub(super) async fn check_plans(db: &DatabaseConnection, statements: &BTreeSet<String>) {
    let is_postgres = db.get_database_backend() == sea_orm::DbBackend::Postgres;
    if is_postgres {
        // PostgreSQL prefers to scan so few rows, so scans are off; plans must fit any parameter.
        for setting in [
            "enable_seqscan = off",
            "enable_hashjoin = off",
            "enable_mergejoin = off",
            "plan_cache_mode = force_generic_plan",
        ] {
            db.execute_unprepared(&format!("SET {setting}"))
                .await
                .expect(setting);
        }
    }
    // All webhooks are looked at together, and there are 200 at most.
    let of_webhooks = |sql: &&String| sql.contains("FROM webhooks w JOIN webhook_deliveries d");
    for sql in statements.iter().filter(|sql| !of_webhooks(sql)) {
        let found = if is_postgres {
            whole_reads_on_postgres(db, sql).await
        } else {
            whole_reads_on_sqlite(db, sql).await
        };
        assert_eq!(found, [""; 0], "{sql}");
    }
}

#[tokio::test]
async fn no_session_plans_merge_joins() {
    let database = TestDatabase::create(Backend::Postgres).await;
    let set = texts_of(&database.url, "SHOW enable_mergejoin").await;
    assert_eq!(set, ["off"]);
    database.remove().await;
}

#[tokio::test]
async fn every_statement_of_the_hot_path_uses_an_index() {
    on_both_databases(async |database| {
        let db = connect_to(&database.url).await;
        runner::up(&db, None).await.expect("up");
        fill(&db).await;
        let statements = statements_of_the_hot_path(database).await;
        for part in [
            r#"FROM "circles" INNER JOIN "members""#,
            "revision",
            "FOR UPDATE",
            "json_each",
            "INSERT INTO",
        ] {
            let only_on = match part {
                "FOR UPDATE" => Some(Backend::Postgres),
                "json_each" => Some(Backend::Sqlite),
                _ => None,
            };
            let expected = only_on.is_none_or(|backend| backend == database.backend);
            assert_eq!(
                statements.iter().any(|sql| sql.contains(part)),
                expected,
                "{part}: {statements:#?}"
            );
        }
        check_plans(&db, &statements).await;
        db.close().await.expect("closed");
    })
    .await;
}
