//! Shorter triggers on PostgreSQL. A change of a member affects one circle, so there is no list of
//! circles to lock in order; that list took a third of the time of an addition. The triggers on SQLite
//! have no such list.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

use crate::ddl;

/// The triggers' functions, and the row that holds the circle's id.
const TRIGGERS: [(&str, &str); 3] = [
    ("members_insert", "NEW"),
    ("members_update", "NEW"),
    ("members_delete", "OLD"),
];

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        replace(manager, |row| format!("= {row}.circle_id")).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        replace(manager, |row| {
            format!(
                "IN (SELECT c.id FROM circles c WHERE c.id IN (SELECT {row}.circle_id) \
                 ORDER BY c.id FOR NO KEY UPDATE)"
            )
        })
        .await
    }
}

async fn replace(manager: &SchemaManager<'_>, which: impl Fn(&str) -> String) -> Result<(), DbErr> {
    if manager.get_database_backend() == DbBackend::Sqlite {
        return Ok(());
    }
    for (name, row) in TRIGGERS {
        let function = format!(
            "CREATE OR REPLACE FUNCTION roster_{name}() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN UPDATE circles SET revision = revision + 1 WHERE id {}; RETURN NULL; END $$",
            which(row)
        );
        ddl::run(manager, &[&function]).await?;
    }
    Ok(())
}
