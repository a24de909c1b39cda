//! Conditions that the two databases write differently, and a look at what a condition finds.

use chrono::{DateTime, Utc};
use entity::values::stored;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, DbErr, EntityTrait, IntoSimpleExpr,
    PaginatorTrait, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, ExprTrait, LikeExpr, SimpleExpr},
};

/// One of the columns contains the text; ASCII letters match regardless of case.
///
/// The collation makes PostgreSQL fold only ASCII, as SQLite does, and is part of the expression
/// that the trigram indexes are built on.
pub(crate) fn text_in<C: ColumnTrait>(backend: DbBackend, columns: &[C], text: &str) -> Condition {
    let lower = match backend {
        DbBackend::Sqlite => "lower(?)",
        _ => r#"lower($1 COLLATE "C")"#,
    };
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character.to_ascii_lowercase());
    }
    pattern.push('%');
    columns.iter().fold(Condition::any(), |any, column| {
        let folded = Expr::cust_with_exprs(lower, [column.into_simple_expr()]);
        any.add(folded.like(LikeExpr::new(pattern.clone()).escape('\\')))
    })
}

/// A JSON list of strings contains the item.
pub(crate) fn list_holds<C: ColumnTrait>(backend: DbBackend, column: C, item: &str) -> SimpleExpr {
    match backend {
        DbBackend::Sqlite => Expr::cust_with_exprs(
            "EXISTS (SELECT 1 FROM json_each(?) WHERE value = ?)",
            [column.into_simple_expr(), item.into()],
        ),
        _ => Expr::cust_with_exprs(
            "$1 @> $2",
            [
                column.into_simple_expr(),
                serde_json::Value::from(vec![item]).into(),
            ],
        ),
    }
}

/// One of these ids, however many, as one value: the text of the statement stays the same.
pub(crate) fn among<C: ColumnTrait>(
    backend: DbBackend,
    column: C,
    ids: impl IntoIterator<Item = i64>,
) -> SimpleExpr {
    let text = match backend {
        DbBackend::Sqlite => "? IN (SELECT value FROM json_each(?))",
        _ => "$1 = ANY(CAST($2 AS bigint[]))",
    };
    let ids = list_of_ids(backend, ids);
    Expr::cust_with_exprs(text, [column.into_simple_expr(), ids.into()])
}

/// One of these texts, however many, as one value.
pub(crate) fn among_texts<'t>(
    backend: DbBackend,
    expression: impl Into<SimpleExpr>,
    texts: impl IntoIterator<Item = &'t String>,
) -> SimpleExpr {
    let text = match backend {
        DbBackend::Sqlite => "? IN (SELECT value FROM json_each(?))",
        _ => "$1 IN (SELECT jsonb_array_elements_text(CAST($2 AS jsonb)))",
    };
    let texts: Vec<&String> = texts.into_iter().collect();
    let texts = serde_json::json!(texts).to_string();
    Expr::cust_with_exprs(text, [expression.into(), texts.into()])
}

/// Any number of ids as one value: an array's text for PostgreSQL, JSON for SQLite.
pub(crate) fn list_of_ids(backend: DbBackend, ids: impl IntoIterator<Item = i64>) -> String {
    let ids: Vec<String> = ids.into_iter().map(|id| id.to_string()).collect();
    let ids = ids.join(",");
    match backend {
        DbBackend::Sqlite => format!("[{ids}]"),
        _ => format!("{{{ids}}}"),
    }
}

/// At this time or later.
pub(crate) fn since<C: ColumnTrait>(column: C, moment: DateTime<Utc>) -> SimpleExpr {
    column.gte(stored(moment).unwrap_or(moment))
}

/// Before this time.
pub(crate) fn until<C: ColumnTrait>(column: C, moment: DateTime<Utc>) -> SimpleExpr {
    column.lt(stored(moment).unwrap_or(moment))
}

/// The names of the first rows of `query`, and how many more there are: "a, b, c and 4 more". `None` if there are
/// none.
pub(crate) async fn examples<E>(
    db: &impl ConnectionTrait,
    query: Select<E>,
    name: E::Column,
) -> Result<Option<String>, DbErr>
where
    E: EntityTrait,
    E::Model: Sync,
{
    const SHOWN: u64 = 3;
    let total = query.clone().count(db).await?;
    if total == 0 {
        return Ok(None);
    }
    let names: Vec<String> = query
        .select_only()
        .column(name)
        .order_by_asc(name)
        .limit(SHOWN)
        .into_tuple()
        .all(db)
        .await?;
    let mut text = names.join(", ");
    if total > SHOWN {
        text = format!("{text} and {} more", total - SHOWN);
    }
    Ok(Some(text))
}
