//! One entry of a price list.
//!
//! Only the provider and the name must be right. A fact that can't be read, or that the API would reject, is
//! left out, and the model stays. Prices are parsed from the text of the file, because a binary float would
//! change digits.

use std::fmt;

use chrono::NaiveDate;
use entity::{model, price::Price};
use poem_openapi::types::MaybeUndefined;
use sea_orm::{ActiveModelTrait, IdenStatic, Iterable};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    bounds,
    names::{self, Named},
    price_list::{ListedModel, Remark},
};
use crate::{models::dto::ModelUpdate, providers::dto::ProviderUpdate};

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

/// The members of an entry, and what was found when they were read.
pub(super) struct Entry<'t> {
    members: Members<'t>,
    notes: Vec<String>,
    rounded: usize,
}

impl<'t> Entry<'t> {
    /// # Errors
    /// Why the entry can't be imported.
    pub(super) fn read(key: &str, text: &'t RawValue) -> Result<ListedModel, Remark> {
        let skip = |provider: Option<&String>, text: String| Remark {
            key: key.to_owned(),
            provider: provider.cloned(),
            text,
        };
        let members = serde_json::from_str(text.get());
        let mut entry = Self {
            members: members.map_err(|error| skip(None, format!("can't be read: {error}")))?,
            notes: Vec::new(),
            rounded: 0,
        };
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
        let (mode, facts) = entry
            .facts(&model_name)
            .map_err(|text| skip(Some(&provider), text))?;
        let Self {
            members: _,
            notes,
            rounded,
        } = entry;
        Ok(ListedModel {
            provider,
            key: key.to_owned(),
            model_name,
            mode,
            facts,
            notes,
            rounded,
        })
    }

    fn provider(&self) -> Result<String, String> {
        const NAME: &str = "litellm_provider";
        let value = self.value(NAME);
        let value = value.ok_or_else(|| format!("is not a model: it has no {NAME}"))?;
        let provider = string(value).map_err(|why| format!("{NAME} {} {why}", shown(value)))?;
        let named = ProviderUpdate {
            name: Some(provider.clone()),
            ..ProviderUpdate::default()
        };
        bounds::check_provider(&named)
            .map_err(|detail| format!("{NAME} {provider:?}: {detail}"))?;
        Ok(provider)
    }

    /// The mode, and all columns that the entry states but the name.
    fn facts(&mut self, model_name: &str) -> Result<(Option<String>, model::ActiveModel), String> {
        let update = ModelUpdate {
            model_name: Some(model_name.to_owned()),
            mode: stated(self.fact("mode", string)),
            input_price: self.price("input_cost_per_token"),
            output_price: self.price("output_cost_per_token"),
            cache_read_price: self.price("cache_read_input_token_cost"),
            cache_write_price: self.price("cache_creation_input_token_cost"),
            context_window: stated(self.fact("max_input_tokens", tokens)),
            max_output: stated(self.fact("max_output_tokens", tokens)),
            supports_vision: self.fact("supports_vision", flag),
            supports_tools: self.fact("supports_function_calling", flag),
            supports_streaming: self.fact("supports_native_streaming", flag),
            supports_reasoning: self.fact("supports_reasoning", flag),
            deprecation_date: stated(self.fact("deprecation_date", date)),
            ..ModelUpdate::default()
        };
        let violations = bounds::check_model(&update);
        let mut facts = model::ActiveModel::from(update);
        for (field, detail) in violations {
            let column = model::Column::iter().find(|column| column.as_str() == field);
            match column {
                Some(column) if field != "model_name" => facts.not_set(column),
                _ => return Err(format!("{field} {detail}")),
            }
            self.notes.push(format!("{field} {detail}; it is left out"));
        }
        facts.not_set(model::Column::ModelName);
        let mode = facts.mode.try_as_ref().cloned().flatten();
        Ok((mode, facts))
    }

    /// The last member of this name: other readers take the last, too. Null is no statement.
    fn value(&self, name: &str) -> Option<&'t RawValue> {
        let mut members = self.members.0.iter().rev();
        let (_, value) = members.find(|(member, _)| member == name)?;
        (value.get() != "null").then_some(*value)
    }

    fn fact<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&RawValue) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.value(name)?;
        read(value)
            .map_err(|why| {
                let note = format!("{name} {} {why}; it is left out", shown(value));
                self.notes.push(note);
            })
            .ok()
    }

    fn price(&mut self, name: &str) -> MaybeUndefined<Price> {
        let price = self.fact(name, |value| {
            Price::from_dollars_per_token(&number(value)).map_err(|error| error.to_string())
        });
        let Some((price, was_rounded)) = price else {
            return MaybeUndefined::Undefined;
        };
        if price > CREDIBLE_PRICE {
            let note =
                format!("{name} makes {price} dollars per million tokens, which may be wrong");
            self.notes.push(note);
        }
        self.rounded += usize::from(was_rounded);
        MaybeUndefined::Value(price)
    }
}

/// A field that the list does not state is left unchanged.
fn stated<T>(value: Option<T>) -> MaybeUndefined<T> {
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

fn string(value: &RawValue) -> Result<String, String> {
    serde_json::from_str(value.get()).map_err(|_| "is not a string".to_owned())
}

fn flag(value: &RawValue) -> Result<bool, String> {
    serde_json::from_str(value.get()).map_err(|_| "is not true or false".to_owned())
}

/// The text of a number, which some lists write as a string.
fn number(value: &RawValue) -> String {
    match string(value) {
        Ok(text) => text.trim().to_owned(),
        Err(_) => value.get().to_owned(),
    }
}

/// A number of tokens by its value: `200000`, `2e5`, `200000.0`.
fn tokens(value: &RawValue) -> Result<i64, String> {
    let number: Option<f64> = number(value).parse().ok();
    number
        .filter(|number| number.fract() == 0.0)
        .and_then(|number| format!("{number:.0}").parse().ok())
        .ok_or_else(|| "is not a number of tokens".to_owned())
}

fn date(value: &RawValue) -> Result<NaiveDate, String> {
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
