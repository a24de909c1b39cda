//! Revisions, from which ETags are made. Every change of a row increments its revision.
//!
//! A circle's revision is that of its roster: it also grows when a member, agent, model or provider
//! changes in a column that the roster shows. Triggers maintain it, so it holds for every writer,
//! including the catalogue import and an operator's SQL. A change of any other column costs one
//! comparison; a change that the roster shows costs one UPDATE of the circles concerned.
//!
//! On PostgreSQL, two concurrent transactions that change two links of the chain from circle to
//! provider do not see each other's change. So a change of an agent's model locks the new model and its
//! provider, and an addition of a member locks the agent, its model and its provider.

use sea_orm_migration::prelude::*;

use crate::ddl;

const TABLES: [&str; 6] = [
    "providers",
    "models",
    "agents",
    "circles",
    "members",
    "conversations",
];

/// The columns of a table that a roster shows, and the circles whose rosters show a row of it.
struct Shown {
    table: &'static str,
    columns: &'static [&'static str],
    circles: &'static str,
}

const SHOWN: [Shown; 3] = [
    Shown {
        table: "agents",
        columns: &[
            "name",
            "role",
            "system_prompt",
            "base_prompt",
            "skill_names",
            "status",
            "temperature",
            "max_tokens",
            "model_id",
        ],
        circles: "SELECT m.circle_id FROM members m WHERE m.is_active AND m.agent_id = NEW.id",
    },
    Shown {
        table: "models",
        columns: &["model_name", "model_alias", "provider_id"],
        circles: "SELECT m.circle_id FROM members m JOIN agents a ON a.id = m.agent_id \
                  WHERE m.is_active AND a.model_id = NEW.id",
    },
    Shown {
        table: "providers",
        columns: &["name", "api_type"],
        circles: "SELECT m.circle_id FROM members m JOIN agents a ON a.id = m.agent_id \
                  JOIN models o ON o.id = a.model_id \
                  WHERE m.is_active AND o.provider_id = NEW.id",
    },
];

const MEMBER_COLUMNS: [&str; 6] = [
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
        for table in TABLES {
            let add = format!("ALTER TABLE {table} ADD COLUMN revision bigint NOT NULL DEFAULT 1");
            ddl::run(manager, &[&add]).await?;
        }
        create_triggers(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let dialect = Dialect::of(manager);
        for (name, table) in [
            ("members_delete", "members"),
            ("members_insert", "members"),
            ("members_update", "members"),
            ("providers", "providers"),
            ("models", "models"),
            ("agents", "agents"),
        ] {
            dialect.drop(manager, name, table).await?;
        }
        for table in TABLES {
            let drop = format!("ALTER TABLE {table} DROP COLUMN revision");
            ddl::run(manager, &[&drop]).await?;
        }
        Ok(())
    }
}

/// Creates the triggers that maintain the revisions of circles.
pub(crate) async fn create_triggers(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let dialect = Dialect::of(manager);
    for Shown {
        table,
        columns,
        circles,
    } in SHOWN
    {
        let when = dialect.differs(columns);
        let held = if table == "agents" { HOLD_MODEL } else { "" };
        let bump = dialect.bump(circles);
        let event = format!("UPDATE OF {} ON {table}", columns.join(", "));
        dialect
            .create(manager, table, &event, &when, held, &bump)
            .await?;
    }
    let circle = |row: &str| dialect.bump(&format!("SELECT {row}.circle_id"));
    let changed = dialect.differs(&MEMBER_COLUMNS);
    let event = format!("UPDATE OF {} ON members", MEMBER_COLUMNS.join(", "));
    let when = format!("(OLD.is_active OR NEW.is_active) AND ({changed})");
    dialect
        .create(manager, "members_update", &event, &when, "", &circle("NEW"))
        .await?;
    dialect
        .create(
            manager,
            "members_insert",
            "INSERT ON members",
            "NEW.is_active",
            "",
            &circle("NEW"),
        )
        .await?;
    dialect
        .create(
            manager,
            "members_delete",
            "DELETE ON members",
            "OLD.is_active",
            "",
            &circle("OLD"),
        )
        .await
}

/// Locks an agent's new model and the model's provider against concurrent changes.
const HOLD_MODEL: &str = "PERFORM 1 FROM models o JOIN providers p ON p.id = o.provider_id \
                          WHERE o.id = NEW.model_id FOR SHARE;";

/// The syntax of a trigger.
#[derive(Clone, Copy)]
enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    fn of(manager: &SchemaManager<'_>) -> Self {
        match manager.get_database_backend() {
            sea_orm::DbBackend::Sqlite => Self::Sqlite,
            _ => Self::Postgres,
        }
    }

    fn differs(self, columns: &[&str]) -> String {
        let differs = match self {
            Self::Sqlite => "IS NOT",
            Self::Postgres => "IS DISTINCT FROM",
        };
        let columns = columns
            .iter()
            .map(|column| format!("OLD.{column} {differs} NEW.{column}"));
        columns.collect::<Vec<_>>().join(" OR ")
    }

    /// Locks the circles in the order of their ids, so that two writers can't deadlock.
    fn bump(self, circles: &str) -> String {
        let which = match self {
            Self::Sqlite => circles.to_owned(),
            Self::Postgres => format!(
                "SELECT c.id FROM circles c WHERE c.id IN ({circles}) \
                 ORDER BY c.id FOR NO KEY UPDATE"
            ),
        };
        format!("UPDATE circles SET revision = revision + 1 WHERE id IN ({which});")
    }

    async fn create(
        self,
        manager: &SchemaManager<'_>,
        name: &str,
        event: &str,
        when: &str,
        held: &str,
        bump: &str,
    ) -> Result<(), DbErr> {
        match self {
            Self::Sqlite => {
                let trigger = format!(
                    "CREATE TRIGGER roster_{name} AFTER {event} FOR EACH ROW WHEN {when} \
                     BEGIN {bump} END"
                );
                ddl::run(manager, &[&trigger]).await
            }
            Self::Postgres => {
                let function = format!(
                    "CREATE OR REPLACE FUNCTION roster_{name}() RETURNS trigger LANGUAGE plpgsql AS \
                     $$ BEGIN {held} {bump} RETURN NULL; END $$"
                );
                let trigger = format!(
                    "CREATE TRIGGER roster_{name} AFTER {event} FOR EACH ROW WHEN ({when}) \
                     EXECUTE FUNCTION roster_{name}()"
                );
                ddl::run(manager, &[&function, &trigger]).await
            }
        }
    }

    async fn drop(self, manager: &SchemaManager<'_>, name: &str, table: &str) -> Result<(), DbErr> {
        match self {
            Self::Sqlite => ddl::run(manager, &[&format!("DROP TRIGGER roster_{name}")]).await,
            Self::Postgres => {
                let trigger = format!("DROP TRIGGER roster_{name} ON {table}");
                let function = format!("DROP FUNCTION roster_{name}()");
                ddl::run(manager, &[&trigger, &function]).await
            }
        }
    }
}
