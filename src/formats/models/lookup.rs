//! The model of the catalogue that a name means.

use std::sync::LazyLock;

use regex::Regex;

use super::{AskedModel, FAMILIES, MAKERS, SYNONYMS};
use crate::formats::{
    catalogue::{Catalogue, CatalogueModel},
    report::ChoiceKind,
};

pub(super) fn maker(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let mut makers = MAKERS.iter().filter(|(start, _)| name.starts_with(start));
    makers.next().map(|(_, maker)| *maker)
}

/// Whether a model is meant, and what that means for the report.
type LookupStep<'s> = (
    &'s dyn Fn(&CatalogueModel) -> bool,
    ChoiceKind,
    &'static str,
);

type FoundIn<'m> = (&'m CatalogueModel, ChoiceKind, &'static str);

/// # Errors
/// Models that may be meant.
pub(super) fn find_in<'m>(
    catalogue: &'m Catalogue,
    asked: &AskedModel,
) -> Result<FoundIn<'m>, Vec<String>> {
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
    let steps: [LookupStep<'_>; 4] = [
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
