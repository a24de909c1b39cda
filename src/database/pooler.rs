//! Whether a pooler before PostgreSQL gives the service what it needs: prepared statements,
//! transactions and time limits.

use std::time::Duration;

use sea_orm::{
    DbErr,
    sqlx::{self, ConnectOptions, Connection, Error, PgConnection, Row, error::DatabaseError},
};

use super::{Database, connection_error};

/// How long to wait for a second session. Without one, there is nothing to compare.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A prepared statement that another session made or that does not exist; whatever PgBouncer itself
/// refuses.
const UNSUPPORTED: [&str; 3] = ["42P05", "26000", "08P01"];
/// How often two sessions are compared. Other clients of the pooler may take a connection in between.
const ROUNDS: usize = 3;

impl Database {
    /// Checks that sessions work if a pooler lets them share connections to the server. That shows when
    /// two open sessions have the same process.
    ///
    /// # Errors
    /// What to change.
    pub(crate) async fn check_pooler(&self) -> Result<(), DbErr> {
        let options = self
            .inner
            .pool
            .get_postgres_connection_pool()
            .connect_options();
        let both = async { tokio::try_join!(options.connect(), options.connect()) };
        let Ok(Ok((mut one, mut other))) = tokio::time::timeout(CONNECT_TIMEOUT, both).await else {
            return Ok(());
        };
        let checked = self.check_sessions(&mut one, &mut other).await;
        let closed = tokio::try_join!(one.close(), other.close());
        checked.and(closed.map(|_| ())).map_err(connection_error)
    }

    async fn check_sessions(
        &self,
        one: &mut PgConnection,
        other: &mut PgConnection,
    ) -> Result<(), Error> {
        if !is_shared(one, other).await? {
            return Ok(());
        }
        if let Err(cause) = use_both(one, other).await {
            let code = cause.as_database_error().and_then(DatabaseError::code);
            if !code.is_some_and(|code| UNSUPPORTED.contains(&&*code)) {
                return Err(cause);
            }
            return Err(refusal(&format!(
                "and breaks them ({cause}); set pool_mode = session, or use PgBouncer 1.21 or later with pool_mode = \
                 transaction and max_prepared_statements = 200"
            )));
        }
        let limits = &self.inner.limits;
        if limits.are_defaults(one).await? {
            return Ok(());
        }
        Err(refusal(&format!(
            "so the time limits of a session do not last; set pool_mode = session, or make them the \
             defaults of the role: {}",
            limits.as_statements().trim_end()
        )))
    }
}

fn refusal(cause: &str) -> Error {
    let text = format!("a pooler lets sessions share connections to the database, {cause}");
    Error::Configuration(text.into())
}

async fn is_shared(one: &mut PgConnection, other: &mut PgConnection) -> Result<bool, Error> {
    for _ in 0..ROUNDS {
        if process_of(one).await? == process_of(other).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn process_of(session: &mut PgConnection) -> Result<i32, Error> {
    let row = sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(session);
    row.await?.try_get(0)
}

/// Uses a transaction and the same prepared statement in both sessions.
async fn use_both(one: &mut PgConnection, other: &mut PgConnection) -> Result<(), Error> {
    for session in [one, other] {
        sqlx::raw_sql("BEGIN; COMMIT")
            .execute(&mut *session)
            .await?;
        sqlx::query("SELECT 1").execute(&mut *session).await?;
    }
    Ok(())
}
