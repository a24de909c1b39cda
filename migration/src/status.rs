//! Which migrations a database has, and whether it is this program's database at all.

use std::{collections::BTreeSet, fs};

use sea_orm_migration::{
    MigratorTrait,
    prelude::*,
    sea_orm::{DbBackend, EntityTrait, QueryOrder, Statement},
    seaql_migrations,
};
use serde::Serialize;

use crate::{
    Migrator,
    connection::{self, Target},
    runner::MigrateError,
    settings::DatabaseSettings,
};

/// The end of the name of a migration that only adds what earlier builds need not know: tables, indexes, and
/// columns that are null or have a default, which no trigger of theirs misses; or that repairs rows as a request
/// could. Instances of the build before stay ready on such a schema, so an upgrade needs no pause.
const ADDITIVE: &str = "_additive";

/// The table that says that a copy into this database has begun and not ended: until then it lacks rows, and what
/// guards and counts them.
pub const UNFINISHED_COPY: &str = "unfinished_copy";

/// How many names a message lists.
const MAX_LISTED: usize = 5;

/// The state of every migration in a database, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Status {
    pub applied: Vec<String>,
    pub pending: Vec<String>,
    /// Applied by a later build, and harmless to this one: their names end in `_additive`.
    pub additive: Vec<String>,
    /// Applied, but unknown to this program.
    pub unknown: Vec<String>,
    /// Tables and views in a database to which this program has applied nothing.
    pub foreign: Vec<String>,
    /// Tables that applied migrations created, and that do not exist.
    pub missing: Vec<String>,
    /// Whether a copy into the database has begun and not ended.
    pub unfinished_copy: bool,
}

impl Status {
    /// Fails unless the database is empty or this program's, of this build or an earlier one.
    ///
    /// # Errors
    /// Another application's database, a newer schema, a schema of which tables are missing, a copy that has not ended.
    pub fn check_known(&self) -> Result<(), MigrateError> {
        let Self {
            applied,
            pending: _,
            additive: _,
            unknown,
            foreign,
            missing,
            unfinished_copy,
        } = self;
        if applied.is_empty() && !(unknown.is_empty() && foreign.is_empty()) {
            return Err(MigrateError::Foreign(list([
                ("the migrations", unknown),
                ("the tables", foreign),
            ])));
        }
        if !unknown.is_empty() {
            return Err(MigrateError::Newer(unknown.clone()));
        }
        if !missing.is_empty() {
            return Err(MigrateError::Incomplete(missing.clone()));
        }
        if *unfinished_copy {
            return Err(MigrateError::UnfinishedCopy);
        }
        Ok(())
    }

    /// # Errors
    /// As [`Self::check_known`], or a schema that is older than this program's.
    pub fn check_current(self) -> Result<(), MigrateError> {
        self.check_known()?;
        if !self.pending.is_empty() {
            return Err(MigrateError::Pending(self.pending));
        }
        Ok(())
    }
}

/// "the migrations a, b and the tables c, d, e, f, g and 12 more"
fn list(kinds: [(&str, &Vec<String>); 2]) -> String {
    let lists = kinds.into_iter().filter(|(_, names)| !names.is_empty());
    let lists: Vec<String> = lists
        .map(|(kind, names)| {
            let listed = names[..names.len().min(MAX_LISTED)].join(", ");
            match names.len().saturating_sub(MAX_LISTED) {
                0 => format!("{kind} {listed}"),
                more => format!("{kind} {listed} and {more} more"),
            }
        })
        .collect();
    lists.join(" and ")
}

/// Reads which migrations are applied, and changes nothing.
///
/// # Errors
/// A database that can't be read.
pub async fn status<C: ConnectionTrait>(db: &C) -> Result<Status, DbErr> {
    let table = Migrator::migration_table_name().to_string();
    let mut tables = tables(db).await?;
    let recorded = if tables.remove(&table) {
        seaql_migrations::Entity::find()
            .order_by_asc(seaql_migrations::Column::Version)
            .all(db)
            .await?
    } else {
        Vec::new()
    };
    let recorded: BTreeSet<String> = recorded.into_iter().map(|row| row.version).collect();
    let known: Vec<String> = names();
    let (applied, pending): (Vec<_>, Vec<_>) = known
        .iter()
        .cloned()
        .partition(|name| recorded.contains(name));
    let (additive, unknown) = recorded
        .into_iter()
        .filter(|name| !known.contains(name))
        .partition(|name| name.ends_with(ADDITIVE));
    if missing(&applied, &tables).next().is_some() {
        // Another migrator may have created them in between.
        tables = self::tables(db).await?;
    }
    let missing = missing(&applied, &tables).map(str::to_owned).collect();
    let unfinished_copy = !applied.is_empty() && tables.contains(UNFINISHED_COPY);
    let foreign = match applied.as_slice() {
        [] => tables.into_iter().collect(),
        _ => Vec::new(),
    };
    Ok(Status {
        applied,
        pending,
        additive,
        unknown,
        foreign,
        missing,
        unfinished_copy,
    })
}

/// The tables that these migrations created, without those that exist. A migration that creates the table
/// `x` is named `…_create_x`, or `…_create_x_additive`.
fn missing<'a>(
    applied: &'a [String],
    tables: &'a BTreeSet<String>,
) -> impl Iterator<Item = &'a str> {
    let created = applied
        .iter()
        .filter_map(|name| Some(name.split_once("_create_")?.1))
        .map(|table| table.strip_suffix(ADDITIVE).unwrap_or(table));
    created.filter(|table| !tables.contains(*table))
}

fn names() -> Vec<String> {
    Migrator::migrations()
        .iter()
        .map(|migration| migration.name().to_owned())
        .collect()
}

/// The tables and views of the schema, without those that belong to extensions.
async fn tables<C: ConnectionTrait>(db: &C) -> Result<BTreeSet<String>, DbErr> {
    let sql = match db.get_database_backend() {
        DbBackend::Sqlite => {
            "SELECT name FROM sqlite_master \
             WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        }
        _ => {
            "SELECT relname::text AS name FROM pg_class \
             WHERE relnamespace = current_schema()::regnamespace \
               AND relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT relispartition \
               AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass \
                 AND objid = pg_class.oid AND deptype = 'e')"
        }
    };
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let rows = db.query_all_raw(statement).await?;
    rows.iter().map(|row| row.try_get("", "name")).collect()
}

/// Reads the status before a pool is opened, and changes nothing: a SQLite file is not created, and keeps
/// its journal mode, which a pool changes.
///
/// # Errors
/// A database that can't be read.
pub async fn look(settings: &DatabaseSettings, target: &Target) -> Result<Status, DbErr> {
    if is_missing_file(target) {
        return Ok(Status {
            pending: names(),
            ..Status::default()
        });
    }
    let db = connection::open_to_look(settings, target);
    let status = status(&db).await;
    db.close().await?;
    status
}

/// Whether a connection would create the file of the database.
pub fn is_missing_file(target: &Target) -> bool {
    let is_file = target.backend() == DbBackend::Sqlite && !target.is_in_memory();
    is_file && fs::metadata(target.database()).map_or(true, |file| file.len() == 0)
}
