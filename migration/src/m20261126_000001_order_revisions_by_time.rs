//! Revisions that never repeat, and one revision for all models and providers.
//!
//! A revision was a counter. After a backup was restored, or a standby that lagged was promoted, the next
//! change got the number of a change that was lost. Now it is the time of the change in microseconds since
//! 1970, or one more than the revision before where that is greater.
//!
//! A change of a model or provider incremented the revision of every circle that shows it: from some 75,000
//! circles on, longer than a statement may take. Now it sets the one row of `catalog_revision`, once in a
//! transaction and at its end, so that a long import does not hold up other changes. A roster's state is both
//! revisions. A change of an agent still sets the revisions of its circles, up to [`FanOut::max_circles`] of them.
//!
//! No lock on models and providers is needed any more: whichever of two concurrent changes a reader sees, it
//! sees the revision of that change too.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

use crate::{
    ddl, m20261123_000011_add_revisions, m20261124_000004_touch_one_circle,
    m20261124_000005_count_members,
};

/// How a change of an agent sets the revisions of its circles. Until that is done, their other writers wait.
#[derive(Clone, Copy)]
pub(crate) struct FanOut {
    /// An agent in more circles than this sets the revision of the catalogue instead.
    pub(crate) max_circles: u32,
    /// Whether the clock is read once for all circles, and not for each.
    pub(crate) reads_clock_once: bool,
    /// Settings of the trigger's function, on PostgreSQL.
    pub(crate) settings: &'static str,
}

/// As it was when revisions became times.
pub(crate) const FIRST_FAN_OUT: FanOut = FanOut {
    max_circles: 10_000,
    reads_clock_once: false,
    settings: "SET enable_hashjoin = off",
};

/// Leaves room in each page of circles, so that a new revision finds its place beside the old one and no index
/// changes: a fifth of the time and a twelfth of the write-ahead log. It concerns rows that are written after it; to
/// write them all takes 5 seconds for 100,000 circles, while writers wait.
const LEAVE_ROOM: &str = "ALTER TABLE circles SET (fillfactor = 45)";

const TABLES: [&str; 6] = [
    "providers",
    "models",
    "agents",
    "circles",
    "members",
    "conversations",
];

/// The columns of models and providers that a roster shows.
const CATALOG: [(&str, &[&str]); 2] = [
    ("models", &["model_name", "model_alias", "provider_id"]),
    ("providers", &["name", "api_type"]),
];

/// The columns of an agent that a roster shows.
pub(crate) const AGENT: [&str; 9] = [
    "name",
    "role",
    "system_prompt",
    "base_prompt",
    "skill_names",
    "status",
    "temperature",
    "max_tokens",
    "model_id",
];

/// The columns of a member that a roster shows.
const MEMBER: [&str; 6] = [
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
        let syntax = Syntax::of(manager);
        let create = [
            format!(
                "CREATE TABLE catalog_revision \
                 (id {} PRIMARY KEY CHECK (id = 1), revision bigint NOT NULL)",
                syntax.id()
            ),
            format!("INSERT INTO catalog_revision VALUES (1, {})", syntax.now()),
        ];
        run(manager, create).await?;
        if matches!(syntax, Syntax::Postgres) {
            ddl::run(manager, &[LEAVE_ROOM]).await?;
            let default = |table| {
                let now = syntax.now();
                format!("ALTER TABLE {table} ALTER COLUMN revision SET DEFAULT {now}")
            };
            run(manager, TABLES.map(default)).await?;
        }
        for trigger in triggers(syntax) {
            run(manager, trigger.replace(syntax)).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let syntax = Syntax::of(manager);
        for trigger in triggers(syntax) {
            run(manager, trigger.drop(syntax)).await?;
        }
        m20261123_000011_add_revisions::create_triggers(manager).await?;
        m20261124_000004_touch_one_circle::Migration
            .up(manager)
            .await?;
        m20261124_000005_count_members::count_in_triggers(manager).await?;
        if matches!(syntax, Syntax::Postgres) {
            let default =
                |table| format!("ALTER TABLE {table} ALTER COLUMN revision SET DEFAULT 1");
            run(manager, TABLES.map(default)).await?;
            ddl::run(manager, &["ALTER TABLE circles RESET (fillfactor)"]).await?;
        }
        ddl::run(manager, &["DROP TABLE catalog_revision"]).await
    }
}

async fn run(
    manager: &SchemaManager<'_>,
    statements: impl IntoIterator<Item = String>,
) -> Result<(), DbErr> {
    for statement in statements {
        ddl::run(manager, &[&statement]).await?;
    }
    Ok(())
}

/// The syntax of one database.
#[derive(Clone, Copy)]
enum Syntax {
    Sqlite,
    Postgres,
}

impl Syntax {
    fn of(manager: &SchemaManager<'_>) -> Self {
        match manager.get_database_backend() {
            DbBackend::Sqlite => Self::Sqlite,
            _ => Self::Postgres,
        }
    }

    /// The type of an id. On SQLite it makes the id the row's own number, which needs no index.
    fn id(self) -> &'static str {
        match self {
            Self::Sqlite => "integer",
            Self::Postgres => "bigint",
        }
    }

    /// Microseconds since 1970. SQLite's clock counts milliseconds.
    fn now(self) -> &'static str {
        match self {
            Self::Sqlite => "(CAST((julianday('now') - 2440587.5) * 86400000 AS bigint) * 1000)",
            Self::Postgres => "(CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint))",
        }
    }

    /// Assigns the next revision.
    fn set_revision(self) -> String {
        self.set_revision_at(self.now())
    }

    /// The same, with an expression for the time.
    fn set_revision_at(self, time: &str) -> String {
        let greatest = match self {
            Self::Sqlite => "max",
            Self::Postgres => "greatest",
        };
        format!("revision = {greatest}(revision + 1, {time})")
    }

    /// Sets the revision of the catalogue. On PostgreSQL, only if this transaction has not.
    fn touch_catalog(self) -> String {
        let set = self.set_revision();
        match self {
            Self::Sqlite => format!("UPDATE catalog_revision SET {set}"),
            Self::Postgres => format!(
                "UPDATE catalog_revision SET {set} WHERE xmin <> CAST(pg_current_xact_id() AS xid)"
            ),
        }
    }

    /// Whether one of the columns has another value.
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
}

/// A trigger that sets revisions after a row has changed.
struct RevisionTrigger {
    name: String,
    table: &'static str,
    event: String,
    when: String,
    /// What it does, as statements that end with semicolons.
    body: String,
    /// Whether it runs at the end of the transaction, on PostgreSQL.
    deferred: bool,
    /// Settings of its function, on PostgreSQL.
    settings: &'static str,
}

impl RevisionTrigger {
    fn new(table: &'static str, name: &str, event: &str, when: &str, body: String) -> Self {
        Self {
            name: format!("roster_{name}"),
            table,
            event: event.to_owned(),
            when: when.to_owned(),
            body,
            deferred: false,
            settings: "",
        }
    }

    fn drop(&self, syntax: Syntax) -> Vec<String> {
        let Self { name, table, .. } = self;
        match syntax {
            Syntax::Sqlite => vec![format!("DROP TRIGGER {name}")],
            Syntax::Postgres => vec![
                format!("DROP TRIGGER {name} ON {table}"),
                format!("DROP FUNCTION {name}()"),
            ],
        }
    }

    /// Replaces the trigger of the same name that an earlier migration made.
    fn replace(&self, syntax: Syntax) -> Vec<String> {
        let Self {
            name,
            table,
            event,
            when,
            body,
            deferred,
            settings,
        } = self;
        let mut statements = self.drop(syntax);
        match syntax {
            Syntax::Sqlite => statements.push(format!(
                "CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW WHEN {when} \
                 BEGIN {body} END"
            )),
            Syntax::Postgres => {
                let (constraint, timing) = match deferred {
                    true => ("CONSTRAINT", "DEFERRABLE INITIALLY DEFERRED"),
                    false => ("", ""),
                };
                statements.push(format!(
                    "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql {settings} AS \
                     $$ BEGIN {body} RETURN NULL; END $$"
                ));
                statements.push(format!(
                    "CREATE {constraint} TRIGGER {name} AFTER {event} ON {table} {timing} \
                     FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION {name}()"
                ));
            }
        }
        statements
    }
}

/// All triggers that set revisions.
fn triggers(syntax: Syntax) -> Vec<RevisionTrigger> {
    let mut triggers: Vec<RevisionTrigger> = CATALOG
        .iter()
        .map(|(table, columns)| RevisionTrigger {
            deferred: true,
            ..RevisionTrigger::new(
                table,
                table,
                &format!("UPDATE OF {}", columns.join(", ")),
                &syntax.differs(columns),
                format!("{};", syntax.touch_catalog()),
            )
        })
        .collect();
    triggers.push(of_agents(syntax, &AGENT, FIRST_FAN_OUT));
    triggers.extend(of_members(syntax));
    triggers
}

/// Replaces the trigger of agents by one that watches these columns.
pub(crate) async fn watch_agents(
    manager: &SchemaManager<'_>,
    columns: &[&str],
    fan_out: FanOut,
) -> Result<(), DbErr> {
    let syntax = Syntax::of(manager);
    run(manager, of_agents(syntax, columns, fan_out).replace(syntax)).await
}

fn of_agents(syntax: Syntax, columns: &[&str], fan_out: FanOut) -> RevisionTrigger {
    let FanOut {
        max_circles,
        reads_clock_once,
        settings,
    } = fan_out;
    let circles = "SELECT circle_id FROM members WHERE agent_id = NEW.id AND is_active";
    let many = format!(
        "(SELECT count(*) FROM ({circles} LIMIT {}) AS shown) > {max_circles}",
        max_circles + 1
    );
    let touch = syntax.touch_catalog();
    let set = if reads_clock_once {
        syntax.set_revision_at(&format!("(SELECT {})", syntax.now()))
    } else {
        syntax.set_revision()
    };
    let body = match syntax {
        Syntax::Sqlite => format!(
            "{touch} WHERE {many}; UPDATE circles SET {set} WHERE id IN ({circles}) AND NOT {many};"
        ),
        // In the order of ids, so that two writers can't deadlock. `FOR NO KEY UPDATE` would say so, at twice
        // the write-ahead log and half as much time again; without hash joins, the order is that of the list.
        Syntax::Postgres => format!(
            "IF {many} THEN {touch}; ELSE UPDATE circles SET {set} \
             FROM ({circles} ORDER BY circle_id) AS shown WHERE circles.id = shown.circle_id; END IF;"
        ),
    };
    let event = format!("UPDATE OF {}", columns.join(", "));
    RevisionTrigger {
        settings,
        ..RevisionTrigger::new("agents", "agents", &event, &syntax.differs(columns), body)
    }
}

/// They maintain the number of members too.
fn of_members(syntax: Syntax) -> [RevisionTrigger; 4] {
    let set = syntax.set_revision();
    let one = |row: &str, count: &str| {
        format!(
            "UPDATE circles SET {set}, member_count = member_count {count} WHERE id = {row}.circle_id;"
        )
    };
    let changed = format!(
        "(OLD.is_active OR NEW.is_active) AND ({})",
        syntax.differs(&MEMBER)
    );
    let both = match syntax {
        Syntax::Sqlite => "OLD.circle_id, NEW.circle_id",
        Syntax::Postgres => {
            "SELECT c.id FROM circles c WHERE c.id IN (OLD.circle_id, NEW.circle_id) \
             ORDER BY c.id FOR NO KEY UPDATE"
        }
    };
    [
        RevisionTrigger::new(
            "members",
            "members_insert",
            "INSERT",
            "NEW.is_active",
            one("NEW", "+ 1"),
        ),
        RevisionTrigger::new(
            "members",
            "members_delete",
            "DELETE",
            "OLD.is_active",
            one("OLD", "- 1"),
        ),
        RevisionTrigger::new(
            "members",
            "members_update",
            &format!("UPDATE OF {}", MEMBER.join(", ")),
            &changed,
            one(
                "NEW",
                "+ CAST(NEW.is_active AS int) - CAST(OLD.is_active AS int)",
            ),
        ),
        RevisionTrigger::new(
            "members",
            "members_move",
            "UPDATE OF circle_id",
            "OLD.is_active AND OLD.circle_id <> NEW.circle_id",
            format!(
                "UPDATE circles SET {set}, \
                 member_count = member_count + CASE id WHEN NEW.circle_id THEN 1 ELSE -1 END \
                 WHERE id IN ({both});"
            ),
        ),
    ]
}
