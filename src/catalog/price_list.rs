//! Parsing a price list in LiteLLM's JSON format (`model_prices_and_context_window.json`): one object with
//! the data of each model by the model's name.
//!
//! Prices are parsed from the text of the file, because a binary float would change digits.

use std::{
    collections::{HashMap, HashSet},
    fmt, mem,
};

use chrono::NaiveDate;
use entity::price::Price;
use poem_openapi::types::MaybeUndefined;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    bounds,
    names::{self, Named},
};
use crate::{models::dto::ModelUpdate, providers::dto::ProviderUpdate};

/// A model, and what the list states about it.
#[derive(Clone, Debug)]
pub(super) struct ListedModel {
    pub(super) provider: String,
    pub(super) key: String,
    pub(super) model_name: String,
    pub(super) update: ModelUpdate,
}

impl ListedModel {
    /// Whether the key is the name. Of two entries of a model, that is the one to import.
    fn is_plain(&self) -> bool {
        self.key == self.model_name
    }
}

/// An entry that can't be imported, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    pub key: String,
    pub reason: String,
}

/// The contents of a price list.
#[derive(Debug, Default)]
pub(super) struct PriceList {
    pub(super) models: Vec<ListedModel>,
    pub(super) skipped: Vec<Skipped>,
    /// Prices that had digits beyond the tenth decimal place.
    pub(super) rounded: usize,
}

impl PriceList {
    /// Reads a list.
    ///
    /// # Errors
    /// A text that is not one JSON object. Entries that can't be imported are no error: they are listed
    /// with the reason.
    pub(super) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let Entries(entries) = serde_json::from_str(text)?;
        let mut list = Self::default();
        let mut seen = HashSet::new();
        let mut named = HashMap::new();
        for (key, text) in entries {
            if !seen.insert(key.clone()) {
                list.skip(key, "appears a second time".to_owned());
                continue;
            }
            match Entry::parse(text).and_then(|entry| entry.model(&key)) {
                Ok((model, rounded)) => {
                    list.rounded += rounded;
                    list.add(model, &mut named);
                }
                Err(reason) => list.skip(key, reason),
            }
        }
        Ok(list)
    }

    /// Adds a model, or skips it or an earlier entry that names the same model. `named` has the place of each
    /// model by its provider and name.
    fn add(&mut self, model: ListedModel, named: &mut HashMap<(String, String), usize>) {
        let name = (model.provider.to_lowercase(), model.model_name.clone());
        let place = *named.entry(name).or_insert(self.models.len());
        let Some(earlier) = self.models.get_mut(place) else {
            return self.models.push(model);
        };
        let replaces = model.is_plain() && !earlier.is_plain();
        let other = if replaces {
            mem::replace(earlier, model)
        } else {
            model
        };
        let reason = format!("names the same model as {}", earlier.key);
        self.skip(other.key, reason);
    }

    fn skip(&mut self, key: String, reason: String) {
        self.skipped.push(Skipped { key, reason });
    }
}

/// The entries in the order of the file, including repeated keys.
struct Entries<'t>(Vec<(String, &'t RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with a model's name for each key")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// The fields of an entry that the catalogue has columns for. Their types are checked later, so that the
/// reason can name the field.
#[derive(Deserialize)]
struct Entry<'t> {
    #[serde(borrow)]
    litellm_provider: Option<&'t RawValue>,
    #[serde(borrow)]
    mode: Option<&'t RawValue>,
    #[serde(borrow)]
    input_cost_per_token: Option<&'t RawValue>,
    #[serde(borrow)]
    output_cost_per_token: Option<&'t RawValue>,
    #[serde(borrow)]
    cache_read_input_token_cost: Option<&'t RawValue>,
    #[serde(borrow)]
    cache_creation_input_token_cost: Option<&'t RawValue>,
    #[serde(borrow)]
    max_input_tokens: Option<&'t RawValue>,
    #[serde(borrow)]
    max_output_tokens: Option<&'t RawValue>,
    #[serde(borrow)]
    supports_vision: Option<&'t RawValue>,
    #[serde(borrow)]
    supports_function_calling: Option<&'t RawValue>,
    #[serde(borrow)]
    supports_native_streaming: Option<&'t RawValue>,
    #[serde(borrow)]
    supports_reasoning: Option<&'t RawValue>,
    #[serde(borrow)]
    deprecation_date: Option<&'t RawValue>,
}

impl<'t> Entry<'t> {
    fn parse(text: &'t RawValue) -> Result<Self, String> {
        serde_json::from_str(text.get()).map_err(|error| format!("can't be read: {error}"))
    }

    /// The model, and how many of its prices had to be rounded.
    fn model(&self, key: &str) -> Result<(ListedModel, usize), String> {
        let provider = string("litellm_provider", self.litellm_provider)?
            .ok_or_else(|| "is not a model: it has no litellm_provider".to_owned())?;
        let named = ProviderUpdate {
            name: Some(provider.clone()),
            ..ProviderUpdate::default()
        };
        bounds::check_provider(&named)
            .map_err(|detail| format!("litellm_provider {provider:?}: {detail}"))?;
        let model_name = match names::read_key(&provider, key) {
            Named::Model(name) => name.to_owned(),
            Named::Price { model, part } => {
                return Err(format!("a price variant of {model} ({part})"));
            }
            Named::PriceClass => return Err("a price of several models, not a model".to_owned()),
        };
        let mut rounded = 0;
        let mut price = |name: &str, value| price(name, value, &mut rounded);
        let update = ModelUpdate {
            model_name: Some(model_name.clone()),
            mode: stated(string("mode", self.mode)?),
            input_price: price("input_cost_per_token", self.input_cost_per_token)?,
            output_price: price("output_cost_per_token", self.output_cost_per_token)?,
            cache_read_price: price(
                "cache_read_input_token_cost",
                self.cache_read_input_token_cost,
            )?,
            cache_write_price: price(
                "cache_creation_input_token_cost",
                self.cache_creation_input_token_cost,
            )?,
            context_window: stated(tokens("max_input_tokens", self.max_input_tokens)?),
            max_output: stated(tokens("max_output_tokens", self.max_output_tokens)?),
            supports_vision: bool("supports_vision", self.supports_vision)?,
            supports_tools: bool("supports_function_calling", self.supports_function_calling)?,
            supports_streaming: bool("supports_native_streaming", self.supports_native_streaming)?,
            supports_reasoning: bool("supports_reasoning", self.supports_reasoning)?,
            deprecation_date: stated(date("deprecation_date", self.deprecation_date)?),
            ..ModelUpdate::default()
        };
        bounds::check_model(&update)?;
        let model = ListedModel {
            provider,
            key: key.to_owned(),
            model_name,
            update,
        };
        Ok((model, rounded))
    }
}

/// A field that the list does not state is left unchanged.
fn stated<T>(value: Option<T>) -> MaybeUndefined<T> {
    MaybeUndefined::from_opt_undefined(value)
}

fn read<'t, T: Deserialize<'t>>(
    name: &str,
    value: Option<&'t RawValue>,
    wanted: &str,
) -> Result<Option<T>, String> {
    let Some(value) = value else {
        return Ok(None);
    };
    serde_json::from_str(value.get()).map_err(|_| format!("{name} {} is not {wanted}", value.get()))
}

fn string(name: &str, value: Option<&RawValue>) -> Result<Option<String>, String> {
    read(name, value, "a string")
}

fn bool(name: &str, value: Option<&RawValue>) -> Result<Option<bool>, String> {
    read(name, value, "true or false")
}

fn tokens(name: &str, value: Option<&RawValue>) -> Result<Option<i64>, String> {
    read(name, value, "a number of tokens")
}

fn date(name: &str, value: Option<&RawValue>) -> Result<Option<NaiveDate>, String> {
    let Some(date) = string(name, value)? else {
        return Ok(None);
    };
    NaiveDate::parse_from_str(&date, "%Y-%m-%d")
        .map(Some)
        .map_err(|_| format!("{name} {date:?} is not a date"))
}

fn price(
    name: &str,
    value: Option<&RawValue>,
    rounded: &mut usize,
) -> Result<MaybeUndefined<Price>, String> {
    let Some(value) = value.map(RawValue::get) else {
        return Ok(MaybeUndefined::Undefined);
    };
    let (price, was_rounded) =
        Price::from_dollars_per_token(value).map_err(|error| format!("{name} {value} {error}"))?;
    *rounded += usize::from(was_rounded);
    Ok(MaybeUndefined::Value(price))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"{
        "sample_spec": {"litellm_provider": "one of many", "max_input_tokens": "a number"},
        "gpt": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 2.5e-06,
                "cache_read_input_token_cost": 3.0001999999999996e-07, "max_input_tokens": 128000,
                "supports_function_calling": true, "deprecation_date": "2026-10-01"},
        "gpt": {"litellm_provider": "openai", "mode": "chat"},
        "ear": {"litellm_provider": "deepgram", "mode": "audio_transcription"},
        "gold": {"litellm_provider": "openai", "input_cost_per_token": 1000},
        "minus": {"litellm_provider": "openai", "input_cost_per_token": -1e-6},
        "words": {"litellm_provider": "openai", "max_output_tokens": "many"},
        "rules": {"rules": []},
        "list": []
    }"#;

    #[test]
    fn entries_become_models_with_their_prices_as_written() {
        let list = PriceList::parse(LIST).expect("a list");
        let [gpt, ear] = &list.models[..] else {
            panic!("{:?}", list.models)
        };
        assert_eq!(
            (gpt.provider.as_str(), gpt.model_name.as_str()),
            ("openai", "gpt")
        );
        assert_eq!(gpt.update.input_price.value(), "2.5".parse().ok().as_ref());
        let cache_read = gpt.update.cache_read_price.value();
        assert_eq!(cache_read, "0.30002".parse().ok().as_ref());
        assert_eq!(gpt.update.context_window.value(), Some(&128_000));
        let retired = gpt.update.deprecation_date.value().copied();
        assert_eq!(retired, NaiveDate::from_ymd_opt(2026, 10, 1));
        assert_eq!(
            (gpt.update.supports_tools, gpt.update.supports_vision),
            (Some(true), None)
        );
        let mode = ear.update.mode.value().map(String::as_str);
        assert_eq!(mode, Some("audio_transcription"));
        assert_eq!(list.rounded, 1);
    }

    #[test]
    fn what_can_t_be_imported_is_listed_with_its_reason() {
        let list = PriceList::parse(LIST).expect("a list");
        let skipped: Vec<String> = list
            .skipped
            .iter()
            .map(|Skipped { key, reason }| format!("{key}: {reason}"))
            .collect();
        assert_eq!(
            skipped[..6],
            [
                "sample_spec: litellm_provider \"one of many\": name must match ^[A-Za-z0-9][A-Za-z0-9._-]*$",
                "gpt: appears a second time",
                "gold: input_cost_per_token 1000 is over 99999999.9999999999 dollars per million tokens",
                "minus: input_cost_per_token -1e-6 is negative",
                "words: max_output_tokens \"many\" is not a number of tokens",
                "rules: is not a model: it has no litellm_provider",
            ]
        );
        assert!(
            skipped[6].starts_with("list: can't be read"),
            "{}",
            skipped[6]
        );
    }

    #[test]
    fn an_entry_beyond_the_bounds_of_the_api_is_listed() {
        let list = PriceList::parse(
            r#"{
                "a": {"litellm_provider": "x", "deprecation_date": "+10000-01-01"},
                "b": {"litellm_provider": "x", "mode": "Chat"},
                "c": {"litellm_provider": "x", "max_output_tokens": 1000000001},
                "d\u0000": {"litellm_provider": "x"},
                "": {"litellm_provider": "x"}
            }"#,
        );
        let list = list.expect("a list");
        let reasons = list.skipped.iter().map(|skipped| skipped.reason.as_str());
        let fields: Vec<_> = reasons.map(|reason| reason.split(' ').next()).collect();
        let expected = [
            "deprecation_date",
            "mode",
            "max_output",
            "model_name",
            "model_name",
        ];
        assert_eq!(fields, expected.map(Some));
        assert!(list.models.is_empty());
    }

    #[test]
    fn a_text_that_is_no_object_is_refused() {
        assert!(PriceList::parse("[]").is_err());
        assert!(PriceList::parse("{\"a\":").is_err());
    }
}
