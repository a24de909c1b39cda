//! Ten thousand releases of a circle, and as many moves of a label: what reads them reads by index.

use migration::runner;
use reqwest::Method;
use sea_orm::{ConnectionTrait, DatabaseConnection};
use serde_json::json;

use super::indexes::{LOG_STATEMENTS, check_plans, statements_of};
use test_support::{Answer, Backend, binary::Server, connect_to, on_both_databases};

async fn fill(db: &DatabaseConnection, backend: Backend) {
    const NOW: &str = "'2026-01-02T03:04:05+00:00'";
    let document = match backend {
        Backend::Sqlite => "randomblob(100)",
        Backend::Postgres => "decode(repeat('00', 100), 'hex')",
    };
    for sql in [
        "INSERT INTO circles (name, created_at, updated_at, last_release) \
         SELECT 'c' || i, $now, $now, 10000 FROM n WHERE i <= 3",
        "INSERT INTO circle_releases (circle_id, number, digest, created_at, handles, team) \
         SELECT c.id, i, 'd' || i, $now, $document, $document FROM circles c, n",
        "INSERT INTO circle_labels (circle_id, name, release, digest, created_at, updated_at) \
         SELECT c.id, 'l' || i, i, 'd' || i, $now, $now FROM circles c, n WHERE i % 100 = 0 AND i < 10000",
        "INSERT INTO circle_label_moves (circle_id, label, revision, at, to_release) \
         SELECT c.id, 'l100', i, $now, i FROM circles c, n",
    ] {
        let numbers =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)";
        let sql = sql.replace("$now", NOW).replace("$document", document);
        let sql = format!("{numbers} {sql}");
        db.execute_unprepared(&sql).await.expect(&sql);
    }
    db.execute_unprepared("ANALYZE").await.expect("statistics");
}

#[tokio::test]
async fn ten_thousand_releases_are_read_by_index() {
    on_both_databases(async |database| {
        let db = connect_to(&database.url).await;
        runner::up(&db, None).await.expect("up");
        fill(&db, database.backend).await;
        let server = Server::start_ready(&database.url, &LOG_STATEMENTS).await;
        let circle = "/v1/circles/c2";
        for list in ["releases", "labels", "labels/l100/history"] {
            let path = format!("{circle}/{list}?limit=50");
            let page = server.get(&path).await.ok();
            let cursor = page["next_cursor"].as_str().expect("a second page");
            server.get(&format!("{path}&cursor={cursor}")).await.ok();
        }
        let at = format!("{circle}/labels/l100/history?at=1970-01-01T00:00:00.005Z");
        assert_eq!(server.get(&at).await.ok()["data"][0]["to_release"], 5000);
        server.get(&format!("{circle}/labels/l100")).await.ok();
        // Found, though they are no documents.
        for path in [
            "releases/5000",
            "releases/5000/handles",
            "handles?label=l100",
            "releases/5000/diff",
        ] {
            let answer = server.get(&format!("{circle}/{path}")).await;
            assert_eq!(answer.status, 500, "{path}");
        }
        let label = server.url(&format!("{circle}/labels/new"));
        let move_label = server.client().request(Method::PUT, label);
        Answer::to(move_label.json(&json!({"release": 7})))
            .await
            .created();
        let release = server.url(&format!("{circle}/releases"));
        let publish = server.client().post(release).json(&json!({}));
        assert_eq!(Answer::to(publish).await.created()["number"], 10_001);
        let delete = server.url(&format!("{circle}/releases/10001"));
        Answer::to(server.client().delete(delete))
            .await
            .no_content();
        let mut statements = statements_of(server).await;
        let tables = ["circle_releases", "circle_labels", "circle_label_moves"];
        let reads = |sql: &String| tables.iter().any(|table| sql.contains(table));
        statements.retain(|sql| reads(sql) && !sql.starts_with("INSERT"));
        assert!(statements.len() >= 14, "{statements:#?}");
        check_plans(&db, &statements).await;
        db.close().await.expect("closed");
    })
    .await;
}
