//! The state of a copy, in a table of the target while it lasts.
//!
//! It has what to do at the end: the statements that put back what was taken off at the beginning. Triggers count and
//! guard rows; a copy must change no count, and replaces rows that no one else may. Foreign keys would ask for an order
//! of the tables, and delete what refers to a row that is replaced. While the table exists, the service does not start.
//!
//! Each run writes its own token into it, and looks for that in each of its transactions. So a second run takes over,
//! and a first one that still lives ends before it writes again.

use uuid::Uuid;

use migration::runner::UNFINISHED_COPY;
use sea_orm::DbBackend;

use super::{
    catalogue::{BuildSchema, SchemaCatalogue},
    error::CopyError,
    session::CopySession,
};

/// A run of a copy.
pub(super) struct UnfinishedCopy {
    token: String,
}

const TOKEN: &str = "token";
const BUILD: &str = "build";
const RESTORE: &str = "restore";

/// What is taken off on PostgreSQL, and the statement that puts it back. The role owns the tables, but need not be a
/// superuser, who alone could turn off foreign keys.
const GUARDS_OF_POSTGRES: &str = "SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname), \
      format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(k.oid)), \
      c.relname::text \
    FROM pg_constraint k JOIN pg_class c ON c.oid = conrelid \
    WHERE contype = 'f' AND conparentid = 0 AND relnamespace = current_schema()::regnamespace \
    UNION ALL SELECT DISTINCT format('ALTER TABLE %s DISABLE TRIGGER USER', tgrelid::regclass), \
      format('ALTER TABLE %s ENABLE TRIGGER USER', tgrelid::regclass), c.relname::text \
    FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid \
    WHERE NOT tgisinternal AND relnamespace = current_schema()::regnamespace";
const GUARDS_OF_SQLITE: &str = "SELECT 'DROP TRIGGER \"' || replace(name, '\"', '\"\"') || '\"', sql, tbl_name \
    FROM sqlite_master WHERE type = 'trigger'";

impl UnfinishedCopy {
    /// Begins a copy into an empty target, or continues one.
    pub(super) async fn begin(
        target: &mut CopySession,
        build: &BuildSchema,
        continues: bool,
    ) -> Result<Self, CopyError> {
        let run = Self {
            token: Uuid::now_v7().to_string(),
        };
        target.begin("BEGIN IMMEDIATE", "BEGIN").await?;
        if continues {
            run.take_over(target, build).await?;
        } else {
            require_empty(target, build).await?;
            run.record(target, build).await?;
        }
        target.execute("COMMIT").await?;
        Ok(run)
    }

    async fn take_over(
        &self,
        target: &mut CopySession,
        build: &BuildSchema,
    ) -> Result<(), CopyError> {
        if read(target, BUILD).await? != [build.identity()] {
            return Err(CopyError::OtherBuild);
        }
        let token = literal(&self.token);
        let sql = format!("UPDATE {UNFINISHED_COPY} SET content = {token} WHERE kind = '{TOKEN}'");
        target.execute(&sql).await
    }

    /// Takes off what guards the tables, and writes down how to put it back.
    async fn record(&self, target: &mut CopySession, build: &BuildSchema) -> Result<(), CopyError> {
        let create = format!(
            "CREATE TABLE {UNFINISHED_COPY} (id bigint PRIMARY KEY, kind text NOT NULL, content text NOT NULL)"
        );
        target.execute(&create).await?;
        let mut entries = vec![(TOKEN, self.token.clone()), (BUILD, build.identity())];
        let guards = target.choose(GUARDS_OF_SQLITE, GUARDS_OF_POSTGRES);
        for guard in target.texts(guards).await? {
            let [Some(take_off), Some(put_back), Some(table)] = &guard[..] else {
                continue;
            };
            if build.has(table) {
                target.execute(take_off).await?;
                entries.push((RESTORE, put_back.clone()));
            }
        }
        for (id, (kind, content)) in entries.into_iter().enumerate() {
            let content = literal(&content);
            let sql = format!("INSERT INTO {UNFINISHED_COPY} VALUES ({id}, '{kind}', {content})");
            target.execute(&sql).await?;
        }
        Ok(())
    }

    /// Begins a transaction of this run.
    ///
    /// # Errors
    /// [`CopyError::TakenOver`] if another run has begun since.
    pub(super) async fn transaction(&self, target: &mut CopySession) -> Result<(), CopyError> {
        target.begin("BEGIN IMMEDIATE", "BEGIN").await?;
        if read(target, TOKEN).await? != [self.token.as_str()] {
            return Err(CopyError::TakenOver);
        }
        Ok(())
    }

    /// Puts back what was taken off, and ends the copy, in the transaction that has begun.
    pub(super) async fn finish(self, target: &mut CopySession) -> Result<(), CopyError> {
        for statement in read(target, RESTORE).await? {
            target.execute(&statement).await?;
        }
        if target.backend() == DbBackend::Sqlite {
            let dangling = target.texts(DANGLING).await?;
            let dangling: Vec<String> = dangling.into_iter().flatten().flatten().collect();
            if !dangling.is_empty() {
                return Err(CopyError::Dangling(dangling));
            }
        }
        target
            .execute(&format!("DROP TABLE {UNFINISHED_COPY}"))
            .await
    }
}

/// Tables with rows that refer to none. PostgreSQL looks when the foreign keys are put back.
const DANGLING: &str = "SELECT DISTINCT \"table\" FROM pragma_foreign_key_check()";

/// Fails if a table has more rows than the migrations insert.
pub(super) async fn require_empty(
    target: &mut CopySession,
    build: &BuildSchema,
) -> Result<(), CopyError> {
    let catalogue = SchemaCatalogue::read(target).await?;
    let mut filled = Vec::new();
    for (table, seeded) in &build.seeded {
        if catalogue.has(table) && target.count(table).await? > *seeded {
            filled.push(table.clone());
        }
    }
    match filled.as_slice() {
        [] => Ok(()),
        _ => Err(CopyError::NotEmpty(filled)),
    }
}

async fn read(target: &mut CopySession, kind: &str) -> Result<Vec<String>, CopyError> {
    // The row of the token stays locked, so that no other run takes over in the middle of a transaction.
    let lock = target.choose("", " FOR SHARE");
    let sql =
        format!("SELECT content FROM {UNFINISHED_COPY} WHERE kind = '{kind}' ORDER BY id{lock}");
    let rows = target.texts(&sql).await;
    let rows = rows.map_err(|cause| match cause {
        // Another run has finished the copy.
        CopyError::Database(_, cause) if cause.to_string().contains(UNFINISHED_COPY) => {
            CopyError::TakenOver
        }
        cause => cause,
    })?;
    Ok(rows.into_iter().flatten().flatten().collect())
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
