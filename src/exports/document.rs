//! A circle as a document, with all that its members are built from.

use serde::Deserialize;

use super::{
    dto::{CircleFiles, ExportedFile},
    handles::CircleJson,
};
use crate::{documents, error::Error, handles::released::damaged, yaml};

pub(super) fn write(circle: &str, team: &[u8], handles: &[u8]) -> Result<CircleFiles, Error> {
    #[derive(Deserialize)]
    struct HandleKey {
        agent_id: i64,
    }
    let handles: CircleJson<'_> = serde_json::from_slice(handles).map_err(damaged)?;
    let id = |json: &&serde_json::value::RawValue| serde_json::from_str::<HandleKey>(json.get());
    let roster: Result<Vec<HandleKey>, _> = handles.handles.iter().map(id).collect();
    let roster: Vec<i64> = roster
        .map_err(damaged)?
        .into_iter()
        .map(|member| member.agent_id)
        .collect();
    let document = documents::describe_team(team, &roster)?;
    Ok(CircleFiles {
        files: vec![ExportedFile {
            path: format!("{circle}.yaml"),
            content: yaml::to_yaml(&document),
        }],
        report: Vec::new(),
    })
}
