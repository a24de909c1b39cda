//! Whose address is logged and limited.

use reqwest::Client;

use test_support::{
    Answer,
    binary::{self, Server},
    on_both_databases,
};

async fn guess(server: &Server, from: &str) -> Answer {
    let request = Client::new()
        .get(server.url("/v1/circles"))
        .bearer_auth("crk_wrong");
    Answer::to(request.header("x-forwarded-for", from)).await
}

#[tokio::test]
async fn who_guesses_keys_is_in_the_log_and_limited_also_behind_a_trusted_proxy() {
    on_both_databases(async |database| {
        let create = ["keys", "create", "--name", "ops", "--scope", "admin"];
        binary::output_of(&[&create[..], &["--database-url", &database.url]].concat());

        let limit = ["--rate-limit-auth-failures", "2"];
        let server = Server::start_ready(&database.url, &limit).await;
        for client in ["198.51.100.7", "198.51.100.8"] {
            guess(&server, client).await.problem(401, "unauthenticated");
        }
        guess(&server, "198.51.100.9")
            .await
            .problem(429, "rate_limited");
        server.wait_for_log("client=127.0.0.1 status=401").await;
        server.wait_for_log("client=127.0.0.1 status=429").await;
        assert!(!server.log().contains("198.51.100"), "{}", server.log());

        let trusted = [&limit[..], &["--trusted-proxy", "127.0.0.0/8"]].concat();
        let server = Server::start_ready(&database.url, &trusted).await;
        for _ in 0..2 {
            let guessed = guess(&server, "192.0.2.1, 198.51.100.7").await;
            guessed.problem(401, "unauthenticated");
        }
        guess(&server, "198.51.100.7")
            .await
            .problem(429, "rate_limited");
        guess(&server, "198.51.100.8")
            .await
            .problem(401, "unauthenticated");
        server.wait_for_log("client=198.51.100.7 status=429").await;
        server.wait_for_log("client=198.51.100.8 status=401").await;
        assert!(!server.log().contains("192.0.2.1"), "{}", server.log());
    })
    .await;
}
