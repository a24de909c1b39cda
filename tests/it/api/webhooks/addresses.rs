//! Where webhooks may lead: not to what only the service reaches.

use serde_json::{Value, json};

use super::{WEBHOOKS, path_of};
use test_support::{
    TestApp, on_both, on_both_databases,
    receiver::{Behavior, Receiver, with_local_receivers},
};

/// Addresses that are not public, in many notations.
const REFUSED: [&str; 40] = [
    "127.0.0.1",
    "127.1",
    "127.255.255.254",
    "2130706433",
    "0x7f.1",
    "0x7f000001",
    "0x7F.0.0.0x1",
    "017700000001",
    "0177.0.0.1",
    "127.0.0.1.",
    "0",
    "0.0.0.0",
    "10.0.0.1",
    "10.255.255.255",
    "012.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "169.254.169.254",
    "0xa9fea9fe",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.168.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::a9fe:a9fe]",
    "[2001:0:7f00:1::]",
    "[2002:7f00:1::]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[ff02::1]",
];

#[tokio::test]
async fn an_address_that_is_not_public_is_refused_in_any_notation() {
    on_both(async |app| {
        let body = |url: &str| json!({"name": "w", "url": url, "is_enabled": false});
        for host in REFUSED {
            let refused = app
                .post(WEBHOOKS, &body(&format!("https://{host}:8443/x")))
                .await;
            let text = refused.text.clone();
            refused.invalid(&["#/url"]);
            assert!(text.contains("not public"), "{host}: {text}");
        }
        for url in [
            "http://receiver.example/",
            "https://me@receiver.example/",
            "https://me:secret@receiver.example/",
            "https://receiver.example/#x",
            "https://receiver.example/?api_key=Zq3vT9xKpL2m",
            "ftp://receiver.example/",
            "file:///etc/passwd",
            "receiver.example",
        ] {
            app.post(WEBHOOKS, &body(url)).await.invalid(&["#/url"]);
        }
        let created = app
            .post(WEBHOOKS, &body("https://8.8.8.8/x"))
            .await
            .created();
        let change = json!({"url": "https://10.0.0.1/"});
        app.patch(&path_of(&created), &change)
            .await
            .invalid(&["#/url"]);
    })
    .await;
}

/// Tests a webhook, and returns the answer.
async fn tested(app: &TestApp, url: &str) -> Value {
    let body = json!({"name": "w", "url": url, "is_enabled": false});
    let created = app.post(WEBHOOKS, &body).await.created();
    let path = format!("{}/test", path_of(&created));
    app.post(&path, &Value::Null).await.ok()
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_refused_when_it_is_resolved() {
    on_both_databases(async |database| {
        let receiver = Receiver::start(Behavior::Status(200)).await;
        let mut settings = with_local_receivers(database.settings());
        settings.webhooks.webhook_allow_address.clear();
        let app = TestApp::start(database.backend, settings).await;
        let port = receiver.address.port();
        let test = tested(&app, &format!("http://localhost:{port}/")).await;
        assert_eq!(test["status"], Value::Null);
        assert_eq!(test["error"], "leads to an address that is not public");
        assert!(receiver.received().is_empty());
        app.stop().await;

        // The same name where its addresses are allowed.
        let mut settings = with_local_receivers(database.settings());
        let all = ["127.0.0.0/8", "::1/128"].map(|text| text.parse().expect("a network"));
        settings.webhooks.webhook_allow_address = all.to_vec();
        let app = TestApp::start(database.backend, settings).await;
        let test = tested(&app, &format!("http://localhost:{port}/")).await;
        assert_eq!(test["status"], 200, "{test}");
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    on_both_databases(async |database| {
        let settings = with_local_receivers(database.settings());
        let app = TestApp::start(database.backend, settings).await;
        let elsewhere = Receiver::start(Behavior::Status(200)).await;
        let to = format!("location: {}", elsewhere.url());
        for status in [301, 302, 307, 308] {
            let receiver = Receiver::start(Behavior::Field(status, to.clone())).await;
            let test = tested(&app, &receiver.url()).await;
            assert_eq!(test["status"], status);
            assert_eq!(test["error"], format!("answered {status}"));
        }
        assert!(elsewhere.received().is_empty());
        app.stop().await;
    })
    .await;
}
