//! Releases: circles as they were when they were published.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "circle_releases")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub circle_id: i64,
    /// From 1 without gaps, until releases are deleted.
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i64,
    /// Identifies what was published; unique in a circle.
    pub digest: String,
    pub message: Option<String>,
    pub created_at: DateTimeUtc,
    /// The API key that published it. It outlives the key, so this is no foreign key.
    pub key_id: Option<i64>,
    /// The handles in JSON, compressed with gzip.
    pub handles: Vec<u8>,
    /// What the handles were made of, in JSON, compressed with gzip.
    pub team: Vec<u8>,
}

impl ActiveModelBehavior for ActiveModel {}
