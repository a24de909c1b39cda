//! Messages of tools and of the system, besides those of agents and users.
//!
//! Going back makes them messages of users, which speak out of turn, too.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        accept(manager, "'agent', 'user', 'tool', 'system'").await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let users = "UPDATE messages SET author = 'user' WHERE author IN ('tool', 'system')";
        ddl::run(manager, &[users]).await?;
        accept(manager, "'agent', 'user'").await
    }
}

/// SQLite can't change the check of a column, so a new column takes its place.
async fn accept(manager: &SchemaManager<'_>, authors: &str) -> Result<(), DbErr> {
    if manager.get_database_backend() == DbBackend::Sqlite {
        let add = format!(
            "ALTER TABLE messages ADD COLUMN new_author text NOT NULL DEFAULT 'user' \
                 CHECK (new_author IN ({authors}))"
        );
        let statements = [
            &add,
            "UPDATE messages SET new_author = author WHERE author <> 'user'",
            "ALTER TABLE messages DROP COLUMN author",
            "ALTER TABLE messages RENAME COLUMN new_author TO author",
        ];
        ddl::run(manager, &statements).await
    } else {
        let change = format!(
            "ALTER TABLE messages DROP CONSTRAINT messages_author_check, \
                 ADD CONSTRAINT messages_author_check CHECK (author IN ({authors}))"
        );
        ddl::run(manager, &[&change]).await
    }
}
