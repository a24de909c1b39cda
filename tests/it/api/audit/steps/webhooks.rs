//! Webhooks.

use serde_json::json;

use super::{CANARY, Step, step};

pub(super) fn with_webhooks() -> Vec<Step> {
    vec![
        step(
            "create_webhook",
            "/v1/webhooks",
            json!({"name": "w", "url": format!("https://{CANARY}.example"), "is_enabled": false}),
            &["create webhook w - +"],
        )
        .refused_with(json!({"name": "w", "url": "https://127.0.0.1"})),
        step(
            "update_webhook",
            "/v1/webhooks/1",
            json!({"description": CANARY, "actions": [CANARY]}),
            &["update webhook w description,actions +"],
        )
        .refused_at("/v1/webhooks/99"),
        step(
            "rotate_webhook_secret",
            "/v1/webhooks/1/secret",
            None,
            &["update webhook w secret +"],
        )
        .refused_at("/v1/webhooks/99/secret"),
        step(
            "resume_webhook",
            "/v1/webhooks/1/resume?after=latest",
            None,
            &["update webhook w cursor +"],
        )
        .refused_at("/v1/webhooks/99/resume"),
        step(
            "delete_webhook",
            "/v1/webhooks/1",
            None,
            &["delete webhook w - -"],
        ),
    ]
}
