//! Reading a price list in LiteLLM's JSON format (`model_prices_and_context_window.json`): one
//! object whose keys are model names and whose values say what is known of each.
//!
//! Prices are taken from the text of the file. A binary float on the way would change digits.

use std::{collections::HashSet, fmt, sync::LazyLock};

use chrono::NaiveDate;
use entity::price::Price;
use regex::Regex;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// A model as the list has it, ready for the catalogue. `None` is what the list does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListedModel {
    pub(super) provider: String,
    pub(super) model_name: String,
    pub(super) mode: Option<String>,
    pub(super) input_price: Option<Price>,
    pub(super) output_price: Option<Price>,
    pub(super) cache_read_price: Option<Price>,
    pub(super) cache_write_price: Option<Price>,
    pub(super) context_window: Option<i64>,
    pub(super) max_output: Option<i64>,
    pub(super) supports_vision: Option<bool>,
    pub(super) supports_tools: Option<bool>,
    pub(super) supports_streaming: Option<bool>,
    pub(super) supports_reasoning: Option<bool>,
    pub(super) deprecation_date: Option<NaiveDate>,
}

/// An entry that can't be in the catalogue, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    pub key: String,
    pub reason: String,
}

/// What a price list holds.
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
    /// A text that is not one JSON object. Entries that can't be used are no error: they are
    /// listed with their reason.
    pub(super) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let Entries(entries) = serde_json::from_str(text)?;
        let mut list = Self::default();
        let mut seen = HashSet::new();
        for (key, text) in entries {
            let model = Entry::parse(text).and_then(|entry| entry.model(&key));
            match model {
                Ok((model, rounded))
                    if seen.insert((model.provider.to_lowercase(), key.clone())) =>
                {
                    list.models.push(model);
                    list.rounded += rounded;
                }
                Ok(_) => list.skip(key, "appears a second time".to_owned()),
                Err(reason) => list.skip(key, reason),
            }
        }
        Ok(list)
    }

    fn skip(&mut self, key: String, reason: String) {
        self.skipped.push(Skipped { key, reason });
    }
}

/// The list's entries in the order of the file, repeated keys included.
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

/// The fields of an entry that the catalogue has a place for. Everything that may be of an
/// unexpected type is left as text here and read below, so that the reason can name the field.
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

static PROVIDER_NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$").expect("a regular expression")
});
static MODE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("^[a-z0-9][a-z0-9_-]{0,63}$").expect("a regular expression"));

impl<'t> Entry<'t> {
    fn parse(text: &'t RawValue) -> Result<Self, String> {
        serde_json::from_str(text.get()).map_err(|error| format!("can't be read: {error}"))
    }

    /// The model, and how many of its prices had to be rounded.
    fn model(&self, key: &str) -> Result<(ListedModel, usize), String> {
        let provider = match text("litellm_provider", self.litellm_provider)? {
            None => return Err("is no model: it has no litellm_provider".to_owned()),
            Some(name) if PROVIDER_NAME.is_match(&name) => name,
            Some(name) => {
                return Err(format!(
                    "litellm_provider {name:?} is not a provider's name"
                ));
            }
        };
        if key.is_empty() || key.chars().count() > 255 || key.contains('\0') {
            return Err(
                "a model's name must have 1 to 255 characters, none of them NUL".to_owned(),
            );
        }
        let mode = text("mode", self.mode)?;
        if let Some(mode) = mode.as_deref().filter(|mode| !MODE.is_match(mode)) {
            return Err(format!("mode {mode:?} is not a mode's name"));
        }
        let mut rounded = 0;
        let mut price = |name: &str, value| price(name, value, &mut rounded);
        let model = ListedModel {
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
            context_window: tokens("max_input_tokens", self.max_input_tokens)?,
            max_output: tokens("max_output_tokens", self.max_output_tokens)?,
            supports_vision: flag("supports_vision", self.supports_vision)?,
            supports_tools: flag("supports_function_calling", self.supports_function_calling)?,
            supports_streaming: flag("supports_native_streaming", self.supports_native_streaming)?,
            supports_reasoning: flag("supports_reasoning", self.supports_reasoning)?,
            deprecation_date: date("deprecation_date", self.deprecation_date)?,
            provider,
            model_name: key.to_owned(),
            mode,
        };
        Ok((model, rounded))
    }
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

fn text(name: &str, value: Option<&RawValue>) -> Result<Option<String>, String> {
    read(name, value, "a text")
}

fn flag(name: &str, value: Option<&RawValue>) -> Result<Option<bool>, String> {
    read(name, value, "true or false")
}

fn tokens(name: &str, value: Option<&RawValue>) -> Result<Option<i64>, String> {
    let wanted = "a number of tokens";
    match read::<i64>(name, value, wanted)? {
        Some(count) if !(0..=1_000_000_000).contains(&count) => {
            Err(format!("{name} {count} is not {wanted}"))
        }
        count => Ok(count),
    }
}

fn date(name: &str, value: Option<&RawValue>) -> Result<Option<NaiveDate>, String> {
    let Some(date) = text(name, value)? else {
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
) -> Result<Option<Price>, String> {
    let Some(value) = value.map(RawValue::get) else {
        return Ok(None);
    };
    let (price, was_rounded) =
        Price::from_dollars_per_token(value).map_err(|error| format!("{name} {value} {error}"))?;
    *rounded += usize::from(was_rounded);
    Ok(Some(price))
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
        assert_eq!(gpt.input_price, "2.5".parse().ok());
        assert_eq!(gpt.cache_read_price, "0.30002".parse().ok());
        assert_eq!(gpt.context_window, Some(128_000));
        assert_eq!(gpt.deprecation_date, NaiveDate::from_ymd_opt(2026, 10, 1));
        assert_eq!(
            (gpt.supports_tools, gpt.supports_vision),
            (Some(true), None)
        );
        assert_eq!(ear.mode.as_deref(), Some("audio_transcription"));
        assert_eq!(list.rounded, 1);
    }

    #[test]
    fn what_can_t_be_a_model_is_listed_with_its_reason() {
        let list = PriceList::parse(LIST).expect("a list");
        let skipped: Vec<String> = list
            .skipped
            .iter()
            .map(|Skipped { key, reason }| format!("{key}: {reason}"))
            .collect();
        assert_eq!(
            skipped[..6],
            [
                "sample_spec: litellm_provider \"one of many\" is not a provider's name",
                "gpt: appears a second time",
                "gold: input_cost_per_token 1000 is over 99999999.9999999999 dollars per million tokens",
                "minus: input_cost_per_token -1e-6 is negative",
                "words: max_output_tokens \"many\" is not a number of tokens",
                "rules: is no model: it has no litellm_provider",
            ]
        );
        assert!(
            skipped[6].starts_with("list: can't be read"),
            "{}",
            skipped[6]
        );
    }

    #[test]
    fn a_text_that_is_no_object_is_refused() {
        assert!(PriceList::parse("[]").is_err());
        assert!(PriceList::parse("{\"a\":").is_err());
    }
}
