//! Replacing all members of a circle, `PUT /v1/circles/{name}/members`, and what replacement and batch
//! have in common.

use sea_orm::ConnectionTrait;
use serde_json::json;

use super::{
    BATCH, MEMBERS, WITH_INACTIVE, a_team_of, agents, batch, each, plain, replace, results,
};
use test_support::{factories::assert_holds, on_both};

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
        let members = app.get(WITH_INACTIVE).await.ok();
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
        assert_eq!(
            app.get(WITH_INACTIVE).await.ok(),
            members,
            "nothing is written"
        );

        let changes = replace(app, json!([])).await.ok();
        assert_eq!(changes["removed"], json!([kept, other, back, new]));
        assert_eq!(app.total(MEMBERS).await, 0);
        assert_eq!(app.total(WITH_INACTIVE).await, 5);
        let changes = replace(app, json!([])).await.ok();
        assert_eq!(changes["removed"], json!([]));
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
        let before = app.get(WITH_INACTIVE).await.ok();

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
        assert_eq!(app.get(WITH_INACTIVE).await.ok(), before);

        // A circle above a new limit may keep its members, and may lose some.
        let changes = replace(app, plain(&ids[..2])).await.ok();
        assert_eq!(changes["unchanged"], json!(ids[..2]));
        let changes = replace(app, plain(&ids[2..3])).await.ok();
        assert_eq!(changes["removed"], json!(ids[..2]));
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
