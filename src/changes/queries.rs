//! Reads of the feed.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement, Value};

use super::{
    cursor::ChangeCursor,
    dto::ChangeRow,
    feed::{self, After},
};
use crate::{database::Connections, error::Error, rows::Columns, write::Resource};

/// Which changes a follower hears of.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChangeFilter {
    pub(crate) resources: Option<Vec<String>>,
    pub(crate) actions: Option<Vec<String>>,
    pub(crate) circle_id: Option<i64>,
    /// Leaves out those that only `admin` may see.
    pub(crate) without_admins: bool,
}

/// Entries that one request looks through at most for those that it asks for.
const MAX_SEARCHED: u64 = 10_000;

/// What follows in the feed.
#[derive(Debug)]
pub(crate) struct Following {
    /// Rows of [`ChangeRow`]s.
    pub(crate) rows: Vec<QueryResult>,
    /// The last entry that was looked at, from which the next page starts.
    pub(crate) end: ChangeCursor,
    pub(crate) has_more: bool,
    pub(crate) held_back_since: Option<DateTime<Utc>>,
}

/// The next changes, and how far they go.
///
/// # Errors
/// [`Error::CursorExpired`], or what the database reports.
pub(crate) async fn list(
    db: &Connections,
    filter: &ChangeFilter,
    after: After,
    limit: u64,
) -> Result<Following, Error> {
    let entries = filter.entries(limit);
    let window = feed::window(db, after, entries).await?;
    let (mut rows, ended_early) = match window.last {
        None => (Vec::new(), false),
        Some(last) => {
            let backend = db.get_database_backend();
            let ([following, of_window], mut values) = window.conditions(backend, last.position);
            let shown = filter.condition(of_window, &mut values);
            let sql = sql(backend, following, entries, &shown, limit);
            let found = db
                .query_page(Statement::from_sql_and_values(backend, sql, values))
                .await?;
            if window.may_be_pruned() {
                feed::window(db, After::Cursor(window.after), 1).await?;
            }
            (found.rows, found.ended_early)
        }
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_cut = ended_early || rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().filter(|_| is_cut);
    let last = last.map(|row| ChangeCursor::of(&mut Columns::of(row)));
    Ok(Following {
        end: last.transpose()?.unwrap_or_else(|| window.end()),
        has_more: is_cut || window.is_full,
        held_back_since: window.held_back_since,
        rows,
    })
}

/// Reads the window by the index of its order, and only then looks at what is shown: by an index for a filter,
/// PostgreSQL would read all that the filter ever shows.
fn sql(backend: DbBackend, following: &str, entries: u64, shown: &str, limit: u64) -> String {
    let transaction_id = feed::transaction_id(backend);
    let by = feed::order(backend, "");
    let columns = ChangeRow::COLUMNS.join(", ");
    format!(
        "SELECT {transaction_id}, id, at, {columns} FROM (
            SELECT * FROM audit_entries WHERE {following} ORDER BY {by} LIMIT {entries}
        ) AS entries WHERE {shown} ORDER BY {by} LIMIT {}",
        limit + 1
    )
}

impl ChangeFilter {
    /// The kinds of resources whose names only `admin` may read.
    pub(super) const ADMINS: [Resource; 3] = [Resource::Key, Resource::Webhook, Resource::Audit];

    /// How many entries a page is made of.
    fn entries(&self, limit: u64) -> u64 {
        if self.resources.is_none() && self.actions.is_none() && self.circle_id.is_none() {
            return limit;
        }
        MAX_SEARCHED
    }

    /// The condition of what is shown of a window. Appends its values to those of the statement.
    fn condition(&self, of_window: &str, values: &mut Vec<Value>) -> String {
        let Self {
            resources,
            actions,
            circle_id,
            without_admins,
        } = self;
        let mut place = |value: Value| {
            values.push(value);
            format!("${}", values.len())
        };
        let mut conditions = vec![of_window.to_owned()];
        for (column, words) in [("resource", resources), ("action", actions)] {
            if let Some(words) = words {
                let places = words.iter().map(|word| place(word.into()));
                let places = places.collect::<Vec<_>>().join(", ");
                conditions.push(format!("{column} IN ({places})"));
            }
        }
        if let Some(id) = circle_id {
            conditions.push(format!("circle_id = {}", place((*id).into())));
        }
        if *without_admins {
            let admins = Self::ADMINS.map(Resource::as_str).join("', '");
            conditions.push(format!("resource NOT IN ('{admins}')"));
        }
        conditions.join(" AND ")
    }

    /// Whether it shows a change: [`Self::condition`] for one that is already read.
    pub(super) fn shows(&self, resource: &str, action: &str, circle_id: Option<i64>) -> bool {
        let has = |words: &Option<Vec<String>>, word: &str| {
            words
                .as_deref()
                .is_none_or(|words| words.iter().any(|known| known == word))
        };
        let is_admins = || Self::ADMINS.iter().any(|kind| kind.as_str() == resource);
        has(&self.resources, resource)
            && has(&self.actions, action)
            && (self.circle_id.is_none() || self.circle_id == circle_id)
            && !(self.without_admins && is_admins())
    }
}
