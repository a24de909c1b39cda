//! What the catalogue states of a model: checks beyond the bounds of single fields, and what else changes when a
//! request changes them.

use entity::{
    model::{self, Column},
    prices::{PriceKey, PriceTiers, Prices},
    values::{StringList, now},
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
    IdenStatic, IntoActiveModel,
};

use crate::{
    error::{Error, FieldError, FieldErrors, Place},
    models::dto::ModelCreate,
    write::merge,
};

pub(crate) const PRICES: [Column; 6] = [
    Column::InputPrice,
    Column::OutputPrice,
    Column::CacheReadPrice,
    Column::CacheWritePrice,
    Column::PriceTiers,
    Column::Prices,
];

/// The other fields that an import may set.
const OTHERS: [Column; 18] = [
    Column::Mode,
    Column::ContextWindow,
    Column::MaxOutput,
    Column::SupportsVision,
    Column::SupportsTools,
    Column::SupportsStreaming,
    Column::SupportsReasoning,
    Column::SupportsResponseSchema,
    Column::SupportsPromptCaching,
    Column::SupportsPdfInput,
    Column::SupportsAudioInput,
    Column::SupportsWebSearch,
    Column::SupportsComputerUse,
    Column::AcceptsSampling,
    Column::ReasoningEfforts,
    Column::ReleaseDate,
    Column::DeprecationDate,
    Column::PriceSource,
];

/// The fields that an import may set, which can be pinned.
pub(crate) fn pinnable() -> impl Iterator<Item = Column> {
    PRICES.into_iter().chain(OTHERS)
}

/// # Errors
/// What is wrong with the fields that these changes set.
pub(crate) fn check(changes: &model::ActiveModel) -> Result<(), Error> {
    let mut errors = FieldErrors::default();
    if let Set(tiers) = &changes.price_tiers {
        check_tiers(tiers, &mut errors);
    }
    if let Set(prices) = &changes.prices {
        check_prices(prices, &mut errors);
    }
    if let Set(pinned) = &changes.pinned_fields {
        check_pinned(pinned, &mut errors);
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Error::Invalid(errors))
    }
}

fn check_tiers(tiers: &PriceTiers, errors: &mut FieldErrors) {
    if let Some(index) = tiers.first_out_of_order() {
        let list = Place::Member(&Place::Body, "price_tiers");
        let tier = Place::Item(&list, index);
        let threshold = Place::Member(&tier, "above_tokens");
        errors.push(|| FieldError::at(&threshold, "is not above the threshold before it"));
    }
}

fn check_prices(Prices(prices): &Prices, errors: &mut FieldErrors) {
    let place = Place::Member(&Place::Body, "prices");
    if prices.len() > Prices::MAX {
        let detail = format!("has more than {} prices", Prices::MAX);
        errors.push(|| FieldError::at(&place, detail));
    }
    for key in prices.keys() {
        if let Err(detail) = PriceKey::parse(key) {
            errors.push(|| FieldError::at(&Place::Member(&place, key), detail));
        }
    }
}

fn check_pinned(StringList(names): &StringList, errors: &mut FieldErrors) {
    let list = Place::Member(&Place::Body, "pinned_fields");
    for (index, name) in names.iter().enumerate() {
        if !pinnable().any(|column| column.as_str() == name) {
            let known: Vec<&str> = pinnable().map(|column| column.as_str()).collect();
            let detail = format!(
                "is not one of the fields that an import sets: {}",
                known.join(", ")
            );
            errors.push(|| FieldError::at(&Place::Item(&list, index), detail));
        }
    }
}

/// The row to insert, with the time of its prices.
pub(crate) fn priced(mut row: model::ActiveModel) -> model::ActiveModel {
    let unpriced: model::ActiveModel = ModelCreate::default().into();
    if PRICES
        .iter()
        .any(|column| row.get(*column) != unpriced.get(*column))
    {
        row.priced_at = Set(Some(now()));
    }
    row
}

/// The changes that a person asked for, with what follows from them: prices that change have no source but the one
/// that is given, and an import leaves alone what was changed.
pub(crate) fn with_consequences(
    before: &model::Model,
    mut changes: model::ActiveModel,
) -> model::ActiveModel {
    let after = merge(before.clone().into_active_model(), &changes);
    let is_changed = |column: &Column| after.get(*column).is_set();
    if PRICES.iter().any(is_changed) {
        changes.priced_at = Set(Some(now()));
        if changes.price_source == NotSet && before.price_source.is_some() {
            changes.price_source = Set(None);
        }
    }
    if before.catalog_key.is_some() && changes.pinned_fields == NotSet {
        let StringList(mut pinned) = before.pinned_fields.clone();
        let names = pinnable()
            .filter(is_changed)
            .map(|column| column.as_str().to_owned());
        let new: Vec<String> = names.filter(|name| !pinned.contains(name)).collect();
        if !new.is_empty() {
            pinned.extend(new);
            changes.pinned_fields = Set(StringList(pinned));
        }
    }
    changes
}
