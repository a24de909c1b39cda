//! Which models the names in files stand for: those that the user says, those of the catalogue, or new ones.

use std::{collections::BTreeMap, str::FromStr};

use indexmap::IndexMap;

mod lookup;

use self::lookup::{find_in, maker};
use super::{
    catalogue::Catalogue,
    report::{ChoiceKind, ModelChoice},
};

/// `THEIRS=PROVIDER/MODEL`, as the user says it.
#[derive(Clone, Debug)]
pub(crate) struct NamedModel {
    theirs: String,
    model: String,
}

impl FromStr for NamedModel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (theirs, model) = text
            .split_once('=')
            .ok_or("must be THEIR-NAME=PROVIDER/MODEL")?;
        let is_reference = model
            .split_once('/')
            .is_some_and(|(provider, name)| !provider.trim().is_empty() && !name.trim().is_empty());
        if theirs.trim().is_empty() || !is_reference {
            return Err("must be THEIR-NAME=PROVIDER/MODEL".to_owned());
        }
        Ok(Self {
            theirs: theirs.trim().to_owned(),
            model: model.trim().to_owned(),
        })
    }
}

/// What the user says that names stand for.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModelTable(BTreeMap<String, String>);

impl Extend<NamedModel> for ModelTable {
    fn extend<I: IntoIterator<Item = NamedModel>>(&mut self, names: I) {
        let pairs = names.into_iter().map(|it| (it.theirs, it.model));
        self.0.extend(pairs);
    }
}

/// A model as a file names it.
#[derive(Clone, Debug)]
pub(super) struct AskedModel {
    pub(super) provider: Option<String>,
    pub(super) name: String,
    /// As it is written, for the report and the user's table.
    pub(super) written: String,
}

impl AskedModel {
    /// `provider/model`, or a model alone.
    pub(super) fn parse(text: &str) -> Self {
        let text = text.trim();
        let (provider, name) = match text.split_once('/') {
            Some((provider, name)) if !provider.is_empty() && !name.is_empty() => {
                (Some(provider.to_owned()), name)
            }
            _ => (None, text),
        };
        Self {
            provider,
            name: name.to_owned(),
            written: text.to_owned(),
        }
    }

    pub(super) fn of(provider: Option<&str>, name: &str) -> Self {
        let written = match provider {
            Some(provider) => format!("{provider}/{name}"),
            None => name.to_owned(),
        };
        Self {
            provider: provider.map(str::to_owned),
            name: name.to_owned(),
            written,
        }
    }
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FoundModel {
    /// A model that exists, or that the user named, as `provider/model_name`.
    Existing(String),
    /// A model that the document has to describe.
    New {
        provider: String,
        name: String,
    },
    Nothing,
}

/// Finds models by the names that files have for them.
#[derive(Debug)]
pub(super) struct ModelNames<'c> {
    table: &'c ModelTable,
    pub(super) catalogue: Option<&'c Catalogue>,
    choices: IndexMap<String, ModelChoice>,
}

/// What other systems call providers, and LiteLLM's names.
const SYNONYMS: &[(&str, &str)] = &[
    ("amazon-bedrock", "bedrock"),
    ("aws", "bedrock"),
    ("azure_openai", "azure"),
    ("fireworks", "fireworks_ai"),
    ("google", "gemini"),
    ("google_ai", "gemini"),
    ("google_genai", "gemini"),
    ("google_vertex", "vertex_ai"),
    ("openai-responses", "openai"),
    ("together", "together_ai"),
    ("vertex", "vertex_ai"),
];

/// Who makes the models whose names begin so.
const MAKERS: &[(&str, &str)] = &[
    ("claude", "anthropic"),
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("gemini", "gemini"),
    ("mistral", "mistral"),
    ("codestral", "mistral"),
    ("magistral", "mistral"),
    ("deepseek", "deepseek"),
    ("grok", "xai"),
    ("command", "cohere"),
];

/// The families that Claude Code names models by.
const FAMILIES: [&str; 4] = ["fable", "haiku", "opus", "sonnet"];

impl<'c> ModelNames<'c> {
    pub(super) fn new(table: &'c ModelTable, catalogue: Option<&'c Catalogue>) -> Self {
        Self {
            table,
            catalogue,
            choices: IndexMap::new(),
        }
    }

    /// What the user says that a name stands for.
    pub(super) fn given(&mut self, written: &str, others: &[&str]) -> Option<String> {
        let names = [&[written], others].concat();
        let model = names.iter().find_map(|name| self.table.0.get(*name))?;
        let model = model.clone();
        self.choose(written, Some(&model), ChoiceKind::Given, "as --model says");
        Some(model)
    }

    pub(super) fn find(&mut self, asked: &AskedModel) -> FoundModel {
        if let Some(model) = self.given(&asked.written, &[&asked.name]) {
            return FoundModel::Existing(model);
        }
        let Some(catalogue) = self.catalogue else {
            return self.describe(asked, "the catalogue was not asked");
        };
        match find_in(catalogue, asked) {
            Ok((model, kind, detail)) => {
                let reference = model.reference();
                self.choose(&asked.written, Some(&reference), kind, detail);
                FoundModel::Existing(reference)
            }
            Err(candidates) => {
                let found = self.describe(asked, "the catalogue does not have it");
                if let Some(choice) = self.choices.get_mut(&asked.written) {
                    choice.candidates = candidates;
                }
                found
            }
        }
    }

    fn describe(&mut self, asked: &AskedModel, why: &str) -> FoundModel {
        let provider = asked.provider.as_deref().map(|it| self.provider_name(it));
        let provider = provider.or_else(|| maker(&asked.name).map(|it| self.provider_name(it)));
        match provider {
            Some(provider) if !FAMILIES.contains(&asked.name.as_str()) => {
                let reference = format!("{provider}/{}", asked.name);
                let detail = format!("{why}: the document describes it");
                let kind = ChoiceKind::Described;
                self.choose(&asked.written, Some(&reference), kind, &detail);
                FoundModel::New {
                    provider,
                    name: asked.name.clone(),
                }
            }
            _ => {
                let detail = format!(
                    "{why}, and nothing says whose model it is: --model '{}=PROVIDER/MODEL' does",
                    asked.written
                );
                self.choose(&asked.written, None, ChoiceKind::None, &detail);
                FoundModel::Nothing
            }
        }
    }

    /// The catalogue's name of a provider, or LiteLLM's.
    pub(super) fn provider_name(&self, provider: &str) -> String {
        let lower = provider.to_ascii_lowercase();
        let synonym = SYNONYMS.iter().find(|(name, _)| *name == lower);
        let names = std::iter::once(lower.as_str()).chain(synonym.map(|(_, it)| *it));
        let known = names
            .clone()
            .find_map(|name| self.catalogue?.providers.get(name));
        match (known, names.last()) {
            (Some(known), _) => known.clone(),
            (None, Some(name)) => super::values::handle(name),
            (None, None) => provider.to_owned(),
        }
    }

    pub(super) fn choose(
        &mut self,
        written: &str,
        model: Option<&str>,
        how: ChoiceKind,
        detail: &str,
    ) {
        let choice = ModelChoice {
            name: written.to_owned(),
            model: model.map(str::to_owned),
            how,
            detail: detail.to_owned(),
            candidates: Vec::new(),
        };
        self.choices.insert(written.to_owned(), choice);
    }

    pub(super) fn into_choices(self) -> Vec<ModelChoice> {
        self.choices.into_values().collect()
    }
}

#[cfg(test)]
mod tests;
