//! A circle at one moment, live or released, as files.

use entity::label_name::LabelName;

use super::{
    claude, docker_agent, document,
    dto::{CircleFiles, ExportFormat},
};
use crate::{
    database::Database,
    error::Error,
    releases::{self, Frozen},
};

/// A circle as files: as it is, or as the release was that a label points to.
///
/// # Errors
/// [`Error::NotFound`] if there is no such circle or label, and errors of the database.
pub(crate) async fn export(
    database: &Database,
    circle: &str,
    label: Option<&LabelName>,
    format: ExportFormat,
) -> Result<CircleFiles, Error> {
    let frozen = if let Some(label) = label {
        releases::thaw(database, circle, label).await?
    } else {
        releases::freeze(database, circle).await?
    };
    let Frozen { team, handles, .. } = frozen;
    match format {
        ExportFormat::DockerAgent => docker_agent::write(&team, &handles),
        ExportFormat::Claude => claude::write(&handles),
        ExportFormat::Document => document::write(circle, &team, &handles),
    }
}
