//! Cached rosters are never stale.

use serde_json::json;

use super::{
    random_writes::{Numbers, World},
    roster_of, without_cache,
};
use test_support::{TestApp, on_both, on_both_databases};

/// Two services share a database, and one of them has no cache. Whichever of them writes, both show the
/// same roster immediately.
#[tokio::test]
async fn a_kept_roster_is_never_older_than_the_question() {
    on_both_databases(async |database| {
        let keeping = TestApp::start(database.backend, database.settings()).await;
        let reading = TestApp::start(database.backend, without_cache(database)).await;
        let world = World::create(&keeping).await;
        let mut numbers = Numbers(7);
        for write in 0..200 {
            let writing = if write % 2 == 0 { &keeping } else { &reading };
            let what = world.write(writing, &mut numbers, write).await;
            for circle in ["one", "two"] {
                let kept = roster_of(&keeping, circle).await;
                assert_eq!(kept, roster_of(&reading, circle).await, "{what}");
            }
        }
        let figures = keeping.get("/v1/cache").await.ok();
        assert!(figures["hits"].as_u64() > Some(50), "{figures}");
        assert!(figures["misses"].as_u64() > Some(50), "{figures}");
        assert_eq!(figures["rosters"], 2);
        let figures = reading.get("/v1/cache").await.ok();
        assert_eq!(
            (&figures["hits"], &figures["rosters"]),
            (&json!(0), &json!(0))
        );
        keeping.stop().await;
        reading.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_roster_that_is_kept_takes_one_small_statement_and_goes_with_its_circle() {
    on_both(async |app| {
        app.a_circle("team").await;
        let agent = app.an_agent("a").await;
        app.a_member("team", agent).await;
        for expected in [1, 1, 1] {
            let (answer, statements) = app.statements(app.get("/v1/circles/team")).await;
            assert_eq!(
                (answer.ok()["member_count"].clone(), statements),
                (json!(1), expected)
            );
        }
        assert_eq!(app.get("/v1/cache").await.ok()["hits"], 2);
        app.delete("/v1/circles/team").await.no_content();
        app.get("/v1/circles/team").await.problem(404, "not_found");
        app.a_circle("team").await;
        assert_eq!(app.get("/v1/circles/team").await.ok()["member_count"], 0);
    })
    .await;
}
