//! On SQLite: rusqlite with the pragmas of the service, cached statements, and JSON written while
//! the rows are stepped through, borrowed from them.

use axum::{
    extract::{Path, Query, State},
    http::StatusCode,
    response::Response,
};
use deadpool_sqlite::{
    Config, Hook, HookError, Pool, Runtime,
    rusqlite::{Connection, Row},
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::wire::{self, Circle, Failure, Moment, NOT_FOUND, RosterMember};

const CIRCLE: &str = "c.id, c.name, c.display_name, c.description, c.status, c.require_review, c.auto_route, \
    c.max_members, c.settings, c.project_context, c.is_active, c.started_at, c.stopped_at, c.created_at, c.updated_at, \
    c.protected_labels";
const CIRCLE_COLUMNS: usize = 16;
const ROSTER: &str = "SELECT $circle, m.id, m.agent_id, m.role, m.is_active, m.joined_at, m.competencies, \
    m.can_review, m.permissions, a.name, a.role, a.system_prompt, a.base_prompt, a.skill_names, a.status, \
    a.temperature, a.max_tokens, a.model_id, o.model_name, o.model_alias, p.id, p.name, p.api_type \
    FROM circles c LEFT JOIN members m ON m.circle_id = c.id AND m.is_active \
    LEFT JOIN agents a ON a.id = m.agent_id LEFT JOIN models o ON o.id = a.model_id \
    LEFT JOIN providers p ON p.id = o.provider_id WHERE c.name = ?1 AND c.is_active \
    ORDER BY CASE m.role WHEN 'lead' THEN 0 WHEN 'member' THEN 1 WHEN 'specialist' THEN 2 WHEN 'reviewer' THEN 3 \
      ELSE 4 END, m.joined_at, m.id";
const LIST: &str =
    "SELECT $circle, c.member_count FROM circles c WHERE c.is_active AND c.id > ?1 ORDER BY c.id LIMIT ?2";

pub struct App {
    pool: Pool,
    roster: String,
    list: String,
}

pub type Shared = State<&'static App>;

fn prepare(connection: &mut Connection) -> deadpool_sqlite::rusqlite::Result<()> {
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 4000",
    )
}

impl App {
    pub fn open(path: &str) -> Result<&'static Self, Box<dyn std::error::Error>> {
        let prepared = Hook::async_fn(|connection, _| {
            Box::pin(async move {
                let done = connection.interact(prepare).await;
                done.map_err(|error| HookError::message(error.to_string()))?
                    .map_err(|error| HookError::message(error.to_string()))
            })
        });
        let pool = Config::new(path).builder(Runtime::Tokio1)?.max_size(4).post_create(prepared).build()?;
        Ok(Box::leak(Box::new(Self {
            pool,
            roster: ROSTER.replace("$circle", CIRCLE),
            list: LIST.replace("$circle", CIRCLE),
        })))
    }

    async fn run(
        &self,
        read: impl FnOnce(&Connection) -> Result<Vec<u8>, Failure> + Send + 'static,
    ) -> Result<Response, Failure> {
        let db = self.pool.get().await?;
        let done = db.interact(move |connection| read(connection)).await;
        done.unwrap_or(Err(Failure(StatusCode::INTERNAL_SERVER_ERROR))).map(wire::json)
    }
}

/// The columns of a row, one after the other.
struct Columns<'r> {
    row: &'r Row<'r>,
    at: usize,
}

impl<'r> Columns<'r> {
    fn next<T: deadpool_sqlite::rusqlite::types::FromSql>(&mut self) -> Result<T, Failure> {
        self.at += 1;
        Ok(self.row.get(self.at - 1)?)
    }

    fn text(&mut self) -> Result<&'r str, Failure> {
        self.at += 1;
        Ok(self.row.get_ref(self.at - 1)?.as_str()?)
    }

    fn maybe(&mut self) -> Result<Option<&'r str>, Failure> {
        self.at += 1;
        Ok(self.row.get_ref(self.at - 1)?.as_str_or_null()?)
    }

    fn json(&mut self) -> Result<&'r RawValue, Failure> {
        Ok(serde_json::from_str(self.text()?)?)
    }

    fn moment(&mut self) -> Result<Moment<'r>, Failure> {
        Ok(Moment::Text(self.text()?))
    }
}

fn circle<'r>(column: &mut Columns<'r>) -> Result<Circle<'r>, Failure> {
    Ok(Circle {
        id: column.next()?,
        name: column.text()?,
        display_name: column.maybe()?,
        description: column.maybe()?,
        status: column.text()?,
        require_review: column.next()?,
        auto_route: column.next()?,
        max_members: column.next()?,
        settings: column.json()?,
        project_context: column.maybe()?,
        is_active: column.next()?,
        started_at: column.maybe()?.map(Moment::Text),
        stopped_at: column.maybe()?.map(Moment::Text),
        created_at: column.moment()?,
        updated_at: column.moment()?,
        protected_labels: column.json()?,
        member_count: 0,
        members: None,
    })
}

fn roster_member<'r>(row: &'r Row<'r>) -> Result<RosterMember<'r>, Failure> {
    let mut column = Columns { row, at: CIRCLE_COLUMNS };
    Ok(RosterMember {
        member_id: column.next()?,
        agent_id: column.next()?,
        role: column.text()?,
        is_active: column.next()?,
        joined_at: column.moment()?,
        competencies: column.json()?,
        can_review: column.json()?,
        permissions: column.json()?,
        agent_name: column.text()?,
        agent_role: column.maybe()?,
        system_prompt: column.maybe()?,
        base_prompt: column.maybe()?,
        skill_names: column.json()?,
        agent_status: column.text()?,
        temperature: column.next()?,
        max_tokens: column.next()?,
        model_id: column.next()?,
        model_name: column.maybe()?,
        model_alias: column.maybe()?,
        provider_id: column.next()?,
        provider_name: column.maybe()?,
        provider_api_type: column.maybe()?,
    })
}

pub async fn get_roster(State(app): Shared, Path(name): Path<String>) -> Result<Response, Failure> {
    app.run(move |db| {
        let mut statement = db.prepare_cached(&app.roster)?;
        let mut rows = statement.query([name])?;
        let mut out = Vec::with_capacity(32 * 1024);
        let Some(first) = rows.next()? else { return Err(NOT_FOUND) };
        // The circle without its end, then the members as they come, then their number.
        serde_json::to_writer(&mut out, &circle(&mut Columns { row: first, at: 0 })?)?;
        let counted = b",\"member_count\":0}";
        out.truncate(out.len() - counted.len());
        out.extend(b",\"members\":[");
        let mut count = 0;
        let mut row = Some(first).filter(|row| !matches!(row.get(CIRCLE_COLUMNS), Ok(None::<i64>)));
        while let Some(found) = row {
            if count > 0 {
                out.push(b',');
            }
            serde_json::to_writer(&mut out, &roster_member(found)?)?;
            count += 1;
            row = rows.next()?;
        }
        out.extend(format!("],\"member_count\":{count}}}").bytes());
        Ok(out)
    })
    .await
}

#[derive(Deserialize)]
pub struct Asked {
    limit: Option<u16>,
    cursor: Option<String>,
}

pub async fn list_circles(State(app): Shared, Query(asked): Query<Asked>) -> Result<Response, Failure> {
    let limit = asked.limit.unwrap_or(50);
    if !(1..=200).contains(&limit) {
        return Err(Failure(StatusCode::UNPROCESSABLE_ENTITY));
    }
    let after = wire::after(asked.cursor.as_deref())?;
    app.run(move |db| {
        let mut statement = db.prepare_cached(&app.list)?;
        let mut rows = statement.query([after, i64::from(limit) + 1])?;
        let mut out = Vec::with_capacity(32 * 1024);
        out.extend(b"{\"data\":[");
        let (mut count, mut last, mut next_cursor) = (0, 0, None);
        while let Some(row) = rows.next()? {
            if count == limit {
                next_cursor = Some(wire::cursor(last));
                break;
            }
            if count > 0 {
                out.push(b',');
            }
            let mut column = Columns { row, at: 0 };
            let found = circle(&mut column)?;
            let found = Circle { member_count: column.next()?, ..found };
            serde_json::to_writer(&mut out, &found)?;
            last = found.id;
            count += 1;
        }
        out.extend(b"],\"next_cursor\":");
        serde_json::to_writer(&mut out, &next_cursor)?;
        out.push(b'}');
        Ok(out)
    })
    .await
}
