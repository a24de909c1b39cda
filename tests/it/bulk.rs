//! Many members at once: `/v1/circles/{name}/members:batch`, and `PUT` of all of them.

use futures_util::future::join_all;
use reqwest::Method;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::support::{
    Answer, TestApp,
    factories::{assert_holds, moment},
    on_both,
};

const MEMBERS: &str = "/v1/circles/team/members";
const EVER: &str = "/v1/circles/team/members?include_inactive=true";
const BATCH: &str = "/v1/circles/team/members:batch";
const PARTIAL: &str = "/v1/circles/team/members:batch?partial=true";

/// Agents, without asking for each of them.
async fn agents(app: &TestApp, count: i64) -> Vec<i64> {
    let first = app.an_agent("agent").await;
    let more = format!(
        "INSERT INTO agents (name, created_at, updated_at) \
         WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
         SELECT 'agent ' || i, created_at, updated_at FROM agents, n \
         WHERE id = {first} AND i <= {count} ORDER BY i"
    );
    let db = app.database.connection();
    db.execute_unprepared(&more).await.expect("agents");
    (first..first + count).collect()
}

/// The circle `team` with these agents in it.
async fn a_team_of(app: &TestApp, agents: &[i64]) {
    app.a_circle("team").await;
    if !agents.is_empty() {
        batch(app, BATCH, each("add", agents)).await.ok();
    }
}

async fn batch(app: &TestApp, path: &str, operations: Vec<Value>) -> Answer {
    app.post(path, &json!({"operations": operations})).await
}

/// The same operation for each of these agents.
fn each(op: &str, agents: &[i64]) -> Vec<Value> {
    let operations = agents.iter().map(|id| json!({"op": op, "agent_id": id}));
    operations.collect()
}

async fn replace(app: &TestApp, members: Value) -> Answer {
    let body = json!({"members": members});
    app.send(Method::PUT, MEMBERS, Some(&body)).await
}

/// Just these agents, with nothing else said.
fn plain(agents: &[i64]) -> Value {
    agents.iter().map(|id| json!({"agent_id": id})).collect()
}

/// One field over the results of a batch.
fn results<'b>(body: &'b Value, field: &str) -> Vec<&'b Value> {
    let results = body["results"].as_array().expect("results");
    results.iter().map(|result| &result[field]).collect()
}

/// What a batch that is all or nothing says is in its way.
#[track_caller]
fn in_the_way(answer: Answer) -> Vec<(String, String)> {
    let problem = answer.problem(409, "batch_failed");
    let errors = problem["errors"].as_array().expect("errors");
    let text = |error: &Value, field: &str| error[field].as_str().expect("a text").to_owned();
    errors
        .iter()
        .map(|error| (text(error, "pointer"), text(error, "detail")))
        .collect()
}

#[tokio::test]
async fn a_batch_adds_restores_updates_and_removes() {
    on_both(async |app| {
        let ids = agents(app, 5).await;
        let [new, back, kept, gone, same] = ids[..] else {
            panic!("{ids:?}")
        };
        a_team_of(app, &[back, kept, gone, same]).await;
        let fields = json!({"competencies": ["sql"], "temperature": 0.5, "max_tokens": 9});
        for id in [back, kept] {
            let path = format!("{MEMBERS}/{id}");
            app.patch(&path, &fields).await.ok();
        }
        app.delete(&format!("{MEMBERS}/{back}")).await.no_content();
        let before = app.get(EVER).await.ok();

        let body = batch(
            app,
            BATCH,
            vec![
                json!({"op": "remove", "agent_id": gone}),
                json!({
                    "op": "add", "agent_id": new, "role": "reviewer", "competencies": ["rust"],
                    "can_review": ["rust"], "permissions": {"merge": [true, null]},
                    "temperature": 1.5, "max_tokens": 2048
                }),
                json!({"op": "add", "agent_id": back, "temperature": null}),
                json!({"op": "update", "agent_id": kept, "role": "lead", "temperature": null}),
                json!({"op": "update", "agent_id": same, "role": "member"}),
            ],
        )
        .await
        .ok();
        assert_eq!(results(&body, "agent_id"), [gone, new, back, kept, same]);
        assert_eq!(
            results(&body, "op"),
            ["remove", "add", "add", "update", "update"]
        );
        assert_eq!(
            results(&body, "status"),
            ["removed", "added", "restored", "updated", "updated"]
        );

        let members = results(&body, "member");
        let old = |id: i64| {
            let rows = before["data"].as_array().expect("rows");
            rows.iter()
                .find(|row| row["agent_id"] == id)
                .expect("a row")
        };
        assert_eq!(
            (&members[0]["id"], &members[0]["is_active"]),
            (&old(gone)["id"], &json!(false))
        );
        assert!(moment(&members[0]["left_at"]) >= moment(&members[0]["joined_at"]));
        assert_holds(
            members[1],
            &json!({
                "role": "reviewer", "competencies": ["rust"], "can_review": ["rust"],
                "permissions": {"merge": [true, null]}, "temperature": 1.5, "max_tokens": 2048,
                "is_active": true, "left_at": null
            }),
        );
        assert_holds(
            members[2],
            &json!({
                "id": old(back)["id"], "role": "member", "competencies": [], "temperature": null,
                "max_tokens": null, "is_active": true, "left_at": null
            }),
        );
        assert!(moment(&members[2]["joined_at"]) > moment(&old(back)["joined_at"]));
        assert_holds(
            members[3],
            &json!({
                "id": old(kept)["id"], "role": "lead", "competencies": ["sql"],
                "temperature": null, "max_tokens": 9, "joined_at": old(kept)["joined_at"]
            }),
        );
        assert_eq!(members[4], old(same), "nothing to change");
        for member in &members[1..] {
            let path = format!("{MEMBERS}/{}", member["agent_id"]);
            assert_eq!(app.get(&path).await.ok(), **member);
        }
        assert_eq!(app.total(MEMBERS).await, 4);
        assert_eq!(app.total(EVER).await, 5);
    })
    .await;
}

#[tokio::test]
async fn all_or_nothing_says_everything_that_is_in_the_way_and_changes_nothing() {
    on_both(async |app| {
        let ids = agents(app, 5).await;
        a_team_of(app, &ids[..2]).await;
        app.delete(&format!("/v1/agents/{}", ids[4]))
            .await
            .no_content();
        let limit = json!({"max_members": 2});
        app.patch("/v1/circles/team", &limit).await.ok();
        let before = app.get(EVER).await.ok();

        let operations = vec![
            json!({"op": "update", "agent_id": ids[0], "role": "lead"}),
            json!({"op": "add", "agent_id": ids[1]}),
            json!({"op": "add", "agent_id": ids[2]}),
            json!({"op": "remove", "agent_id": ids[3]}),
            json!({"op": "add", "agent_id": ids[4]}),
            json!({"op": "update", "agent_id": 999_999, "role": "lead"}),
        ];
        let found = in_the_way(batch(app, BATCH, operations.clone()).await);
        let expected = [
            (
                1,
                format!("agent {} is already a member of circle team", ids[1]),
            ),
            (
                2,
                "circle team has reached its limit of 2 members".to_owned(),
            ),
            (3, format!("there is no member {} of circle team", ids[3])),
            (4, format!("there is no agent {}", ids[4])),
            (5, "there is no member 999999 of circle team".to_owned()),
        ]
        .map(|(index, detail)| (format!("#/operations/{index}"), detail));
        assert_eq!(found, expected);
        assert_eq!(app.get(EVER).await.ok(), before);

        let explicit = format!("{BATCH}?partial=false");
        assert_eq!(in_the_way(batch(app, &explicit, operations).await), found);
        assert_eq!(app.get(EVER).await.ok(), before);
    })
    .await;
}

#[tokio::test]
async fn a_partial_batch_does_what_can_be_done_and_says_what_could_not() {
    on_both(async |app| {
        let ids = agents(app, 4).await;
        a_team_of(app, &ids[..2]).await;
        let body = batch(
            app,
            PARTIAL,
            vec![
                json!({"op": "update", "agent_id": ids[3], "role": "lead"}),
                json!({"op": "add", "agent_id": ids[2], "role": "lead"}),
                json!({"op": "add", "agent_id": ids[0], "role": "observer"}),
                json!({"op": "add", "agent_id": 999_999}),
                json!({"op": "remove", "agent_id": ids[1]}),
            ],
        )
        .await
        .ok();
        assert_eq!(
            results(&body, "status"),
            ["failed", "added", "failed", "failed", "removed"]
        );
        let codes: Vec<&Value> = results(&body, "error")
            .into_iter()
            .map(|error| &error["code"])
            .collect();
        assert_eq!(
            codes,
            [
                &json!("not_found"),
                &Value::Null,
                &json!("member_exists"),
                &json!("not_found"),
                &Value::Null
            ]
        );
        for result in body["results"].as_array().expect("results") {
            let failed = result["status"] == "failed";
            let result = result.as_object().expect("an object");
            assert_eq!(result.contains_key("error"), failed);
            assert_eq!(result.contains_key("member"), !failed);
        }
        assert_eq!(app.listed(MEMBERS, "agent_id").await, [ids[0], ids[2]]);
        assert_eq!(app.listed(MEMBERS, "role").await, ["member", "lead"]);

        let body = batch(app, PARTIAL, each("remove", &ids[3..])).await.ok();
        assert_eq!(results(&body, "status"), ["failed"]);
    })
    .await;
}

#[tokio::test]
async fn removals_free_places_and_additions_take_them_in_order() {
    on_both(async |app| {
        let ids = agents(app, 6).await;
        a_team_of(app, &ids[..2]).await;
        let limit = json!({"max_members": 3});
        app.patch("/v1/circles/team", &limit).await.ok();

        let mut operations = each("add", &ids[2..5]);
        operations.extend(each("remove", &ids[..1]));
        let found = in_the_way(batch(app, BATCH, operations.clone()).await);
        let full = "circle team has reached its limit of 3 members".to_owned();
        assert_eq!(found, [("#/operations/2".to_owned(), full)]);

        let body = batch(app, PARTIAL, operations).await.ok();
        assert_eq!(
            results(&body, "status"),
            ["added", "added", "failed", "removed"]
        );
        assert_eq!(results(&body, "error")[2]["code"], "circle_full");
        assert_eq!(app.listed(MEMBERS, "agent_id").await, ids[1..4]);

        // A removal that fails frees nothing.
        let operations = vec![
            json!({"op": "remove", "agent_id": ids[0]}),
            json!({"op": "add", "agent_id": ids[4]}),
        ];
        let body = batch(app, PARTIAL, operations).await.ok();
        assert_eq!(results(&body, "status"), ["failed", "failed"]);

        // A circle over a new limit takes nobody until it is below.
        let limit = json!({"max_members": 1});
        app.patch("/v1/circles/team", &limit).await.ok();
        let operations = vec![
            json!({"op": "remove", "agent_id": ids[1]}),
            json!({"op": "update", "agent_id": ids[2], "role": "lead"}),
            json!({"op": "add", "agent_id": ids[4]}),
        ];
        let body = batch(app, PARTIAL, operations).await.ok();
        assert_eq!(results(&body, "status"), ["removed", "updated", "failed"]);
    })
    .await;
}

#[tokio::test]
async fn a_batch_has_from_one_to_five_hundred_changes() {
    on_both(async |app| {
        app.a_circle("team").await;
        let ids: Vec<i64> = (1..=501).collect();
        batch(app, BATCH, vec![]).await.invalid(&["#/operations"]);
        batch(app, BATCH, each("add", &ids))
            .await
            .invalid(&["#/operations"]);
        app.post(BATCH, &json!({})).await.invalid(&["#/operations"]);
        replace(app, plain(&ids)).await.invalid(&["#/members"]);
        let none = "/v1/circles/none/members";
        let one = json!({"operations": [{"op": "remove", "agent_id": 1}]});
        app.post(&format!("{none}:batch"), &one)
            .await
            .problem(404, "not_found");
        app.send(Method::PUT, none, Some(&json!({"members": []})))
            .await
            .problem(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn every_field_of_every_change_is_checked() {
    on_both(async |app| {
        app.a_circle("team").await;
        let operations = vec![
            json!({"op": "add", "agent_id": 0, "role": "boss", "id": 1}),
            json!({"op": "move", "agent_id": 1, "competencies": [""], "temperature": 3}),
            json!({"agent_id": 1, "permissions": null}),
            json!([]),
        ];
        batch(app, BATCH, operations).await.invalid(&[
            "#/operations/0/agent_id",
            "#/operations/0/role",
            "#/operations/0/id",
            "#/operations/1/op",
            "#/operations/1/competencies/0",
            "#/operations/1/temperature",
            "#/operations/2/op",
            "#/operations/2/permissions",
            "#/operations/3",
        ]);

        let operations = vec![
            json!({"op": "remove", "agent_id": 1, "role": "lead", "temperature": null}),
            json!({"op": "update", "agent_id": 2}),
            json!({"op": "add", "agent_id": 1}),
            json!({"op": "remove", "agent_id": 2}),
        ];
        batch(app, BATCH, operations).await.invalid(&[
            "#/operations/0/role",
            "#/operations/0/temperature",
            "#/operations/2/agent_id",
            "#/operations/3/agent_id",
        ]);
        app.post(
            &format!("{BATCH}?partial=maybe"),
            &json!({"operations": []}),
        )
        .await
        .invalid(&["query/partial", "#/operations"]);
    })
    .await;
}

#[tokio::test]
async fn the_path_of_a_batch_is_no_other() {
    on_both(async |app| {
        let ids = agents(app, 1).await;
        a_team_of(app, &[]).await;
        let answer = app.get(BATCH).await;
        assert_eq!(answer.header("allow"), "POST");
        answer.problem(405, "method_not_allowed");
        let body = json!({"operations": each("add", &ids)});
        for path in [
            "members:",
            "members:patch",
            "membersbatch",
            "members:batch/1",
        ] {
            app.post(&format!("/v1/circles/team/{path}"), &body)
                .await
                .problem(404, "route_not_found");
        }
    })
    .await;
}

#[tokio::test]
async fn five_hundred_changes_take_as_many_statements_as_five() {
    on_both(async |app| {
        let ids = agents(app, 500).await;
        let provider = app.a_provider("p").await;
        let model = app.a_model(provider, "m").await;
        let all_on_it = format!("UPDATE agents SET model_id = {model}");
        let db = app.database.connection();
        db.execute_unprepared(&all_on_it).await.expect("a model");
        app.post("/v1/circles", &json!({"name": "team", "max_members": 400}))
            .await
            .created();
        let mut counts = Vec::new();
        for size in [5, 500] {
            let ids = &ids[..size];
            replace(app, json!([])).await.ok();
            batch(app, BATCH, each("add", &ids[..size * 3 / 5]))
                .await
                .ok();
            let mut operations = each("remove", &ids[..size / 5]);
            for id in &ids[size / 5..size * 3 / 5] {
                let fields = json!({"op": "update", "agent_id": id, "permissions": {"n": id}});
                operations.push(fields);
            }
            operations.extend(each("add", &ids[size * 3 / 5..]));
            assert_eq!(operations.len(), size);
            let (answer, batched) = app.statements(batch(app, BATCH, operations)).await;
            assert_eq!(results(&answer.ok(), "member").len(), size);

            let mut members = plain(&ids[..size * 4 / 5]);
            members[1]["role"] = json!("lead");
            let (answer, replaced) = app.statements(replace(app, members)).await;
            let changes = answer.ok();
            for (field, count) in [("added", 0), ("restored", size / 5), ("removed", size / 5)] {
                assert_eq!(
                    changes[field].as_array().map(Vec::len),
                    Some(count),
                    "{field}"
                );
            }
            counts.push((batched, replaced));
        }
        assert_eq!(counts[0], counts[1]);
        assert_eq!(counts[0], (6, 6));
    })
    .await;
}

#[tokio::test]
async fn replacing_the_members_says_what_changed() {
    on_both(async |app| {
        let ids = agents(app, 5).await;
        let [kept, other, gone, back, new] = ids[..] else {
            panic!("{ids:?}")
        };
        a_team_of(app, &[kept, other, gone, back]).await;
        let permissions = json!({"permissions": {"merge": true, "n": 1.5}, "max_tokens": 7});
        let path = format!("{MEMBERS}/{kept}");
        let before = app.patch(&path, &permissions).await.ok();
        app.delete(&format!("{MEMBERS}/{back}")).await.no_content();
        let joined = app.get(&format!("{MEMBERS}/{other}")).await.ok();

        let set = json!([
            {"agent_id": new, "role": "specialist"},
            {"agent_id": other, "role": "lead", "temperature": 0},
            {"agent_id": back},
            {"agent_id": kept, "permissions": {"n": 1.5, "merge": true}, "max_tokens": 7},
        ]);
        let changes = replace(app, set.clone()).await.ok();
        assert_eq!(
            changes,
            json!({
                "added": [new], "restored": [back], "updated": [other], "removed": [gone],
                "unchanged": [kept]
            })
        );
        assert_eq!(app.get(&path).await.ok(), before);
        let after = app.get(&format!("{MEMBERS}/{other}")).await.ok();
        let expected = json!({
            "role": "lead", "temperature": 0.0, "joined_at": joined["joined_at"],
            "id": joined["id"]
        });
        assert_holds(&after, &expected);
        let members = app.get(EVER).await.ok();
        assert_eq!(
            app.listed(MEMBERS, "agent_id").await,
            [kept, other, back, new]
        );

        let changes = replace(app, set).await.ok();
        assert_eq!(
            changes,
            json!({
                "added": [], "restored": [], "updated": [], "removed": [],
                "unchanged": [new, other, back, kept]
            })
        );
        assert_eq!(app.get(EVER).await.ok(), members, "nothing is written");

        let changes = replace(app, json!([])).await.ok();
        assert_eq!(changes["removed"], json!([kept, other, back, new]));
        assert_eq!(app.total(MEMBERS).await, 0);
        assert_eq!(app.total(EVER).await, 5);
        let changes = replace(app, json!([])).await.ok();
        assert_eq!(changes["removed"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn tags_change_with_what_they_name_and_no_more() {
    on_both(async |app| {
        let ids = agents(app, 2).await;
        a_team_of(app, &ids).await;
        let [first, second] = [ids[0], ids[1]].map(|id| format!("{MEMBERS}/{id}"));
        let tag = async |path: &str| app.get(path).await.header("etag").to_owned();
        let tags = async || {
            [
                tag("/v1/circles/team").await,
                tag(&first).await,
                tag(&second).await,
            ]
        };

        let before = tags().await;
        let nothing = vec![json!({"op": "update", "agent_id": ids[0], "role": "member"})];
        batch(app, BATCH, nothing).await.ok();
        replace(app, plain(&ids)).await.ok();
        assert_eq!(tags().await, before);

        let lead = vec![json!({"op": "update", "agent_id": ids[0], "role": "lead"})];
        batch(app, BATCH, lead).await.ok();
        let after = tags().await;
        assert!(after[0] != before[0] && after[1] != before[1]);
        assert_eq!(after[2], before[2]);

        replace(app, plain(&ids[1..])).await.ok();
        batch(app, BATCH, each("add", &ids[..1])).await.ok();
        let back = tags().await;
        assert!(back[0] != after[0] && ![&before[1], &after[1]].contains(&&back[1]));
        assert_eq!(back[2], before[2]);
    })
    .await;
}

#[tokio::test]
async fn a_set_that_cannot_be_had_changes_nothing() {
    on_both(async |app| {
        let ids = agents(app, 4).await;
        a_team_of(app, &ids[..2]).await;
        app.delete(&format!("/v1/agents/{}", ids[3]))
            .await
            .no_content();
        let before = app.get(EVER).await.ok();

        replace(app, plain(&[ids[2], 999_999, ids[3]]))
            .await
            .invalid(&["#/members/1/agent_id", "#/members/2/agent_id"]);
        replace(app, plain(&[ids[2], ids[0], ids[2]]))
            .await
            .invalid(&["#/members/2/agent_id"]);
        replace(
            app,
            json!([{"agent_id": ids[0], "op": "add", "role": null}]),
        )
        .await
        .invalid(&["#/members/0/op", "#/members/0/role"]);

        let limit = json!({"max_members": 1});
        app.patch("/v1/circles/team", &limit).await.ok();
        replace(app, plain(&ids[1..3]))
            .await
            .problem(409, "circle_full");
        assert_eq!(app.get(EVER).await.ok(), before);

        // A circle over a new limit may keep whom it has, and may get smaller.
        let changes = replace(app, plain(&ids[..2])).await.ok();
        assert_eq!(changes["unchanged"], json!(ids[..2]));
        let changes = replace(app, plain(&ids[2..3])).await.ok();
        assert_eq!(changes["removed"], json!(ids[..2]));
    })
    .await;
}

#[tokio::test]
async fn batches_at_the_same_time_never_pass_the_limit() {
    on_both(async |app| {
        app.post("/v1/circles", &json!({"name": "team", "max_members": 7}))
            .await
            .created();
        let ids = agents(app, 30).await;
        let answers = join_all(ids.chunks(3).enumerate().map(|(index, ids)| {
            let path = if index % 2 == 0 { BATCH } else { PARTIAL };
            let mut order = ids.to_vec();
            order.reverse();
            batch(app, path, each("add", &order))
        }))
        .await;
        let mut added = 0;
        for answer in answers {
            if answer.status == 200 {
                let body = answer.ok();
                let status = results(&body, "status");
                added += status.iter().filter(|status| **status == "added").count();
            } else {
                in_the_way(answer);
            }
        }
        assert_eq!(added, 7);
        assert_eq!(app.total(MEMBERS).await, added);

        let sets = join_all(ids.chunks(5).map(|ids| replace(app, plain(ids)))).await;
        for set in sets {
            set.ok();
        }
        let mut members = app.listed(MEMBERS, "agent_id").await;
        members.sort_by_key(Value::as_i64);
        assert!(ids.chunks(5).any(|set| *members == *set), "{members:?}");
    })
    .await;
}

#[tokio::test]
async fn an_agent_deleted_meanwhile_is_in_no_circle_afterwards() {
    on_both(async |app| {
        let ids = agents(app, 8).await;
        a_team_of(app, &ids[..4]).await;
        let operations = || {
            let mut operations = each("add", &ids[4..]);
            for id in &ids[..4] {
                operations.push(json!({"op": "update", "agent_id": id, "role": "lead"}));
            }
            operations
        };
        let deletions = join_all(ids.iter().map(async |id| {
            app.delete(&format!("/v1/agents/{id}")).await.no_content();
        }));
        let batches = join_all((0..3).map(|_| batch(app, PARTIAL, operations())));
        let (_, batches) = futures_util::join!(deletions, batches);
        for answer in batches {
            answer.ok();
        }
        assert_eq!(app.total(MEMBERS).await, 0);
    })
    .await;
}
