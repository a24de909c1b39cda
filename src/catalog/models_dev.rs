//! Parsing models.dev's `api.json`: one object with the providers by their ids, each with its models. Prices are in
//! US dollars per million tokens.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use entity::{prices, values::StringList};
use poem_openapi::types::MaybeUndefined;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    bounds, builtin,
    entry::{Entry, Members, check_provider},
    price_list::{ListedModel, Remark},
    providers::new_provider,
    values::{flag, list, stated, string, strings, tokens},
};
use crate::{
    models::dto::ModelUpdate,
    providers::{
        base_url,
        dto::{ProviderCreate, ProviderUpdate},
    },
};

/// What `price_source` is.
const LIST: &str = "models.dev";

/// The names in LiteLLM's list of providers that have others here, so that both lists are of the same models.
const NAMES: [(&str, &str); 14] = [
    ("alibaba", "dashscope"),
    ("amazon-bedrock", "bedrock_converse"),
    ("fireworks-ai", "fireworks_ai"),
    ("github-copilot", "github_copilot"),
    ("google", "gemini"),
    ("google-vertex", "vertex_ai-language-models"),
    ("google-vertex-anthropic", "vertex_ai-anthropic_models"),
    ("lmstudio", "lm_studio"),
    ("moonshotai", "moonshot"),
    ("novita-ai", "novita"),
    ("nvidia", "nvidia_nim"),
    ("togetherai", "together_ai"),
    ("vercel", "vercel_ai_gateway"),
    ("zhipuai", "zhipu"),
];

/// A provider of the list.
pub(super) struct ListedProvider {
    pub(super) new: ProviderCreate,
    pub(super) models: Vec<Result<ListedModel, Remark>>,
}

/// Whether an entry of a list is a provider, and not a model of LiteLLM's list.
pub(super) fn is_provider(text: &RawValue) -> bool {
    Entry::new(text).is_ok_and(|mut entry| entry.take("models").is_some())
}

/// # Errors
/// Why none of the provider's models can be imported.
pub(super) fn read_provider(id: &str, text: &RawValue) -> Result<ListedProvider, Remark> {
    let skip = |text: String| Remark {
        key: id.to_owned(),
        provider: None,
        text,
    };
    let mut entry = Entry::new(text).map_err(skip)?;
    let known = NAMES.iter().find(|(listed, _)| *listed == id);
    let name = known.map_or(id, |(_, name)| *name);
    check_provider("id", name).map_err(skip)?;
    let models = entry.take("models").map_or("{}", RawValue::get);
    let models: Members<'_> =
        serde_json::from_str(models).map_err(|error| skip(error.to_string()))?;
    let read = |(model, text): (String, &RawValue)| {
        let key = format!("{id}/{model}");
        read_model(name, &key, &model, text).map_err(|text| Remark {
            key,
            provider: Some(name.to_owned()),
            text,
        })
    };
    Ok(ListedProvider {
        models: models.0.into_iter().map(read).collect(),
        new: new_listed(name, &mut entry),
    })
}

/// A row for the provider, with what the program knows about it, or what the list states.
fn new_listed(name: &str, entry: &mut Entry<'_>) -> ProviderCreate {
    let new = new_provider(name);
    if builtin::known_provider(name).is_some() {
        return new;
    }
    let env = entry.fact("env", strings).unwrap_or_default();
    let key = env
        .iter()
        .find(|name| name.contains("KEY") || name.contains("TOKEN"));
    let address = entry
        .fact("api", string)
        .filter(|address| !address.contains('$') && base_url::check(Some(address), false).is_ok());
    let listed = ProviderUpdate {
        api_type: entry
            .fact("npm", string)
            .and_then(|npm| api_type(&npm))
            .map(ToOwned::to_owned),
        display_name: stated(entry.fact("name", string)),
        base_url: stated(address),
        api_key_env: stated(key.cloned()),
        ..ProviderUpdate::default()
    };
    if bounds::check_provider(&listed).is_err() {
        return new;
    }
    ProviderCreate {
        api_type: listed.api_type.unwrap_or(new.api_type),
        display_name: listed.display_name.take(),
        base_url: listed.base_url.take(),
        api_key_env: listed.api_key_env.take(),
        ..new
    }
}

/// The protocol of the package that the AI SDK calls a provider with.
fn api_type(package: &str) -> Option<&'static str> {
    let package = package.strip_prefix("@ai-sdk/").unwrap_or(package);
    let kinds = [
        ("anthropic", "anthropic"),
        ("google-vertex", "vertex"),
        ("google", "google"),
        ("amazon-bedrock", "bedrock"),
        ("azure", "azure"),
        ("cohere", "cohere"),
        ("openai", "openai"),
        ("groq", "openai"),
        ("mistral", "openai"),
        ("xai", "openai"),
    ];
    let found = kinds.iter().find(|(start, _)| package.starts_with(start));
    found.map(|(_, kind)| *kind)
}

fn read_model(
    provider: &str,
    key: &str,
    name: &str,
    text: &RawValue,
) -> Result<ListedModel, String> {
    let mut entry = Entry::new(text)?;
    entry.take("id");
    read_prices(&mut entry);
    entry.flatten("limit");
    entry.flatten("modalities");
    let mut limit = |name: &str| {
        entry
            .fact(&format!("limit.{name}"), tokens)
            .filter(|limit| *limit > 0)
    };
    let (context, input, output) = (limit("context"), limit("input"), limit("output"));
    let modalities = entry.fact("modalities.input", strings);
    let accepts = |modality: &str| {
        modalities
            .as_ref()
            .map(|all| all.iter().any(|it| it == modality))
    };
    let update = ModelUpdate {
        model_name: Some(name.to_owned()),
        context_window: stated(input.or(context)),
        max_output: stated(output),
        supports_vision: accepts("image"),
        supports_pdf_input: accepts("pdf"),
        supports_audio_input: accepts("audio"),
        supports_tools: entry.fact("tool_call", flag),
        supports_reasoning: entry.fact("reasoning", flag),
        supports_response_schema: entry.fact("structured_output", flag),
        accepts_sampling: entry.fact("temperature", flag),
        reasoning_efforts: reasoning_efforts(&mut entry),
        release_date: release_date(&mut entry),
        ..ModelUpdate::default()
    };
    let mut model = entry.finish(provider, key, update, LIST)?;
    model.yields_key = true;
    Ok(model)
}

/// The values of the option `effort`. The other options of a model that reasons are not kept.
fn reasoning_efforts(entry: &mut Entry<'_>) -> Option<StringList> {
    #[derive(Deserialize)]
    struct ReasoningOption {
        #[serde(rename = "type")]
        kind: String,
        #[serde(default)]
        values: Vec<String>,
    }
    let options = entry.fact("reasoning_options", list)?;
    let mut efforts = None;
    for option in options {
        match serde_json::from_str::<ReasoningOption>(option.get()) {
            Ok(ReasoningOption { kind, values }) if kind == "effort" => {
                efforts = Some(StringList(values));
            }
            Ok(ReasoningOption { kind, .. }) => {
                entry.leave(format!("reasoning_options.{kind}"), option);
            }
            Err(_) => entry.leave("reasoning_options".to_owned(), option),
        }
    }
    efforts
}

/// Some models are released in a month; that is not kept.
fn release_date(entry: &mut Entry<'_>) -> MaybeUndefined<NaiveDate> {
    const NAME: &str = "release_date";
    let text = entry.take(NAME);
    let date = text.and_then(|text| serde_json::from_str(text.get()).ok());
    if let (Some(text), None) = (text, date) {
        entry.leave(NAME.to_owned(), text);
    }
    stated(date)
}

/// The unit of a price.
fn unit(name: &str) -> Option<&'static str> {
    let units = [
        ("input", "input"),
        ("output", "output"),
        ("cache_read", "cache_read"),
        ("cache_input", "cache_read"),
        ("cached_input", "cache_read"),
        ("cache_write", "cache_write"),
        ("cached_write", "cache_write"),
        ("reasoning", "reasoning"),
        ("input_audio", "input_audio"),
        ("output_audio", "output_audio"),
        ("citation", "citation"),
    ];
    units
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, unit)| *unit)
}

/// Reads `cost` with its tiers, and the costs of modes. `context_over_200k` is an older form of a tier.
fn read_prices(entry: &mut Entry<'_>) {
    entry.nested("cost", |name| Some((unit(name)?.to_owned(), 0)));
    let tiers = entry.fact("cost.tiers", list);
    if tiers.is_none() {
        let key = |name: &str| Some((format!("{}.above_200000", unit(name)?), 0));
        entry.nested("cost.context_over_200k", key);
    } else {
        entry.take("cost.context_over_200k");
    }
    for tier in tiers.unwrap_or_default() {
        entry.leave("cost.tiers".to_owned(), tier);
        let size = tier_size(tier);
        entry.nested("cost.tiers", |name| {
            Some((format!("{}.above_{}", unit(name)?, size?), 0))
        });
        if size.is_some() {
            entry.take("cost.tiers.tier");
        }
    }
    for (service, cost) in modes(entry) {
        for (name, value) in cost {
            let place = format!("experimental.{service}.{name}");
            match unit(name) {
                Some(unit) => entry.price(&place, value, format!("{service}.{unit}"), 0),
                None => entry.leave(place, value),
            }
        }
    }
}

/// The threshold of a tier of context.
fn tier_size(tier: &RawValue) -> Option<i64> {
    #[derive(Deserialize)]
    struct Tier {
        tier: Threshold,
    }
    #[derive(Deserialize)]
    struct Threshold {
        size: i64,
        #[serde(rename = "type")]
        kind: String,
    }
    let Tier { tier } = serde_json::from_str(tier.get()).ok()?;
    (tier.kind == "context").then_some(tier.size)
}

/// The costs of modes by their service: `priority` if a request asks for it as a service tier.
fn modes<'t>(entry: &mut Entry<'t>) -> Vec<(String, BTreeMap<&'t str, &'t RawValue>)> {
    #[derive(Deserialize)]
    struct Experimental<'t> {
        #[serde(borrow)]
        modes: BTreeMap<String, Mode<'t>>,
    }
    #[derive(Deserialize)]
    struct Mode<'t> {
        #[serde(borrow)]
        cost: BTreeMap<&'t str, &'t RawValue>,
        #[serde(default)]
        provider: serde_json::Value,
    }
    let Some(text) = entry.take("experimental") else {
        return Vec::new();
    };
    let Ok(Experimental { modes }) = serde_json::from_str(text.get()) else {
        entry.leave("experimental".to_owned(), text);
        return Vec::new();
    };
    let named = modes.into_iter().map(|(name, Mode { cost, provider })| {
        let service = provider["body"]["service_tier"].as_str();
        (service.map_or(name, ToOwned::to_owned), cost)
    });
    let (known, unknown): (Vec<_>, Vec<_>) =
        named.partition(|(service, _)| prices::SERVICES.contains(&service.as_str()));
    if !unknown.is_empty() {
        entry.leave("experimental".to_owned(), text);
    }
    known
}
