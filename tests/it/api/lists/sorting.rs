//! Sorting, and paging in the order of a sort.

use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use super::LISTS;
use test_support::{
    TestApp,
    factories::{id, timestamp},
    on_both,
};

/// Creates seven rows in each of the lists, in a different order for each sort. Some names (where they
/// need not be unique) and some timestamps are equal.
async fn seven_in_each(app: &TestApp) {
    const UNIQUE: [&str; 7] = ["b", "C", "a", "Z9", "z", "0", "b-1"];
    const OTHERS: [&str; 7] = ["b", "B", "Zoë 🦀", "a", "b", "Zoë", "a"];
    const MOMENTS: [&str; 4] = ["05.500", "05", "05.500001", "04.999999"];
    for (unique, other) in UNIQUE.into_iter().zip(OTHERS) {
        let provider = app.a_provider(unique).await;
        app.a_model(provider, other).await;
        app.an_agent(other).await;
        app.a_circle(unique).await;
        let body = json!({"topic": other});
        app.post("/v1/conversations", &body).await.created();
    }
    for (list, _) in LISTS {
        let table = list.trim_start_matches("/v1/");
        for row in 1..=7 {
            let (created, updated) = (MOMENTS[row % 3], MOMENTS[row / 2]);
            let sql = format!(
                "UPDATE {table} SET created_at = '2026-01-02T03:04:{created}+00:00', \
                 updated_at = '2026-01-02T03:04:{updated}+00:00' WHERE id = {row}"
            );
            let db = app.database.connection();
            db.execute_unprepared(&sql).await.expect(&sql);
        }
    }
}

/// A sort, and the field it sorts by.
fn sorts(name: &'static str) -> [(&'static str, &'static str); 4] {
    [
        ("id", "id"),
        ("name", name),
        ("created_at", "created_at"),
        ("updated_at", "updated_at"),
    ]
}

/// The rows in the order of one of their fields, then of their ids.
fn sorted(mut rows: Vec<Value>, field: &str, down: bool) -> Vec<Value> {
    rows.sort_by_cached_key(|row| {
        let value = &row[field];
        let time = field.ends_with("_at").then(|| timestamp(value));
        let text = value.as_str().filter(|_| time.is_none());
        (time, text.map(ToOwned::to_owned), id(row))
    });
    if down {
        rows.reverse();
    }
    rows
}

/// The rows of all pages. Each page takes one statement.
async fn walk(app: &TestApp, path: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut cursor = String::new();
    loop {
        let (answer, statements) = app.statements(app.get(&format!("{path}{cursor}"))).await;
        assert_eq!(statements, 1, "{path}{cursor}");
        let page = answer.ok();
        rows.extend(page["data"].as_array().expect("a page").iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return rows,
        }
    }
}

#[tokio::test]
async fn every_sort_of_every_list_pages_each_row_once_and_in_order() {
    on_both(async |app| {
        seven_in_each(app).await;
        for (list, name) in LISTS {
            let all = app.get(list).await.ok();
            let all = all["data"].as_array().expect("a page");
            for (sort, field) in sorts(name) {
                for (sign, down) in [("", false), ("-", true)] {
                    let expected = sorted(all.clone(), field, down);
                    for limit in [1, 2, 3, 6, 7, 8] {
                        let path = format!("{list}?sort={sign}{sort}&limit={limit}");
                        assert_eq!(walk(app, &path).await, expected, "{path}");
                    }
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn names_are_sorted_by_their_characters_and_not_by_a_locale() {
    on_both(async |app| {
        seven_in_each(app).await;
        let names = app.listed("/v1/agents?sort=name", "name").await;
        assert_eq!(names, ["B", "Zoë", "Zoë 🦀", "a", "a", "b", "b"]);
        let names = app.listed("/v1/providers?sort=-name", "name").await;
        assert_eq!(names, ["z", "b-1", "b", "a", "Z9", "C", "0"]);
    })
    .await;
}

#[tokio::test]
async fn filters_includes_and_totals_hold_on_every_page_of_a_sorted_list() {
    on_both(async |app| {
        seven_in_each(app).await;
        let path = "/v1/agents?sort=-name&q=zo&limit=1&count=true&include=model";
        let first = app.get(path).await.ok();
        assert_eq!(
            (&first["total"], &first["data"][0]["name"]),
            (&2.into(), &"Zoë 🦀".into())
        );
        let cursor = first["next_cursor"].as_str().expect("a cursor");
        let path = format!("{path}&cursor={cursor}");
        let (answer, statements) = app.statements(app.get(&path)).await;
        let second = answer.ok();
        assert_eq!(statements, 2);
        assert_eq!(
            (&second["total"], &second["data"][0]["name"]),
            (&2.into(), &"Zoë".into())
        );
        assert_eq!(second["next_cursor"], Value::Null);

        let path = "/v1/circles?include=members&sort=-created_at&limit=2";
        assert_eq!(app.get(path).await.ok()["data"][1]["members"], json!([]));
        let path = "/v1/conversations?include=last_message,participants&sort=-name&limit=1";
        let first = app.get(path).await.ok();
        let cursor = first["next_cursor"].as_str().expect("a cursor");
        let topics = app
            .listed(&format!("{path}&cursor={cursor}"), "topic")
            .await;
        assert_eq!(topics, ["b"]);
    })
    .await;
}

#[tokio::test]
async fn a_cursor_goes_with_the_sort_it_was_given_out_for() {
    on_both(async |app| {
        seven_in_each(app).await;
        let all = sorts("name").map(|(sort, _)| [sort.to_owned(), format!("-{sort}")]);
        let all = all.as_flattened();
        for (list, _) in LISTS {
            for given in all {
                let first = app.get(&format!("{list}?sort={given}&limit=1")).await.ok();
                let cursor = first["next_cursor"].as_str().expect("a cursor");
                for sort in all.iter().filter(|sort| *sort != given) {
                    let path = format!("{list}?sort={sort}&cursor={cursor}");
                    app.get(&path).await.invalid(&["query/cursor"]);
                }
                let unsorted = app.get(&format!("{list}?cursor={cursor}")).await;
                if given == "id" {
                    unsorted.ok();
                } else {
                    unsorted.invalid(&["query/cursor"]);
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_sorts_are_a_closed_list() {
    on_both(async |app| {
        for (list, _) in LISTS {
            for sort in ["", "-", "status", "+name", "NAME", "name,id", "topic"] {
                let answer = app.get(&format!("{list}?sort={sort}")).await;
                answer.invalid(&["query/sort"]);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_longest_name_fits_into_a_cursor() {
    on_both(async |app| {
        for last in ["a", "b"] {
            let body = json!({"topic": format!("{}{last}", "🦀".repeat(499))});
            app.post("/v1/conversations", &body).await.created();
        }
        let path = "/v1/conversations?sort=name&limit=1";
        assert_eq!(walk(app, path).await.len(), 2);
    })
    .await;
}
