//! Many changes of members in one request: `/v1/circles/{name}/members:batch`.

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    BATCH, MEMBERS, PARTIAL, WITH_INACTIVE, a_team_of, agents, batch, batch_errors, each, plain,
    replace, results,
};
use test_support::{
    factories::{assert_holds, timestamp},
    on_both,
};

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
        let before = app.get(WITH_INACTIVE).await.ok();

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
        assert!(timestamp(&members[0]["left_at"]) >= timestamp(&members[0]["joined_at"]));
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
        assert!(timestamp(&members[2]["joined_at"]) > timestamp(&old(back)["joined_at"]));
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
        assert_eq!(app.total(WITH_INACTIVE).await, 5);
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
        let before = app.get(WITH_INACTIVE).await.ok();

        let operations = vec![
            json!({"op": "update", "agent_id": ids[0], "role": "lead"}),
            json!({"op": "add", "agent_id": ids[1]}),
            json!({"op": "add", "agent_id": ids[2]}),
            json!({"op": "remove", "agent_id": ids[3]}),
            json!({"op": "add", "agent_id": ids[4]}),
            json!({"op": "update", "agent_id": 999_999, "role": "lead"}),
        ];
        let found = batch_errors(batch(app, BATCH, operations.clone()).await);
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
        assert_eq!(app.get(WITH_INACTIVE).await.ok(), before);

        let explicit = format!("{BATCH}?partial=false");
        assert_eq!(batch_errors(batch(app, &explicit, operations).await), found);
        assert_eq!(app.get(WITH_INACTIVE).await.ok(), before);
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
        let found = batch_errors(batch(app, BATCH, operations.clone()).await);
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

        // A circle above a new limit takes no members until it is below.
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
