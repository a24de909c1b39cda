//! Models that a provider serves, with prices and capabilities.

use sea_orm::{Condition, entity::prelude::*};

use crate::{
    params::ModelParams,
    price::Price,
    prices::{PriceTiers, Prices},
    values::StringList,
};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "models")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub provider_id: i64,
    pub model_name: String,
    /// The key in the price list that the model was imported from.
    pub catalog_key: Option<String>,
    pub model_alias: Option<String>,
    pub mode: Option<String>,
    pub input_price: Option<Price>,
    pub output_price: Option<Price>,
    pub cache_read_price: Option<Price>,
    pub cache_write_price: Option<Price>,
    pub context_window: Option<i64>,
    pub max_output: Option<i64>,
    pub default_temperature: Option<f64>,
    pub default_params: ModelParams,
    pub supports_vision: bool,
    pub supports_tools: bool,
    pub supports_streaming: bool,
    pub supports_reasoning: bool,
    pub supports_response_schema: bool,
    pub supports_prompt_caching: bool,
    pub supports_pdf_input: bool,
    pub supports_audio_input: bool,
    pub supports_web_search: bool,
    pub supports_computer_use: bool,
    /// Whether the API accepts parameters of sampling.
    pub accepts_sampling: bool,
    pub reasoning_efforts: StringList,
    pub price_tiers: PriceTiers,
    pub prices: Prices,
    pub price_source: Option<String>,
    /// When the prices were last set.
    pub priced_at: Option<DateTimeUtc>,
    /// Names of fields that an import leaves alone.
    pub pinned_fields: StringList,
    pub release_date: Option<Date>,
    pub deprecation_date: Option<Date>,
    /// Set by a person. A model whose `deprecation_date` has come is deprecated, too: see [`is_deprecated`].
    pub is_deprecated: bool,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    /// Incremented by every change.
    pub revision: i64,
    #[sea_orm(belongs_to, from = "provider_id", to = "id")]
    pub provider: BelongsTo<super::provider::Entity>,
}

crate::revision::versioned!();

/// The day the model was retired, if it has come. Such a model is deprecated without a mark.
#[must_use]
pub fn retired_on(deprecation_date: Option<Date>, today: Date) -> Option<Date> {
    deprecation_date.filter(|date| *date <= today)
}

/// The condition that a model is deprecated: it is marked, or [`retired_on`] a day that has come.
#[must_use]
pub fn is_deprecated(today: Date) -> Condition {
    // Never NULL, so that its negation finds the other models.
    let retired = Condition::all()
        .add(Column::DeprecationDate.is_not_null())
        .add(Column::DeprecationDate.lte(today));
    Condition::any()
        .add(Column::IsDeprecated.eq(true))
        .add(retired)
}
