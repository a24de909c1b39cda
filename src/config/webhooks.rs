//! Settings of webhooks.

use std::time::Duration;

use clap::{Args, builder::BoolishValueParser};
use ipnet::IpNet;
use migration::bounds;

use super::network;

/// How webhooks are delivered, and to where.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Webhooks")]
pub struct WebhookSettings {
    /// Accept webhooks without TLS, whose messages anyone on the way can read
    #[arg(
        long,
        global = true,
        env = "WEBHOOK_ALLOW_HTTP",
        num_args = 0..=1,
        default_value = "false",
        default_missing_value = "true",
        hide_default_value = true,
        value_parser = BoolishValueParser::new()
    )]
    pub webhook_allow_http: bool,

    /// Address or network, such as 10.20.0.0/16, to which webhooks are delivered though it is not public. Repeatable, or
    /// comma-separated
    #[arg(
        long,
        global = true,
        env = "WEBHOOK_ALLOW_ADDRESS",
        value_name = "NETWORK",
        value_delimiter = ',',
        value_parser = network
    )]
    pub webhook_allow_address: Vec<IpNet>,

    /// Time limit for an attempt to deliver to a webhook
    #[arg(long, global = true, env = "WEBHOOK_TIMEOUT", value_name = "TIME", default_value = "15s", value_parser = bounds::timeout)]
    pub webhook_timeout: Duration,

    /// For how long all attempts fail until a webhook is paused, at least 1m
    #[arg(long, global = true, env = "WEBHOOK_PAUSE_AFTER", value_name = "TIME", default_value = "3d", value_parser = bounds::failing)]
    pub webhook_pause_after: Duration,

    /// Interval between looks for webhooks that no instance delivers, or that another instance has changed; an instance that
    /// delivers none looks after three of them
    #[arg(long, global = true, env = "WEBHOOK_POLL_INTERVAL", value_name = "TIME", default_value = "1s", value_parser = bounds::timeout)]
    pub webhook_poll_interval: Duration,
}
