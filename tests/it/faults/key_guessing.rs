//! Clients that guess keys do not keep those that have one from being served.

use std::time::{Duration, Instant};

use reqwest::Client;
use tokio::task::JoinSet;

use test_support::{TestApp, on_both_databases};

const GUESSERS: usize = 60;
const DURATION: Duration = Duration::from_secs(3);

/// A client at another address of this machine.
fn client_at(address: &str) -> Client {
    let address = address.parse().ok();
    let client = Client::builder().local_address::<Option<std::net::IpAddr>>(address);
    client
        .timeout(Duration::from_secs(30))
        .build()
        .expect("a client")
}

async fn status(client: &Client, url: &str, token: &str) -> u16 {
    let response = client.get(url).bearer_auth(token).send().await;
    response.expect("a response").status().as_u16()
}

#[tokio::test]
async fn good_keys_are_served_while_others_are_guessed() {
    on_both_databases(async |database| {
        let mut settings = database.settings();
        settings.server.rate_limit_auth_failures = 10;
        settings.server.rate_limit_reads = 0;
        settings.server.max_concurrent_requests = 16;
        settings.database.db_pool_max = Some(4);
        let app = TestApp::start(database.backend, settings).await;
        let admin = app.first_key().await;
        // A key that is of no use, with a sound checksum.
        let revoked = app.key_by(&admin, &["read"]).await;
        let path = format!("/v1/keys/{}", revoked.id);
        let delete = app.ask(reqwest::Method::DELETE, &path, None, &admin.token);
        delete.await.no_content();

        let url = format!("{}/v1/circles", app.base);
        let guesser = client_at("127.0.0.2");
        for _ in 0..12 {
            status(&guesser, &url, &revoked.token).await;
        }
        let mut clients = JoinSet::new();
        let end = Instant::now() + DURATION;
        for _ in 0..GUESSERS {
            let (guesser, url) = (guesser.clone(), url.clone());
            let token = revoked.token.clone();
            clients.spawn(async move {
                while Instant::now() < end {
                    let status = status(&guesser, &url, &token).await;
                    assert!(matches!(status, 401 | 429), "{status}");
                }
            });
        }
        // One at an address of its own, and one at that of the guessers.
        for address in ["127.0.0.3", "127.0.0.2"] {
            let (client, url) = (client_at(address), url.clone());
            let token = admin.token.clone();
            clients.spawn(async move {
                while Instant::now() < end {
                    assert_eq!(status(&client, &url, &token).await, 200, "{address}");
                }
            });
        }
        while let Some(outcome) = clients.join_next().await {
            outcome.expect("every response as it has to be");
        }
        app.stop().await;
    })
    .await;
}
