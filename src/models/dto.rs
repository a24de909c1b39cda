//! What a model looks like on the wire.

use chrono::NaiveDate;
use entity::{model, price::Price};
use poem_openapi::{Enum, Object};
use sea_orm::ActiveValue::NotSet;
use serde::Serialize;

use crate::{
    http::input,
    providers::dto::ProviderRow,
    rows::{Text, Timestamp, row},
};

row! {
    /// A model that a provider's API offers, and its prices.
    #[derive(Debug, Object, Serialize)]
    #[oai(rename = "Model")]
    pub(crate) struct ModelRow<'r> of model without revision {
        /// Assigned by the service.
        pub(crate) id: i64,
        /// The provider that serves the model.
        pub(crate) provider_id: i64,
        /// Name of the model in the provider's API; unique within the provider.
        pub(crate) model_name: Text<'r>,
        /// Key of the model in the price list that it was imported from, by which the next import finds it; unique
        /// within the provider. Null if it was not imported.
        #[oai(nullable)]
        pub(crate) catalog_key: Option<Text<'r>>,
        /// A shorter name of your own.
        #[oai(nullable)]
        pub(crate) model_alias: Option<Text<'r>>,
        /// What the model does, as `chat` or `embedding`; null if unknown.
        #[oai(nullable)]
        pub(crate) mode: Option<Text<'r>>,
        /// Price of input in US dollars per million tokens, as a string with ten decimal places.
        #[oai(nullable)]
        pub(crate) input_price: Option<Price>,
        /// Price of output in US dollars per million tokens, as a string with ten decimal places.
        #[oai(nullable)]
        pub(crate) output_price: Option<Price>,
        /// Price of input that is read from the provider's cache, in US dollars per million tokens.
        #[oai(nullable)]
        pub(crate) cache_read_price: Option<Price>,
        /// Price of input that is written to the provider's cache, in US dollars per million tokens.
        #[oai(nullable)]
        pub(crate) cache_write_price: Option<Price>,
        /// Maximum input, in tokens.
        #[oai(nullable)]
        pub(crate) context_window: Option<i64>,
        /// Maximum output, in tokens.
        #[oai(nullable)]
        pub(crate) max_output: Option<i64>,
        /// Sampling temperature if neither the member nor the agent sets one, from 0 to 2.
        #[oai(nullable)]
        pub(crate) default_temperature: Option<f64>,
        /// Whether the model accepts images.
        pub(crate) supports_vision: bool,
        /// Whether the model calls tools.
        pub(crate) supports_tools: bool,
        /// Whether the model can stream its output.
        pub(crate) supports_streaming: bool,
        /// Whether the model reasons before it responds.
        pub(crate) supports_reasoning: bool,
        /// The day the model was released.
        #[oai(nullable)]
        pub(crate) release_date: Option<NaiveDate>,
        /// The day the provider retires the model. From that day on it is deprecated, marked or not.
        #[oai(nullable)]
        pub(crate) deprecation_date: Option<NaiveDate>,
        /// Whether someone marked the model as one that should no longer be used. The filter `is_deprecated` and
        /// handles also look at `deprecation_date`.
        pub(crate) is_deprecated: bool,
        /// When it was created (UTC).
        pub(crate) created_at: Timestamp<'r>,
        /// When it was last changed (UTC).
        pub(crate) updated_at: Timestamp<'r>,
    } with {
        /// The provider; only in lists with `include=provider`.
        #[oai(skip_serializing_if_is_none)]
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(crate) provider: Option<ProviderRow<'r>>,
    }
}

/// A row that owns its values.
pub(crate) type Model = ModelRow<'static>;

/// Related resources that a list of models can include.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum ModelInclude {
    /// The provider of each model.
    Provider,
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
        /// The day the provider retires the model. From that day on it is deprecated, marked or not.
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
        /// Whether someone marked the model as one that should no longer be used. The filter `is_deprecated` and
        /// handles also look at `deprecation_date`.
        is_deprecated: bool,
    }
    row {
        id: NotSet,
        catalog_key: NotSet,
        created_at: NotSet,
        updated_at: NotSet,
        revision: NotSet,
    }
}
