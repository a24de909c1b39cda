//! What a PostgreSQL server reports about itself, and the statements that ask for it.

use sea_orm::{DbBackend, DbErr, FromQueryResult, Statement};

use crate::database::Connections;

#[derive(Debug, FromQueryResult)]
pub(super) struct ServerFacts {
    pub(super) version: String,
    pub(super) version_number: i32,
    pub(super) encoding: String,
    pub(super) fsync: String,
    pub(super) full_page_writes: String,
    pub(super) synchronous_commit: String,
    pub(super) standby: bool,
    pub(super) read_only: bool,
    pub(super) encrypted: bool,
    pub(super) local: bool,
    pub(super) trigrams: bool,
    pub(super) search_indexes: i64,
    pub(super) may_create: bool,
}

impl ServerFacts {
    pub(super) const SQL: &str = "SELECT current_setting('server_version') AS version, \
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
}

/// How many connections the role may open to the database, and how many other clients hold.
#[derive(Debug, FromQueryResult)]
pub(super) struct ConnectionSlots {
    pub(super) slots: i64,
    pub(super) others: i64,
}

impl ConnectionSlots {
    /// The smallest of the limits of the server, the role and the database, where -1 means no limit.
    pub(super) const SQL: &str = "SELECT least( \
          current_setting('max_connections')::bigint \
            - current_setting('superuser_reserved_connections')::bigint \
            - coalesce(current_setting('reserved_connections', true)::bigint, 0), \
          (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user), \
          (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database()) \
        ) AS slots, \
        (SELECT count(*) FROM pg_stat_activity \
           WHERE backend_type = 'client backend' AND application_name <> 'circle-registry') AS others";
}

/// What the role may do with a table: read and write it, and migrate it.
#[derive(Debug, FromQueryResult)]
pub(super) struct TableRights {
    pub(super) name: String,
    pub(super) usable: bool,
    pub(super) owned: bool,
}

impl TableRights {
    pub(super) const SQL: &str = "SELECT tablename::text AS name, \
        has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT') \
          AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE') AS usable, \
        pg_has_role(c.relowner, 'USAGE') AS owned \
        FROM pg_tables t JOIN pg_class c ON c.relname = t.tablename \
          AND c.relnamespace = current_schema()::regnamespace \
        WHERE t.schemaname = current_schema() ORDER BY tablename";
}

#[derive(Debug, FromQueryResult)]
pub(super) struct ServerClock {
    /// Seconds since 1970.
    pub(super) now: f64,
}

impl ServerClock {
    pub(super) const SQL: &str = "SELECT extract(epoch FROM clock_timestamp())::float8 AS now";
}

pub(super) async fn one<T: FromQueryResult>(
    db: &Connections,
    sql: &str,
) -> Result<Option<T>, DbErr> {
    let statement = Statement::from_string(DbBackend::Postgres, sql);
    T::find_by_statement(statement).one(db).await
}

pub(super) async fn all<T: FromQueryResult>(db: &Connections, sql: &str) -> Result<Vec<T>, DbErr> {
    let statement = Statement::from_string(DbBackend::Postgres, sql);
    T::find_by_statement(statement).all(db).await
}
