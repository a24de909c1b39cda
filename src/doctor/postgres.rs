//! What PostgreSQL needs: a version, an encoding, permissions, room for the pool, and settings under
//! which what was answered stays.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use migration::connection::PoolSize;
use sea_orm::{DbBackend, DbErr, FromQueryResult, Statement};

use super::{
    connection,
    report::Report,
    schema::{self, Schema},
};
use crate::{
    config::Settings,
    database::{Connections, Database},
};

const OLDEST: i32 = 150_000;
/// A round trip in a data centre takes well under a millisecond.
const FAR: Duration = Duration::from_millis(10);
const CLOCK_OFF: f64 = 1.0;
const CLOCK_WRONG: f64 = 30.0;

/// The server as it describes itself.
#[derive(Debug, FromQueryResult)]
struct Server {
    version: String,
    version_number: i32,
    encoding: String,
    fsync: String,
    full_page_writes: String,
    synchronous_commit: String,
    standby: bool,
    read_only: bool,
    encrypted: bool,
    local: bool,
    trigrams: bool,
    search_indexes: i64,
    may_create: bool,
}

const SERVER: &str = "SELECT current_setting('server_version') AS version, \
    current_setting('server_version_num')::int AS version_number, \
    current_setting('server_encoding') AS encoding, \
    current_setting('fsync') AS fsync, \
    current_setting('full_page_writes') AS full_page_writes, \
    current_setting('synchronous_commit') AS synchronous_commit, \
    pg_is_in_recovery() AS standby, \
    current_setting('transaction_read_only') = 'on' AS read_only, \
    coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS encrypted, \
    coalesce(inet_server_addr() <<= '127.0.0.0/8' OR inet_server_addr() = '::1', true) AS local, \
    EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm') AS trigrams, \
    (SELECT count(*) FROM pg_indexes WHERE schemaname = current_schema() \
       AND indexname LIKE '%\\_search') AS search_indexes, \
    coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_create";

/// Room for connections.
#[derive(Debug, FromQueryResult)]
struct Room {
    places: i64,
    others: i64,
}

/// The smallest of the limits on the server, the role and the database, where -1 is none.
const ROOM: &str = "SELECT least( \
      current_setting('max_connections')::bigint \
        - current_setting('superuser_reserved_connections')::bigint \
        - coalesce(current_setting('reserved_connections', true)::bigint, 0), \
      (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user), \
      (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database()) \
    ) AS places, \
    (SELECT count(*) FROM pg_stat_activity \
       WHERE backend_type = 'client backend' AND application_name <> 'circle-registry') AS others";

/// Tables that the role can't use, and tables that it can't migrate.
#[derive(Debug, FromQueryResult)]
struct Table {
    name: String,
    usable: bool,
    owned: bool,
}

const TABLES: &str = "SELECT tablename::text AS name, \
    has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT') \
      AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE') AS usable, \
    pg_has_role(c.relowner, 'USAGE') AS owned \
    FROM pg_tables t JOIN pg_class c ON c.relname = t.tablename \
      AND c.relnamespace = current_schema()::regnamespace \
    WHERE t.schemaname = current_schema() ORDER BY tablename";

pub(super) async fn check(
    settings: &Settings,
    database: &Database,
    instances: u32,
    report: &mut Report,
) -> Result<(), DbErr> {
    let target = database.target();
    let name = format!("{} on {}", target.database(), target.host());
    if let Err(cause) = database.try_connect().await {
        let found = format!("{name} can't be used: {cause}");
        report.error("connection", found, connection::advice(&cause));
        return Ok(());
    }
    let db = database.connection();
    let Some(server) = find::<Server>(db, SERVER).await? else {
        return Ok(());
    };
    check_connection(&name, connection::round_trip(db).await?, &server, report);
    check_promises(&server, report);
    let schema = schema::check(db, report).await;
    check_permissions(db, &server, schema, report).await?;
    check_search(&server, schema, report);
    check_clock(db, report).await?;
    let pool = PoolSize::from_settings(&settings.database, target);
    if let Some(room) = find::<Room>(db, ROOM).await? {
        check_room(&room, pool.max, instances, report);
    }
    Ok(())
}

async fn find<T: FromQueryResult>(db: &Connections, sql: &str) -> Result<Option<T>, DbErr> {
    let statement = Statement::from_string(DbBackend::Postgres, sql);
    T::find_by_statement(statement).one(db).await
}

fn check_connection(name: &str, round_trip: Duration, server: &Server, report: &mut Report) {
    let found = format!(
        "PostgreSQL {} with {name} answers in {:.1} ms",
        server.version,
        round_trip.as_secs_f64() * 1000.0
    );
    if server.version_number < OLDEST {
        report.error("connection", found, "use PostgreSQL 15 or later");
    } else if round_trip > FAR {
        let advice = "run the service nearer to its database: every request waits for this";
        report.warning("connection", found, advice);
    } else {
        report.ok("connection", found);
    }
    if !server.encrypted && !server.local {
        report.warning(
            "encryption",
            "what goes to the database and comes from it can be read on the way",
            "add ?sslmode=verify-full to DATABASE_URL",
        );
    }
}

/// What makes an answered write stay, and text come back as it was.
fn check_promises(server: &Server, report: &mut Report) {
    if server.standby {
        report.error(
            "server",
            "is a standby, which takes no writes",
            "connect to the primary",
        );
    } else if server.read_only {
        report.error(
            "server",
            "takes no writes in this database or from this role: default_transaction_read_only is on",
            "turn it off for the service's role, or connect to another database",
        );
    }
    if server.encoding == "UTF8" {
        report.ok("encoding", "is UTF8");
    } else {
        report.error(
            "encoding",
            format_args!("is {}, which can't hold every text", server.encoding),
            "make a database with ENCODING 'UTF8' and move the data there",
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
        report.ok(
            "durability",
            "what was answered survives a crash of the database",
        );
    } else {
        let off = off.join(" and ");
        report.warning(
            "durability",
            format_args!("with {off} off, a crash of the database can lose what was answered"),
            format_args!("turn {off} on"),
        );
    }
}

async fn check_permissions(
    db: &Connections,
    server: &Server,
    schema: Schema,
    report: &mut Report,
) -> Result<(), DbErr> {
    const SUBJECT: &str = "permissions";
    let statement = Statement::from_string(DbBackend::Postgres, TABLES);
    let tables = Table::find_by_statement(statement).all(db).await?;
    let names = |wanted: fn(&&Table) -> bool| {
        let names: Vec<&str> = tables
            .iter()
            .filter(wanted)
            .map(|table| table.name.as_str())
            .collect();
        names.join(", ")
    };
    let (closed, foreign) = (names(|table| !table.usable), names(|table| !table.owned));
    let migrates = server.may_create && foreign.is_empty();
    if !closed.is_empty() {
        report.error(
            SUBJECT,
            format_args!("this role may not read and write {closed}"),
            "grant it SELECT, INSERT, UPDATE and DELETE on all tables of the schema",
        );
    }
    if !migrates && schema == Schema::Older {
        report.error(
            SUBJECT,
            "this role may not apply the migrations that are pending",
            "run `circle-registry migrate up` as the owner of the schema and its tables",
        );
    } else if !migrates {
        report.warning(
            SUBJECT,
            "this role may not apply the migrations of a later release",
            "run `circle-registry migrate up` as the owner before each upgrade, and serve with --no-migrate",
        );
    } else if closed.is_empty() {
        report.ok(SUBJECT, "this role may read, write and migrate");
    }
    Ok(())
}

fn check_search(server: &Server, schema: Schema, report: &mut Report) {
    const SUBJECT: &str = "search";
    const CREATE: &str =
        "let a superuser, or the owner of the database, run CREATE EXTENSION pg_trgm";
    match (server.trigrams, server.search_indexes) {
        (true, 1..) => report.ok(SUBJECT, "is indexed by pg_trgm"),
        (true, _) if schema == Schema::Current => report.warning(
            SUBJECT,
            "pg_trgm is there, but came after the migration that makes its indexes",
            "the README says under PostgreSQL how to make them",
        ),
        (true, _) => report.ok(SUBJECT, "pg_trgm is there for the migrations to come"),
        (false, _) if schema == Schema::Current => report.warning(
            SUBJECT,
            "without the extension pg_trgm a text search reads the whole table",
            CREATE,
        ),
        (false, _) => report.warning(
            SUBJECT,
            "the extension pg_trgm is not there yet; the migrations try to create it",
            CREATE,
        ),
    }
}

async fn check_clock(db: &Connections, report: &mut Report) -> Result<(), DbErr> {
    #[derive(FromQueryResult)]
    struct Clock {
        now: f64,
    }
    let begun = (SystemTime::now(), Instant::now());
    let sql = "SELECT extract(epoch FROM clock_timestamp())::float8 AS now";
    let Some(Clock { now }) = find::<Clock>(db, sql).await? else {
        return Ok(());
    };
    let since = begun.0.duration_since(UNIX_EPOCH).unwrap_or_default();
    let here = (since + begun.1.elapsed() / 2).as_secs_f64();
    let off = now - here;
    let found = format!("this machine and the database are {:.3} s apart", off.abs());
    let advice = "let both take their time from NTP: rows are stamped by whoever writes them";
    match off.abs() {
        off if off > CLOCK_WRONG => report.error("clock", found, advice),
        off if off > CLOCK_OFF => report.warning("clock", found, advice),
        _ => report.ok("clock", found),
    }
    Ok(())
}

fn check_room(room: &Room, max: u32, instances: u32, report: &mut Report) {
    const SUBJECT: &str = "connections";
    let Room { places, others } = *room;
    let wanted = i64::from(max) * i64::from(instances);
    let found = format!(
        "{instances} instance(s) of at most {max} want {wanted} of {places} places, of which others have {others}"
    );
    let advice = "lower DB_POOL_MAX, or raise the limit of the server, the role or the database";
    if wanted > places {
        report.error(SUBJECT, found, advice);
    } else if wanted + others > places {
        report.warning(SUBJECT, found, advice);
    } else {
        report.ok(SUBJECT, found);
    }
}
