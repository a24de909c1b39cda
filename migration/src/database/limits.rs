//! The time limits of a PostgreSQL session, and how it plans.
//!
//! They are set by a statement, because a pooler refuses a startup parameter that it does not know, or
//! drops it silently.

use std::time::Duration;

use sea_orm_migration::sea_orm::sqlx::{AssertSqlSafe, Error, PgConnection, Row, raw_sql};

use super::settings::DatabaseSettings;

/// Where all agents run on the first few models, the planner merges the members of a circle with all of these. By nested
/// loops, a roster of 20 members takes PostgreSQL a tenth fewer instructions, and their handles an eighth. What joins many
/// rows is a hash join either way.
const PLAN: &str = "SET enable_mergejoin = off; ";

/// The names of the limits, and their values in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits([(&'static str, u128); 3]);

impl SessionLimits {
    #[must_use]
    pub fn of(settings: &DatabaseSettings) -> Self {
        let milliseconds = |timeout: Duration| timeout.as_millis();
        Self([
            (
                "statement_timeout",
                milliseconds(settings.db_statement_timeout),
            ),
            ("lock_timeout", milliseconds(settings.db_lock_timeout)),
            (
                "idle_in_transaction_session_timeout",
                milliseconds(settings.db_idle_in_transaction_timeout),
            ),
        ])
    }

    /// Sets the limits of a session, and how it plans, and looks whether the limits hold.
    ///
    /// # Errors
    /// What the server or a pooler reports, or limits that do not hold.
    pub async fn set(&self, connection: &mut PgConnection) -> Result<(), Error> {
        let limits = self.each(|name, value| format!("SET {name} = {value}; "));
        let set = format!("{PLAN}{limits}");
        if self.hold(connection, &set, "setting").await? {
            return Ok(());
        }
        let cause = "the server or a pooler before it ignores SET, so a session has no time limits";
        Err(Error::Configuration(cause.into()))
    }

    /// Whether the limits are those of every new session, because the role or the database has them.
    ///
    /// # Errors
    /// What the server reports.
    pub async fn are_defaults(&self, connection: &mut PgConnection) -> Result<bool, Error> {
        self.hold(connection, "", "reset_val").await
    }

    /// Makes these limits the defaults of the role.
    #[must_use]
    pub fn as_statements(&self) -> String {
        self.each(|name, value| format!("ALTER ROLE CURRENT_USER SET {name} = {value}; "))
    }

    async fn hold(
        &self,
        connection: &mut PgConnection,
        before: &str,
        column: &str,
    ) -> Result<bool, Error> {
        let limits = self.each(|name, value| format!("('{name}', '{value}'), "));
        let sql = format!(
            "{before}SELECT count(*) = 3 FROM pg_settings WHERE (name, {column}) IN ({})",
            limits.trim_end_matches(", ")
        );
        raw_sql(AssertSqlSafe(sql))
            .fetch_one(connection)
            .await?
            .try_get(0)
    }

    fn each(&self, text: impl Fn(&str, u128) -> String) -> String {
        self.0
            .iter()
            .map(|(name, value)| text(name, *value))
            .collect()
    }
}
