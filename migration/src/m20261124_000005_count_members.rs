//! The number of active members, stored in the circle's row. A list of fifty circles spent four fifths
//! of the database's time counting, and a circle with a limit counted for each addition.
//!
//! The triggers that increment the circle's revision maintain the count in the same UPDATE, for every
//! writer. A new trigger covers a membership that moves to another circle, which the service never does.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

use crate::ddl;

/// The columns of a member that a roster shows.
const COLUMNS: [&str; 6] = [
    "role",
    "is_active",
    "joined_at",
    "competencies",
    "can_review",
    "permissions",
];

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        hold_writers(manager).await?;
        ddl::run(
            manager,
            &[
                "ALTER TABLE circles ADD COLUMN member_count bigint NOT NULL DEFAULT 0",
                "UPDATE circles SET member_count = (SELECT count(*) FROM members \
                 WHERE members.circle_id = circles.id AND members.is_active)",
            ],
        )
        .await?;
        count_in_triggers(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        hold_writers(manager).await?;
        let drop = match manager.get_database_backend() {
            DbBackend::Sqlite => &["DROP TRIGGER roster_members_move"][..],
            _ => &[
                "DROP TRIGGER roster_members_move ON members",
                "DROP FUNCTION roster_members_move()",
            ],
        };
        ddl::run(manager, drop).await?;
        for trigger in triggers() {
            trigger.replace(manager, "").await?;
        }
        ddl::run(manager, &["ALTER TABLE circles DROP COLUMN member_count"]).await
    }
}

/// Makes the triggers maintain the count.
pub(crate) async fn count_in_triggers(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    for trigger in triggers() {
        trigger.replace(manager, trigger.counted).await?;
    }
    follow_moves(manager).await
}

/// Locks out writers: a concurrent addition would fire the old triggers after the members were counted.
/// The order of the locks is that of an addition.
async fn hold_writers(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let locks = [
        "LOCK TABLE circles IN ACCESS EXCLUSIVE MODE",
        "LOCK TABLE members IN SHARE ROW EXCLUSIVE MODE",
    ];
    ddl::run_on_postgres(manager, &locks).await
}

/// A trigger on members that an earlier migration created.
struct Trigger {
    name: &'static str,
    event: String,
    when: String,
    /// The row that holds the circle's id.
    row: &'static str,
    /// The assignment that maintains the count.
    counted: &'static str,
}

fn triggers() -> [Trigger; 3] {
    let changed = COLUMNS.map(|column| format!("OLD.{column} IS NOT NEW.{column}"));
    [
        Trigger {
            name: "members_insert",
            event: "INSERT".to_owned(),
            when: "NEW.is_active".to_owned(),
            row: "NEW",
            counted: ", member_count = member_count + 1",
        },
        Trigger {
            name: "members_update",
            event: format!("UPDATE OF {}", COLUMNS.join(", ")),
            when: format!(
                "(OLD.is_active OR NEW.is_active) AND ({})",
                changed.join(" OR ")
            ),
            row: "NEW",
            counted: ", member_count = member_count + CAST(NEW.is_active AS int) \
                      - CAST(OLD.is_active AS int)",
        },
        Trigger {
            name: "members_delete",
            event: "DELETE".to_owned(),
            when: "OLD.is_active".to_owned(),
            row: "OLD",
            counted: ", member_count = member_count - 1",
        },
    ]
}

impl Trigger {
    /// On PostgreSQL it replaces the trigger's function, on SQLite the trigger itself.
    async fn replace(&self, manager: &SchemaManager<'_>, counted: &str) -> Result<(), DbErr> {
        let Self {
            name,
            event,
            when,
            row,
            counted: _,
        } = self;
        let update = format!(
            "UPDATE circles SET revision = revision + 1{counted} WHERE id = {row}.circle_id;"
        );
        if manager.get_database_backend() == DbBackend::Sqlite {
            let drop = format!("DROP TRIGGER roster_{name}");
            let create = format!(
                "CREATE TRIGGER roster_{name} AFTER {event} ON members FOR EACH ROW WHEN {when} \
                 BEGIN {update} END"
            );
            return ddl::run(manager, &[&drop, &create]).await;
        }
        let function = format!(
            "CREATE OR REPLACE FUNCTION roster_{name}() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN {update} RETURN NULL; END $$"
        );
        ddl::run(manager, &[&function]).await
    }
}

/// Adds a trigger for an active membership that moves from one circle to another.
async fn follow_moves(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    const SET: &str = "UPDATE circles SET revision = revision + 1, \
        member_count = member_count + CASE id WHEN NEW.circle_id THEN 1 ELSE -1 END";
    const WHEN: &str = "OLD.is_active AND OLD.circle_id <> NEW.circle_id";
    const TRIGGER: &str =
        "CREATE TRIGGER roster_members_move AFTER UPDATE OF circle_id ON members FOR EACH ROW WHEN";
    if manager.get_database_backend() == DbBackend::Sqlite {
        let trigger =
            format!("{TRIGGER} {WHEN} BEGIN {SET} WHERE id IN (OLD.circle_id, NEW.circle_id); END");
        return ddl::run(manager, &[&trigger]).await;
    }
    let function = format!(
        "CREATE OR REPLACE FUNCTION roster_members_move() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN {SET} WHERE id IN (SELECT c.id FROM circles c \
         WHERE c.id IN (OLD.circle_id, NEW.circle_id) ORDER BY c.id FOR NO KEY UPDATE); \
         RETURN NULL; END $$"
    );
    let trigger = format!("{TRIGGER} ({WHEN}) EXECUTE FUNCTION roster_members_move()");
    ddl::run(manager, &[&function, &trigger]).await
}
