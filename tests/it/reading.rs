//! Reading beyond one resource: who uses what, what lists bring along, how they are sorted, and
//! bringing back what was deleted.

use reqwest::Method;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::support::{
    Answer, TestApp,
    factories::{assert_holds, id, moment},
    on_both,
};

async fn restore(app: &TestApp, path: &str) -> Answer {
    app.send(Method::POST, &format!("{path}/restore"), None)
        .await
}

const TEAM: &str = "/v1/circles/team";

#[tokio::test]
async fn a_model_lists_the_live_agents_that_run_on_it() {
    on_both(async |app| {
        let provider = app.a_provider("p").await;
        let (used, unused) = (
            app.a_model(provider, "used").await,
            app.a_model(provider, "unused").await,
        );
        let gone = app.an_agent_on("gone", used).await;
        app.an_agent_on("Ada", used).await;
        app.an_agent_on("other", unused).await;
        app.an_agent("without").await;
        app.an_agent_on("Bob", used).await;
        app.delete(&format!("/v1/agents/{gone}")).await.no_content();

        let path = format!("/v1/models/{used}/agents");
        let page = app.get(&format!("{path}?count=true")).await.ok();
        assert_eq!(page["total"], 2);
        let same = app.get(&format!("/v1/agents?model_id={used}")).await.ok();
        assert_eq!(page["data"], same["data"]);
        assert_eq!(app.listed(&path, "name").await, ["Ada", "Bob"]);

        let first = app.get(&format!("{path}?limit=1")).await.ok();
        let cursor = first["next_cursor"].as_str().expect("a cursor");
        let second = format!("{path}?limit=1&cursor={cursor}");
        assert_eq!(app.listed(&second, "name").await, ["Bob"]);
        let (answer, statements) = app.statements(app.get(&path)).await;
        answer.ok();
        assert_eq!(statements, 2);
        app.get("/v1/models/17/agents")
            .await
            .problem(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn a_provider_lists_its_models() {
    on_both(async |app| {
        let (provider, other) = (app.a_provider("p").await, app.a_provider("q").await);
        for (owner, name) in [(provider, "b"), (other, "c"), (provider, "a")] {
            app.a_model(owner, name).await;
        }
        let path = format!("/v1/providers/{provider}/models");
        let page = app.get(&format!("{path}?count=true")).await.ok();
        assert_eq!(page["total"], 2);
        let same = app.get(&format!("/v1/models?provider_id={provider}")).await;
        assert_eq!(page["data"], same.ok()["data"]);
        assert_eq!(app.listed(&path, "model_name").await, ["b", "a"]);

        let first = app.get(&format!("{path}?limit=1")).await.ok();
        let cursor = first["next_cursor"].as_str().expect("a cursor");
        let second = format!("{path}?limit=1&cursor={cursor}");
        assert_eq!(app.listed(&second, "model_name").await, ["a"]);
        let (answer, statements) = app.statements(app.get(&path)).await;
        answer.ok();
        assert_eq!(statements, 2);
        app.get("/v1/providers/17/models")
            .await
            .problem(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn a_restored_agent_is_as_it_was_without_its_memberships() {
    on_both(async |app| {
        let body = json!({"name": "Ada", "skill_names": ["rust"], "status": "busy"});
        let created = app.post("/v1/agents", &body).await.created();
        let path = format!("/v1/agents/{}", created["id"]);
        app.a_circle("team").await;
        app.a_member("team", id(&created)).await;

        restore(app, &path).await.problem(409, "not_deleted");
        assert_eq!(app.get(&path).await.ok(), created);
        app.delete(&path).await.no_content();

        let (answer, statements) = app.statements(restore(app, &path)).await;
        let restored = answer.ok();
        assert_eq!(statements, 2);
        let mut expected = created.clone();
        expected["updated_at"] = restored["updated_at"].clone();
        assert_eq!(restored, expected);
        assert!(moment(&restored["updated_at"]) > moment(&created["updated_at"]));
        assert_eq!(app.get(&path).await.ok(), restored);
        assert_eq!(app.listed("/v1/agents", "name").await, ["Ada"]);

        let roster = app.get(TEAM).await.ok();
        assert_eq!(roster["members"], json!([]));
        app.a_member("team", id(&created)).await;
        restore(app, "/v1/agents/17")
            .await
            .problem(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn an_agent_is_restored_without_a_model_that_was_deleted_since() {
    on_both(async |app| {
        let provider = app.a_provider("p").await;
        let model = app.a_model(provider, "m").await;
        let path = format!("/v1/agents/{}", app.an_agent_on("Ada", model).await);
        app.delete(&path).await.no_content();
        app.delete(&format!("/v1/models/{model}"))
            .await
            .no_content();
        let restored = restore(app, &path).await.ok();
        assert_eq!(restored["model_id"], Value::Null);
    })
    .await;
}

#[tokio::test]
async fn a_restored_circle_is_stopped_and_has_the_members_it_had() {
    on_both(async |app| {
        let (stays, gone) = (app.an_agent("stays").await, app.an_agent("gone").await);
        let body = json!({"name": "team", "description": "Reviews.", "settings": {"a": 1}});
        app.post("/v1/circles", &body).await.created();
        app.a_member("team", stays).await;
        app.a_member("team", gone).await;
        app.post("/v1/circles/team/start", &json!({})).await;
        let before = app.get(TEAM).await.ok();
        app.delete(TEAM).await.no_content();
        app.delete(&format!("/v1/agents/{gone}")).await.no_content();

        let (answer, statements) = app.statements(restore(app, TEAM)).await;
        let restored = answer.ok();
        assert_eq!(statements, 3);
        assert_holds(&restored, &body);
        let expected = json!({
            "id": before["id"], "status": "stopped", "is_active": true, "member_count": 1,
            "started_at": before["started_at"], "created_at": before["created_at"]
        });
        assert_holds(&restored, &expected);
        let roster = app.get(TEAM).await.ok();
        assert_eq!(roster["updated_at"], restored["updated_at"]);
        assert_eq!(roster["members"][0], before["members"][0]);
        assert_eq!(roster["members"][1], Value::Null);
    })
    .await;
}

#[tokio::test]
async fn the_circle_of_a_name_that_was_deleted_last_is_the_one_restored() {
    on_both(async |app| {
        let mut ids = Vec::new();
        for _ in 0..2 {
            ids.push(id(&app.a_circle("team").await));
            app.delete(TEAM).await.no_content();
        }
        let restored = restore(app, TEAM).await.ok();
        assert_eq!(id(&restored), ids[1]);
        restore(app, TEAM).await.problem(409, "circle_name_taken");
        assert_eq!(id(&app.get(TEAM).await.ok()), ids[1]);

        let renamed = json!({"name": "second"});
        app.patch(TEAM, &renamed).await.ok();
        let restored = restore(app, TEAM).await.ok();
        assert_eq!(id(&restored), ids[0]);
        assert_eq!(app.total("/v1/circles").await, 2);
    })
    .await;
}

#[tokio::test]
async fn a_circle_that_is_live_or_never_was_is_not_restored() {
    on_both(async |app| {
        restore(app, TEAM).await.problem(404, "not_found");
        app.a_circle("team").await;
        let before = app.get(TEAM).await.ok();
        restore(app, TEAM).await.problem(409, "not_deleted");
        assert_eq!(app.get(TEAM).await.ok(), before);

        app.delete(TEAM).await.no_content();
        app.a_circle("team").await;
        restore(app, TEAM).await.problem(409, "circle_name_taken");
    })
    .await;
}

/// Three agents: on the first model, without one, on the second.
async fn three_agents(app: &TestApp) -> ([i64; 3], [i64; 2]) {
    let provider = app.a_provider("p").await;
    let models = [
        app.a_model(provider, "m").await,
        app.a_model(provider, "n").await,
    ];
    let agents = [
        app.an_agent_on("a", models[0]).await,
        app.an_agent("b").await,
        app.an_agent_on("c", models[1]).await,
    ];
    (agents, models)
}

#[tokio::test]
async fn agents_are_found_by_their_ids_and_unknown_ones_are_absent() {
    on_both(async |app| {
        let ([a, b, c], _) = three_agents(app).await;
        for (ids, expected) in [
            (format!("{c},{a}"), &["a", "c"][..]),
            (format!("{b}"), &["b"]),
            (format!("{b},{b},1000"), &["b"]),
            ("1000,9223372036854775808".to_owned(), &[]),
            (format!("{a},{b}&q=b"), &["b"]),
        ] {
            let path = format!("/v1/agents?ids={ids}");
            assert_eq!(app.listed(&path, "name").await, expected, "{ids}");
        }
        let path = format!("/v1/agents?ids={a},{c}&limit=1");
        let first = app.get(&format!("{path}&count=true")).await.ok();
        assert_eq!(first["total"], 2);
        let cursor = first["next_cursor"].as_str().expect("a cursor");
        let second = format!("{path}&cursor={cursor}");
        assert_eq!(app.listed(&second, "name").await, ["c"]);

        app.delete(&format!("/v1/agents/{a}")).await.no_content();
        let path = format!("/v1/agents?ids={a},{b}");
        assert_eq!(app.listed(&path, "name").await, ["b"], "{a} was deleted");
    })
    .await;
}

#[tokio::test]
async fn ids_are_1_to_200_with_commas_in_between() {
    on_both(async |app| {
        let agent = app.an_agent("a").await;
        let list = |count: usize| vec![agent.to_string(); count].join(",");
        let path = format!("/v1/agents?ids={}", list(200));
        let (answer, statements) = app.statements(app.get(&path)).await;
        assert_eq!(answer.ok()["data"][0]["id"], agent);
        assert_eq!(statements, 1);
        let largest = vec![i64::MAX.to_string(); 200].join(",");
        app.get(&format!("/v1/agents?ids={largest}")).await.ok();
        for ids in ["", ",", "1,", "1,,2", "0", "-1", "x", "1 ,2", &list(201)] {
            let answer = app.get(&format!("/v1/agents?ids={ids}")).await;
            answer.invalid(&["query/ids"]);
        }
    })
    .await;
}

#[tokio::test]
async fn agents_bring_their_models_along_in_one_statement_more() {
    on_both(async |app| {
        let (agents, models) = three_agents(app).await;
        let plain = app.get("/v1/agents").await.ok();
        for limit in [1, 3, 200] {
            let path = format!("/v1/agents?include=model&limit={limit}");
            let (_, statements) = app.statements(app.get(&path)).await;
            assert_eq!(statements, 2, "{path}");
        }
        let page = app.get("/v1/agents?include=model").await.ok();
        for (row, model) in [(0, models[0]), (2, models[1])] {
            let mut expected = plain["data"][row].clone();
            expected["model"] = app.get(&format!("/v1/models/{model}")).await.ok();
            assert_eq!(page["data"][row], expected);
        }
        assert_eq!(page["data"][1], plain["data"][1], "it has no model");
        assert_eq!(plain["data"][0].get("model"), None);
        let one = app.get(&format!("/v1/agents/{}", agents[0])).await.ok();
        assert_eq!(one, plain["data"][0]);
    })
    .await;
}

#[tokio::test]
async fn models_bring_their_providers_along_in_one_statement_more() {
    on_both(async |app| {
        for name in ["p", "q"] {
            let provider = app.a_provider(name).await;
            app.a_model(provider, "m").await;
        }
        let plain = app.get("/v1/models").await.ok();
        for limit in [1, 200] {
            let path = format!("/v1/models?include=provider&limit={limit}");
            let (_, statements) = app.statements(app.get(&path)).await;
            assert_eq!(statements, 2, "{path}");
        }
        let page = app.get("/v1/models?include=provider").await.ok();
        for row in [0, 1] {
            let mut expected = plain["data"][row].clone();
            let provider = format!("/v1/providers/{}", expected["provider_id"]);
            expected["provider"] = app.get(&provider).await.ok();
            assert_eq!(page["data"][row], expected);
        }
        assert_eq!(plain["data"][0].get("provider"), None);
    })
    .await;
}

#[tokio::test]
async fn what_can_be_included_is_a_closed_list() {
    on_both(async |app| {
        for path in ["/v1/agents", "/v1/models", "/v1/circles"] {
            for include in ["", "everything", "model,model", "MODEL"] {
                let answer = app.get(&format!("{path}?include={include}")).await;
                answer.invalid(&["query/include"]);
            }
        }
        app.get("/v1/providers?include=models")
            .await
            .invalid(&["query/include"]);
    })
    .await;
}

const LISTS: [(&str, &str); 5] = [
    ("/v1/providers", "name"),
    ("/v1/models", "model_name"),
    ("/v1/agents", "name"),
    ("/v1/circles", "name"),
    ("/v1/conversations", "topic"),
];

/// A row in each of the lists, all of that name.
async fn one_in_each(app: &TestApp, name: &str) {
    let provider = app.a_provider(name).await;
    app.a_model(provider, name).await;
    app.an_agent(name).await;
    app.a_circle(name).await;
    let body = json!({"topic": name});
    app.post("/v1/conversations", &body).await.created();
}

fn in_query(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[tokio::test]
async fn what_was_changed_since_a_moment_is_found_that_moment_included() {
    on_both(async |app| {
        for name in ["a", "b", "c"] {
            one_in_each(app, name).await;
        }
        for (list, name) in LISTS {
            let all = app.get(list).await.ok();
            let first = &all["data"][0];
            let path = match list {
                "/v1/circles" => "/v1/circles/a".to_owned(),
                _ => format!("{list}/{}", first["id"]),
            };
            app.patch(&path, &json!({name: "changed"})).await.ok();
            let row = &all["data"][1];
            let since = row["updated_at"].as_str().expect("a text");
            let later = moment(&row["updated_at"]) + chrono::TimeDelta::microseconds(1);
            let elsewhere = moment(&row["updated_at"])
                .with_timezone(&chrono::FixedOffset::east_opt(7200).expect("an offset"));
            for (since, expected) in [
                (since.to_owned(), &["changed", "b", "c"][..]),
                (elsewhere.to_rfc3339(), &["changed", "b", "c"]),
                (later.to_rfc3339(), &["changed", "c"]),
                ("0001-01-01T00:00:00Z".to_owned(), &["changed", "b", "c"]),
                ("9999-12-31T23:59:59Z".to_owned(), &[]),
            ] {
                let query = format!("{list}?updated_since={}", in_query(&since));
                assert_eq!(app.listed(&query, name).await, expected, "{query}");
                assert_eq!(app.total(&query).await, expected.len(), "{query}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_moment_without_an_offset_is_refused_with_an_example() {
    on_both(async |app| {
        for (list, _) in LISTS {
            for text in [
                "",
                "2026-01-31",
                "2026-01-31T12:00:00",
                "2026-01-31T12:00:00+02:00",
                "1767225600",
                "yesterday",
            ] {
                let answer = app.get(&format!("{list}?updated_since={text}")).await;
                let problem = answer.invalid(&["query/updated_since"]);
                let detail = problem["errors"][0]["detail"].as_str().expect("a text");
                assert!(detail.contains("2026-01-31T12:00:00Z"), "{detail}");
            }
        }
    })
    .await;
}

/// Seven rows in each of the lists, none of the orders the same. Where names may be the same, some
/// are; and so are some of the moments.
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
        let moment = field.ends_with("_at").then(|| moment(value));
        let text = value.as_str().filter(|_| moment.is_none());
        (moment, text.map(ToOwned::to_owned), id(row))
    });
    if down {
        rows.reverse();
    }
    rows
}

/// The rows of all pages, each of one statement.
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
        assert_eq!(statements, 3);
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
