//! What a model looks like on the wire.

use chrono::NaiveDate;
use entity::{
    model,
    params::ModelParams,
    price::Price,
    prices::{PriceTiers, Prices},
    values::StringList,
};
use poem_openapi::{Enum, Object};
use sea_orm::ActiveValue::NotSet;
use serde::Serialize;

use crate::{
    error::Error,
    http::input,
    providers::dto::ProviderRow,
    rows::{Json, Text, Timestamp, row},
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
        /// Further parameters of calls that neither the member nor the agent sets.
        pub(crate) default_params: Json<'r, ModelParams>,
        /// Whether the model accepts images.
        pub(crate) supports_vision: bool,
        /// Whether the model calls tools.
        pub(crate) supports_tools: bool,
        /// Whether the model can stream its output.
        pub(crate) supports_streaming: bool,
        /// Whether the model reasons before it responds.
        pub(crate) supports_reasoning: bool,
        /// Whether the model can keep its output to a JSON Schema.
        pub(crate) supports_response_schema: bool,
        /// Whether the provider caches prompts of the model.
        pub(crate) supports_prompt_caching: bool,
        /// Whether the model accepts PDF documents.
        pub(crate) supports_pdf_input: bool,
        /// Whether the model accepts audio.
        pub(crate) supports_audio_input: bool,
        /// Whether the provider searches the web for the model.
        pub(crate) supports_web_search: bool,
        /// Whether the model can control a computer.
        pub(crate) supports_computer_use: bool,
        /// Whether the API accepts parameters of sampling, as `temperature` and `top_p`. If false, it rejects requests
        /// with them.
        pub(crate) accepts_sampling: bool,
        /// Values of `reasoning_effort` that the API accepts, as `minimal`, `low`, `medium` and `high`; empty if unknown
        /// or none.
        pub(crate) reasoning_efforts: Json<'r, StringList>,
        /// Prices of long requests, by ascending thresholds. The tier with the highest threshold that a request
        /// exceeds applies to all of it.
        pub(crate) price_tiers: Json<'r, PriceTiers>,
        /// Further prices by what they are for, in US dollars as strings with ten decimal places. A key is
        /// `[service.]unit[.variant][.above_tokens]`, as `cache_write_1h`, `batch.input`, `output_image.4K` or
        /// `batch.output.above_200000`; the documentation of the catalogue lists the units.
        pub(crate) prices: Json<'r, Prices>,
        /// Where the prices are from: an address, or the name of a price list. Null if unknown.
        #[oai(nullable)]
        pub(crate) price_source: Option<Text<'r>>,
        /// When the prices were last set (UTC), by a request or an import.
        #[oai(nullable)]
        pub(crate) priced_at: Option<Timestamp<'r>>,
        /// Names of fields that an import leaves alone and reports.
        pub(crate) pinned_fields: Json<'r, StringList>,
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

/// What a model can support, as `supports` names it, and its column.
pub(super) const CAPABILITIES: [(&str, model::Column); 10] = [
    ("vision", model::Column::SupportsVision),
    ("tools", model::Column::SupportsTools),
    ("streaming", model::Column::SupportsStreaming),
    ("reasoning", model::Column::SupportsReasoning),
    ("response_schema", model::Column::SupportsResponseSchema),
    ("prompt_caching", model::Column::SupportsPromptCaching),
    ("pdf_input", model::Column::SupportsPdfInput),
    ("audio_input", model::Column::SupportsAudioInput),
    ("web_search", model::Column::SupportsWebSearch),
    ("computer_use", model::Column::SupportsComputerUse),
];

/// The columns of capabilities, separated by commas.
pub(super) fn capabilities(names: &str) -> Result<Vec<model::Column>, Error> {
    let column = |name| {
        let found = CAPABILITIES.iter().find(|(known, _)| *known == name);
        let unknown = || Error::invalid("query/supports", format!("{name} is not a capability"));
        found.map(|(_, column)| *column).ok_or_else(unknown)
    };
    names.split(',').map(column).collect()
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
        /// Where the prices are from: an address, or the name of a price list.
        #[oai(validator(min_length = 1, max_length = 500))]
        price_source: String,
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
        /// Further parameters of calls that neither the member nor the agent sets.
        default_params: ModelParams,
        /// Whether the model accepts images.
        supports_vision: bool,
        /// Whether the model calls tools.
        supports_tools: bool,
        /// Whether the model can stream its output.
        supports_streaming: bool,
        /// Whether the model reasons before it responds.
        supports_reasoning: bool,
        /// Whether the model can keep its output to a JSON Schema.
        supports_response_schema: bool,
        /// Whether the provider caches prompts of the model.
        supports_prompt_caching: bool,
        /// Whether the model accepts PDF documents.
        supports_pdf_input: bool,
        /// Whether the model accepts audio.
        supports_audio_input: bool,
        /// Whether the provider searches the web for the model.
        supports_web_search: bool,
        /// Whether the model can control a computer.
        supports_computer_use: bool,
        /// Whether the API accepts parameters of sampling.
        accepts_sampling: bool = "yes",
        /// Values of `reasoning_effort` that the API accepts, as `high`.
        reasoning_efforts: StringList,
        /// Prices of long requests, by ascending thresholds.
        price_tiers: PriceTiers,
        /// Further prices by what they are for, with keys as in the response; at most 200.
        prices: Prices,
        /// Names of fields that an import leaves alone and reports, as `input_price`.
        pinned_fields: StringList,
        /// Whether someone marked the model as one that should no longer be used. The filter `is_deprecated` and
        /// handles also look at `deprecation_date`.
        is_deprecated: bool,
    }
    row {
        id: NotSet,
        catalog_key: NotSet,
        priced_at: NotSet,
        created_at: NotSet,
        updated_at: NotSet,
        revision: NotSet,
    }
}

fn yes() -> bool {
    true
}
