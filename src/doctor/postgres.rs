//! What the service needs of PostgreSQL: a version, an encoding, permissions, enough connections, and
//! settings under which acknowledged writes are durable.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use migration::connection::PoolSize;
use sea_orm::DbErr;

use super::{
    connection,
    postgres_facts::{self, ConnectionSlots, ServerClock, ServerFacts, TableRights},
    report::Report,
    schema::{self, SchemaState},
};
use crate::{
    config::Settings,
    database::{Connections, Database},
};

/// PostgreSQL 15.
const MIN_VERSION_NUMBER: i32 = 150_000;
/// Within a data centre, a round trip takes well under a millisecond.
const SLOW_ROUND_TRIP: Duration = Duration::from_millis(10);
const CLOCK_WARNING_SECONDS: f64 = 1.0;
const CLOCK_ERROR_SECONDS: f64 = 30.0;

pub(super) async fn check(
    settings: &Settings,
    database: &Database,
    instances: u32,
    report: &mut Report,
) -> Result<SchemaState, DbErr> {
    let target = database.target();
    let name = format!("{} on {}", target.database(), target.host());
    if let Err(cause) = database.try_connect().await {
        let found = format!("{name} can't be used: {cause}");
        report.error("connection", found, connection::advice(&cause));
        return Ok(SchemaState::Unreadable);
    }
    if let Err(cause) = database.check_pooler().await {
        let advice = "see the chapter on poolers in docs/database.md";
        report.error("pooler", cause, advice);
        return Ok(SchemaState::Unreadable);
    }
    let db = database.connection();
    let Some(server) = postgres_facts::one::<ServerFacts>(db, ServerFacts::SQL).await? else {
        return Ok(SchemaState::Unreadable);
    };
    check_connection(&name, connection::round_trip(db).await?, &server, report);
    check_writable(&server, report);
    check_durability(&server, report);
    let schema = schema::check(db, report).await;
    check_permissions(db, &server, schema, report).await?;
    check_search(&server, schema, report);
    check_clock(db, report).await?;
    let pool = PoolSize::from_settings(&settings.database, target);
    if let Some(slots) = postgres_facts::one::<ConnectionSlots>(db, ConnectionSlots::SQL).await? {
        // One more asks whether the database is ready, and another one watches several hosts.
        let each = pool.max + 1 + u32::from(target.hosts().is_some());
        check_slots(&slots, each, instances, report);
    }
    Ok(schema)
}

fn check_connection(name: &str, round_trip: Duration, server: &ServerFacts, report: &mut Report) {
    let found = format!(
        "{name} runs PostgreSQL {}, {:.1} ms per round trip",
        server.version,
        round_trip.as_secs_f64() * 1000.0
    );
    if server.version_number < MIN_VERSION_NUMBER {
        report.error("connection", found, "upgrade to PostgreSQL 15 or later");
    } else if round_trip > SLOW_ROUND_TRIP {
        let advice = "run the service nearer to its database: every request waits for a round trip";
        report.warning("connection", found, advice);
    } else {
        report.ok("connection", found);
    }
    if !server.encrypted && !server.local {
        report.warning(
            "encryption",
            "the connection is not encrypted, so its traffic can be read on the way",
            "add ?sslmode=verify-full to DATABASE_URL",
        );
    }
}

fn check_writable(server: &ServerFacts, report: &mut Report) {
    if server.standby {
        report.error(
            "server",
            "is a standby and accepts no writes",
            "connect to the primary",
        );
    } else if server.read_only {
        report.error(
            "server",
            "accepts no writes in this database or from this role: default_transaction_read_only is on",
            "turn it off for the service's role, or connect to another database",
        );
    }
}

/// Checks that text is stored unchanged, and that acknowledged writes survive a crash.
fn check_durability(server: &ServerFacts, report: &mut Report) {
    if server.encoding == "UTF8" {
        report.ok("encoding", "is UTF8");
    } else {
        report.error(
            "encoding",
            format_args!("is {}, which can't store every text", server.encoding),
            "create a database with ENCODING 'UTF8' and move the data there",
        );
    }
    let off: Vec<&str> = [
        ("fsync", &server.fsync),
        ("full_page_writes", &server.full_page_writes),
        ("synchronous_commit", &server.synchronous_commit),
    ]
    .into_iter()
    .filter_map(|(name, value)| (value == "off").then_some(name))
    .collect();
    if off.is_empty() {
        report.ok("durability", "acknowledged writes survive a database crash");
    } else {
        let off = off.join(" and ");
        report.warning(
            "durability",
            format_args!("with {off} off, a database crash can lose acknowledged writes"),
            format_args!("turn {off} on"),
        );
    }
}

async fn check_permissions(
    db: &Connections,
    server: &ServerFacts,
    schema: SchemaState,
    report: &mut Report,
) -> Result<(), DbErr> {
    const SUBJECT: &str = "permissions";
    let tables = postgres_facts::all::<TableRights>(db, TableRights::SQL).await?;
    let names = |wanted: fn(&&TableRights) -> bool| {
        let names: Vec<&str> = tables
            .iter()
            .filter(wanted)
            .map(|table| table.name.as_str())
            .collect();
        names.join(", ")
    };
    let (unusable, foreign) = (names(|table| !table.usable), names(|table| !table.owned));
    let migrates = server.may_create && foreign.is_empty();
    if !unusable.is_empty() {
        report.error(
            SUBJECT,
            format_args!("this role may not read and write {unusable}"),
            "grant it SELECT, INSERT, UPDATE and DELETE on all tables of the schema",
        );
    }
    if !migrates && schema == SchemaState::Older {
        report.error(
            SUBJECT,
            "this role may not apply the migrations that are pending",
            "run `circle-registry migrate up` as the owner of the schema and its tables",
        );
    } else if !migrates {
        report.warning(
            SUBJECT,
            "this role may not apply the migrations of a later build",
            "run `circle-registry migrate up` as the owner before each upgrade, and serve with --no-migrate",
        );
    } else if unusable.is_empty() {
        report.ok(SUBJECT, "this role may read, write and migrate");
    }
    Ok(())
}

fn check_search(server: &ServerFacts, schema: SchemaState, report: &mut Report) {
    const SUBJECT: &str = "search";
    const CREATE: &str = "have a superuser or the database's owner run CREATE EXTENSION pg_trgm";
    match (server.trigrams, server.search_indexes) {
        (true, 1..) => report.ok(SUBJECT, "is indexed by pg_trgm"),
        (true, _) if schema == SchemaState::Current => report.warning(
            SUBJECT,
            "pg_trgm is installed, but came after the migration that creates its indexes",
            "create the indexes as docs/database.md describes",
        ),
        (true, _) => report.ok(SUBJECT, "pg_trgm is installed for the pending migrations"),
        (false, _) if schema == SchemaState::Current => report.warning(
            SUBJECT,
            "without the extension pg_trgm, a text search reads the whole table",
            CREATE,
        ),
        (false, _) => report.warning(
            SUBJECT,
            "the extension pg_trgm is not installed yet; the migrations try to create it",
            CREATE,
        ),
    }
}

async fn check_clock(db: &Connections, report: &mut Report) -> Result<(), DbErr> {
    let sent_at = SystemTime::now().duration_since(UNIX_EPOCH);
    let started = Instant::now();
    let Some(clock) = postgres_facts::one::<ServerClock>(db, ServerClock::SQL).await? else {
        return Ok(());
    };
    // The server read its clock about half a round trip after the statement was sent.
    let here = sent_at.unwrap_or_default() + started.elapsed() / 2;
    let difference = (clock.now - here.as_secs_f64()).abs();
    let found = format!("this machine's and the database's are {difference:.3} s apart");
    let advice = "synchronize both by NTP: timestamps in the data come from either";
    match difference {
        CLOCK_ERROR_SECONDS.. => report.error("clock", found, advice),
        CLOCK_WARNING_SECONDS.. => report.warning("clock", found, advice),
        _ => report.ok("clock", found),
    }
    Ok(())
}

fn check_slots(available: &ConnectionSlots, each: u32, instances: u32, report: &mut Report) {
    const SUBJECT: &str = "connections";
    let ConnectionSlots { slots, others } = *available;
    let needed = i64::from(each) * i64::from(instances);
    let found = format!(
        "{instances} instance(s) with up to {each} each need {needed} of {slots} slots, {others} of them held by other clients"
    );
    let advice =
        "lower DB_POOL_MAX, or raise the connection limit of the server, the role or the database";
    if needed > slots {
        report.error(SUBJECT, found, advice);
    } else if needed + others > slots {
        report.warning(SUBJECT, found, advice);
    } else if needed + i64::from(each) + others > slots {
        let found = format!("{found}, and one more has no room for a rolling update");
        report.warning(SUBJECT, found, advice);
    } else {
        report.ok(
            SUBJECT,
            format_args!("{found}, with room for a rolling update"),
        );
    }
}
