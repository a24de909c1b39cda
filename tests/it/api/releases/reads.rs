//! How handles of releases are read: by one statement if what is known is current, as they were stored.

use reqwest::Method;
use serde_json::json;

use super::{RELEASES, a_team, edit, point, publish};
use crate::api::rosters::without_cache;
use test_support::{Answer, TestApp, on_both, on_both_databases};

const LABELLED: &str = "/v1/circles/team/handles?label=production";

async fn gzipped(app: &TestApp, path: &str) -> Answer {
    Answer::to(
        app.request(Method::GET, path)
            .header("accept-encoding", "gzip"),
    )
    .await
}

#[tokio::test]
async fn handles_are_those_of_the_moment_of_publication() {
    on_both(async |app| {
        let agent = a_team(app).await;
        let live = app.get("/v1/circles/team/handles").await;
        let digest = publish(app, json!({"labels": ["production"]})).await["digest"].clone();
        edit(app, agent, "Be brief.").await;
        assert_ne!(app.get("/v1/circles/team/handles").await.text, live.text);
        let tag = format!("\"{}\"", digest.as_str().expect("a digest"));
        for path in [LABELLED, &format!("{RELEASES}/1/handles")] {
            for _ in 0..2 {
                let answer = app.get(path).await;
                assert_eq!((&*answer.text, answer.header("etag")), (&*live.text, &*tag));
                let short = gzipped(app, path).await;
                assert_eq!(short.header("content-encoding"), "gzip");
                assert_eq!(
                    short.header("etag"),
                    format!("\"{}-gzip\"", tag.trim_matches('"'))
                );
                assert_eq!(short.header("vary"), "Accept-Encoding");
                let unchanged = app.get_if_none_match(path, short.header("etag")).await;
                assert_eq!((unchanged.status, &*unchanged.text), (304, ""));
                assert_eq!(unchanged.header("etag"), short.header("etag"));
            }
        }
        let kept = app.get(&format!("{RELEASES}/1/handles")).await;
        assert_eq!(
            kept.header("cache-control"),
            "private, max-age=31536000, immutable"
        );
        assert_eq!(app.get(LABELLED).await.header("cache-control"), "");
    })
    .await;
}

#[tokio::test]
async fn a_label_takes_one_statement_unless_all_that_is_known_is_out_of_date() {
    on_both_databases(async |database| {
        for (settings, with_another_tag) in [(database.settings(), 1), (without_cache(database), 2)]
        {
            let app = TestApp::start(database.backend, settings).await;
            if app.get("/v1/circles/team").await.status == 404 {
                a_team(&app).await;
                publish(&app, json!({"labels": ["production"]})).await;
            }
            let mut tag = String::new();
            for _ in 0..3 {
                let (answer, statements) = app.statements(app.get(LABELLED)).await;
                tag = answer.header("etag").to_owned();
                assert_eq!((answer.status, statements), (200, 1));
            }
            for tags in [
                tag.clone(),
                format!("W/{tag}"),
                format!("\"a\", {tag}"),
                "*".to_owned(),
            ] {
                let (answer, statements) =
                    app.statements(app.get_if_none_match(LABELLED, &tags)).await;
                assert_eq!((answer.status, statements), (304, 1), "{tags}");
            }
            let (answer, statements) = app
                .statements(app.get_if_none_match(LABELLED, "\"a\""))
                .await;
            assert_eq!((answer.status, statements), (200, with_another_tag));
            for (path, expected) in [
                (format!("{RELEASES}/1/handles"), 1),
                (RELEASES.to_owned(), 3),
                (format!("{RELEASES}/1"), 3),
                ("/v1/circles/team/labels".to_owned(), 2),
                ("/v1/circles/team/labels/production".to_owned(), 2),
                ("/v1/circles/team/labels/production/history".to_owned(), 2),
            ] {
                let (answer, statements) = app.statements(app.get(&path)).await;
                assert_eq!((answer.status, statements), (200, expected), "{path}");
            }
            app.stop().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_moved_label_is_seen_by_an_instance_that_keeps_what_it_pointed_to() {
    on_both_databases(async |database| {
        let one = TestApp::start(database.backend, database.settings()).await;
        let other = TestApp::start(database.backend, database.settings()).await;
        let agent = a_team(&one).await;
        publish(&one, json!({})).await;
        edit(&one, agent, "Be brief.").await;
        publish(&one, json!({})).await;
        let handles = [1, 2].map(|number| format!("{RELEASES}/{number}/handles"));
        let texts = [
            one.get(&handles[0]).await.text,
            one.get(&handles[1]).await.text,
        ];
        for round in 0..20 {
            let release = round % 2;
            let moving = if round % 3 == 0 { &one } else { &other };
            let number = i64::try_from(release + 1).expect("a number");
            point(moving, "production", number).await;
            for app in [&one, &other] {
                let (answer, statements) = app.statements(app.get(LABELLED)).await;
                assert_eq!(answer.text, texts[release], "{round}");
                assert!(round == 0 || statements == 2, "{round}: {statements}");
            }
        }
        let figures = one.get("/v1/cache").await.ok();
        assert_eq!(figures["rosters"], 3, "{figures}");
        one.stop().await;
        other.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_circle_and_a_label_that_are_missing_are_told_apart() {
    on_both(async |app| {
        a_team(app).await;
        let missing = app.get(LABELLED).await.problem(404, "not_found");
        assert_eq!(missing["detail"], "There is no label team/production.");
        let missing = app.get("/v1/circles/nobody/handles?label=production").await;
        assert_eq!(
            missing.problem(404, "not_found")["detail"],
            "There is no circle nobody."
        );
        for label in ["", "7", "a%2Fb", "%27"] {
            let path = format!("/v1/circles/team/handles?label={label}");
            app.get(&path).await.invalid(&["query/label"]);
        }
    })
    .await;
}
