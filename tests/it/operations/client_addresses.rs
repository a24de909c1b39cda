//! Whose address is logged, limited and recorded.

use reqwest::{Client, Method};
use serde_json::{Value, json};

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

/// Creates an agent with a key, as the client that a proxy names.
async fn create(server: &Server, token: &str, name: &str, more: &[(&str, &str)]) {
    let mut request = Client::new()
        .request(Method::POST, server.url("/v1/agents"))
        .bearer_auth(token)
        .header("x-forwarded-for", "192.0.2.1, 198.51.100.7");
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    let body = json!({"name": name});
    Answer::to(request.json(&body)).await.created();
}

#[tokio::test]
async fn an_audit_entry_has_the_peer_s_address_or_the_one_that_a_trusted_proxy_names() {
    on_both_databases(async |database| {
        let key = ["keys", "create", "--name", "ops", "--scope", "admin"];
        let token = binary::output_of(&[&key[..], &["--database-url", &database.url]].concat());
        let token = token
            .split_whitespace()
            .find(|word| word.starts_with("crk_"))
            .expect("a token");
        let once = [("idempotency-key", "once")];
        let server = Server::start_ready(&database.url, &[]).await;
        create(&server, token, "direct", &[]).await;
        create(&server, token, "once", &once).await;
        let server = Server::start_ready(&database.url, &["--trusted-proxy", "127.0.0.1"]).await;
        create(&server, token, "behind", &[]).await;
        // Replayed: nothing is changed, whatever address asks again.
        create(&server, token, "once", &once).await;
        let list = Client::new().get(server.url("/v1/audit?order=asc"));
        let entries = Answer::to(list.bearer_auth(token)).await.ok();
        let of = |entry: &Value| json!([entry["name"], entry["client_address"]]);
        let found: Vec<Value> = entries["data"]
            .as_array()
            .expect("entries")
            .iter()
            .map(of)
            .collect();
        let expected = json!([
            ["ops", null],
            ["direct", "127.0.0.1"],
            ["once", "127.0.0.1"],
            ["behind", "198.51.100.7"],
        ]);
        assert_eq!(json!(found), expected);
    })
    .await;
}
