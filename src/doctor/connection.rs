//! Whether the database can be reached, and how long a round trip takes.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, DbErr};

use crate::{
    database::{Connections, errors},
    error::Error,
};

/// What to do about a failed connection.
pub(super) fn advice(cause: &DbErr) -> &'static str {
    const BUSY: &str =
        "the database answers, but it is busy or starting; run this again in a moment";
    if errors::is_untrusted(cause) {
        return "check sslmode and sslrootcert in DATABASE_URL, and the certificate of the server";
    }
    if errors::is_from_pooler(cause) {
        return "see the chapter on poolers in docs/database.md";
    }
    if errors::is_refused(cause) {
        return "check the user, the password and the database name, and that the user may connect to it";
    }
    match Error::from(cause.clone()) {
        Error::Locked(_) | Error::TooSlow(_) => BUSY,
        Error::Unavailable(cause) if errors::is_reported(&cause) => BUSY,
        Error::Unavailable(_) | Error::PoolExhausted(_) => {
            "check the host and port, that the database is running, and that it can be reached from here"
        }
        Error::OutOfSpace(_) => "free space on the database's disk",
        _ => "check that this is the right database and that the user may read and write it",
    }
}

/// The shortest of five round trips.
pub(super) async fn round_trip(db: &Connections) -> Result<Duration, DbErr> {
    let mut shortest = Duration::MAX;
    for _ in 0..5 {
        let started = Instant::now();
        db.execute_unprepared("SELECT 1").await?;
        shortest = shortest.min(started.elapsed());
    }
    Ok(shortest)
}
