//! One entry of LiteLLM's list.

use entity::values::StringList;
use serde_json::value::RawValue;

use super::{
    entry::{Entry, check_provider},
    names::{self, Named},
    price_list::{ListedModel, Remark},
    prices,
    values::{date, first_number, flag, list, shown, stated, string, strings, tokens},
};
use crate::models::dto::ModelUpdate;

/// What `price_source` is if an entry of LiteLLM's list names no address.
const LIST: &str = "litellm";

impl<'t> Entry<'t> {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use entity::{model, price::Price};
    use sea_orm::ActiveModelTrait;
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
