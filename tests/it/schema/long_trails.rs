//! The indexes that long audit trails and feeds are read by.

use std::collections::BTreeSet;

use migration::runner;
use sea_orm::{ConnectionTrait, DatabaseConnection};
use serde_json::{Value, json};

use test_support::{Backend, binary::Server, connect_to, on_both_databases};

use super::indexes::{LOG_STATEMENTS, query};

/// The plan of an audit list by time. Every read of the table must begin at a time or an id, in an index that
/// has the list's order.
async fn plan(db: &DatabaseConnection, sql: &str) -> String {
    if db.get_database_backend() == sea_orm::DbBackend::Sqlite {
        let rows = query(db, &format!("EXPLAIN QUERY PLAN {sql}")).await;
        let steps = rows
            .iter()
            .map(|row| row.try_get_by_index::<String>(3).expect("a step"));
        return steps.collect::<Vec<_>>().join("\n");
    }
    let rows = query(db, &format!("EXPLAIN {sql}")).await;
    let lines = rows
        .iter()
        .map(|row| row.try_get_by_index::<String>(0).expect("a line"));
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn audit_entries_of_long_ago_and_of_a_name_are_found_at_once() {
    const EARLY: &str = "2020-01-01T01:00:00%2B00:00";
    on_both_databases(async |database| {
        let db = connect_to(&database.url).await;
        runner::up(&db, None).await.expect("up");
        // One entry a second from 2020 on, and their ids the other way round within each pair.
        let at = match database.backend {
            Backend::Sqlite => {
                "strftime('%Y-%m-%dT%H:%M:%S.000000+00:00', 1577836800 + i, 'unixepoch')"
            }
            Backend::Postgres => "to_timestamp(1577836800 + i)",
        };
        let fill = |first: u32, last: u32| {
            format!(
            "WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last}) \
             INSERT INTO audit_entries (id, at, action, resource, resource_id, name) \
             SELECT i + 2 * (i % 2) - 1, {at}, 'create', 'circle', i, 'c' || (i % 100000) FROM n"
            )
        };
        // In parts, each within the statement timeout of a busy machine.
        for part in 0..10 {
            let fill = fill(30_000 * part + 1, 30_000 * (part + 1));
            db.execute_unprepared(&fill).await.expect("entries");
        }
        db.execute_unprepared("ANALYZE").await.expect("statistics");
        let server = Server::start_ready(&database.url, &LOG_STATEMENTS).await;
        for (filter, expected) in [
            (format!("until={EARLY}"), [3599, 3598, 3597, 3596]),
            (format!("until={EARLY}&order=asc"), [1, 2, 3, 4]),
            (format!("since={EARLY}&order=asc"), [3600, 3601, 3602, 3603]),
            (
                format!("since={EARLY}"),
                [300_000, 299_999, 299_998, 299_997],
            ),
        ] {
            let mut found = Vec::new();
            let mut path = format!("/v1/audit?limit=2&{filter}");
            for _ in 0..2 {
                let page = server.get(&path).await.ok();
                let entries = page["data"].as_array().expect("entries");
                found.extend(entries.iter().map(|entry| entry["resource_id"].as_i64()));
                let cursor = page["next_cursor"].as_str().expect("a next page");
                path = format!("/v1/audit?limit=2&{filter}&cursor={cursor}");
            }
            assert_eq!(found, expected.map(Some), "{filter}");
        }
        for order in ["asc", "desc"] {
            let page = server
                .get(&format!("/v1/audit?name=c7&order={order}"))
                .await;
            assert_eq!(page.ok()["data"].as_array().map(Vec::len), Some(3));
        }
        server.signal("-TERM");
        let (_, log) = server.end().await;
        let (of_name, statements): (BTreeSet<String>, BTreeSet<String>) = log
            .lines()
            .filter_map(|line| {
                Some(
                    serde_json::from_str::<Value>(line).ok()?["sql"]
                        .as_str()?
                        .to_owned(),
                )
            })
            .filter(|sql| sql.contains("audit_entries") && sql.contains("LIMIT"))
            .filter(|sql| !sql.contains("change_feed"))
            .partition(|sql| sql.contains(r#""name" = "#));
        assert_eq!(of_name.len(), 2, "{of_name:#?}");
        for sql in of_name {
            let sql = ["$1", "?"].iter().fold(sql, |sql, parameter| {
                sql.replacen(&format!("= {parameter}"), "= 'c7'", 1)
            });
            let plan = plan(&db, &sql.replace("$2", "50").replace('?', "50")).await;
            assert!(plan.contains("audit_entries_name"), "{sql}\n{plan}");
            for slow in ["Seq Scan", "TEMP B-TREE"] {
                assert!(!plan.contains(slow), "{sql}\n{plan}");
            }
        }
        assert_eq!(statements.len(), 8, "{statements:#?}");
        for sql in statements {
            let time = match database.backend {
                Backend::Sqlite => "'2020-01-01T01:00:00.000000+00:00'",
                Backend::Postgres => "'2020-01-01T01:00:00+00:00'::timestamptz",
            };
            // The parameters are times, except for the id of a cursor.
            let sql = (1..=4).rev().fold(sql, |sql, number| {
                sql.replace(&format!("\"id\" = ${number}"), "\"id\" = 7")
                    .replace(&format!(", ${number}) ORDER"), ", 7) ORDER")
                    .replace(&format!("${number}"), time)
            });
            let sql = sql
                .replace("= ?", "= 7")
                .replace(", ?) ", ", 7) ")
                .replace('?', time);
            let plan = plan(&db, &sql).await;
            assert!(plan.contains("audit_entries_at"), "{sql}\n{plan}");
            for slow in ["Sort", "Seq Scan", "Filter", "TEMP B-TREE"] {
                assert!(!plan.contains(slow), "{sql}\n{plan}");
            }
        }
        db.close().await.expect("closed");
    })
    .await;
}

#[tokio::test]
async fn the_feed_of_changes_is_read_in_the_order_of_its_index_whatever_is_asked_for() {
    on_both_databases(async |database| {
        let db = connect_to(&database.url).await;
        runner::up(&db, None).await.expect("up");
        let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000) \
             INSERT INTO audit_entries (at, action, resource, circle_id) \
             SELECT '2026-01-02T03:04:05.000000+00:00', 'update', 'circle', i FROM n";
        db.execute_unprepared(fill).await.expect("entries");
        db.execute_unprepared("ANALYZE").await.expect("statistics");
        let server = Server::start_ready(&database.url, &LOG_STATEMENTS).await;
        let mut cursor = "latest".to_owned();
        for filter in ["", "&resource=circle", "&circle_id=7"] {
            server.get(&format!("/v1/changes?after={cursor}{filter}")).await.ok();
            // Another transaction on the server may hold back the entries for a moment.
            loop {
                let page = server.get(&format!("/v1/changes?limit=2{filter}")).await.ok();
                page["next_cursor"].as_str().expect("a cursor").clone_into(&mut cursor);
                if page["data"] != json!([]) {
                    break;
                }
            }
        }
        server.signal("-TERM");
        let (_, log) = server.end().await;
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let statements: BTreeSet<String> = lines
            .filter_map(|line| line["sql"].as_str().map(str::to_owned))
            .filter(|sql| sql.contains("change_feed") || sql.contains("AS entries"))
            .collect();
        // The first look, those for two and for many entries, and the reads.
        assert!(statements.len() >= 6, "{statements:#?}");
        if database.backend == Backend::Postgres {
            // As above: so few rows are scanned otherwise.
            let settings = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off";
            db.execute_unprepared(settings).await.expect(settings);
        }
        for sql in statements {
            let (prepared, wanted) = match database.backend {
                Backend::Sqlite => (sql.clone(), "SEARCH audit_entries USING INTEGER PRIMARY KEY"),
                Backend::Postgres => {
                    let places = (1..20).take_while(|place| sql.contains(&format!("${place}")));
                    let values = places.map(|_| "NULL").collect::<Vec<_>>().join(", ");
                    db.execute_unprepared(&format!("PREPARE explained AS {sql}"))
                        .await
                        .expect(&sql);
                    let values = format!("({values})").replace("()", "");
                    (format!("EXECUTE explained{values}"), "audit_entries_transaction")
                }
            };
            let plan = plan(&db, &prepared).await;
            assert!(plan.contains(wanted), "{sql}\n{plan}");
            for slow in ["Seq Scan on audit_entries", "SCAN audit_entries", "audit_entries_resource"] {
                assert!(!plan.contains(slow), "{sql}\n{plan}");
            }
            if database.backend == Backend::Postgres {
                db.execute_unprepared("DEALLOCATE explained").await.expect("it is there");
            }
        }
        db.close().await.expect("closed");
    })
    .await;
}
