//! Conversations that earlier versions stored.

use migration::runner;
use sea_orm::ConnectionTrait;

use super::{before, run, texts};

#[tokio::test]
async fn the_turns_of_agents_that_were_deleted_pass_on() {
    before("m20261126_000040_pass_turns_on", async |db| {
        run(
            db,
            &[
                "INSERT INTO agents (id, name, is_active, created_at, updated_at) VALUES \
                 (1, 'gone', false, $now, $now), (2, 'b', true, $now, $now), (3, 'c', true, $now, $now), \
                 (4, 'gone too', false, $now, $now)",
                "INSERT INTO conversations (topic, turn_strategy, next_speakers, created_at, updated_at) VALUES \
                 ('first gone', 'round_robin', '[1]', $now, $now), \
                 ('last gone', 'round_robin', '[4]', $now, $now), \
                 ('removed', 'round_robin', '[99]', $now, $now), \
                 ('all gone', 'round_robin', '[4]', $now, $now), \
                 ('one mentioned gone', 'mention_based', '[3,1,2]', $now, $now), \
                 ('only mentioned gone', 'mention_based', '[1]', $now, $now), \
                 ('fine', 'round_robin', '[3]', $now, $now), \
                 ('mentioned', 'mention_based', '[3,2]', $now, $now), \
                 ('free', 'free_form', '[]', $now, $now)",
                "INSERT INTO participants (conversation_id, agent_id, joined_at) \
                 SELECT c.id, a.id, $now FROM conversations c, agents a \
                 WHERE c.topic <> 'all gone' OR NOT a.is_active ORDER BY c.id, a.id",
            ],
        )
        .await;
        run(db, &["UPDATE conversations SET revision = 1"]).await;
        runner::up(db, Some(1)).await.expect("up");
        let all = "SELECT topic || ' ' || replace(CAST(next_speakers AS text), ' ', '') || ' ' || revision \
                   FROM conversations";
        let expected = [
            "all gone [] 2",
            "fine [3] 1",
            "first gone [2] 2",
            "free [] 1",
            "last gone [2] 2",
            "mentioned [3,2] 1",
            "one mentioned gone [3,2] 2",
            "only mentioned gone [] 2",
            "removed [2] 2",
        ];
        assert_eq!(texts(db, all).await, expected);
        runner::down(db, Some(1)).await.expect("down");
        runner::up(db, Some(1)).await.expect("up again");
        assert_eq!(texts(db, all).await, expected);
    })
    .await;
}

#[tokio::test]
async fn messages_of_tools_become_those_of_users_on_the_way_back() {
    before("m20261126_000041_add_authors", async |db| {
        run(
            db,
            &[
                "INSERT INTO agents (name, created_at, updated_at) VALUES ('a', $now, $now)",
                "INSERT INTO conversations (topic, created_at, updated_at) VALUES ('t', $now, $now)",
                "INSERT INTO messages (conversation_id, number, author, agent_id, author_name, content, created_at) \
                 SELECT c.id, 1, 'agent', a.id, 'a', 'x', $now FROM conversations c, agents a",
                "INSERT INTO messages (conversation_id, number, author_name, content, created_at) \
                 SELECT id, 2, 'u', 'y', $now FROM conversations",
            ],
        )
        .await;
        runner::up(db, Some(1)).await.expect("up");
        run(
            db,
            &["INSERT INTO messages (conversation_id, number, author, author_name, content, created_at) \
               SELECT id, 3, 'tool', 'grep', 'z', $now FROM conversations"],
        )
        .await;
        let unknown = "UPDATE messages SET author = 'nobody'";
        assert!(db.execute_unprepared(unknown).await.is_err());
        let all = "SELECT number || ' ' || author || ' ' || author_name || ' ' || content FROM messages";
        assert_eq!(texts(db, all).await, ["1 agent a x", "2 user u y", "3 tool grep z"]);
        runner::down(db, Some(1)).await.expect("down");
        assert_eq!(texts(db, all).await, ["1 agent a x", "2 user u y", "3 user grep z"]);
        let tool = "UPDATE messages SET author = 'tool'";
        assert!(db.execute_unprepared(tool).await.is_err());
        runner::up(db, Some(1)).await.expect("up again");
        db.execute_unprepared(tool).await.expect("tools");
    })
    .await;
}
