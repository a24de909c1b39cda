//! Where a list and the catalogue state different things of a model.

use entity::model::{self, Column};
use sea_orm::{ActiveModelTrait, DbErr, IdenStatic, IntoActiveModel, TryIntoModel};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{models::dto::Model, rows, write::merge};

/// A field with two values. Each price of `prices` is a field of its own.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Difference {
    pub(super) field: String,
    pub(super) first: Value,
    pub(super) second: Value,
}

impl Difference {
    /// Whether it is in the column of this name.
    pub(super) fn is_in(&self, column: &str) -> bool {
        let rest = self.field.strip_prefix(column);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

/// What the facts change of a row.
pub(super) fn differences(
    row: &model::Model,
    facts: &model::ActiveModel,
) -> Result<Vec<Difference>, DbErr> {
    let after = merge(row.clone().into_active_model(), facts);
    if !after.is_changed() {
        return Ok(Vec::new());
    }
    let (before, after) = (fields(row.clone())?, fields(after.try_into_model()?)?);
    Ok(of_fields(&before, &after))
}

/// The fields of a model as the API shows them, with each of its further prices.
fn fields(row: model::Model) -> Result<Map<String, Value>, DbErr> {
    let json = rows::to_json(&Model::from(row), 0)?;
    let undecoded = |error: serde_json::Error| DbErr::Json(error.to_string());
    let mut fields: Map<String, Value> = serde_json::from_slice(&json).map_err(undecoded)?;
    if let Some(Value::Object(prices)) = fields.remove(Column::Prices.as_str()) {
        fields.extend(
            prices
                .into_iter()
                .map(|(key, price)| (format!("prices.{key}"), price)),
        );
    }
    Ok(fields)
}

fn of_fields(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<Difference> {
    let added = after.keys().filter(|name| !before.contains_key(*name));
    let names = before.keys().chain(added);
    let pair = |name: &String| {
        let value = |fields: &Map<String, Value>| fields.get(name).cloned().unwrap_or_default();
        Difference {
            field: name.clone(),
            first: value(before),
            second: value(after),
        }
    };
    let pairs = names.map(pair);
    pairs.filter(|pair| pair.first != pair.second).collect()
}
