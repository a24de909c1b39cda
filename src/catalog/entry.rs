//! One entry of a price list.
//!
//! Only the provider and the name must be right. A fact that can't be read, or that the API would reject, is
//! left out, and the model stays. Prices are parsed from the text of the file, because a binary float would
//! change digits.

use std::{collections::BTreeMap, fmt};

use chrono::NaiveDate;
use entity::{model, price::Price, values::StringList};
use poem_openapi::types::MaybeUndefined;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IdenStatic, Iterable};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    bounds,
    names::{self, Named},
    price_list::{ListedModel, Remark},
    prices::{self, ListedPrices},
};
use crate::{
    models::{
        dto::ModelUpdate,
        facts::{PRICES, check},
    },
    providers::dto::ProviderUpdate,
};

/// The members of a JSON object in the order of the file, including repeated ones.
pub(super) struct Members<'t>(pub(super) Vec<(String, &'t RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Members(entries))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// No model costs more than 10,000 dollars per million tokens. The price of an image or a request may.
const CREDIBLE_PRICE: Price = Price::from_stored(10_000 * 10_i64.pow(10));

/// What `price_source` is if an entry of LiteLLM's list names no address.
const LIST: &str = "litellm";

/// The members of an entry that are left to read, and what was found when the others were read.
pub(super) struct Entry<'t> {
    members: BTreeMap<String, &'t RawValue>,
    prices: ListedPrices,
    notes: Vec<String>,
    rounded: usize,
}

impl<'t> Entry<'t> {
    /// # Errors
    /// A text that is not an object.
    pub(super) fn new(text: &'t RawValue) -> Result<Self, String> {
        let members = serde_json::from_str(text.get());
        let Members(members) = members.map_err(|error| format!("can't be read: {error}"))?;
        Ok(Self {
            // The last one of a name: other readers take the last, too.
            members: members.into_iter().collect(),
            prices: ListedPrices::default(),
            notes: Vec::new(),
            rounded: 0,
        })
    }

    /// An entry of LiteLLM's list.
    ///
    /// # Errors
    /// Why the entry can't be imported.
    pub(super) fn read(key: &str, text: &'t RawValue) -> Result<ListedModel, Remark> {
        let skip = |provider: Option<&String>, text: String| Remark {
            key: key.to_owned(),
            provider: provider.cloned(),
            text,
        };
        let mut entry = Self::new(text).map_err(|text| skip(None, text))?;
        let provider = entry.provider().map_err(|text| skip(None, text))?;
        let model_name = match names::read_key(&provider, key) {
            Named::Model(name) => name.to_owned(),
            Named::Price { model, part } => {
                let text = format!("a price variant of {model} ({part})");
                return Err(skip(Some(&provider), text));
            }
            Named::PriceClass => {
                let text = "a price of several models, not a model".to_owned();
                return Err(skip(Some(&provider), text));
            }
        };
        let update = entry.litellm_facts(&model_name);
        let skip = |text| skip(Some(&provider), text);
        entry.finish(&provider, key, update, LIST).map_err(skip)
    }

    fn provider(&mut self) -> Result<String, String> {
        const NAME: &str = "litellm_provider";
        let value = self.take(NAME);
        let value = value.ok_or_else(|| format!("is not a model: it has no {NAME}"))?;
        let provider = string(value).map_err(|why| format!("{NAME} {} {why}", shown(value)))?;
        check_provider(NAME, &provider)?;
        Ok(provider)
    }

    /// All columns that an entry of LiteLLM's list states.
    fn litellm_facts(&mut self, model_name: &str) -> ModelUpdate {
        self.litellm_prices();
        ModelUpdate {
            model_name: Some(model_name.to_owned()),
            mode: stated(self.fact("mode", string)),
            context_window: stated(self.fact("max_input_tokens", tokens)),
            max_output: stated(self.fact("max_output_tokens", tokens)),
            supports_vision: self.fact("supports_vision", flag),
            supports_tools: self.fact("supports_function_calling", flag),
            supports_streaming: self.fact("supports_native_streaming", flag),
            supports_reasoning: self.fact("supports_reasoning", flag),
            supports_response_schema: self.fact("supports_response_schema", flag),
            supports_prompt_caching: self.fact("supports_prompt_caching", flag),
            supports_pdf_input: self.fact("supports_pdf_input", flag),
            supports_audio_input: self.fact("supports_audio_input", flag),
            supports_web_search: self.fact("supports_web_search", flag),
            supports_computer_use: self.fact("supports_computer_use", flag),
            accepts_sampling: self.fact("supports_sampling_params", flag),
            reasoning_efforts: self.reasoning_efforts(),
            price_source: stated(self.fact("source", string)),
            deprecation_date: stated(self.fact("deprecation_date", date)),
            ..ModelUpdate::default()
        }
    }

    /// The levels that the list names. Otherwise those that it has flags for, with `medium` and `high`, which
    /// LiteLLM sends to every model that has any.
    fn reasoning_efforts(&mut self) -> Option<StringList> {
        let listed = self.fact("reasoning_effort_levels", strings);
        let flags = ["none", "minimal", "low", "xhigh", "max"];
        let flags =
            flags.map(|level| self.fact(&format!("supports_{level}_reasoning_effort"), flag));
        let [none, minimal, low, xhigh, max] = flags;
        let levels = [
            ("none", none.unwrap_or(false)),
            ("minimal", minimal.unwrap_or(false)),
            ("low", low.unwrap_or(true)),
            ("medium", true),
            ("high", true),
            ("xhigh", xhigh.unwrap_or(false)),
            ("max", max.unwrap_or(false)),
        ];
        let flagged = flags.iter().any(Option::is_some).then(|| {
            let has = levels.into_iter().filter(|(_, has)| *has);
            has.map(|(level, _)| level.to_owned()).collect()
        });
        listed.or(flagged).map(StringList)
    }

    fn litellm_prices(&mut self) {
        self.tiered_prices();
        self.nested_prices();
        let fields: Vec<String> = self.members.keys().cloned().collect();
        for field in fields {
            if let Some((key, power)) = prices::key_of_field(&field)
                && let Some(value) = self.take(&field)
            {
                self.price(&field, value, key, power);
            }
        }
    }

    /// `tiered_pricing`: prices by the number of tokens, or of results. The first range has the model's own prices.
    fn tiered_prices(&mut self) {
        const NAME: &str = "tiered_pricing";
        let Some(tiers) = self.fact(NAME, list) else {
            return;
        };
        for tier in tiers {
            let Ok(mut tier) = Self::new(tier) else {
                self.notes
                    .push(format!("{NAME} {} is left out", shown(tier)));
                continue;
            };
            let above = tier.fact("range", first_number);
            let results = tier.fact("max_results_range", first_number);
            let suffix = match (above, results) {
                (Some(above @ 1..), _) => format!(".above_{above}"),
                (_, Some(results @ 1..)) => format!(".from_{results}"),
                _ => String::new(),
            };
            for (field, value) in std::mem::take(&mut tier.members) {
                let place = format!("{NAME}.{field}");
                match prices::key_of_field(&field) {
                    Some((key, power)) => self.price(&place, value, key + &suffix, power),
                    None => drop(self.members.insert(place, value)),
                }
            }
        }
    }

    /// Prices that are members of an object.
    fn nested_prices(&mut self) {
        let search = |name: &str| {
            Some((
                format!("search.{}", name.strip_prefix("search_context_size_")?),
                0,
            ))
        };
        self.nested("search_context_cost_per_query", search);
        self.nested("guardrail_cost_per_unit", |name| {
            Some((format!("guardrail.{name}"), 0))
        });
        self.nested("off_peak_pricing", |name| {
            let (key, power) = prices::key_of_field(name)?;
            Some((format!("off_peak.{key}"), power))
        });
        self.nested("provider_specific_entry", |name| {
            let is_uplift = matches!(name, "us" | "eu" | "fast");
            is_uplift.then(|| (format!("uplift.{name}"), 0))
        });
    }

    /// Reads the members of an object that are prices. The others stay, under the names of both.
    pub(super) fn nested(&mut self, name: &str, key: impl Fn(&str) -> Option<(String, i8)>) {
        let Some(value) = self.members.remove(name) else {
            return;
        };
        let Ok(mut nested) = Self::new(value) else {
            self.members.insert(name.to_owned(), value);
            return;
        };
        for (member, value) in std::mem::take(&mut nested.members) {
            let place = format!("{name}.{member}");
            match key(&member).filter(|(key, _)| prices::power_of(key).is_some()) {
                Some((key, power)) => self.price(&place, value, key, power),
                None => drop(self.members.insert(place, value)),
            }
        }
    }

    /// Puts back a member that has no place in the catalogue.
    pub(super) fn leave(&mut self, name: String, value: &'t RawValue) {
        self.members.insert(name, value);
    }

    /// Replaces an object by its members, under the names of both.
    pub(super) fn flatten(&mut self, name: &str) {
        self.nested(name, |_| None);
    }

    /// The model, with what the entry states within the bounds of the API.
    ///
    /// # Errors
    /// Why the entry can't be imported.
    pub(super) fn finish(
        mut self,
        provider: &str,
        key: &str,
        mut update: ModelUpdate,
        list: &str,
    ) -> Result<ListedModel, String> {
        std::mem::take(&mut self.prices).set_in(&mut update);
        let violations = bounds::check_model(&update);
        let model_name = update.model_name.clone().unwrap_or_default();
        let mut facts = model::ActiveModel::from(update);
        for (field, detail) in violations {
            let column = field.split('/').next().unwrap_or_default();
            let column = model::Column::iter().find(|known| known.as_str() == column);
            match column {
                Some(column) if field != "model_name" => facts.not_set(column),
                _ => return Err(format!("{field} {detail}")),
            }
            self.notes.push(format!("{field} {detail}; it is left out"));
        }
        facts.not_set(model::Column::ModelName);
        if let Err(error) = check(&facts) {
            self.notes.push(format!("{error}; its prices are left out"));
            facts.not_set(model::Column::PriceTiers);
            facts.not_set(model::Column::Prices);
        }
        // Prices without an address are from the list.
        if PRICES.iter().any(|column| facts.get(*column).is_set()) {
            let source = facts.price_source.take().flatten();
            facts.price_source = Set(Some(source.unwrap_or_else(|| list.to_owned())));
        } else {
            facts.not_set(model::Column::PriceSource);
        }
        let mode = facts.mode.try_as_ref().cloned().flatten();
        let is_stated = |(_, value): &(&String, &&RawValue)| value.get() != "null";
        let left = self.members.iter().filter(is_stated);
        let not_kept = left.map(|(name, _)| name.clone()).collect();
        Ok(ListedModel {
            provider: provider.to_owned(),
            key: key.to_owned(),
            model_name,
            mode,
            facts,
            notes: self.notes,
            rounded: self.rounded,
            not_kept,
            yields_key: false,
        })
    }

    /// The member of this name, which is then read. Null is no statement.
    pub(super) fn take(&mut self, name: &str) -> Option<&'t RawValue> {
        self.members
            .remove(name)
            .filter(|value| value.get() != "null")
    }

    pub(super) fn fact<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&'t RawValue) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.take(name)?;
        read(value)
            .map_err(|why| {
                let note = format!("{name} {} {why}; it is left out", shown(value));
                self.notes.push(note);
            })
            .ok()
    }

    /// Reads a price. Of two fields for one price, the one that is read last is taken.
    pub(super) fn price(&mut self, field: &str, value: &RawValue, key: String, power: i8) {
        if value.get() == "null" {
            return;
        }
        let (price, was_rounded) = match Price::from_amount(&number(value), power) {
            Ok(price) => price,
            Err(why) => {
                let note = format!("{field} {} {why}; it is left out", shown(value));
                return self.notes.push(note);
            }
        };
        if prices::power_of(&key) == Some(6) && price > CREDIBLE_PRICE {
            let note =
                format!("{field} makes {price} dollars per million tokens, which may be wrong");
            self.notes.push(note);
        }
        if let Some(other) = self.prices.get(&key).filter(|other| *other != price) {
            let note = format!("{field} states {price} for {key}, which is also {other}");
            self.notes.push(note);
        }
        self.rounded += usize::from(was_rounded);
        self.prices.set(key, price);
    }
}

/// # Errors
/// Why this is no name of a provider.
pub(super) fn check_provider(field: &str, provider: &str) -> Result<(), String> {
    let named = ProviderUpdate {
        name: Some(provider.to_owned()),
        ..ProviderUpdate::default()
    };
    bounds::check_provider(&named).map_err(|detail| format!("{field} {provider:?}: {detail}"))
}

/// A field that the list does not state is left unchanged.
pub(super) fn stated<T>(value: Option<T>) -> MaybeUndefined<T> {
    MaybeUndefined::from_opt_undefined(value)
}

/// A value as the list writes it, cut to a readable length.
fn shown(value: &RawValue) -> String {
    const CHARACTERS: usize = 60;
    let text = value.get();
    match text.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

pub(super) fn string(value: &RawValue) -> Result<String, String> {
    serde_json::from_str(value.get()).map_err(|_| "is not a string".to_owned())
}

pub(super) fn flag(value: &RawValue) -> Result<bool, String> {
    serde_json::from_str(value.get()).map_err(|_| "is not true or false".to_owned())
}

pub(super) fn strings(value: &RawValue) -> Result<Vec<String>, String> {
    serde_json::from_str(value.get()).map_err(|_| "is not a list of strings".to_owned())
}

pub(super) fn list(value: &RawValue) -> Result<Vec<&RawValue>, String> {
    serde_json::from_str(value.get()).map_err(|_| "is not a list".to_owned())
}

/// The start of a range.
fn first_number(value: &RawValue) -> Result<i64, String> {
    let first = list(value)?.first().copied();
    first.ok_or_else(|| "is empty".to_owned()).and_then(tokens)
}

/// The text of a number, which some lists write as a string.
fn number(value: &RawValue) -> String {
    match string(value) {
        Ok(text) => text.trim().to_owned(),
        Err(_) => value.get().to_owned(),
    }
}

/// A number of tokens by its value: `200000`, `2e5`, `200000.0`.
pub(super) fn tokens(value: &RawValue) -> Result<i64, String> {
    let number: Option<f64> = number(value).parse().ok();
    number
        .filter(|number| number.fract() == 0.0)
        .and_then(|number| format!("{number:.0}").parse().ok())
        .ok_or_else(|| "is not a number of tokens".to_owned())
}

pub(super) fn date(value: &RawValue) -> Result<NaiveDate, String> {
    let date = string(value).ok();
    date.and_then(|date| NaiveDate::parse_from_str(&date, "%Y-%m-%d").ok())
        .ok_or_else(|| "is not a date".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sea_orm::Value;

    /// A column that an entry with this member sets, and the notes.
    fn read(member: &str, column: model::Column) -> (Option<Value>, Vec<String>) {
        let entry = format!(r#"{{"litellm_provider": "x", {member}}}"#);
        let entry = RawValue::from_string(entry).expect("JSON");
        let model = Entry::read("m", &entry).expect("the model stays");
        (model.facts.get(column).into_value(), model.notes)
    }

    #[test]
    fn a_number_is_read_by_its_value() {
        use model::Column::{ContextWindow, InputPrice};
        let dollars = |text: &str| text.parse::<Price>().expect("a price").into();
        for (member, column, value) in [
            (
                r#""max_input_tokens": 2000000.0"#,
                ContextWindow,
                2_000_000_i64.into(),
            ),
            (
                r#""max_input_tokens": 2e5"#,
                ContextWindow,
                200_000_i64.into(),
            ),
            (
                r#""max_input_tokens": "128000""#,
                ContextWindow,
                128_000_i64.into(),
            ),
            (
                r#""input_cost_per_token": "3e-6""#,
                InputPrice,
                dollars("3"),
            ),
            (
                r#""input_cost_per_token": " 0.0000025 ""#,
                InputPrice,
                dollars("2.5"),
            ),
            (r#""input_cost_per_token": 0"#, InputPrice, dollars("0")),
            (
                r#""max_input_tokens": 1, "max_input_tokens": 2"#,
                ContextWindow,
                2_i64.into(),
            ),
        ] {
            assert_eq!(read(member, column), (Some(value), Vec::new()), "{member}");
        }
        assert_eq!(
            read(r#""max_input_tokens": null"#, ContextWindow),
            (None, Vec::new())
        );
    }

    #[test]
    fn a_fact_that_can_t_be_read_is_left_out_with_a_note() {
        use model::Column::{
            ContextWindow, DeprecationDate, InputPrice, MaxOutput, Mode, SupportsVision,
        };
        for (member, column, note) in [
            (
                r#""max_input_tokens": "many""#,
                ContextWindow,
                "max_input_tokens \"many\" is not a number of tokens",
            ),
            (
                r#""max_input_tokens": 1.5"#,
                ContextWindow,
                "max_input_tokens 1.5 is not a number of tokens",
            ),
            (
                r#""max_input_tokens": "inf""#,
                ContextWindow,
                "max_input_tokens \"inf\" is not a number of tokens",
            ),
            (
                r#""max_input_tokens": -1"#,
                ContextWindow,
                "context_window must be from 0 to 1000000000",
            ),
            (
                r#""max_output_tokens": 1000000001"#,
                MaxOutput,
                "max_output must be from 0 to 1000000000",
            ),
            (
                r#""input_cost_per_token": 1000"#,
                InputPrice,
                "input_cost_per_token 1000 is over 99999999.9999999999 dollars per million tokens",
            ),
            (
                r#""input_cost_per_token": -1e-6"#,
                InputPrice,
                "input_cost_per_token -1e-6 is negative",
            ),
            (
                r#""input_cost_per_token": "free""#,
                InputPrice,
                "input_cost_per_token \"free\" is not a decimal number",
            ),
            (
                r#""input_cost_per_token": {}"#,
                InputPrice,
                "input_cost_per_token {} is not a decimal number",
            ),
            (
                r#""supports_vision": "yes""#,
                SupportsVision,
                "supports_vision \"yes\" is not true or false",
            ),
            (r#""mode": 1"#, Mode, "mode 1 is not a string"),
            (
                r#""mode": "Chat""#,
                Mode,
                "mode may have lower-case ASCII letters, digits",
            ),
            (
                r#""deprecation_date": "soon""#,
                DeprecationDate,
                "deprecation_date \"soon\" is not a date",
            ),
            (
                r#""deprecation_date": "+10000-01-01""#,
                DeprecationDate,
                "deprecation_date",
            ),
        ] {
            let (value, notes) = read(member, column);
            assert_eq!(value, None, "{member}");
            let [only] = &notes[..] else {
                panic!("{member}: {notes:?}")
            };
            assert!(
                only.starts_with(note) && only.ends_with("; it is left out"),
                "{member}: {only}"
            );
        }
        let (_, notes) = read(r#""input_cost_per_token": 0.015"#, InputPrice);
        assert_eq!(
            notes,
            [
                "input_cost_per_token makes 15000.0000000000 dollars per million tokens, which may be wrong"
            ]
        );
        assert!(
            read(r#""input_cost_per_token": 0.01"#, InputPrice)
                .1
                .is_empty()
        );
        let long = format!(r#""mode": ["{}"]"#, "é".repeat(1000));
        assert!(read(&long, Mode).1[0].len() < 200);
    }
}
