//! Parsing a price list. LiteLLM's (`model_prices_and_context_window.json`) is one object with the data of each
//! model by the model's key; `models_dev.rs` reads the other format.

use std::{
    collections::{HashMap, HashSet},
    mem,
};

use clap::ValueEnum;
use entity::model;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    entry::{Entry, Members},
    models_dev::{self, ListedProvider},
};
use crate::providers::dto::ProviderCreate;

/// A model, and what the list states about it.
#[derive(Clone, Debug)]
pub(super) struct ListedModel {
    pub(super) provider: String,
    pub(super) key: String,
    pub(super) model_name: String,
    pub(super) mode: Option<String>,
    /// The columns that the list states. A model that is imported again keeps the others.
    pub(super) facts: model::ActiveModel,
    /// Facts that were left out or look wrong.
    pub(super) notes: Vec<String>,
    /// Prices that had digits beyond the tenth decimal place.
    pub(super) rounded: usize,
    /// Names of fields that have no place in the catalogue.
    pub(super) not_kept: Vec<String>,
    /// Whether a model keeps the key of another list that it has.
    pub(super) yields_key: bool,
}

impl ListedModel {
    /// Whether the key is the name. Of two entries of a model, that is the one to import.
    fn is_plain(&self) -> bool {
        self.key == self.model_name
    }

    /// The notes, as remarks about the entry.
    pub(super) fn remarks(&self) -> impl Iterator<Item = Remark> {
        self.notes.iter().map(|note| self.remark(note.clone()))
    }

    /// A remark about the entry.
    pub(super) fn remark(&self, text: String) -> Remark {
        Remark {
            key: self.key.clone(),
            provider: Some(self.provider.clone()),
            text,
        }
    }
}

/// What there is to say about an entry, as the reason why it is not imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remark {
    pub key: String,
    /// The entry's provider, if it has one.
    pub provider: Option<String>,
    pub text: String,
}

/// The formats of lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// LiteLLM's `model_prices_and_context_window.json`
    Litellm,
    /// models.dev's `api.json`
    ModelsDev,
}

impl ListFormat {
    /// The format of a list with these entries: those of models.dev are providers.
    fn of(entries: &[(String, &RawValue)]) -> Self {
        match entries.first() {
            Some((_, first)) if models_dev::is_provider(first) => Self::ModelsDev,
            _ => Self::Litellm,
        }
    }
}

/// The contents of a price list.
#[derive(Debug, Default)]
pub(super) struct PriceList {
    pub(super) models: Vec<ListedModel>,
    pub(super) skipped: Vec<Remark>,
    /// What the list states of providers, by their names in lower case.
    pub(super) providers: HashMap<String, ProviderCreate>,
    keys: HashSet<String>,
    /// The place of each model by its provider and name.
    named: HashMap<(String, String), usize>,
}

impl PriceList {
    /// Reads a list, of the format that it looks like if none is given.
    ///
    /// # Errors
    /// A text that is not one JSON object. Entries that can't be imported are no error: they are listed
    /// with the reason.
    pub(super) fn parse(text: &str, format: Option<ListFormat>) -> Result<Self, serde_json::Error> {
        let Members(entries) = serde_json::from_str(text)?;
        let format = format.unwrap_or_else(|| ListFormat::of(&entries));
        let mut list = Self::default();
        for (key, text) in entries {
            match format {
                ListFormat::Litellm => list.add_entry(key.clone(), Entry::read(&key, text)),
                ListFormat::ModelsDev => match models_dev::read_provider(&key, text) {
                    Ok(provider) => list.add_provider(provider),
                    Err(remark) => list.skipped.push(remark),
                },
            }
        }
        Ok(list)
    }

    fn add_provider(&mut self, ListedProvider { new, models }: ListedProvider) {
        self.providers.insert(new.name.to_lowercase(), new);
        for model in models {
            let key = model
                .as_ref()
                .map_or_else(|it| it.key.clone(), |it| it.key.clone());
            self.add_entry(key, model);
        }
    }

    fn add_entry(&mut self, key: String, entry: Result<ListedModel, Remark>) {
        if !self.keys.insert(key.clone()) {
            let provider = entry.map_or_else(|remark| remark.provider, |it| Some(it.provider));
            return self.skipped.push(Remark {
                key,
                provider,
                text: "appears a second time; only the first is imported".to_owned(),
            });
        }
        match entry {
            Ok(model) => self.add(model),
            Err(remark) => self.skipped.push(remark),
        }
    }

    /// Whether the list has no entries.
    pub(super) fn is_empty(&self) -> bool {
        self.models.is_empty() && self.skipped.is_empty()
    }

    /// The names of all providers in lower case.
    pub(super) fn provider_names(&self) -> HashSet<String> {
        let imported = self.models.iter().map(|model| &model.provider);
        let skipped = self.skipped.iter().filter_map(|it| it.provider.as_ref());
        imported
            .chain(skipped)
            .map(|name| name.to_lowercase())
            .collect()
    }

    /// Adds a model, or skips it or an earlier entry that names the same model.
    fn add(&mut self, model: ListedModel) {
        let name = (model.provider.to_lowercase(), model.model_name.clone());
        let place = *self.named.entry(name).or_insert(self.models.len());
        let Some(earlier) = self.models.get_mut(place) else {
            return self.models.push(model);
        };
        let replaces = model.is_plain() && !earlier.is_plain();
        let other = if replaces {
            mem::replace(earlier, model)
        } else {
            model
        };
        let text = format!("names the same model as {}", earlier.key);
        self.skipped.push(Remark {
            key: other.key,
            provider: Some(other.provider),
            text,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::NaiveDate;
    use sea_orm::ActiveValue;

    const LIST: &str = r#"{
        "sample_spec": {"litellm_provider": "one of many", "max_input_tokens": "a number"},
        "gpt": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 2.5e-06,
                "cache_read_input_token_cost": 3.0001999999999996e-07, "max_input_tokens": 128000,
                "supports_function_calling": true, "deprecation_date": "2026-10-01"},
        "gpt": {"litellm_provider": "openai", "mode": "chat"},
        "ear": {"litellm_provider": "deepgram", "mode": "audio_transcription"},
        "rules": {"rules": []},
        "list": []
    }"#;

    fn value<T: Clone + Into<sea_orm::Value>>(column: &ActiveValue<T>) -> Option<T> {
        column.try_as_ref().cloned()
    }

    fn texts(remarks: &[Remark]) -> Vec<String> {
        let texts = remarks.iter();
        texts
            .map(|Remark { key, text, .. }| format!("{key}: {text}"))
            .collect()
    }

    #[test]
    fn entries_become_models_with_their_prices_as_written() {
        let list = PriceList::parse(LIST, None).expect("a list");
        let [gpt, ear] = &list.models[..] else {
            panic!("{:?}", list.models)
        };
        assert_eq!(
            (gpt.provider.as_str(), gpt.model_name.as_str()),
            ("openai", "gpt")
        );
        let facts = &gpt.facts;
        assert_eq!(value(&facts.input_price), Some("2.5".parse().ok()));
        assert_eq!(value(&facts.cache_read_price), Some("0.30002".parse().ok()));
        assert_eq!(value(&facts.context_window), Some(Some(128_000)));
        let retired = value(&facts.deprecation_date);
        assert_eq!(retired, Some(NaiveDate::from_ymd_opt(2026, 10, 1)));
        assert_eq!(
            (value(&facts.supports_tools), value(&facts.supports_vision)),
            (Some(true), None)
        );
        assert_eq!(ear.mode.as_deref(), Some("audio_transcription"));
        assert_eq!((gpt.rounded, ear.rounded), (1, 0));
    }

    #[test]
    fn what_can_t_be_imported_is_listed_with_its_reason() {
        let list = PriceList::parse(LIST, None).expect("a list");
        let skipped = texts(&list.skipped);
        assert_eq!(
            skipped[..3],
            [
                "sample_spec: litellm_provider \"one of many\": name may have ASCII letters, digits, \".\", \"_\" and \"-\", and starts with a letter or digit, because it is part of addresses; put a name in any script, with spaces, into display_name",
                "gpt: appears a second time; only the first is imported",
                "rules: is not a model: it has no litellm_provider",
            ]
        );
        assert!(
            skipped[3].starts_with("list: can't be read"),
            "{}",
            skipped[3]
        );
    }

    #[test]
    fn a_name_beyond_the_bounds_of_the_api_is_listed() {
        let list = r#"{"d\u0000": {"litellm_provider": "x"}, "": {"litellm_provider": "x"}}"#;
        let list = PriceList::parse(list, None).expect("a list");
        let reasons = list.skipped.iter().map(|skipped| skipped.text.as_str());
        let fields: Vec<_> = reasons.map(|reason| reason.split(' ').next()).collect();
        assert_eq!(fields, [Some("model_name"); 2]);
        assert!(list.models.is_empty());
    }
}
