//! Whether what is stored agrees with itself. Rows that are copied into a migrated database fire its triggers,
//! which count them once more, and leave the sequences that choose ids where they were.

use entity::values::now;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, FromQueryResult, PaginatorTrait, Statement};

use super::{postgres_facts, report::Report};
use crate::{
    database::{Connections, Database},
    versions,
    write::{self, Actor},
};

const ADVICE: &str = "run `circle-registry doctor --repair`";

/// A stored value that follows from other rows, and what it must be.
struct DerivedValue {
    table: &'static str,
    column: &'static str,
    derived: &'static str,
}

const DERIVED: [DerivedValue; 3] = [
    DerivedValue {
        table: "circles",
        column: "member_count",
        derived: "(SELECT count(*) FROM members m WHERE m.circle_id = circles.id AND m.is_active)",
    },
    DerivedValue {
        table: "conversations",
        column: "turn_count",
        derived: "(SELECT coalesce(max(number), 0) FROM messages m WHERE m.conversation_id = conversations.id)",
    },
    DerivedValue {
        table: "circle_labels",
        column: "circle_name",
        derived: "(SELECT name FROM circles c WHERE c.id = circle_labels.circle_id AND c.is_active)",
    },
];

/// Locks out writers in the order in which they lock: rows that are being added must not be missed.
const LOCK: &str = "LOCK TABLE circles, members, conversations, messages, circle_labels IN SHARE ROW EXCLUSIVE MODE";

pub(super) async fn check(
    database: &Database,
    repair: bool,
    report: &mut Report,
) -> Result<(), DbErr> {
    check_derived(database, repair, report).await?;
    check_versions(database, repair, report).await?;
    if database.target().backend() == DbBackend::Postgres {
        check_sequences(database.connection(), repair, report).await?;
    }
    Ok(())
}

async fn check_derived(
    database: &Database,
    repair: bool,
    report: &mut Report,
) -> Result<(), DbErr> {
    let db = database.connection();
    let mut wrong = Vec::new();
    for DerivedValue {
        table,
        column,
        derived,
    } in DERIVED
    {
        let sql = format!("SELECT count(*) FROM {table} WHERE {column} IS DISTINCT FROM {derived}");
        let statement = Statement::from_string(db.get_database_backend(), sql);
        let row = db.query_one_raw(statement).await?;
        let rows: i64 = row.map_or(Ok(0), |row| row.try_get_by_index(0))?;
        if rows > 0 {
            wrong.push(format!("the {column} of {rows} {table}"));
        }
    }
    if !wrong.is_empty() && repair {
        repair_derived(database).await?;
    }
    tell(
        report,
        "derived",
        "values agree with the rows",
        &wrong,
        repair,
    );
    Ok(())
}

async fn check_versions(
    database: &Database,
    repair: bool,
    report: &mut Report,
) -> Result<(), DbErr> {
    const SUBJECT: &str = "versions";
    let db = database.connection();
    let agents = versions::without().count(db).await?;
    if agents == 0 {
        report.ok(SUBJECT, "every agent has one");
    } else if repair {
        let repaired = write::run(database, &Actor::default(), versions::record_first).await;
        repaired.map_err(|error| DbErr::Custom(error.to_string()))?;
        report.ok(SUBJECT, format_args!("recorded for {agents} agents"));
    } else {
        let found = format!(
            "{agents} agents have none, because an earlier build added them during an upgrade"
        );
        report.warning(SUBJECT, found, ADVICE);
    }
    Ok(())
}

async fn repair_derived(database: &Database) -> Result<(), DbErr> {
    let transaction = database.begin_write().await?;
    let revision = now().timestamp_micros();
    if transaction.get_database_backend() == DbBackend::Postgres {
        transaction.execute_unprepared(LOCK).await?;
    }
    for DerivedValue {
        table,
        column,
        derived,
    } in DERIVED
    {
        let update = format!(
            "UPDATE {table} SET {column} = {derived}, \
             revision = CASE WHEN revision < {revision} THEN {revision} ELSE revision + 1 END \
             WHERE {column} IS DISTINCT FROM {derived}"
        );
        transaction.execute_unprepared(&update).await?;
    }
    transaction.commit().await
}

/// A table, and the sequence of its ids. Both names are quoted where they have to be.
#[derive(Debug, FromQueryResult)]
struct Ids {
    table_name: String,
    sequence_name: String,
}

impl Ids {
    const SQL: &str = "SELECT quote_ident(t.relname) AS table_name, \
          s.oid::regclass::text AS sequence_name \
        FROM pg_sequence q JOIN pg_class s ON s.oid = q.seqrelid \
        JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid \
          AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') \
        JOIN pg_class t ON t.oid = d.refobjid \
        JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid AND a.attname = 'id' \
        WHERE t.relnamespace = current_schema()::regnamespace \
          AND has_table_privilege(t.oid, 'SELECT') AND has_sequence_privilege(q.seqrelid, 'SELECT') \
        ORDER BY t.relname";
}

/// Whether the next id of a sequence is taken already, or may soon be.
#[derive(Debug, FromQueryResult)]
struct Behind {
    behind: bool,
}

async fn check_sequences(db: &Connections, repair: bool, report: &mut Report) -> Result<(), DbErr> {
    let mut wrong = Vec::new();
    for Ids {
        table_name,
        sequence_name,
    } in postgres_facts::all::<Ids>(db, Ids::SQL).await?
    {
        let highest = format!("(SELECT coalesce(max(id), 0) FROM {table_name})");
        let sql = format!(
            "SELECT {highest} >= last_value + is_called::int AS behind FROM {sequence_name}"
        );
        let found = postgres_facts::one::<Behind>(db, &sql).await?;
        if found.is_some_and(|found| found.behind) {
            if repair {
                let mend = format!("SELECT setval('{sequence_name}', {highest})");
                db.execute_unprepared(&mend).await?;
            }
            wrong.push(format!("the sequence of {table_name}"));
        }
    }
    tell(
        report,
        "sequences",
        "are ahead of their tables",
        &wrong,
        repair,
    );
    Ok(())
}

fn tell(report: &mut Report, subject: &'static str, right: &str, wrong: &[String], repaired: bool) {
    let found = wrong.join(", ");
    match (wrong.is_empty(), repaired) {
        (true, _) => report.ok(subject, right),
        (false, true) => report.ok(subject, format_args!("repaired: {found}")),
        (false, false) => report.error(
            subject,
            format_args!("wrong: {found}, as after rows were copied into the database"),
            ADVICE,
        ),
    }
}
