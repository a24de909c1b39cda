//! What a model looks like on the wire.

use chrono::{DateTime, NaiveDate, Utc};
use entity::{model, price::Price, values::now};
use poem_openapi::{Enum, Object, types::MaybeUndefined};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
};
use serde::Serialize;

use crate::{
    http::Patch,
    providers::dto::Provider,
    rows::{Field, date, flag, integer, moment, number, price, text},
};

/// A model: what a provider's API can be asked to run, and what it costs.
#[derive(Debug, Object, Serialize)]
pub(crate) struct Model {
    /// Assigned by the service.
    pub(crate) id: i64,
    /// The provider that serves it.
    pub(crate) provider_id: i64,
    /// What the provider's API calls it; unique within the provider.
    pub(crate) model_name: String,
    /// A shorter name of your own.
    #[oai(nullable)]
    pub(crate) model_alias: Option<String>,
    /// What it does, as `chat` or `embedding`; null where nobody has said.
    #[oai(nullable)]
    pub(crate) mode: Option<String>,
    /// Input: US dollars per million tokens, as a decimal with ten places.
    #[oai(nullable)]
    pub(crate) input_price: Option<Price>,
    /// Output: US dollars per million tokens, as a decimal with ten places.
    #[oai(nullable)]
    pub(crate) output_price: Option<Price>,
    /// Input read from the provider's cache: US dollars per million tokens.
    #[oai(nullable)]
    pub(crate) cache_read_price: Option<Price>,
    /// Input written to the provider's cache: US dollars per million tokens.
    #[oai(nullable)]
    pub(crate) cache_write_price: Option<Price>,
    /// The most input it takes, in tokens.
    #[oai(nullable)]
    pub(crate) context_window: Option<i64>,
    /// The most output it gives, in tokens.
    #[oai(nullable)]
    pub(crate) max_output: Option<i64>,
    /// The temperature it is sampled at where neither member nor agent says, from 0 to 2.
    #[oai(nullable)]
    pub(crate) default_temperature: Option<f64>,
    /// Whether it takes images.
    pub(crate) supports_vision: bool,
    /// Whether it calls tools.
    pub(crate) supports_tools: bool,
    /// Whether it can answer in a stream.
    pub(crate) supports_streaming: bool,
    /// Whether it reasons before it answers.
    pub(crate) supports_reasoning: bool,
    /// The day it came out.
    #[oai(nullable)]
    pub(crate) release_date: Option<NaiveDate>,
    /// The day its provider retires it.
    #[oai(nullable)]
    pub(crate) deprecation_date: Option<NaiveDate>,
    /// Whether it should no longer be used.
    pub(crate) is_deprecated: bool,
    /// When it was created (UTC).
    pub(crate) created_at: DateTime<Utc>,
    /// When it was last changed (UTC).
    pub(crate) updated_at: DateTime<Utc>,
    /// The provider that serves it; only in lists with `include=provider`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) provider: Option<Provider>,
}

impl Model {
    /// All but `provider`, in rows of a query of models.
    pub(crate) const FIELDS: [Field; 21] = [
        integer("id", "models.id"),
        integer("provider_id", "models.provider_id"),
        text("model_name", "models.model_name"),
        text("model_alias", "models.model_alias"),
        text("mode", "models.mode"),
        price("input_price", "models.input_price"),
        price("output_price", "models.output_price"),
        price("cache_read_price", "models.cache_read_price"),
        price("cache_write_price", "models.cache_write_price"),
        integer("context_window", "models.context_window"),
        integer("max_output", "models.max_output"),
        number("default_temperature", "models.default_temperature"),
        flag("supports_vision", "models.supports_vision"),
        flag("supports_tools", "models.supports_tools"),
        flag("supports_streaming", "models.supports_streaming"),
        flag("supports_reasoning", "models.supports_reasoning"),
        date("release_date", "models.release_date"),
        date("deprecation_date", "models.deprecation_date"),
        flag("is_deprecated", "models.is_deprecated"),
        moment("created_at", "models.created_at"),
        moment("updated_at", "models.updated_at"),
    ];
}

/// What a list of models can bring along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum ModelInclude {
    /// The provider of every model.
    Provider,
}

impl From<model::Model> for Model {
    fn from(row: model::Model) -> Self {
        let model::Model {
            id,
            provider_id,
            model_name,
            model_alias,
            mode,
            input_price,
            output_price,
            cache_read_price,
            cache_write_price,
            context_window,
            max_output,
            default_temperature,
            supports_vision,
            supports_tools,
            supports_streaming,
            supports_reasoning,
            release_date,
            deprecation_date,
            is_deprecated,
            created_at,
            updated_at,
            revision: _,
        } = row;
        Self {
            id,
            provider_id,
            model_name,
            model_alias,
            mode,
            input_price,
            output_price,
            cache_read_price,
            cache_write_price,
            context_window,
            max_output,
            default_temperature,
            supports_vision,
            supports_tools,
            supports_streaming,
            supports_reasoning,
            release_date,
            deprecation_date,
            is_deprecated,
            created_at,
            updated_at,
            provider: None,
        }
    }
}

/// A model to create.
#[derive(Clone, Debug, Object)]
pub(crate) struct ModelCreate {
    /// The provider that serves it.
    #[oai(validator(minimum(value = "1")))]
    provider_id: i64,
    /// What the provider's API calls it; unique within the provider.
    #[oai(validator(min_length = 1, max_length = 255))]
    model_name: String,
    /// A shorter name of your own.
    #[oai(nullable, validator(min_length = 1, max_length = 255))]
    model_alias: Option<String>,
    /// What it does, as `chat` or `embedding`.
    #[oai(
        nullable,
        validator(max_length = 64, pattern = "^[a-z0-9][a-z0-9_-]*$")
    )]
    mode: Option<String>,
    /// Input: US dollars per million tokens, as a string with at most ten decimal places.
    #[oai(nullable)]
    input_price: Option<Price>,
    /// Output: US dollars per million tokens, as a string with at most ten decimal places.
    #[oai(nullable)]
    output_price: Option<Price>,
    /// Input read from the provider's cache: US dollars per million tokens.
    #[oai(nullable)]
    cache_read_price: Option<Price>,
    /// Input written to the provider's cache: US dollars per million tokens.
    #[oai(nullable)]
    cache_write_price: Option<Price>,
    /// The most input it takes, in tokens.
    #[oai(
        nullable,
        validator(minimum(value = "0"), maximum(value = "1000000000"))
    )]
    context_window: Option<i64>,
    /// The most output it gives, in tokens.
    #[oai(
        nullable,
        validator(minimum(value = "0"), maximum(value = "1000000000"))
    )]
    max_output: Option<i64>,
    /// The temperature it is sampled at where neither member nor agent says.
    #[oai(nullable, validator(minimum(value = "0"), maximum(value = "2")))]
    default_temperature: Option<f64>,
    /// Whether it takes images.
    #[oai(default)]
    supports_vision: bool,
    /// Whether it calls tools.
    #[oai(default)]
    supports_tools: bool,
    /// Whether it can answer in a stream.
    #[oai(default)]
    supports_streaming: bool,
    /// Whether it reasons before it answers.
    #[oai(default)]
    supports_reasoning: bool,
    /// The day it came out.
    #[oai(nullable)]
    release_date: Option<NaiveDate>,
    /// The day its provider retires it.
    #[oai(nullable)]
    deprecation_date: Option<NaiveDate>,
    /// Whether it should no longer be used.
    #[oai(default)]
    is_deprecated: bool,
}

impl From<ModelCreate> for model::ActiveModel {
    fn from(new: ModelCreate) -> Self {
        let ModelCreate {
            provider_id,
            model_name,
            model_alias,
            mode,
            input_price,
            output_price,
            cache_read_price,
            cache_write_price,
            context_window,
            max_output,
            default_temperature,
            supports_vision,
            supports_tools,
            supports_streaming,
            supports_reasoning,
            release_date,
            deprecation_date,
            is_deprecated,
        } = new;
        let now = now();
        Self {
            id: NotSet,
            provider_id: Set(provider_id),
            model_name: Set(model_name),
            model_alias: Set(model_alias),
            mode: Set(mode),
            input_price: Set(input_price),
            output_price: Set(output_price),
            cache_read_price: Set(cache_read_price),
            cache_write_price: Set(cache_write_price),
            context_window: Set(context_window),
            max_output: Set(max_output),
            default_temperature: Set(default_temperature),
            supports_vision: Set(supports_vision),
            supports_tools: Set(supports_tools),
            supports_streaming: Set(supports_streaming),
            supports_reasoning: Set(supports_reasoning),
            release_date: Set(release_date),
            deprecation_date: Set(deprecation_date),
            is_deprecated: Set(is_deprecated),
            created_at: Set(now),
            updated_at: Set(now),
            revision: Set(1),
        }
    }
}

/// What to change of a model. It stays with its provider.
#[derive(Clone, Debug, Object)]
pub(crate) struct ModelUpdate {
    /// What the provider's API calls it; unique within the provider.
    #[oai(validator(min_length = 1, max_length = 255))]
    model_name: Option<String>,
    /// A shorter name of your own; null clears it.
    #[oai(nullable, validator(min_length = 1, max_length = 255))]
    model_alias: MaybeUndefined<String>,
    /// What it does, as `chat` or `embedding`; null clears it.
    #[oai(
        nullable,
        validator(max_length = 64, pattern = "^[a-z0-9][a-z0-9_-]*$")
    )]
    mode: MaybeUndefined<String>,
    /// Input: US dollars per million tokens; null clears it.
    #[oai(nullable)]
    input_price: MaybeUndefined<Price>,
    /// Output: US dollars per million tokens; null clears it.
    #[oai(nullable)]
    output_price: MaybeUndefined<Price>,
    /// Input read from the provider's cache: US dollars per million tokens; null clears it.
    #[oai(nullable)]
    cache_read_price: MaybeUndefined<Price>,
    /// Input written to the provider's cache: US dollars per million tokens; null clears it.
    #[oai(nullable)]
    cache_write_price: MaybeUndefined<Price>,
    /// The most input it takes, in tokens; null clears it.
    #[oai(
        nullable,
        validator(minimum(value = "0"), maximum(value = "1000000000"))
    )]
    context_window: MaybeUndefined<i64>,
    /// The most output it gives, in tokens; null clears it.
    #[oai(
        nullable,
        validator(minimum(value = "0"), maximum(value = "1000000000"))
    )]
    max_output: MaybeUndefined<i64>,
    /// The temperature it is sampled at where neither member nor agent says; null clears it.
    #[oai(nullable, validator(minimum(value = "0"), maximum(value = "2")))]
    default_temperature: MaybeUndefined<f64>,
    /// Whether it takes images.
    supports_vision: Option<bool>,
    /// Whether it calls tools.
    supports_tools: Option<bool>,
    /// Whether it can answer in a stream.
    supports_streaming: Option<bool>,
    /// Whether it reasons before it answers.
    supports_reasoning: Option<bool>,
    /// The day it came out; null clears it.
    #[oai(nullable)]
    release_date: MaybeUndefined<NaiveDate>,
    /// The day its provider retires it; null clears it.
    #[oai(nullable)]
    deprecation_date: MaybeUndefined<NaiveDate>,
    /// Whether it should no longer be used.
    is_deprecated: Option<bool>,
}

impl From<ModelUpdate> for model::ActiveModel {
    fn from(patch: ModelUpdate) -> Self {
        let ModelUpdate {
            model_name,
            model_alias,
            mode,
            input_price,
            output_price,
            cache_read_price,
            cache_write_price,
            context_window,
            max_output,
            default_temperature,
            supports_vision,
            supports_tools,
            supports_streaming,
            supports_reasoning,
            release_date,
            deprecation_date,
            is_deprecated,
        } = patch;
        let mut row = <Self as ActiveModelTrait>::default();
        model_name.apply_to(&mut row.model_name);
        model_alias.apply_to(&mut row.model_alias);
        mode.apply_to(&mut row.mode);
        input_price.apply_to(&mut row.input_price);
        output_price.apply_to(&mut row.output_price);
        cache_read_price.apply_to(&mut row.cache_read_price);
        cache_write_price.apply_to(&mut row.cache_write_price);
        context_window.apply_to(&mut row.context_window);
        max_output.apply_to(&mut row.max_output);
        default_temperature.apply_to(&mut row.default_temperature);
        supports_vision.apply_to(&mut row.supports_vision);
        supports_tools.apply_to(&mut row.supports_tools);
        supports_streaming.apply_to(&mut row.supports_streaming);
        supports_reasoning.apply_to(&mut row.supports_reasoning);
        release_date.apply_to(&mut row.release_date);
        deprecation_date.apply_to(&mut row.deprecation_date);
        is_deprecated.apply_to(&mut row.is_deprecated);
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::tests::declared;

    #[test]
    fn what_is_written_from_rows_is_declared_in_the_same_order() {
        let written = Model::FIELDS.iter().map(|field| field.name);
        let with_provider: Vec<_> = written.chain(["provider"]).collect();
        assert_eq!(with_provider, declared::<Model>());
    }
}
