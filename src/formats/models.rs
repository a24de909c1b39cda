//! Which models the names in files stand for: those that the user says, those of the catalogue, or new ones.

use std::{collections::BTreeMap, str::FromStr, sync::LazyLock};

use indexmap::IndexMap;
use regex::Regex;

use super::{
    catalogue::{Catalogue, CatalogueModel},
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

fn maker(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let mut makers = MAKERS.iter().filter(|(start, _)| name.starts_with(start));
    makers.next().map(|(_, maker)| *maker)
}

/// Whether a model is meant, and what that means for the report.
type Step<'s> = (
    &'s dyn Fn(&CatalogueModel) -> bool,
    ChoiceKind,
    &'static str,
);

type Found<'m> = (&'m CatalogueModel, ChoiceKind, &'static str);

/// # Errors
/// Models that may be meant.
fn find_in<'m>(catalogue: &'m Catalogue, asked: &AskedModel) -> Result<Found<'m>, Vec<String>> {
    let provider = asked.provider.as_deref().map(str::to_ascii_lowercase);
    let synonym = provider.as_deref().and_then(|provider| {
        let synonym = SYNONYMS.iter().find(|(name, _)| *name == provider);
        synonym.map(|(_, name)| *name)
    });
    let is_of = |model: &CatalogueModel| {
        let of = model.provider.to_ascii_lowercase();
        provider.as_deref().is_none_or(|it| it == of) || synonym == Some(of.as_str())
    };
    let models: Vec<&CatalogueModel> = catalogue.models.iter().filter(|it| is_of(it)).collect();
    // `openai/gpt-oss-120b` may be the whole name of a model, or that of a router.
    let whole = &asked.written;
    let steps: [Step<'_>; 4] = [
        (
            &|it| it.name == asked.name,
            ChoiceKind::Catalogue,
            "the catalogue has it",
        ),
        (
            &|it| it.name.eq_ignore_ascii_case(&asked.name) || it.name == *whole,
            ChoiceKind::Catalogue,
            "the catalogue has it",
        ),
        (
            &|it| {
                it.alias
                    .as_deref()
                    .is_some_and(|alias| alias.eq_ignore_ascii_case(&asked.name))
            },
            ChoiceKind::Alias,
            "it is the alias of this model in the catalogue",
        ),
        (
            &|it| undated(&it.name) == undated(&asked.name),
            ChoiceKind::Alias,
            "the catalogue has it with another date in its name",
        ),
    ];
    for (is_meant, kind, detail) in steps {
        let meant: Vec<&CatalogueModel> =
            models.iter().copied().filter(|it| is_meant(it)).collect();
        if let Some(model) = only(&meant, &asked.name) {
            return Ok((model, kind, detail));
        }
        if !meant.is_empty() {
            return Err(meant.iter().take(5).map(|it| it.reference()).collect());
        }
    }
    if let Some(model) = newest_of_family(&models, &asked.name) {
        return Ok((
            model,
            ChoiceKind::Alias,
            "it is the newest of this family in the catalogue",
        ));
    }
    let start: String = undated(&asked.name).split_inclusive('-').take(2).collect();
    let near = models
        .iter()
        .filter(|it| undated(&it.name).starts_with(&start) && it.is_chat && !it.is_deprecated);
    Err(near.take(5).map(|it| it.reference()).collect())
}

/// The one that is meant of models with the same name: that of its maker, and the newest of one provider.
fn only<'m>(models: &[&'m CatalogueModel], name: &str) -> Option<&'m CatalogueModel> {
    let of_maker = |model: &&&CatalogueModel| {
        maker(name).is_some_and(|maker| model.provider.eq_ignore_ascii_case(maker))
    };
    let of_maker: Vec<&CatalogueModel> = models.iter().filter(of_maker).copied().collect();
    let models = if of_maker.is_empty() {
        models
    } else {
        &of_maker
    };
    let first = models.first()?;
    if models.iter().any(|it| it.provider != first.provider) {
        return None;
    }
    models.iter().copied().max_by_key(|it| {
        (
            !it.is_deprecated,
            it.release_date,
            version(&it.name),
            &it.name,
        )
    })
}

/// A name in lower case, without its date, `-latest` or a last `-0`, and with dashes for dots.
fn undated(name: &str) -> String {
    static SUFFIX: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(-20\d{6}|-20\d\d-\d\d-\d\d|-latest|-0|@.*|-v\d+:\d+)$")
            .expect("a regular expression")
    });
    let name = name.to_ascii_lowercase().replace(['.', '_'], "-");
    let name = name.strip_prefix("models/").unwrap_or(&name);
    SUFFIX.replace(name, "").into_owned()
}

/// The numbers in a name that are no date.
fn version(name: &str) -> Vec<u32> {
    let numbers = name
        .split(|it: char| !it.is_ascii_digit())
        .filter(|it| !it.is_empty() && it.len() < 3);
    numbers.filter_map(|it| it.parse().ok()).collect()
}

fn newest_of_family<'m>(models: &[&'m CatalogueModel], family: &str) -> Option<&'m CatalogueModel> {
    if !FAMILIES.contains(&family) {
        return None;
    }
    let is_of = |it: &&CatalogueModel| {
        it.provider.eq_ignore_ascii_case("anthropic")
            && it.is_chat
            && !it.is_deprecated
            && it.name.split('-').any(|part| part == family)
    };
    let models = models.iter().copied().filter(is_of);
    models.max_by_key(|it| {
        (
            version(&it.name),
            it.name.ends_with(family),
            undated(&it.name) == it.name,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue(models: &[(&str, &str, Option<&str>)]) -> Catalogue {
        let model = |(provider, name, alias): &(&str, &str, Option<&str>)| CatalogueModel {
            provider: (*provider).to_owned(),
            name: (*name).to_owned(),
            alias: alias.map(str::to_owned),
            is_deprecated: name.contains("old"),
            is_chat: !name.contains("embed"),
            release_date: None,
        };
        let provider = |(provider, ..): &(&str, &str, Option<&str>)| {
            (provider.to_ascii_lowercase(), (*provider).to_owned())
        };
        Catalogue {
            providers: models.iter().map(provider).collect(),
            models: models.iter().map(model).collect(),
            ..Catalogue::default()
        }
    }

    #[test]
    fn a_name_stands_for_the_model_of_the_catalogue_that_is_meant() {
        let catalogue = catalogue(&[
            ("Anthropic", "claude-sonnet-4-20250514", None),
            ("Anthropic", "claude-sonnet-4-5-20250929", None),
            ("Anthropic", "claude-opus-4-1", Some("best")),
            ("openai", "gpt-4o", None),
            ("azure", "gpt-4o", None),
            ("gemini", "gemini-2.5-flash", None),
            ("groq", "openai/gpt-oss-120b", None),
            ("groq", "llama-3.3-70b", None),
            ("cerebras", "llama-3.3-70b", None),
        ]);
        let table = ModelTable::default();
        let mut names = ModelNames::new(&table, Some(&catalogue));
        for (asked, model) in [
            (
                "anthropic/claude-sonnet-4-0",
                Some("Anthropic/claude-sonnet-4-20250514"),
            ),
            (
                "claude-sonnet-4-5",
                Some("Anthropic/claude-sonnet-4-5-20250929"),
            ),
            ("sonnet", Some("Anthropic/claude-sonnet-4-5-20250929")),
            ("best", Some("Anthropic/claude-opus-4-1")),
            ("gpt-4o", Some("openai/gpt-4o")),
            ("azure/gpt-4o", Some("azure/gpt-4o")),
            ("google/gemini-2.5-flash", Some("gemini/gemini-2.5-flash")),
            ("groq/openai/gpt-oss-120b", Some("groq/openai/gpt-oss-120b")),
            ("GPT-4o", Some("openai/gpt-4o")),
        ] {
            let found = names.find(&AskedModel::parse(asked));
            let model = model.map(|it| FoundModel::Existing(it.to_owned()));
            assert_eq!(Some(found), model, "{asked}");
        }
        let ambiguous = names.find(&AskedModel::parse("llama-3.3-70b"));
        assert_eq!(ambiguous, FoundModel::Nothing);
        let choices = names.into_choices();
        let last = choices.last().expect("a choice");
        assert_eq!(last.candidates.len(), 2, "{last:?}");
    }

    #[test]
    fn a_model_that_the_catalogue_lacks_is_described_if_its_provider_is_known() {
        let catalogue = catalogue(&[("OpenAI", "gpt-4o", None)]);
        let mut table = ModelTable::default();
        table.extend(["mine=acme/large".parse::<NamedModel>().expect("a pair")]);
        let mut names = ModelNames::new(&table, Some(&catalogue));
        let new = |provider: &str, name: &str| FoundModel::New {
            provider: provider.to_owned(),
            name: name.to_owned(),
        };
        let mut find = |text: &str| names.find(&AskedModel::parse(text));
        assert_eq!(find("openai/gpt-7"), new("OpenAI", "gpt-7"));
        assert_eq!(find("gpt-7"), new("OpenAI", "gpt-7"));
        assert_eq!(find("google/gemini-9"), new("gemini", "gemini-9"));
        assert_eq!(find("haiku"), FoundModel::Nothing);
        assert_eq!(find("mine"), FoundModel::Existing("acme/large".to_owned()));
        for wrong in ["x", "=a/b", "x=y", "x=/y"] {
            assert!(wrong.parse::<NamedModel>().is_err(), "{wrong}");
        }
    }
}
