//! Labels have the name of their circle, so that a read by both names takes one row, and not two that are joined: a third
//! less work of PostgreSQL, for each request of handles at a label.
//!
//! Triggers set it, for every writer: when a label is inserted, and when its circle is renamed, deleted or restored. The
//! migration after this one fills it for the labels that there are. A circle that is deleted has no name by which it is read.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const ADD: &str = "ALTER TABLE circle_labels ADD COLUMN circle_name text";
const DROP: &str = "ALTER TABLE circle_labels DROP COLUMN circle_name";

/// The table of circles is locked first, as by requests that move labels.
const POSTGRES: [&str; 5] = [
    "CREATE OR REPLACE FUNCTION circle_labels_follow_circle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
       UPDATE circle_labels SET circle_name = CASE WHEN NEW.is_active THEN NEW.name END WHERE circle_id = NEW.id; \
       RETURN NULL; END $$",
    "CREATE TRIGGER circle_labels_follow_circle AFTER UPDATE OF name, is_active ON circles FOR EACH ROW \
       WHEN (OLD.name <> NEW.name OR OLD.is_active <> NEW.is_active) \
       EXECUTE FUNCTION circle_labels_follow_circle()",
    ADD,
    "CREATE OR REPLACE FUNCTION circle_labels_name_circle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
       NEW.circle_name = (SELECT name FROM circles WHERE id = NEW.circle_id AND is_active); \
       RETURN NEW; END $$",
    "CREATE TRIGGER circle_labels_name_circle BEFORE INSERT ON circle_labels FOR EACH ROW \
       WHEN (NEW.circle_name IS NULL) EXECUTE FUNCTION circle_labels_name_circle()",
];

const SQLITE: [&str; 3] = [
    ADD,
    "CREATE TRIGGER circle_labels_follow_circle AFTER UPDATE OF name, is_active ON circles FOR EACH ROW \
       WHEN OLD.name <> NEW.name OR OLD.is_active <> NEW.is_active BEGIN \
       UPDATE circle_labels SET circle_name = CASE WHEN NEW.is_active THEN NEW.name END WHERE circle_id = NEW.id; END",
    "CREATE TRIGGER circle_labels_name_circle AFTER INSERT ON circle_labels FOR EACH ROW \
       WHEN NEW.circle_name IS NULL BEGIN UPDATE circle_labels \
       SET circle_name = (SELECT name FROM circles WHERE id = NEW.circle_id AND is_active) WHERE id = NEW.id; END",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        match manager.get_database_backend() {
            DbBackend::Sqlite => ddl::run(manager, &SQLITE).await,
            _ => ddl::run(manager, &POSTGRES).await,
        }
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = match manager.get_database_backend() {
            DbBackend::Sqlite => &[
                "DROP TRIGGER circle_labels_follow_circle",
                "DROP TRIGGER circle_labels_name_circle",
                DROP,
            ][..],
            // With their triggers.
            _ => &[
                "DROP FUNCTION circle_labels_follow_circle() CASCADE",
                "DROP FUNCTION circle_labels_name_circle() CASCADE",
                DROP,
            ],
        };
        ddl::run(manager, statements).await
    }
}
