//! Concurrent changes of members.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{
    BATCH, MEMBERS, PARTIAL, a_team_of, add, agents, batch, batch_errors, each, plain, replace,
    results,
};
use test_support::on_both;

#[tokio::test]
async fn the_last_places_of_a_circle_are_given_once_however_many_ask() {
    on_both(async |app| {
        app.post("/v1/circles", &json!({"name": "team", "max_members": 5}))
            .await
            .created();
        let mut agents = Vec::new();
        for number in 0..12 {
            agents.push(app.an_agent(&format!("agent {number}")).await);
        }
        let answers = join_all(agents.iter().map(|agent| add(app, *agent))).await;
        let (added, refused): (Vec<_>, Vec<_>) =
            answers.into_iter().partition(|answer| answer.status == 201);
        assert_eq!((added.len(), refused.len()), (5, 7));
        for answer in refused {
            answer.problem(409, "circle_full");
        }
        assert_eq!(app.get("/v1/circles/team").await.ok()["member_count"], 5);
        assert_eq!(
            app.total(&format!("{MEMBERS}?include_inactive=true")).await,
            5
        );
    })
    .await;
}

#[tokio::test]
async fn an_agent_that_is_added_many_times_at_once_gets_in_once() {
    on_both(async |app| {
        app.a_circle("team").await;
        let agent = app.an_agent("Ada").await;
        let answers = join_all((0..8).map(|_| add(app, agent))).await;
        let mut added = 0;
        for answer in answers {
            if answer.status == 201 {
                added += 1;
            } else {
                answer.problem(409, "member_exists");
            }
        }
        assert_eq!(added, 1);
        assert_eq!(app.total(MEMBERS).await, 1);
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
                batch_errors(answer);
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
