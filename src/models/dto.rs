//! What a model looks like on the wire.

use chrono::{DateTime, NaiveDate, Utc};
use entity::{model, price::Price};
use poem_openapi::{Enum, Object};
use sea_orm::ActiveValue::NotSet;
use serde::Serialize;

use crate::{
    http::input,
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

input! {
    model;
    /// A model to create.
    #[derive(Default)]
    create ModelCreate;
    /// Changes to a model. A model stays with its provider.
    #[derive(Default)]
    update ModelUpdate;
    create_only {
        /// The provider that serves the model.
        #[oai(validator(minimum(value = "1")))]
        provider_id: i64,
    }
    required {
        /// Name of the model in the provider's API; unique within the provider.
        #[oai(validator(min_length = 1, max_length = 255))]
        model_name: String,
    }
    nullable {
        /// A shorter name of your own.
        #[oai(validator(min_length = 1, max_length = 255))]
        model_alias: String,
        /// What the model does, as `chat` or `embedding`.
        #[oai(validator(max_length = 64, pattern = "^[a-z0-9][a-z0-9_-]*$"))]
        mode: String,
        /// Price of input in US dollars per million tokens, as a string with at most ten decimal places.
        input_price: Price,
        /// Price of output in US dollars per million tokens, as a string with at most ten decimal places.
        output_price: Price,
        /// Price of input that is read from the provider's cache, in US dollars per million tokens.
        cache_read_price: Price,
        /// Price of input that is written to the provider's cache, in US dollars per million tokens.
        cache_write_price: Price,
        /// Maximum input, in tokens.
        #[oai(validator(minimum(value = "0"), maximum(value = "1000000000")))]
        context_window: i64,
        /// Maximum output, in tokens.
        #[oai(validator(minimum(value = "0"), maximum(value = "1000000000")))]
        max_output: i64,
        /// Sampling temperature if neither the member nor the agent sets one.
        #[oai(validator(minimum(value = "0"), maximum(value = "2")))]
        default_temperature: f64,
        /// The day the model was released.
        release_date: NaiveDate,
        /// The day the provider retires the model.
        deprecation_date: NaiveDate,
    }
    defaulted {
        /// Whether the model accepts images.
        supports_vision: bool,
        /// Whether the model calls tools.
        supports_tools: bool,
        /// Whether the model can stream its output.
        supports_streaming: bool,
        /// Whether the model reasons before it responds.
        supports_reasoning: bool,
        /// Whether the model should no longer be used.
        is_deprecated: bool,
    }
    row {
        id: NotSet,
        created_at: NotSet,
        updated_at: NotSet,
        revision: NotSet,
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
