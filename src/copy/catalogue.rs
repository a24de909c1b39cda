//! Which tables are copied, by which columns: what this build's migrations make.
//!
//! The migrations are applied to a database in memory, and its catalogue is the list. So a table or column that a later
//! migration adds is copied without a line of code, and a table of another application beside them is left alone. The
//! catalogues of both databases have to agree with the list.

use std::collections::{BTreeMap, BTreeSet};

use migration::settings::DatabaseSettings;
use sea_orm::DbBackend;

use super::{
    datum::{DataRow, Datum, DatumKind},
    error::{CopyError, CopySide},
    session::CopySession,
};
use crate::changes::TRANSACTION_ID_FROM_SQLITE;

/// The record of migrations, which the migrations of the target write themselves.
const RECORDS: &str = "seaql_migrations";

/// Columns that SQLite does not need, and what rows from there have in them.
const ONLY_ON_POSTGRES: [(&str, &str, &str); 1] = [(
    "audit_entries",
    "transaction_id",
    TRANSACTION_ID_FROM_SQLITE,
)];

/// The tables of one database, by their names.
pub(super) struct SchemaCatalogue(BTreeMap<String, CatalogueTable>);

#[derive(Default)]
struct CatalogueTable {
    columns: Vec<CatalogueColumn>,
    /// What gives the next id: the sequence of PostgreSQL, the name of the table on SQLite.
    ids: Option<String>,
}

struct CatalogueColumn {
    name: String,
    type_name: String,
    /// Its place in the primary key.
    key: Option<usize>,
}

impl SchemaCatalogue {
    pub(super) async fn read(session: &mut CopySession) -> Result<Self, CopyError> {
        let sql = session.choose(SQLITE, POSTGRES);
        let rows = session.texts(sql).await?;
        Ok(Self::of(rows))
    }

    fn of(rows: Vec<Vec<Option<String>>>) -> Self {
        let mut tables: BTreeMap<String, CatalogueTable> = BTreeMap::new();
        for row in rows {
            let mut row = row.into_iter();
            let mut next = || row.next().flatten();
            let (table, name, type_name) = (next(), next(), next());
            let (key, ids) = (next(), next());
            let table = tables.entry(table.unwrap_or_default()).or_default();
            table.columns.push(CatalogueColumn {
                name: name.unwrap_or_default(),
                type_name: type_name.unwrap_or_default(),
                key: key.and_then(|place| place.parse().ok()),
            });
            table.ids = ids.or(table.ids.take());
        }
        Self(tables)
    }

    pub(super) fn has(&self, table: &str) -> bool {
        self.0.contains_key(table)
    }

    /// What gives the ids of a table.
    pub(super) fn ids(&self, table: &str) -> Option<&str> {
        self.0.get(table)?.ids.as_deref()
    }

    fn names(&self, table: &str) -> BTreeSet<&str> {
        let columns = self.0.get(table).into_iter().flat_map(|it| &it.columns);
        columns.map(|column| &*column.name).collect()
    }

    fn type_of(&self, table: &str, column: &str) -> Option<&str> {
        let columns = &self.0.get(table)?.columns;
        let column = columns.iter().find(|it| it.name == column)?;
        Some(&column.type_name)
    }
}

/// Table, column, type, place in the primary key and sequence, in the order of the columns. What the database computes
/// is not copied.
const POSTGRES: &str = "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, NULL), \
      array_position(i.indkey::int2[], a.attnum)::text, \
      pg_get_serial_sequence(quote_ident(c.relname), a.attname) \
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 \
      AND NOT a.attisdropped AND a.attgenerated = '' \
    LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary \
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') \
    ORDER BY c.relname, a.attnum";
const SQLITE: &str = "SELECT m.name, p.name, lower(p.type), CAST(nullif(p.pk, 0) AS text), \
      CASE WHEN m.sql LIKE '%AUTOINCREMENT%' THEN m.name END \
    FROM sqlite_master m, pragma_table_xinfo(m.name) p \
    WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND p.hidden = 0 \
    ORDER BY m.rowid, p.cid";

/// The tables in the order in which they were created.
const SQLITE_TABLES: &str = "SELECT name FROM sqlite_master \
    WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid";

/// The schema of this build, and the rows that its migrations insert by themselves.
pub(super) struct BuildSchema {
    catalogue: SchemaCatalogue,
    /// The tables in the order in which they were created, each with the number of its rows.
    pub(super) seeded: Vec<(String, i64)>,
    /// The migrations, which identify it.
    migrations: Vec<String>,
}

impl BuildSchema {
    /// Applies the migrations to a database in memory, and reads what they made.
    pub(super) async fn of_this_build(settings: &DatabaseSettings) -> Result<Self, CopyError> {
        let (mut scratch, migrations) = CopySession::migrated_in_memory(settings).await?;
        let catalogue = SchemaCatalogue::read(&mut scratch).await?;
        let created = scratch.texts(SQLITE_TABLES).await?;
        let mut seeded = Vec::new();
        for table in created.into_iter().flatten().flatten() {
            if table != RECORDS {
                let rows = scratch.count(&table).await?;
                seeded.push((table, rows));
            }
        }
        Ok(Self {
            catalogue,
            seeded,
            migrations,
        })
    }

    pub(super) fn has(&self, table: &str) -> bool {
        self.catalogue.has(table)
    }

    /// What tells this build's schema from others.
    pub(super) fn identity(&self) -> String {
        self.migrations.join(" ")
    }

    /// What both databases have to have, by their catalogues.
    ///
    /// # Errors
    /// A table or column that one of them lacks, or that this build does not know; a type that no rule is for.
    pub(super) fn tables_to_copy(
        &self,
        source: (DbBackend, &SchemaCatalogue),
        target: (DbBackend, &SchemaCatalogue),
    ) -> Result<Vec<CopiedTable>, CopyError> {
        self.check(CopySide::Source, source)?;
        self.check(CopySide::Target, target)?;
        let names = self.seeded.iter().map(|(table, _)| table);
        names
            .map(|table| self.table_to_copy(table, source, target))
            .collect()
    }

    /// Checks that a database has the columns of this build, and no others in its tables.
    fn check(
        &self,
        side: CopySide,
        (backend, catalogue): (DbBackend, &SchemaCatalogue),
    ) -> Result<(), CopyError> {
        let (mut unknown, mut lacking) = (Vec::new(), Vec::new());
        for (table, _) in &self.seeded {
            let mut known = self.catalogue.names(table);
            if backend == DbBackend::Postgres {
                known.extend(only_on_postgres(table).map(|(_, column, _)| column));
            }
            let there = catalogue.names(table);
            let named = |column: &&str| format!("{table}.{column}");
            unknown.extend(there.difference(&known).map(named));
            lacking.extend(known.difference(&there).map(named));
        }
        if !lacking.is_empty() {
            return Err(CopyError::Lacking(side, lacking));
        }
        if !unknown.is_empty() {
            return Err(CopyError::Unknown(side, unknown));
        }
        Ok(())
    }

    fn table_to_copy(
        &self,
        table: &str,
        (from, source): (DbBackend, &SchemaCatalogue),
        (to, target): (DbBackend, &SchemaCatalogue),
    ) -> Result<CopiedTable, CopyError> {
        // PostgreSQL's types tell times and JSON from other text.
        let typed = match (from, to) {
            (DbBackend::Sqlite, DbBackend::Sqlite) => None,
            (DbBackend::Sqlite, _) => Some(target),
            _ => Some(source),
        };
        let known = &self.catalogue.0[table].columns;
        let mut names: Vec<&str> = known.iter().map(|column| &*column.name).collect();
        let mut constants = Vec::new();
        for (_, column, value) in only_on_postgres(table) {
            match (from, to) {
                (_, DbBackend::Sqlite) => {}
                (DbBackend::Sqlite, _) => constants.push((column, value)),
                _ => names.push(column),
            }
        }
        let kind_of = |column: &str| {
            let Some(typed) = typed else {
                return Ok(DatumKind::Stored);
            };
            let type_name = typed.type_of(table, column).unwrap_or_default();
            DatumKind::of_postgres(type_name).ok_or_else(|| CopyError::UnknownType {
                table: table.to_owned(),
                column: column.to_owned(),
                type_name: type_name.to_owned(),
            })
        };
        let column = |name: &&str| {
            let kind = kind_of(name)?;
            Ok::<_, CopyError>(CopiedColumn {
                name: (*name).to_owned(),
                kind,
            })
        };
        let mut key: Vec<(usize, usize)> = known
            .iter()
            .enumerate()
            .filter_map(|(index, column)| Some((column.key?, index)))
            .collect();
        key.sort_unstable();
        let table = CopiedTable {
            name: table.to_owned(),
            columns: names.iter().map(column).collect::<Result<_, _>>()?,
            key: key.into_iter().map(|(_, index)| index).collect(),
            constants,
        };
        table.check_key()?;
        Ok(table)
    }
}

fn only_on_postgres(
    table: &str,
) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    ONLY_ON_POSTGRES
        .into_iter()
        .filter(move |(it, _, _)| *it == table)
}

/// A table that is copied.
pub(super) struct CopiedTable {
    pub(super) name: String,
    pub(super) columns: Vec<CopiedColumn>,
    /// The columns of the primary key, by their places among the columns.
    pub(super) key: Vec<usize>,
    /// Columns that the source lacks, and the value that all rows have in them.
    pub(super) constants: Vec<(&'static str, &'static str)>,
}

/// A column that is copied.
pub(super) struct CopiedColumn {
    pub(super) name: String,
    pub(super) kind: DatumKind,
}

impl CopiedTable {
    pub(super) fn key_columns(&self) -> impl Iterator<Item = &CopiedColumn> {
        self.key.iter().map(|index| &self.columns[*index])
    }

    /// Both databases have to agree on the order of keys: they do for integers, and for texts by their bytes.
    fn check_key(&self) -> Result<(), CopyError> {
        let is_ordered = |kind| {
            matches!(
                kind,
                DatumKind::Integer | DatumKind::Text | DatumKind::Stored
            )
        };
        let unordered = self.key_columns().find(|column| !is_ordered(column.kind));
        let culprit = unordered.map(|column| (column.name.clone(), format!("{:?}", column.kind)));
        let none = || ("(no primary key)".to_owned(), "none".to_owned());
        match culprit.or_else(|| self.key.is_empty().then(none)) {
            None => Ok(()),
            Some((column, type_name)) => Err(CopyError::UnknownType {
                table: self.name.clone(),
                column,
                type_name,
            }),
        }
    }

    /// The statement that selects all rows in the order of a key.
    pub(super) fn select(&self, columns: &[String], key: &[String]) -> String {
        format!(
            "SELECT {} FROM {} ORDER BY {}",
            columns.join(", "),
            quoted(&self.name),
            key.join(", ")
        )
    }

    /// A row of one side, of which `datum` reads the values.
    pub(super) fn read_row<E: ToString>(
        &self,
        side: CopySide,
        datum: impl Fn(usize, DatumKind) -> Result<Datum, E>,
    ) -> Result<DataRow, CopyError> {
        let read = |(index, column): (usize, &CopiedColumn)| {
            datum(index, column.kind).map_err(|cause| CopyError::Value {
                side,
                table: self.name.clone(),
                column: column.name.clone(),
                cause: cause.to_string(),
            })
        };
        self.columns.iter().enumerate().map(read).collect()
    }

    /// The statement that deletes one row by its key.
    pub(super) fn delete_by_key(&self) -> String {
        let conditions: Vec<String> = self
            .key_columns()
            .zip(1..)
            .map(|(column, place)| format!("{} = ${place}", quoted(&column.name)))
            .collect();
        format!(
            "DELETE FROM {} WHERE {}",
            quoted(&self.name),
            conditions.join(" AND ")
        )
    }
}

/// An identifier in a statement.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
