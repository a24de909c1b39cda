//! Pages, which work the same way in every list.

use serde_json::Value;

use test_support::{TestApp, on_both};

/// A list, and the place of the id in its rows.
struct List {
    path: String,
    id: &'static str,
}

/// Every list, with five rows in each.
async fn five_in_each(app: &TestApp) -> Vec<List> {
    let mut agents = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        let provider = app.a_provider(name).await;
        app.a_model(provider, name).await;
        agents.push(app.an_agent(name).await);
        app.a_circle(name).await;
        app.a_member(name, agents[0]).await;
    }
    for agent in &agents[1..] {
        app.a_member("a", *agent).await;
    }
    let list = |path: &str| List {
        path: path.to_owned(),
        id: "/id",
    };
    vec![
        list("/v1/providers?"),
        list("/v1/models?"),
        list("/v1/agents?"),
        list("/v1/circles?"),
        list("/v1/circles?include=members&"),
        list("/v1/circles/a/members?"),
        List {
            path: format!("/v1/agents/{}/circles?", agents[0]),
            id: "/membership/id",
        },
    ]
}

impl List {
    fn ids(&self, page: &Value) -> Vec<i64> {
        let rows = page["data"].as_array().expect("a page");
        let ids = rows.iter().map(|row| row.pointer(self.id));
        ids.map(|id| id.and_then(Value::as_i64).expect("an id"))
            .collect()
    }

    async fn page(&self, app: &TestApp, limit: usize, cursor: Option<&str>) -> Value {
        let cursor = cursor.map_or(String::new(), |cursor| format!("&cursor={cursor}"));
        let path = format!("{}limit={limit}{cursor}", self.path);
        app.get(&path).await.ok()
    }

    /// The ids of each page after `cursor`.
    async fn walk(&self, app: &TestApp, limit: usize, cursor: Option<&str>) -> Vec<Vec<i64>> {
        let mut pages = Vec::new();
        let mut cursor = cursor.map(ToOwned::to_owned);
        loop {
            let page = self.page(app, limit, cursor.as_deref()).await;
            pages.push(self.ids(&page));
            cursor = page["next_cursor"].as_str().map(ToOwned::to_owned);
            if cursor.is_none() {
                assert_eq!(page["next_cursor"], Value::Null);
                return pages;
            }
        }
    }
}

#[tokio::test]
async fn the_pages_of_every_list_hold_each_row_once_in_the_order_of_ids() {
    on_both(async |app| {
        for list in five_in_each(app).await {
            let all = list.ids(&app.get(list.path.trim_end_matches(['?', '&'])).await.ok());
            assert_eq!(all.len(), 5, "{}", list.path);
            assert!(all.is_sorted_by(|one, next| one < next), "{all:?}");
            for limit in [1, 2, 4, 5, 6, 200] {
                let expected: Vec<_> = all.chunks(limit).map(<[i64]>::to_vec).collect();
                let walked = list.walk(app, limit, None).await;
                assert_eq!(walked, expected, "{}limit={limit}", list.path);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_total_is_of_the_whole_list_on_every_page() {
    on_both(async |app| {
        for list in five_in_each(app).await {
            let path = format!("{}limit=2", list.path);
            let first = app.get(&format!("{path}&count=true")).await.ok();
            assert_eq!(first["total"], 5, "{path}");
            let cursor = first["next_cursor"].as_str().expect("a cursor");
            let second = format!("{path}&cursor={cursor}");
            let counted = app.get(&format!("{second}&count=true")).await.ok();
            assert_eq!(counted["total"], 5, "{second}");
            for count in ["", "&count=false"] {
                let page = app.get(&format!("{second}{count}")).await.ok();
                assert_eq!(page.get("total"), None, "{second}{count}");
            }
        }
        let filtered = app.get("/v1/agents?q=b&count=true").await.ok();
        assert_eq!(filtered["total"], 1);
    })
    .await;
}

#[tokio::test]
async fn an_empty_list_is_one_empty_page() {
    on_both(async |app| {
        for path in ["/v1/providers", "/v1/models", "/v1/agents", "/v1/circles"] {
            let page = app.get(&format!("{path}?count=true")).await.ok();
            let expected = serde_json::json!({"data": [], "next_cursor": null, "total": 0});
            assert_eq!(page, expected, "{path}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_page_has_fifty_rows_where_nobody_says() {
    on_both(async |app| {
        for number in 0..51 {
            app.an_agent(&format!("agent {number}")).await;
        }
        let page = app.get("/v1/agents").await.ok();
        assert_eq!(page["data"].as_array().map(Vec::len), Some(50));
        assert!(page["next_cursor"].is_string());
    })
    .await;
}

#[tokio::test]
async fn a_limit_is_from_1_to_200() {
    on_both(async |app| {
        for list in five_in_each(app).await {
            for limit in ["0", "201", "-1", "1.5", "x", "", "9223372036854775808"] {
                let path = format!("{}limit={limit}", list.path);
                app.get(&path).await.invalid(&["query/limit"]);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_cursor_that_no_list_gave_out_is_refused() {
    on_both(async |app| {
        let too_long = "A".repeat(65);
        for list in five_in_each(app).await {
            for cursor in ["", "17", "!!!", "AgAAAAAAAAAB", "AQAAAAAAAAAB=", &too_long] {
                let path = format!("{}cursor={cursor}", list.path);
                app.get(&path).await.invalid(&["query/cursor"]);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn rows_that_come_while_paging_neither_repeat_nor_hide_others() {
    on_both(async |app| {
        for (number, list) in five_in_each(app).await.into_iter().enumerate() {
            let before = list.walk(app, 200, None).await.concat();
            let first = list.page(app, 2, None).await;
            let name = format!("new-{number}");
            let provider = app.a_provider(&name).await;
            app.a_model(provider, &name).await;
            app.a_circle(&name).await;
            app.a_member("a", app.an_agent(&name).await).await;
            let owner = app.listed("/v1/agents?limit=1", "id").await;
            app.a_member(&name, owner[0].as_i64().expect("an id")).await;

            let rest = list.walk(app, 2, first["next_cursor"].as_str()).await;
            let walked = [list.ids(&first), rest.concat()].concat();
            assert_eq!(walked[..before.len()], before, "{}", list.path);
            assert_eq!(walked.len(), before.len() + 1, "{}", list.path);
        }
    })
    .await;
}

#[tokio::test]
async fn paging_goes_on_where_the_row_of_the_cursor_was_deleted() {
    on_both(async |app| {
        let list = &five_in_each(app).await[2];
        let all = list.walk(app, 200, None).await.concat();
        let first = list.page(app, 2, None).await;
        app.delete(&format!("/v1/agents/{}", all[1]))
            .await
            .no_content();
        let rest = list.walk(app, 2, first["next_cursor"].as_str()).await;
        assert_eq!(rest.concat(), all[2..]);
    })
    .await;
}

#[tokio::test]
async fn a_filter_holds_on_every_page() {
    on_both(async |app| {
        for number in 0..6 {
            app.an_agent(["odd", "even"][number % 2]).await;
        }
        let list = List {
            path: "/v1/agents?q=odd&".to_owned(),
            id: "/id",
        };
        let found = list.walk(app, 2, None).await;
        let sizes: Vec<usize> = found.iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 1]);
        let odd = app.listed("/v1/agents?q=odd", "id").await;
        assert_eq!(found.concat(), odd);
    })
    .await;
}

#[tokio::test]
async fn a_page_takes_as_many_statements_whatever_its_size() {
    on_both(async |app| {
        let lists = five_in_each(app).await;
        for (list, expected) in lists.iter().zip([1, 1, 1, 1, 2, 2, 2]) {
            for limit in [1, 5] {
                let (_, statements) = app.statements(list.page(app, limit, None)).await;
                assert_eq!(statements, expected, "{}limit={limit}", list.path);
            }
            let path = format!("{}count=true", list.path);
            let (answer, statements) = app.statements(app.get(&path)).await;
            answer.ok();
            assert_eq!(statements, expected + 1, "{path}");
        }
    })
    .await;
}
