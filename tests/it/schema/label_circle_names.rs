//! The name of its circle that each label has.

use migration::runner;
use sea_orm::DatabaseConnection;

use super::{before, run, texts};

const MIGRATION: &str = "m20261127_000001_add_circle_names_to_labels_additive";

const ROWS: [&str; 3] = [
    "INSERT INTO circles (name, is_active, created_at, updated_at) \
     VALUES ('a', true, $now, $now), ('b', true, $now, $now), ('gone', false, $now, $now)",
    "INSERT INTO circle_releases (circle_id, number, digest, created_at, handles, team) \
     SELECT id, 1, 'd', $now, '', '' FROM circles",
    "INSERT INTO circle_labels (circle_id, name, release, digest, created_at, updated_at) \
     SELECT id, 'l', 1, 'd', $now, $now FROM circles",
];

/// A circle's name, and the one that its label has.
async fn names(db: &DatabaseConnection) -> Vec<String> {
    let sql = "SELECT c.name || ' ' || coalesce(l.circle_name, '-') \
               FROM circle_labels l JOIN circles c ON c.id = l.circle_id";
    texts(db, sql).await
}

#[tokio::test]
async fn labels_have_the_names_of_their_circles_also_those_that_there_are_already() {
    before(MIGRATION, async |db| {
        run(db, &ROWS).await;
        runner::up(db, Some(2)).await.expect("up");
        assert_eq!(names(db).await, ["a a", "b b", "gone -"]);
        run(db, &["UPDATE circles SET name = 'c' WHERE name = 'a'"]).await;
        assert_eq!(names(db).await, ["b b", "c c", "gone -"]);

        runner::down(db, Some(2)).await.expect("down");
        run(db, &["UPDATE circles SET name = 'd' WHERE name = 'b'"]).await;
        runner::up(db, Some(2)).await.expect("up again");
        assert_eq!(names(db).await, ["c c", "d d", "gone -"]);

        let changes = [
            "UPDATE circles SET is_active = false WHERE name = 'd'",
            "UPDATE circles SET is_active = true WHERE name = 'gone'",
        ];
        run(db, &changes).await;
        assert_eq!(names(db).await, ["c c", "d -", "gone gone"]);
        // As an earlier build writes them, which does not know of the name.
        run(db, &["DELETE FROM circle_labels", ROWS[2]]).await;
        assert_eq!(names(db).await, ["c c", "d -", "gone gone"]);
        run(db, &["UPDATE circles SET is_active = true"]).await;
        assert_eq!(names(db).await, ["c c", "d d", "gone gone"]);
    })
    .await;
}
