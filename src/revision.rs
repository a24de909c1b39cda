//! Revisions: how a client says which state of a resource its change starts from.

use std::fmt::Display;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use entity::{
    agent, circle, circle_label, conversation, mcp_server, member, model, provider,
    revision::{Versioned, next_in_sql},
    values::now,
    webhook,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, QueryFilter, QueryTrait, UpdateMany, sea_query::Expr,
};

use crate::error::Error;

/// The entity tag of a resource in one state. It is strong, because a revision determines the bytes.
pub(crate) fn etag(id: i64, revision: i64) -> String {
    format!("\"{id}-{revision}\"")
}

/// The entity tag of a response that shows more than the revision covers, which `view` identifies. As a
/// precondition it means the resource alone, like any other tag.
pub(crate) fn view_etag(id: i64, revision: i64, view: impl Display) -> String {
    format!("\"{id}-{revision}-{view}\"")
}

/// Identifies the bytes of a response. By BLAKE3, because SHA-256 took a tenth of the time of handles.
pub(crate) fn digest(body: impl AsRef<[u8]>) -> String {
    let hash = blake3::hash(body.as_ref());
    BASE64_URL_SAFE_NO_PAD.encode(&hash.as_bytes()[..12])
}

/// The entity tag of a response that no revision covers. It identifies the bytes.
pub(crate) fn content_etag(body: impl AsRef<[u8]>) -> String {
    digest_etag(&digest(body))
}

/// The entity tag of what a digest identifies.
pub(crate) fn digest_etag(digest: &str) -> String {
    format!("\"{digest}\"")
}

/// A row that has an entity tag.
pub(crate) trait HasEtag {
    fn etag(&self) -> String;
}

macro_rules! has_etag {
    ($($row:ty),*) => {$(
        impl HasEtag for $row {
            fn etag(&self) -> String {
                etag(self.id, self.revision)
            }
        }
    )*};
}

has_etag!(
    provider::Model,
    mcp_server::Model,
    model::Model,
    agent::Model,
    circle::Model,
    member::Model,
    conversation::Model,
    circle_label::Model,
    webhook::Model
);

/// Updates one of `rows` in one statement, if it is in a state that the precondition allows, and returns the
/// row as it is then. `None` if there is no such row; [`Precondition::explain_no_match`] says why.
///
/// # Errors
/// What the database reports.
pub(crate) async fn update<E: Versioned>(
    db: &impl ConnectionTrait,
    rows: UpdateMany<E>,
    id: i64,
    precondition: &Precondition,
    changes: E::ActiveModel,
) -> Result<Option<E::Model>, DbErr> {
    let after = rows
        .set(changes)
        .col_expr(E::UPDATED_AT, Expr::value(now()))
        .col_expr(E::REVISION, next_in_sql(E::REVISION))
        .apply_if(precondition.revisions_of(id), |query, revisions| {
            query.filter(E::REVISION.is_in(revisions))
        })
        .filter(E::ID.eq(id))
        .exec_with_returning(db)
        .await?;
    Ok(after.into_iter().next())
}

/// The states that a change may start from: those of an `If-Match` (RFC 9110, section 13.1.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Precondition {
    /// Any state, also none.
    #[default]
    Any,
    /// Any state (`*`).
    Exists,
    /// One of these, as id and revision. Tags that this service did not issue are left out.
    OneOf(Vec<(i64, i64)>),
}

impl Precondition {
    pub(crate) fn parse(if_match: Option<&str>) -> Self {
        match if_match.map(str::trim) {
            None => Self::Any,
            Some("*") => Self::Exists,
            Some(tags) => Self::OneOf(tags.split(',').filter_map(parse_tag).collect()),
        }
    }

    /// The allowed revisions of the resource with this id; `None` for any.
    pub(crate) fn revisions_of(&self, id: i64) -> Option<Vec<i64>> {
        match self {
            Self::Any | Self::Exists => None,
            Self::OneOf(tags) => {
                let own = tags.iter().filter(|(tag_id, _)| *tag_id == id);
                Some(own.map(|(_, revision)| *revision).collect())
            }
        }
    }

    /// Checks the state of a resource.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`] if it is not an allowed one.
    pub(crate) fn check(&self, id: i64, revision: i64) -> Result<(), Error> {
        match self.revisions_of(id) {
            Some(revisions) if !revisions.contains(&revision) => Err(Error::PreconditionFailed),
            _ => Ok(()),
        }
    }

    /// Checks that the resource may be one that does not exist.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`] if it must exist.
    pub(crate) fn check_absent(&self) -> Result<(), Error> {
        match self {
            Self::Any => Ok(()),
            _ => Err(Error::PreconditionFailed),
        }
    }

    /// Why a statement with this precondition matched no row: the resource is in another state, or it
    /// does not exist.
    pub(crate) fn explain_no_match<T>(&self, found: Result<T, Error>) -> Error {
        match found {
            Ok(_) if self.revisions_of(0).is_none() => Error::Database(DbErr::RecordNotUpdated),
            Ok(_) => Error::PreconditionFailed,
            Err(error) => error,
        }
    }
}

/// The id and revision of a tag that this service issued.
fn parse_tag(tag: &str) -> Option<(i64, i64)> {
    let tag = tag.trim().strip_prefix('"')?.strip_suffix('"')?;
    let mut parts = tag.splitn(3, '-');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Whether an `If-None-Match` names this tag (RFC 9110, section 13.1.2: weak comparison).
pub(crate) fn is_named(if_none_match: &str, etag: &str) -> bool {
    let tags = if_none_match.split(',').map(str::trim);
    let mut strong = tags.map(|tag| tag.strip_prefix("W/").unwrap_or(tag));
    if_none_match.trim() == "*" || strong.any(|tag| tag == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_revisions_of_the_same_thing_are_expected() {
        let tag = etag(7, 3);
        for (header, holds) in [
            (None, true),
            (Some("*"), true),
            (Some(tag.as_str()), true),
            (Some("\"7-2\", \"7-3\""), true),
            (Some(view_etag(7, 3, digest("a body")).as_str()), true),
            (Some("\"7-2\""), false),
            (Some("\"8-3\""), false),
            (Some("W/\"7-3\""), false),
            (Some("7-3"), false),
            (Some(""), false),
        ] {
            assert_eq!(
                Precondition::parse(header).check(7, 3).is_ok(),
                holds,
                "{header:?}"
            );
        }
    }

    #[test]
    fn a_tag_is_named_weakly_strongly_or_by_a_star() {
        for (header, named) in [
            ("\"7-3\"", true),
            ("W/\"7-3\"", true),
            ("\"1-1\", \"7-3\"", true),
            ("*", true),
            ("\"7-4\"", false),
            ("", false),
        ] {
            assert_eq!(is_named(header, &etag(7, 3)), named, "{header}");
        }
    }
}
