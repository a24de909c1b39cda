//! Rate limits: each caller has its own.

use std::time::Duration;

use test_support::{Answer, TestApp, TestDatabase, on_both_databases};

/// A service with low limits.
async fn limited(database: &TestDatabase) -> TestApp {
    let mut settings = database.settings();
    settings.server.rate_limit_reads = 5;
    settings.server.rate_limit_writes = 4;
    settings.server.rate_limit_auth_failures = 10;
    TestApp::start(database.backend, settings).await
}

/// Sends requests until one gets 429.
async fn until_limited(app: &TestApp, path: &str, token: &str) -> Answer {
    for _ in 0..500 {
        let answer = app.get_with(path, token).await;
        if answer.status != 200 {
            return answer;
        }
        let state = answer.header("ratelimit");
        assert!(state.starts_with("\"reads\";r="), "{state:?}");
        assert_eq!(answer.header("ratelimit-policy"), "\"reads\";q=5;w=1");
    }
    panic!("500 reads at once are not too many");
}

#[tokio::test]
async fn a_caller_that_asks_too_often_is_told_when_to_come_again_and_others_are_unharmed() {
    on_both_databases(async |database| {
        let app = limited(database).await;
        let admin = app.first_key().await;
        let greedy = app.key_by(&admin, &["read"]).await;
        let modest = app.key_by(&admin, &["read"]).await;

        let refused = until_limited(&app, "/v1/circles", &greedy.token).await;
        assert_eq!(refused.header("ratelimit"), "\"reads\";r=0;t=1");
        assert_eq!(refused.header("ratelimit-policy"), "\"reads\";q=5;w=1");
        assert_eq!(refused.header("retry-after"), "1");
        refused.problem(429, "rate_limited");

        app.get_with("/v1/circles", &modest.token).await.ok();
        for _ in 0..20 {
            app.get("/livez").await.ok();
        }
        tokio::time::sleep(Duration::from_millis(1100)).await;
        app.get_with("/v1/circles", &greedy.token).await.ok();
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn writes_are_counted_apart_and_what_is_refused_changes_nothing() {
    on_both_databases(async |database| {
        let app = limited(database).await;
        let admin = app.first_key().await;
        let create = async |number: u32| {
            let body = serde_json::json!({"name": format!("circle-{number}")});
            let post = reqwest::Method::POST;
            app.ask(post, "/v1/circles", Some(&body), &admin.token)
                .await
        };
        let mut created: u64 = 0;
        let refused = loop {
            let answer = create(u32::try_from(created).expect("a number")).await;
            if answer.status != 201 {
                break answer;
            }
            created += 1;
            assert!(created < 500, "500 writes at once are not too many");
        };
        assert_eq!(refused.header("ratelimit-policy"), "\"writes\";q=4;w=1");
        refused.problem(429, "rate_limited");
        let path = "/v1/circles?count=true&limit=1";
        let list = app.get_with(path, &admin.token).await.ok();
        assert_eq!(list["total"].as_u64(), Some(created));
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn who_is_on_this_machine_and_needs_no_key_has_no_limit() {
    on_both_databases(async |database| {
        let app = limited(database).await;
        for _ in 0..20 {
            let answer = app.get("/v1/circles").await;
            assert_eq!(answer.header("ratelimit"), "");
            answer.ok();
        }
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn ten_wrong_keys_a_minute_are_enough_and_a_good_one_still_passes() {
    on_both_databases(async |database| {
        let app = limited(database).await;
        let admin = app.first_key().await;
        for attempt in 1..=12 {
            let answer = app.get_with("/v1/circles", "crk_1_wrong").await;
            if attempt <= 10 {
                answer.problem(401, "unauthenticated");
            } else {
                let wait = answer.header("retry-after").parse::<u64>();
                assert!((1..=60).contains(&wait.expect("seconds")));
                answer.problem(429, "rate_limited");
            }
        }
        app.get("/v1/circles").await.problem(401, "unauthenticated");
        app.get_with("/v1/circles", &admin.token).await.ok();
        app.stop().await;
    })
    .await;
}
