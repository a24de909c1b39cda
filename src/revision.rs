//! Revisions: how a client says from which state of a thing its change starts.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use entity::{agent, circle, conversation, member, model, provider, values::now};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryTrait, UpdateMany,
    sea_query::{Expr, ExprTrait},
};
use sha2::{Digest, Sha256};

use crate::error::Error;

/// The entity tag of a thing in one state: strong, because a revision names its bytes.
pub(crate) fn etag(id: i64, revision: i64) -> String {
    format!("\"{id}-{revision}\"")
}

/// The entity tag of an answer that shows more than the revision speaks of: it names the very bytes.
/// A change can be tied to it as to any other; then it speaks of the thing itself.
pub(crate) fn view_etag(id: i64, revision: i64, body: impl AsRef<[u8]>) -> String {
    let digest = BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(body)[..12]);
    format!("\"{id}-{revision}-{digest}\"")
}

/// A row whose state has a name.
pub(crate) trait HasEtag {
    fn etag(&self) -> String;
}

macro_rules! stated {
    ($($row:ty),*) => {$(
        impl HasEtag for $row {
            fn etag(&self) -> String {
                etag(self.id, self.revision)
            }
        }
    )*};
}

stated!(
    provider::Model,
    model::Model,
    agent::Model,
    circle::Model,
    member::Model,
    conversation::Model
);

/// The columns by which a table keeps states.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VersionedTable<C> {
    pub(crate) id: C,
    pub(crate) updated_at: C,
    pub(crate) revision: C,
}

impl<C: ColumnTrait> VersionedTable<C> {
    /// Changes the columns that are set of one of `rows`, in one statement, where it is in an
    /// precondition state: the row as it is then, or `None` where there is none to change.
    ///
    /// # Errors
    /// What the database reports.
    pub(crate) async fn update<E: EntityTrait<Column = C>>(
        self,
        db: &impl ConnectionTrait,
        rows: UpdateMany<E>,
        id: i64,
        precondition: &Precondition,
        changes: E::ActiveModel,
    ) -> Result<Option<E::Model>, DbErr> {
        let after = rows
            .set(changes)
            .col_expr(self.updated_at, Expr::value(now()))
            .col_expr(self.revision, Expr::col(self.revision).add(1))
            .apply_if(precondition.revisions_of(id), |query, revisions| {
                query.filter(self.revision.is_in(revisions))
            })
            .filter(self.id.eq(id))
            .exec_with_returning(db)
            .await?;
        Ok(after.into_iter().next())
    }
}

/// From which states a change may start: those of an `If-Match` (RFC 9110, section 13.1.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Precondition {
    /// The client does not mind.
    #[default]
    Any,
    /// One of these, as id and revision. Tags that are none of ours are left out.
    OneOf(Vec<(i64, i64)>),
}

impl Precondition {
    pub(crate) fn parse(if_match: Option<&str>) -> Self {
        match if_match.map(str::trim) {
            None | Some("*") => Self::Any,
            Some(tags) => Self::OneOf(tags.split(',').filter_map(own_tag).collect()),
        }
    }

    /// The revisions of this thing that a change may start from; `None` where any will do.
    pub(crate) fn revisions_of(&self, id: i64) -> Option<Vec<i64>> {
        match self {
            Self::Any => None,
            Self::OneOf(tags) => {
                let own = tags.iter().filter(|(tag_id, _)| *tag_id == id);
                Some(own.map(|(_, revision)| *revision).collect())
            }
        }
    }

    /// Holds the state of a thing against what is precondition.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`] where it is another.
    pub(crate) fn check(&self, id: i64, revision: i64) -> Result<(), Error> {
        match self.revisions_of(id) {
            Some(revisions) if !revisions.contains(&revision) => Err(Error::PreconditionFailed),
            _ => Ok(()),
        }
    }

    /// Why a change that was tied to the precondition revisions met no row: the thing is there in
    /// another state, or it is not there.
    pub(crate) fn explain_no_match<T>(&self, found: Result<T, Error>) -> Error {
        match found {
            Ok(_) if *self == Self::Any => Error::Database(DbErr::RecordNotUpdated),
            Ok(_) => Error::PreconditionFailed,
            Err(error) => error,
        }
    }
}

fn own_tag(tag: &str) -> Option<(i64, i64)> {
    let tag = tag.trim().strip_prefix('"')?.strip_suffix('"')?;
    let mut parts = tag.splitn(3, '-');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Whether an `If-None-Match` names this tag (RFC 9110, section 13.1.2: compared weakly).
pub(crate) fn is_named(if_none_match: &str, etag: &str) -> bool {
    let strong = |tag: &str| {
        tag.trim()
            .strip_prefix("W/")
            .unwrap_or(tag.trim())
            .to_owned()
    };
    if_none_match.trim() == "*" || if_none_match.split(',').any(|tag| strong(tag) == etag)
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
            (Some(view_etag(7, 3, "a body").as_str()), true),
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
