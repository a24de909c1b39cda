//! Several servers for one PostgreSQL database, and which of them is used: the first in the URL's order
//! that answers and whose sessions have the attributes that the URL asks for, as with libpq.

use std::{fmt, time::Duration};

use sea_orm_migration::sea_orm::{
    DbErr, RuntimeErr,
    sqlx::{
        ConnectOptions, Connection, Error, PgConnection, Row, postgres::PgConnectOptions, raw_sql,
    },
};

/// How long an open session may take to report its attributes.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// The values of `target_session_attrs`.
pub(super) const SESSION_ATTRIBUTES: [&str; 6] = [
    "any",
    "read-write",
    "read-only",
    "primary",
    "standby",
    "prefer-standby",
];

/// The servers of a database.
#[derive(Clone)]
pub struct Hosts {
    all: Vec<PgConnectOptions>,
    wanted: String,
}

/// A session on the server that is used.
#[derive(Debug)]
pub struct ChosenHost {
    pub session: PgConnection,
    /// Its place in the list.
    pub index: usize,
    wanted: String,
}

impl Hosts {
    pub(super) fn new(all: Vec<PgConnectOptions>, wanted: Option<&str>) -> Self {
        let wanted = wanted.unwrap_or("any").to_owned();
        Self { all, wanted }
    }

    /// Whether there is more than one server, or one that may not do.
    pub fn are_a_choice(&self) -> bool {
        self.all.len() > 1 || self.wanted != "any"
    }

    /// How to connect to a chosen server.
    pub fn options(&self, index: usize) -> &PgConnectOptions {
        &self.all[index]
    }

    /// Opens a session on the first server that will do. Each has `timeout` to open it.
    ///
    /// # Errors
    /// No server will do, or one refuses the user.
    pub async fn choose(&self, timeout: Duration) -> Result<ChosenHost, DbErr> {
        if self.wanted == "prefer-standby"
            && let Ok(chosen) = self.choose_with("standby", timeout).await
        {
            return Ok(chosen);
        }
        self.choose_with(&self.wanted, timeout).await
    }

    async fn choose_with(&self, wanted: &str, timeout: Duration) -> Result<ChosenHost, DbErr> {
        let mut failure = None;
        for (index, options) in self.all.iter().enumerate() {
            let session = match tokio::time::timeout(timeout, options.connect()).await {
                Ok(Ok(session)) => session,
                Ok(Err(error)) if is_refusal(&error) => return Err(connection_error(error)),
                Ok(Err(error)) => {
                    failure.get_or_insert(connection_error(error));
                    continue;
                }
                Err(_) => {
                    failure.get_or_insert(unusable("no answer in time"));
                    continue;
                }
            };
            let mut chosen = ChosenHost {
                session,
                index,
                wanted: wanted.to_owned(),
            };
            if chosen.will_do().await {
                return Ok(chosen);
            }
            let _ = chosen.session.close().await;
            failure = Some(unusable(&format!("no server is {wanted}")));
        }
        Err(failure.unwrap_or_else(|| unusable("no server")))
    }
}

impl ChosenHost {
    /// Whether the server answers, and its sessions have the attributes that are wanted.
    pub async fn will_do(&mut self) -> bool {
        const ATTRIBUTES: &str =
            "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'";
        let Ok(Ok(row)) = tokio::time::timeout(
            CHECK_TIMEOUT,
            raw_sql(ATTRIBUTES).fetch_one(&mut self.session),
        )
        .await
        else {
            return false;
        };
        match (row.try_get(0), row.try_get(1)) {
            (Ok(is_standby), Ok(is_read_only)) => fits(&self.wanted, is_standby, is_read_only),
            _ => false,
        }
    }
}

fn fits(wanted: &str, is_standby: bool, is_read_only: bool) -> bool {
    match wanted {
        "read-write" => !is_read_only,
        "read-only" => is_read_only,
        "primary" => !is_standby,
        "standby" => is_standby,
        _ => true,
    }
}

/// Whether the server answers and refuses, so that the next one would as well. One that is starting or
/// stopping only can't be used now.
fn is_refusal(error: &Error) -> bool {
    let reported = error.as_database_error();
    reported.is_some_and(|reported| !reported.code().is_some_and(|code| code.starts_with("57P")))
}

fn connection_error(error: Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(error.into()))
}

fn unusable(reason: &str) -> DbErr {
    DbErr::Conn(RuntimeErr::Internal(reason.to_owned()))
}

impl fmt::Display for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.all.iter().map(|options| match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => options.get_host().to_owned(),
        });
        f.write_str(&names.collect::<Vec<_>>().join(","))
    }
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hosts({self}, {})", self.wanted)
    }
}
