//! The rows of a statement, up to a number of bytes: a row can be a thousand times as large as another, so that
//! a limit on their number does not limit the memory that they take.

use sea_orm::{
    DbErr, QueryResult, RuntimeErr,
    sqlx::{
        self, Column, Decode, Row, Sqlite, TypeInfo, ValueRef,
        postgres::{PgColumn, PgRow, types::Oid},
        sqlite::SqliteRow,
    },
};

use crate::memory::{MAX_RESPONSE, MemoryExhausted, RequestMemory};

/// Why not all rows were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RowLimit {
    #[error("the rows are larger than a response may be")]
    TooLarge,
    #[error(transparent)]
    NoMemory(#[from] MemoryExhausted),
}

impl From<RowLimit> for DbErr {
    fn from(limit: RowLimit) -> Self {
        let error = sqlx::Error::Decode(Box::new(limit));
        Self::Query(RuntimeErr::SqlxError(error.into()))
    }
}

/// Rows, and what ended them before the last one.
#[derive(Debug)]
pub(super) struct LimitedRows<'m> {
    memory: Option<&'m RequestMemory>,
    max: usize,
    bytes: usize,
    /// The most bytes that escapes may add to `bytes`; `None` once they are counted.
    uncounted_escapes: Option<usize>,
    pub(super) rows: Vec<QueryResult>,
    pub(super) limit: Option<RowLimit>,
}

impl<'m> LimitedRows<'m> {
    /// Rows of a request, or any number of rows outside of requests.
    pub(super) fn new(memory: Option<&'m RequestMemory>, max: usize) -> Self {
        Self {
            memory,
            max,
            bytes: 0,
            uncounted_escapes: Some(0),
            rows: Vec::new(),
            limit: None,
        }
    }

    /// Adds a row, unless those before it reach the limit.
    pub(super) fn push<R: MeasuredRow>(&mut self, row: R) {
        if let Some(memory) = self.memory {
            if self.bytes >= self.max {
                self.limit = Some(RowLimit::TooLarge);
                return;
            }
            let bytes = self.measure(&row, memory);
            if let Err(exhausted) = memory.reserve_rows(bytes) {
                self.limit = Some(exhausted.into());
                return;
            }
            self.bytes += bytes;
        }
        self.rows.push(row.into());
    }

    /// About as many bytes as a row takes in JSON, and how many more than was counted the earlier rows take.
    ///
    /// Escapes of characters are not counted as long as the rows can't reach the limit by them, because that takes a
    /// quarter of the instructions of a roster of 500. Until then no memory is reserved for them. They take some only
    /// while the response is written, and each thread writes one at a time.
    fn measure(&mut self, row: &impl MeasuredRow, memory: &RequestMemory) -> usize {
        let (Some(before), Some(stored)) = (self.uncounted_escapes, row.bytes_stored()) else {
            return row.bytes_in_json();
        };
        let bytes = BYTES_A_FIELD * row.len() + stored;
        let escapes = MAX_BYTES_OF_AN_ESCAPE * stored;
        debug_assert!(row.bytes_in_json() <= bytes + escapes, "values elsewhere");
        if self.bytes + bytes + before + escapes <= self.max {
            self.uncounted_escapes = Some(before + escapes);
            return bytes;
        }
        self.uncounted_escapes = None;
        // Only the rows of PostgreSQL say how many bytes they store.
        let rows = self.rows.iter().filter_map(QueryResult::try_as_pg_row);
        let counted: usize = rows.map(MeasuredRow::bytes_in_json).sum();
        let more = counted.saturating_sub(self.bytes);
        memory.release_rows(self.bytes.saturating_sub(counted));
        self.bytes = self.bytes.min(counted);
        more + row.bytes_in_json()
    }

    /// All rows.
    ///
    /// # Errors
    /// There are more.
    pub(super) fn whole(self) -> Result<Vec<QueryResult>, DbErr> {
        let Some(limit) = self.limit else {
            return Ok(self.rows);
        };
        if let Some(memory) = self.memory {
            memory.release_rows(self.bytes);
        }
        Err(limit.into())
    }
}

/// The rows of a page that may end early.
#[derive(Debug)]
pub(crate) struct PartialRows {
    pub(crate) rows: Vec<QueryResult>,
    /// Whether there are more rows than these.
    pub(crate) ended_early: bool,
}

impl LimitedRows<'_> {
    /// The rows before the limit.
    ///
    /// # Errors
    /// No memory is left.
    pub(super) fn part(self) -> Result<PartialRows, DbErr> {
        match self.limit {
            Some(limit @ RowLimit::NoMemory(_)) => Err(limit.into()),
            limit => Ok(PartialRows {
                rows: self.rows,
                ended_early: limit.is_some(),
            }),
        }
    }
}

/// The limit of a response.
pub(super) const MAX_ROWS_BYTES: usize = MAX_RESPONSE;

/// A driver's row that says how large it is.
pub(super) trait MeasuredRow: Row + Into<QueryResult> {
    /// About as many bytes as it takes in JSON.
    fn bytes_in_json(&self) -> usize;

    /// How many bytes the driver keeps for its values, if that takes no reading of each.
    fn bytes_stored(&self) -> Option<usize> {
        None
    }
}

/// A number or a time, with the name of its field.
const BYTES_A_FIELD: usize = 32;
/// What JSON adds to a control character, as in `\u0000`.
const MAX_BYTES_OF_AN_ESCAPE: usize = 5;

fn bytes_of(text: &[u8]) -> usize {
    let added = |byte: &u8| match byte {
        0..b' ' => 5,
        b'"' | b'\\' => 1,
        _ => 0,
    };
    // The sum of a chunk fits into a byte, so that sixteen bytes are counted at once.
    let chunks = text.chunks(32);
    let escapes = chunks.map(|chunk| usize::from(chunk.iter().map(added).sum::<u8>()));
    BYTES_A_FIELD + text.len() + escapes.sum::<usize>()
}

/// PostgreSQL's numbers of types (its source, `pg_type.dat`). Their names take longer to compare.
const BOOL: u32 = 16;
const INT8: u32 = 20;
const INT4: u32 = 23;
const FLOAT8: u32 = 701;
const DATE: u32 = 1082;
const TIMESTAMPTZ: u32 = 1184;

impl MeasuredRow for PgRow {
    /// Only the values of some types are read: the driver copies the type of each one that it gives.
    fn bytes_in_json(&self) -> usize {
        let field = |column: &PgColumn| {
            let number = column.type_info().oid();
            if let Some(Oid(BOOL | INT8 | INT4 | FLOAT8 | DATE | TIMESTAMPTZ)) = number {
                return BYTES_A_FIELD;
            }
            let value = self.try_get_raw(column.ordinal());
            let bytes = value.ok().and_then(|value| value.as_bytes().ok());
            bytes.map_or(0, bytes_of)
        };
        self.columns().iter().map(field).sum()
    }

    /// The driver keeps the values in one buffer, in the order of the columns.
    fn bytes_stored(&self) -> Option<usize> {
        let bytes = |index| self.try_get_raw(index).ok()?.as_bytes().ok();
        let mut values = (0..self.len()).filter_map(bytes).map(<[u8]>::as_ptr_range);
        let first = values.next()?;
        let last = values.next_back().unwrap_or_else(|| first.clone());
        last.end.addr().checked_sub(first.start.addr())
    }
}

impl MeasuredRow for SqliteRow {
    fn bytes_in_json(&self) -> usize {
        let fields = (0..self.len()).filter_map(|index| self.try_get_raw(index).ok());
        fields
            .map(|value| match value.type_info().name() {
                "TEXT" | "BLOB" => <&[u8] as Decode<Sqlite>>::decode(value).map_or(0, bytes_of),
                _ => BYTES_A_FIELD,
            })
            .sum()
    }
}
