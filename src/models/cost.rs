//! What a request to a model costs, exactly.

use entity::{
    model,
    price::Price,
    prices::{Meter, Per, PriceKey, SERVICES, Units},
};
use poem_openapi::Object;
use serde::Serialize;

use super::exact::Exact;
use crate::{
    error::{Error, FieldError, FieldErrors, Place},
    rows::Timestamp,
};

/// What a request used.
#[derive(Clone, Debug, Object)]
pub(crate) struct Usage {
    /// Tokens of input, without those that are read from or written to the provider's cache.
    #[oai(
        default,
        validator(minimum(value = "0"), maximum(value = "1000000000000"))
    )]
    input_tokens: i64,
    /// Tokens of output. Tokens of reasoning are among them, unless the model has a price for those.
    #[oai(
        default,
        validator(minimum(value = "0"), maximum(value = "1000000000000"))
    )]
    output_tokens: i64,
    /// Tokens of input that are read from the provider's cache.
    #[oai(
        default,
        validator(minimum(value = "0"), maximum(value = "1000000000000"))
    )]
    cache_read_tokens: i64,
    /// Tokens of input that are written to the provider's cache, for as long as it keeps them if nothing is asked for.
    #[oai(
        default,
        validator(minimum(value = "0"), maximum(value = "1000000000000"))
    )]
    cache_write_tokens: i64,
    /// What else was used, by units of `prices`: `{"cache_write_1h": 5000, "search.low": 3, "output_image.4K": 1}`.
    #[oai(default)]
    units: Units,
    /// How the request is served, as `batch` or `priority`, if its prices are not the usual ones.
    #[oai(nullable, validator(max_length = 64, pattern = "^[a-z_]+$"))]
    service: Option<String>,
    /// The region whose factor (`uplift.…` in `prices`) applies to the prices of tokens, as `eu`.
    #[oai(nullable, validator(max_length = 64, pattern = "^[a-z_]+$"))]
    uplift: Option<String>,
}

/// The cost of a request, in US dollars, without rounding.
#[derive(Debug, Object, Serialize)]
pub(crate) struct Cost {
    /// The model.
    model_id: i64,
    /// Its name in the provider's API.
    model_name: String,
    /// The sum, as a decimal string.
    total: String,
    /// What it is the sum of.
    lines: Vec<CostLine>,
    /// Tokens of input with cache reads and writes, which decide on the tier.
    prompt_tokens: i64,
    /// The threshold of the tier that applies to the whole request; null for the usual prices.
    #[oai(nullable)]
    above_tokens: Option<i64>,
    /// Why these prices apply, in words.
    reason: String,
    /// Where the prices are from.
    #[oai(nullable)]
    price_source: Option<String>,
    /// When the prices were last set (UTC).
    #[oai(nullable)]
    priced_at: Option<Timestamp<'static>>,
}

/// One part of a cost.
#[derive(Debug, Object, Serialize)]
pub(crate) struct CostLine {
    /// What was used, as `input`, `cache_read` or `search.low`.
    unit: String,
    /// How much.
    quantity: i64,
    /// The price that applies: a field (`input_price`), a tier (`price_tiers/200000/input`) or a key of `prices`.
    price_name: String,
    /// The price.
    price: Price,
    /// How many units the price is for: a million, or one.
    per: i64,
    /// The factors on the price.
    factors: Vec<Price>,
    /// The cost, as a decimal string.
    amount: String,
}

/// One thing that was used.
struct Used<'u> {
    unit: &'u str,
    meter: &'static Meter,
    quantity: i64,
    /// The field of the usage that says so.
    pointer: String,
}

/// A price that applies to a unit.
struct Found {
    name: String,
    price: Price,
    above_tokens: Option<i64>,
}

/// # Errors
/// What has no price.
pub(super) fn cost(row: &model::Model, usage: &Usage) -> Result<Cost, Error> {
    let mut errors = FieldErrors::default();
    let used = used(usage, &mut errors);
    let service = Service::find(row, usage, &mut errors);
    let counts = used.iter().filter(|it| is_prompt(it.meter));
    let prompt_tokens = counts.map(|it| it.quantity).sum();
    let (mut lines, mut total, mut above_tokens) = (Vec::new(), Exact::default(), None);
    for used in used.iter().filter(|used| used.quantity > 0) {
        let Some(found) = find(row, service.name, used, prompt_tokens) else {
            let of = service
                .name
                .map_or_else(String::new, |name| format!(" of {name}"));
            let detail = format!("the model has no price{of} for {}", used.unit);
            errors.push(|| invalid(used.pointer.clone(), detail));
            continue;
        };
        let factors = if is_token(used.meter) {
            service.factors.clone()
        } else {
            Vec::new()
        };
        let amount = Exact::of(used.quantity, used.meter.per, found.price, &factors);
        let sum = amount.and_then(|amount| total.plus(amount));
        let (Some(amount), Some(sum)) = (amount, sum) else {
            errors.push(|| {
                invalid(
                    used.pointer.clone(),
                    "costs too much to be added up".to_owned(),
                )
            });
            continue;
        };
        total = sum;
        above_tokens = above_tokens.max(found.above_tokens);
        lines.push(CostLine {
            unit: used.unit.to_owned(),
            quantity: used.quantity,
            price_name: found.name,
            price: found.price,
            per: per(used.meter),
            factors,
            amount: amount.to_string(),
        });
    }
    if !errors.is_empty() {
        return Err(Error::Invalid(errors));
    }
    Ok(Cost {
        model_id: row.id,
        model_name: row.model_name.clone(),
        total: total.to_string(),
        lines,
        prompt_tokens,
        above_tokens,
        reason: reason(prompt_tokens, above_tokens, usage),
        price_source: row.price_source.clone(),
        priced_at: row.priced_at.map(Into::into),
    })
}

fn reason(prompt_tokens: i64, above_tokens: Option<i64>, usage: &Usage) -> String {
    let tier = above_tokens.map_or_else(
        || format!("{prompt_tokens} tokens of input exceed no threshold"),
        |above| {
            format!("{prompt_tokens} tokens of input exceed {above}, so the whole request is at those prices")
        },
    );
    let service = usage
        .service
        .iter()
        .map(|service| format!("; served as {service}"));
    let uplift = usage
        .uplift
        .iter()
        .map(|uplift| format!("; with the factor of {uplift}"));
    service.chain(uplift).fold(tier, |text, more| text + &more)
}

fn invalid(pointer: String, detail: String) -> FieldError {
    FieldError { pointer, detail }
}

/// All that was used; quantities may be 0.
fn used<'u>(usage: &'u Usage, errors: &mut FieldErrors) -> Vec<Used<'u>> {
    let own = [
        ("input", usage.input_tokens),
        ("output", usage.output_tokens),
        ("cache_read", usage.cache_read_tokens),
        ("cache_write", usage.cache_write_tokens),
    ];
    let own = own
        .into_iter()
        .map(|(unit, quantity)| (unit, quantity, format!("#/{unit}_tokens")));
    let place = Place::Member(&Place::Body, "units");
    let further = usage.units.0.iter().map(|(unit, quantity)| {
        (
            unit.as_str(),
            *quantity,
            Place::Member(&place, unit).pointer(),
        )
    });
    let mut all = Vec::new();
    for (unit, quantity, pointer) in own.chain(further) {
        let key = PriceKey::parse_any(unit).ok();
        let key = key.filter(|key| key.service.is_none() && key.above_tokens.is_none());
        let is_dollars = |key: &PriceKey<'_>| {
            !key.meter.name.starts_with("dbu_") && key.meter.per != Per::Factor
        };
        match key.filter(is_dollars) {
            Some(key) if !(pointer.starts_with("#/units") && key.is_plain()) && quantity >= 0 => {
                all.push(Used {
                    unit,
                    meter: key.meter,
                    quantity,
                    pointer,
                });
            }
            _ => errors.push(|| {
                invalid(
                    pointer,
                    "is not a unit of prices, or its quantity is below 0".to_owned(),
                )
            }),
        }
    }
    all
}

/// How the request is served: the service whose prices apply, and factors.
struct Service<'u> {
    name: Option<&'u str>,
    factors: Vec<Price>,
}

impl<'u> Service<'u> {
    fn find(row: &model::Model, usage: &'u Usage, errors: &mut FieldErrors) -> Self {
        let factor = |name: &str| row.prices.0.get(&format!("uplift.{name}")).copied();
        let mut factors = Vec::new();
        let mut name = usage.service.as_deref();
        if let Some(service) = name {
            let prefix = format!("{service}.");
            let is_priced = row.prices.0.keys().any(|key| key.starts_with(&prefix));
            match factor(service) {
                _ if is_priced && SERVICES.contains(&service) => {}
                Some(factor) => {
                    factors.push(factor);
                    name = None;
                }
                None => errors.push(|| {
                    invalid(
                        "#/service".to_owned(),
                        format!("the model has no prices of {service}"),
                    )
                }),
            }
        }
        if let Some(uplift) = &usage.uplift {
            match factor(uplift) {
                Some(factor) => factors.push(factor),
                None => errors.push(|| {
                    invalid(
                        "#/uplift".to_owned(),
                        format!("the model has no factor of {uplift}"),
                    )
                }),
            }
        }
        Self { name, factors }
    }
}

fn is_token(meter: &Meter) -> bool {
    let is_other = ["character", "pixel"]
        .iter()
        .any(|part| meter.name.ends_with(part));
    meter.per == Per::Million && !is_other
}

/// Whether it counts towards the thresholds.
fn is_prompt(meter: &Meter) -> bool {
    is_token(meter) && (meter.name.starts_with("input") || meter.name.starts_with("cache_"))
}

/// The price of a unit. What a service has no price for, and is not counted in tokens, costs the same everywhere.
fn find(
    row: &model::Model,
    service: Option<&str>,
    used: &Used<'_>,
    prompt_tokens: i64,
) -> Option<Found> {
    match service {
        Some(service) => {
            let unit = format!("{service}.{}", used.unit);
            let elsewhere = || find_further(row, used.unit, prompt_tokens);
            find_further(row, &unit, prompt_tokens)
                .or_else(|| elsewhere().filter(|_| !is_token(used.meter)))
        }
        None => find_own(row, used.unit, prompt_tokens)
            .or_else(|| find_further(row, used.unit, prompt_tokens)),
    }
}

/// The model's own price, or that of the tier.
fn find_own(row: &model::Model, unit: &str, prompt_tokens: i64) -> Option<Found> {
    let mut tiers = row.price_tiers.0.iter().rev().cloned();
    let tier = tiers.find(|tier| tier.above_tokens < prompt_tokens);
    let above_tokens = tier.as_ref().map(|tier| tier.above_tokens);
    if let Some(mut tier) = tier
        && let Some(price) = *tier.price_mut(unit)?
    {
        let name = format!("price_tiers/{}/{unit}", tier.above_tokens);
        return Some(Found {
            name,
            price,
            above_tokens,
        });
    }
    let price = match unit {
        "input" => row.input_price,
        "output" => row.output_price,
        "cache_read" => row.cache_read_price,
        "cache_write" => row.cache_write_price,
        _ => None,
    }?;
    let name = format!("{unit}_price");
    Some(Found {
        name,
        price,
        above_tokens,
    })
}

/// A price of `prices`, of the highest threshold that is exceeded.
fn find_further(row: &model::Model, unit: &str, prompt_tokens: i64) -> Option<Found> {
    let above = |key: &str| {
        key.strip_prefix(unit)?
            .strip_prefix(".above_")?
            .parse::<i64>()
            .ok()
    };
    let tiers = row
        .prices
        .0
        .iter()
        .filter_map(|(key, price)| Some((above(key)?, key, *price)));
    let exceeded = tiers.filter(|(above, ..)| *above < prompt_tokens);
    let tier = exceeded
        .max_by_key(|(above, ..)| *above)
        .map(|(above, key, price)| Found {
            name: format!("prices/{key}"),
            price,
            above_tokens: Some(above),
        });
    let usual = || {
        let price = *row.prices.0.get(unit)?;
        Some(Found {
            name: format!("prices/{unit}"),
            price,
            above_tokens: None,
        })
    };
    tier.or_else(usual)
}

fn per(meter: &Meter) -> i64 {
    match meter.per {
        Per::Million => 1_000_000,
        Per::One | Per::Factor => 1,
    }
}
