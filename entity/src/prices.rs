//! Prices beyond the four of a model: those of long requests, and those of other units.

use std::{borrow::Cow, collections::BTreeMap};

use poem_openapi::{
    Object,
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use sea_orm::FromJsonQueryResult;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    price::Price,
    values::{json_by_serde, list_type},
};

/// The prices of long requests, in US dollars per million tokens. They apply to the whole request. A price that is
/// null is the model's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub struct PriceTier {
    /// The prices apply if input, cache reads and cache writes together exceed this number of tokens.
    #[oai(validator(minimum(value = "1"), maximum(value = "1000000000")))]
    pub above_tokens: i64,
    /// Price of input.
    #[oai(nullable)]
    #[serde(default)]
    pub input: Option<Price>,
    /// Price of output.
    #[oai(nullable)]
    #[serde(default)]
    pub output: Option<Price>,
    /// Price of input that is read from the provider's cache.
    #[oai(nullable)]
    #[serde(default)]
    pub cache_read: Option<Price>,
    /// Price of input that is written to the provider's cache.
    #[oai(nullable)]
    #[serde(default)]
    pub cache_write: Option<Price>,
}

/// The tiers of a model: at most 20, by ascending thresholds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
#[serde(transparent)]
pub struct PriceTiers(pub Vec<PriceTier>);

list_type!(PriceTiers of PriceTier, at most 20, PriceTier::schema_ref());
json_by_serde!(PriceTiers, Prices, Units);

impl PriceTiers {
    /// The first tier whose threshold is not above that of the tier before.
    #[must_use]
    pub fn first_out_of_order(&self) -> Option<usize> {
        let mut pairs = self.0.windows(2);
        let is_wrong = |pair: &[PriceTier]| pair[0].above_tokens >= pair[1].above_tokens;
        pairs.position(is_wrong).map(|first| first + 1)
    }
}

/// Further prices by what they are for; see [`PriceKey`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
#[serde(transparent)]
pub struct Prices(pub BTreeMap<String, Price>);

impl Prices {
    /// More than twice as many as any model has in the price lists of 2026.
    pub const MAX: usize = 200;
}

/// Quantities by units of [`PriceKey`]s.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Units(pub BTreeMap<String, i64>);

/// Implements the schema of an object with members of one type.
macro_rules! map_type {
    ($ty:ident of $member:expr) => {
        impl Type for $ty {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                stringify!($ty).into()
            }

            fn schema_ref() -> MetaSchemaRef {
                MetaSchemaRef::Inline(Box::new(MetaSchema {
                    additional_properties: Some(Box::new($member)),
                    ..MetaSchema::new("object")
                }))
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::empty())
            }
        }
    };
}

map_type!(Prices of Price::schema_ref());
map_type!(Units of MetaSchemaRef::Inline(Box::new(MetaSchema {
    minimum: Some(0.0),
    maximum: Some(1e12),
    ..MetaSchema::new_with_format("integer", "int64")
})));

/// What a unit's price is per.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// US dollars per million of the unit.
    Million,
    /// US dollars per unit.
    One,
    /// A factor, not an amount.
    Factor,
}

/// A unit that a provider charges for.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    pub name: &'static str,
    pub per: Per,
    /// Whether its price may depend on something: the resolution, the region.
    pub has_variants: bool,
    pub doc: &'static str,
}

const fn million(name: &'static str, doc: &'static str) -> Meter {
    Meter {
        name,
        per: Per::Million,
        has_variants: false,
        doc,
    }
}

const fn one(name: &'static str, doc: &'static str) -> Meter {
    Meter {
        name,
        per: Per::One,
        has_variants: false,
        doc,
    }
}

const fn variants(name: &'static str, doc: &'static str) -> Meter {
    Meter {
        name,
        per: Per::One,
        has_variants: true,
        doc,
    }
}

/// The units of all price lists that the import reads.
pub const METERS: &[Meter] = &[
    million("input", "tokens of input"),
    million("output", "tokens of output"),
    million("cache_read", "tokens read from the cache"),
    million("cache_write", "tokens written to the cache"),
    million("cache_write_1h", "tokens written to the cache for an hour"),
    million(
        "cache_write_12h",
        "tokens written to the cache for twelve hours",
    ),
    million(
        "cache_read_explicit",
        "tokens read from a cache that the request names",
    ),
    million("reasoning", "tokens of reasoning"),
    million("citation", "tokens of citations"),
    million("input_audio", "tokens of audio as input"),
    million("output_audio", "tokens of audio as output"),
    million("cache_read_audio", "tokens of audio read from the cache"),
    million("cache_write_audio", "tokens of audio written to the cache"),
    million("input_image_token", "tokens of images as input"),
    million("output_image_token", "tokens of images as output"),
    million(
        "cache_read_image_token",
        "tokens of images read from the cache",
    ),
    million("input_video_token", "tokens of video as input"),
    million("output_video_token", "tokens of video as output"),
    million("computer_use_input", "tokens of input to computer use"),
    million("computer_use_output", "tokens of output of computer use"),
    million("input_character", "characters of input"),
    million("output_character", "characters of output"),
    million("input_pixel", "pixels of input"),
    million("output_pixel", "pixels of output"),
    million(
        "dbu_input",
        "tokens of input, in Databricks units instead of dollars",
    ),
    million(
        "dbu_output",
        "tokens of output, in Databricks units instead of dollars",
    ),
    variants("input_image", "images as input"),
    variants("output_image", "images as output; variants are resolutions"),
    one("input_second", "seconds of input"),
    variants(
        "output_second",
        "seconds of output; variants are resolutions",
    ),
    one("input_audio_second", "seconds of audio as input"),
    variants(
        "input_video_second",
        "seconds of video as input; variants are intervals",
    ),
    variants(
        "output_video_second",
        "seconds of video as output; variants are resolutions",
    ),
    one("second", "seconds of computing"),
    one("page", "pages"),
    one("page_annotation", "annotated pages"),
    one("credit", "credits of the provider"),
    one("request", "requests"),
    one("message", "text messages"),
    variants("query", "queries; variants are numbers of results"),
    variants(
        "search",
        "searches of the web; variants are sizes of the search's context",
    ),
    one("maps_query", "queries of maps"),
    one("file_search_call", "searches of files"),
    one("file_search_gb_day", "gigabytes of searchable files, a day"),
    one("vector_store_gb_day", "gigabytes of a vector store, a day"),
    one("code_session", "sessions of a code interpreter"),
    variants(
        "guardrail",
        "units of a guardrail; variants are its policies",
    ),
    Meter {
        name: "uplift",
        per: Per::Factor,
        has_variants: true,
        doc: "a factor on the prices of tokens; variants are regions and modes",
    },
];

/// How a provider serves a request, where that has prices of its own.
pub const SERVICES: &[&str] = &[
    "batch",
    "flex",
    "priority",
    "fast",
    "ultrafast",
    "balanced",
    "decisions",
    "off_peak",
];

/// The key of a further price: `[service.]meter[.variant][.above_tokens]`, as `batch.input.above_200000` or
/// `output_image.4K`.
#[derive(Clone, Copy, Debug)]
pub struct PriceKey<'k> {
    pub service: Option<&'k str>,
    pub meter: &'static Meter,
    pub variant: Option<&'k str>,
    pub above_tokens: Option<i64>,
}

impl<'k> PriceKey<'k> {
    /// The longest key, in characters.
    pub const MAX_LENGTH: usize = 80;

    /// Reads the key of a further price.
    ///
    /// # Errors
    /// Why the key is not one.
    pub fn parse(key: &'k str) -> Result<Self, &'static str> {
        let key = Self::parse_any(key)?;
        key.has_no_field().map(|()| key)
    }

    /// Reads a key that may be that of a price with a field of its own, as `input` and `output.above_200000`.
    ///
    /// # Errors
    /// Why the key is not one.
    pub fn parse_any(key: &'k str) -> Result<Self, &'static str> {
        if key.len() > Self::MAX_LENGTH {
            return Err("is longer than 80 characters");
        }
        let service = key.split_once('.');
        let service = service.filter(|(first, _)| SERVICES.contains(first));
        let (service, rest) = service.map_or((None, key), |(it, rest)| (Some(it), rest));
        let (rest, above) = split(rest.rsplit_once(".above_"), rest);
        let (name, variant) = split(rest.split_once('.'), rest);
        let meter = METERS.iter().find(|meter| meter.name == name);
        let meter = meter
            .ok_or("is not a unit that prices are for; see the documentation of the catalogue")?;
        if variant.is_some_and(|it| !meter.has_variants || !is_variant(it)) {
            return Err("has a variant that its unit does not have");
        }
        let above_tokens = above.map(parse_threshold).transpose()?;
        Ok(Self {
            service,
            meter,
            variant,
            above_tokens,
        })
    }

    /// Whether the price has a field of its own, or belongs in a tier.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.service.is_none() && PLAIN.contains(&self.meter.name)
    }

    fn has_no_field(&self) -> Result<(), &'static str> {
        match self.above_tokens {
            _ if !self.is_plain() => Ok(()),
            None => Err("has a field of its own, as input_price"),
            Some(_) => Err("belongs in price_tiers"),
        }
    }
}

/// The units that a [`PriceTier`] has prices of.
const PLAIN: [&str; 4] = ["input", "output", "cache_read", "cache_write"];

impl PriceTier {
    /// A tier without prices.
    #[must_use]
    pub fn above(above_tokens: i64) -> Self {
        Self {
            above_tokens,
            input: None,
            output: None,
            cache_read: None,
            cache_write: None,
        }
    }

    /// The price of this unit; `None` for other units.
    pub fn price_mut(&mut self, unit: &str) -> Option<&mut Option<Price>> {
        match unit {
            "input" => Some(&mut self.input),
            "output" => Some(&mut self.output),
            "cache_read" => Some(&mut self.cache_read),
            "cache_write" => Some(&mut self.cache_write),
            _ => None,
        }
    }
}

/// The two parts, or the whole and nothing.
fn split<'k>(parts: Option<(&'k str, &'k str)>, whole: &'k str) -> (&'k str, Option<&'k str>) {
    parts.map_or((whole, None), |(first, rest)| (first, Some(rest)))
}

fn is_variant(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_alphanumeric()) && text.bytes().all(is_allowed)
}

fn parse_threshold(text: &str) -> Result<i64, &'static str> {
    let threshold = text
        .parse()
        .ok()
        .filter(|it| (1..=1_000_000_000).contains(it));
    threshold
        .filter(|it: &i64| it.to_string() == text)
        .ok_or("has a threshold that is not a number of tokens from 1 to 1000000000")
}
