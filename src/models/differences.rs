//! What differs between two models, of what requests to them depend on.

use entity::{
    model::{self, Column},
    price::Price,
};
use poem_openapi::Object;
use sea_orm::{IdenStatic, ModelTrait};
use serde::Serialize;

use super::dto::CAPABILITIES;

/// A field in which two models differ.
#[derive(Debug, Object, Serialize)]
pub(crate) struct ModelDifference {
    /// The field.
    pub(crate) field: String,
    /// Its value before; null if unknown.
    #[oai(nullable)]
    pub(crate) before: Option<String>,
    /// Its value after; null if unknown.
    #[oai(nullable)]
    pub(crate) after: Option<String>,
    /// Whether something is lost: a capability, tokens, or money.
    pub(crate) is_loss: bool,
}

/// What agents gain and lose that are moved from one model to another.
pub(crate) fn differences(before: &model::Model, after: &model::Model) -> Vec<ModelDifference> {
    let limits = [
        (
            "context_window",
            before.context_window,
            after.context_window,
        ),
        ("max_output", before.max_output, after.max_output),
    ];
    let limits =
        limits.map(|(field, before, after)| difference(field, before, after, after < before));
    let prices = prices(before).into_iter().zip(prices(after));
    let is_dearer = |before: Option<Price>, after: Option<Price>| after.is_none() || after > before;
    let prices = prices.map(|((field, before), (_, after))| {
        difference(field, before, after, is_dearer(before, after))
    });
    let others = [efforts(before, after), retirement(before, after)];
    let all = flags(before, after)
        .chain(limits)
        .chain(prices)
        .chain(others);
    all.flatten().collect()
}

fn flags(
    before: &model::Model,
    after: &model::Model,
) -> impl Iterator<Item = Option<ModelDifference>> {
    let columns = CAPABILITIES.iter().map(|(_, column)| *column);
    columns.chain([Column::AcceptsSampling]).map(|column| {
        let is_set = |row: &model::Model| row.get(column) == true.into();
        let (before, after) = (is_set(before), is_set(after));
        difference(column.as_str(), Some(before), Some(after), before && !after)
    })
}

fn prices(row: &model::Model) -> [(&'static str, Option<Price>); 4] {
    [
        ("input_price", row.input_price),
        ("output_price", row.output_price),
        ("cache_read_price", row.cache_read_price),
        ("cache_write_price", row.cache_write_price),
    ]
}

fn efforts(before: &model::Model, after: &model::Model) -> Option<ModelDifference> {
    let (before, after) = (&before.reasoning_efforts.0, &after.reasoning_efforts.0);
    let is_loss = before.iter().any(|effort| !after.contains(effort));
    let (before, after) = (before.join(", "), after.join(", "));
    difference("reasoning_efforts", Some(before), Some(after), is_loss)
}

fn retirement(before: &model::Model, after: &model::Model) -> Option<ModelDifference> {
    let (before, after) = (before.deprecation_date, after.deprecation_date);
    let is_loss = after.is_some_and(|after| before.is_none_or(|before| after < before));
    difference("deprecation_date", before, after, is_loss)
}

/// `None` if the values are the same.
fn difference<T: PartialEq + ToString>(
    field: &str,
    before: Option<T>,
    after: Option<T>,
    is_loss: bool,
) -> Option<ModelDifference> {
    (before != after).then(|| ModelDifference {
        field: field.to_owned(),
        before: before.map(|it| it.to_string()),
        after: after.map(|it| it.to_string()),
        is_loss,
    })
}
