//! Whether the database lets us in, and how far away it is.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, DbErr};

use crate::{
    database::Connections,
    error::{self, Error},
};

/// What to do about a database that lets nobody in.
pub(super) fn advice(cause: &DbErr) -> &'static str {
    if error::is_refused(cause) {
        return "check the user, the password and the name of the database, and that the user may \
                connect to it";
    }
    match Error::from(cause.clone()) {
        Error::Unavailable(cause) if error::is_reported(&cause) => {
            "the database is there but busy or starting; run this again in a moment"
        }
        Error::Unavailable(_) | Error::PoolExhausted(_) => {
            "check its host and port, that it runs, and that it may be reached from here"
        }
        Error::OutOfSpace(_) => "make space on the database's disk",
        _ => "check that the database is the right one and that this user may read and write it",
    }
}

/// The quickest of a few round trips.
pub(super) async fn round_trip(db: &Connections) -> Result<Duration, DbErr> {
    let mut quickest = Duration::MAX;
    for _ in 0..5 {
        let begun = Instant::now();
        db.execute_unprepared("SELECT 1").await?;
        quickest = quickest.min(begun.elapsed());
    }
    Ok(quickest)
}
