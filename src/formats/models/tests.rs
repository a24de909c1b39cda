//! Names of models, and what they stand for.

use super::*;
use crate::formats::catalogue::CatalogueModel;

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
        ("Anthropic", "claude-sonnet-4-9-old", None),
        ("Anthropic", "claude-sonnet-5-embed", None),
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
