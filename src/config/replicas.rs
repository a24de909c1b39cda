//! Settings of replicas.

use std::time::Duration;

use clap::Args;
use migration::bounds;

/// Which replicas of the database reads may go to.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Replicas")]
pub struct ReplicaSettings {
    /// URL of a hot standby of the PostgreSQL that --database-url names, to which reads may go. It names one server, not a
    /// balancer of several. Repeatable, or separated by spaces [default: all reads go to the primary]
    #[arg(
        long,
        global = true,
        env = "READ_DATABASE_URL",
        value_name = "URL",
        value_delimiter = ' '
    )]
    pub read_database_url: Vec<String>,

    /// The longest time by which a replica may lag behind the primary and still be read
    #[arg(long, global = true, env = "REPLICA_MAX_LAG", value_name = "TIME", default_value = "10s", value_parser = bounds::timeout)]
    pub replica_max_lag: Duration,
}

impl ReplicaSettings {
    /// The URLs. Between two spaces there is none.
    pub(crate) fn urls(&self) -> impl Iterator<Item = &str> {
        let urls = self.read_database_url.iter().map(|url| url.trim());
        urls.filter(|url| !url.is_empty())
    }
}
