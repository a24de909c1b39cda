//! The prices that an entry of a list states, and where they belong.

use std::collections::BTreeMap;

use entity::{
    price::Price,
    prices::{Per, PriceKey, PriceTier, PriceTiers, Prices},
};
use poem_openapi::types::MaybeUndefined;

use crate::models::dto::ModelUpdate;

/// LiteLLM's names of prices, without threshold and service, and the units. Longer names of a unit with variants
/// end in the variant.
const FIELDS: [(&str, &str); 46] = [
    ("input_cost_per_token", "input"),
    ("output_cost_per_token", "output"),
    ("cache_read_input_token_cost", "cache_read"),
    ("input_cost_per_token_cache_hit", "cache_read"),
    ("cache_creation_input_token_cost", "cache_write"),
    (
        "cache_creation_input_token_cost_above_1hr",
        "cache_write_1h",
    ),
    (
        "cache_creation_input_token_cost_above_12hr",
        "cache_write_12h",
    ),
    (
        "explicit_cache_read_input_token_cost",
        "cache_read_explicit",
    ),
    ("output_cost_per_reasoning_token", "reasoning"),
    ("citation_cost_per_token", "citation"),
    ("input_cost_per_audio_token", "input_audio"),
    ("output_cost_per_audio_token", "output_audio"),
    ("cache_read_input_audio_token_cost", "cache_read_audio"),
    ("cache_creation_input_audio_token_cost", "cache_write_audio"),
    ("input_cost_per_image_token", "input_image_token"),
    ("output_cost_per_image_token", "output_image_token"),
    (
        "cache_read_input_image_token_cost",
        "cache_read_image_token",
    ),
    ("input_cost_per_video_token", "input_video_token"),
    ("output_cost_per_video_token", "output_video_token"),
    (
        "computer_use_input_cost_per_1k_tokens",
        "computer_use_input",
    ),
    (
        "computer_use_output_cost_per_1k_tokens",
        "computer_use_output",
    ),
    ("input_cost_per_character", "input_character"),
    ("output_cost_per_character", "output_character"),
    ("input_cost_per_pixel", "input_pixel"),
    ("output_cost_per_pixel", "output_pixel"),
    ("input_dbu_cost_per_token", "dbu_input"),
    ("output_dbu_cost_per_token", "dbu_output"),
    ("input_cost_per_image", "input_image"),
    ("output_cost_per_image", "output_image"),
    ("input_cost_per_second", "input_second"),
    ("output_cost_per_second", "output_second"),
    ("input_cost_per_audio_per_second", "input_audio_second"),
    ("input_cost_per_video_per_second", "input_video_second"),
    ("output_cost_per_video_per_second", "output_video_second"),
    ("cost_per_second", "second"),
    ("ocr_cost_per_page", "page"),
    ("annotation_cost_per_page", "page_annotation"),
    ("ocr_cost_per_credit", "credit"),
    ("input_cost_per_request", "request"),
    ("input_cost_per_text_message", "message"),
    ("input_cost_per_query", "query"),
    ("google_maps_grounding_cost_per_query", "maps_query"),
    ("file_search_cost_per_1k_calls", "file_search_call"),
    ("file_search_cost_per_gb_per_day", "file_search_gb_day"),
    ("vector_store_cost_per_gb_per_day", "vector_store_gb_day"),
    ("code_interpreter_cost_per_session", "code_session"),
];

/// The ends of LiteLLM's names, and the services.
const SERVICES: [(&str, &str); 6] = [
    ("_batches", "batch"),
    ("_flex", "flex"),
    ("_priority", "priority"),
    ("_ultrafast", "ultrafast"),
    ("_balanced", "balanced"),
    ("_decisions", "decisions"),
];

/// Multipliers of LiteLLM's list.
const UPLIFTS: [(&str, &str); 3] = [
    ("regional_processing_uplift_multiplier_eu", "uplift.eu"),
    ("regional_processing_uplift_multiplier_us", "uplift.us"),
    ("regional_endpoint_uplift_multiplier", "uplift.regional"),
];

/// Whether a field of a list states prices.
pub(super) fn is_price(field: &str) -> bool {
    let name = field.rsplit('.').next().unwrap_or_default();
    let is_cost = |part: &&str| name.contains(*part);
    field.starts_with("cost.")
        || ["cost", "price", "pricing", "multiplier"]
            .iter()
            .any(is_cost)
}

/// The key of a price that a field of LiteLLM's list states, with the power of ten that makes it a price of that key.
pub(super) fn key_of_field(field: &str) -> Option<(String, i8)> {
    if let Some((_, key)) = UPLIFTS.iter().find(|(name, _)| *name == field) {
        return Some(((*key).to_owned(), 0));
    }
    let service = SERVICES
        .iter()
        .find_map(|(end, service)| Some((field.strip_suffix(end)?, *service)));
    let (rest, service) = service.map_or((field, None), |(rest, service)| (rest, Some(service)));
    let (rest, thousands) = without_threshold(rest);
    let (unit, variant) = unit_of(rest)?;
    let above = thousands.map(|thousands| format!("above_{thousands}000"));
    let parts = [service, Some(unit), variant.as_deref(), above.as_deref()];
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    let key = parts.join(".");
    let power = power_of(&key)? - if rest.contains("_per_1k_") { 3 } else { 0 };
    Some((key, power))
}

/// The power of ten that makes an amount per unit a price of this key. `None` for what is no key.
pub(super) fn power_of(key: &str) -> Option<i8> {
    match PriceKey::parse_any(key).ok()?.meter.per {
        Per::Million => Some(6),
        Per::One | Per::Factor => Some(0),
    }
}

/// The name without `_above_200k_tokens`, and the 200.
fn without_threshold(name: &str) -> (&str, Option<&str>) {
    let split = name.rsplit_once("_above_").and_then(|(rest, above)| {
        let thousands = above.strip_suffix("k_tokens")?;
        thousands
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then_some((rest, Some(thousands)))
    });
    split.unwrap_or((name, None))
}

/// The unit of a field, and the variant.
fn unit_of(name: &str) -> Option<(&'static str, Option<String>)> {
    if let Some((_, unit)) = FIELDS.iter().find(|(field, _)| *field == name) {
        return Some((unit, None));
    }
    FIELDS.iter().find_map(|(field, unit)| {
        let variant = name.strip_prefix(field)?.strip_prefix('_')?;
        let interval = variant
            .strip_prefix("above_")
            .and_then(|it| it.strip_suffix("_interval"));
        let variant = interval.map_or_else(|| variant.to_owned(), |it| format!("over_{it}"));
        PriceKey::parse_any(&format!("{unit}.{variant}")).ok()?;
        Some((*unit, Some(variant)))
    })
}

/// The prices of a model, by their keys.
#[derive(Debug, Default)]
pub(super) struct ListedPrices(BTreeMap<String, Price>);

impl ListedPrices {
    pub(super) fn set(&mut self, key: String, price: Price) {
        self.0.insert(key, price);
    }

    pub(super) fn get(&self, key: &str) -> Option<Price> {
        self.0.get(key).copied()
    }

    /// Moves the prices to the fields that they belong in.
    pub(super) fn set_in(self, update: &mut ModelUpdate) {
        // The model's own prices are those above 0 tokens.
        let mut tiers = BTreeMap::from([(0, PriceTier::above(0))]);
        let mut further = BTreeMap::new();
        for (name, price) in self.0 {
            let plain = PriceKey::parse_any(&name).ok().filter(PriceKey::is_plain);
            let own = plain.and_then(|key| {
                let above = key.above_tokens.unwrap_or(0);
                let tier = tiers
                    .entry(above)
                    .or_insert_with(|| PriceTier::above(above));
                tier.price_mut(key.meter.name)
            });
            match own {
                Some(own) => *own = Some(price),
                None => drop(further.insert(name, price)),
            }
        }
        if let Some((_, own)) = tiers.pop_first() {
            update.input_price = MaybeUndefined::from_opt_undefined(own.input);
            update.output_price = MaybeUndefined::from_opt_undefined(own.output);
            update.cache_read_price = MaybeUndefined::from_opt_undefined(own.cache_read);
            update.cache_write_price = MaybeUndefined::from_opt_undefined(own.cache_write);
        }
        let tiers: Vec<PriceTier> = tiers.into_values().collect();
        update.price_tiers = (!tiers.is_empty()).then_some(PriceTiers(tiers));
        update.prices = (!further.is_empty()).then_some(Prices(further));
    }
}
