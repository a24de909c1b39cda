//! Where the catalogue and a list, or two lists, disagree.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    path::Path,
};

use entity::{
    model::{self, Column},
    prices::Prices,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, DatabaseTransaction, DbErr, Iterable, TryIntoModel,
};
use serde::Serialize;
use serde_json::Value;

use super::{
    compare::{Difference, differences},
    import::{ImportError, ImportOptions, open, read_list},
    models::{blank, pair, stated},
    price_list::{ListedModel, PriceList},
    providers::write_providers,
};
use crate::{
    config::Settings,
    error::Error,
    text::one_line,
    write::{self, Actor},
};

/// What two sources state differently.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Comparison {
    /// The two sources: `catalogue`, or the path of a list.
    pub sources: [String; 2],
    /// How many models both have.
    pub compared: usize,
    /// Models that the sources state different things of, in the fields that both state.
    pub different: Vec<DifferentModel>,
    /// Models that only one of them has.
    pub only_in: [Vec<String>; 2],
}

/// A model of which two sources state different things.
#[derive(Clone, Debug, Serialize)]
pub struct DifferentModel {
    pub provider: String,
    pub model: String,
    pub fields: Vec<DifferentField>,
}

/// A field, and its values in the two sources.
#[derive(Clone, Debug, Serialize)]
pub struct DifferentField {
    pub field: String,
    pub values: [Value; 2],
    /// Whether an import leaves it alone.
    pub pinned: bool,
}

impl Comparison {
    /// Whether the sources agree on all models that both have.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.different.is_empty()
    }

    fn add(&mut self, listed: &ListedModel, found: Vec<Difference>, pins: &[String]) {
        self.compared += 1;
        let about_model = found.into_iter().filter(|it| !it.is_in("price_source"));
        let fields = about_model.map(|difference| DifferentField {
            pinned: pins.iter().any(|pin| difference.is_in(pin)),
            field: difference.field,
            values: [difference.first, difference.second],
        });
        let fields: Vec<DifferentField> = fields.collect();
        if !fields.is_empty() {
            self.different.push(DifferentModel {
                provider: listed.provider.clone(),
                model: listed.model_name.clone(),
                fields,
            });
        }
    }
}

/// Compares a list with the catalogue, or with another list.
///
/// # Errors
/// A file that is not a price list, or a database that can't be read.
pub async fn check(
    settings: &Settings,
    first: &Path,
    second: Option<&Path>,
    options: &ImportOptions,
) -> Result<Comparison, ImportError> {
    let list = read_list(first, options.format)?;
    let name = |path: &Path| path.display().to_string();
    if let Some(path) = second {
        let other = read_list(path, options.format)?;
        let mut comparison = compare_lists(&list, &other, options).map_err(Error::from)?;
        comparison.sources = [name(first), name(path)];
        return Ok(comparison);
    }
    let (database, _) = open(settings, true).await?;
    let actor = Actor::default();
    let list = &list;
    let comparison = write::run(&database, &actor, |work| async move {
        work.roll_back_at_end();
        Ok(compare_catalog(work.db(), list, options).await?)
    });
    let comparison = comparison.await;
    database.close(settings.server.pool_close_timeout).await;
    let mut comparison = comparison?;
    comparison.sources = ["catalogue".to_owned(), name(first)];
    Ok(comparison)
}

async fn compare_catalog(
    db: &DatabaseTransaction,
    list: &PriceList,
    options: &ImportOptions,
) -> Result<Comparison, DbErr> {
    let wanted = list.models.iter().filter(|model| options.wants(model));
    let models: Vec<&ListedModel> = wanted.collect();
    let ids = write_providers(db, list, &models, true).await?.ids;
    let (pairs, existing) = pair(db, &models, &ids).await?;
    let mut comparison = Comparison::default();
    for (_, listed, row) in pairs {
        match row {
            Some(row) => {
                let found = differences(&row, &stated(&row, listed))?;
                comparison.add(listed, found, &row.pinned_fields.0);
            }
            None => comparison.only_in[1].push(listed.key.clone()),
        }
    }
    comparison.only_in[0] = existing.left_keys();
    Ok(comparison)
}

fn compare_lists(
    first: &PriceList,
    second: &PriceList,
    options: &ImportOptions,
) -> Result<Comparison, DbErr> {
    let name = |model: &ListedModel| (model.provider.to_lowercase(), model.model_name.clone());
    let others = second.models.iter().filter(|model| options.wants(model));
    let others: HashMap<_, &ListedModel> = others.map(|model| (name(model), model)).collect();
    let mut comparison = Comparison::default();
    let mut seen = HashSet::new();
    for model in first.models.iter().filter(|model| options.wants(model)) {
        let name = name(model);
        match others.get(&name) {
            Some(other) => {
                let (row, facts) = common(&model.facts, &other.facts)?;
                comparison.add(model, differences(&row, &facts)?, &[]);
            }
            None => comparison.only_in[0].push(model.key.clone()),
        }
        seen.insert(name);
    }
    let only = others.iter().filter(|(name, _)| !seen.contains(*name));
    comparison.only_in[1] = only.map(|(_, model)| model.key.clone()).collect();
    comparison.only_in[1].sort();
    Ok(comparison)
}

/// A row with what the first states, and the facts of the second, of those that both state.
fn common(
    first: &model::ActiveModel,
    second: &model::ActiveModel,
) -> Result<(model::Model, model::ActiveModel), DbErr> {
    let (mut first, mut second) = (first.clone(), second.clone());
    if let (Set(Prices(first)), Set(Prices(second))) = (&mut first.prices, &mut second.prices) {
        first.retain(|key, _| second.contains_key(key));
        second.retain(|key, _| first.contains_key(key));
    }
    for column in Column::iter().filter(|column| !first.get(*column).is_set()) {
        second.not_set(column);
    }
    let row = write::merge(blank(), &first).try_into_model()?;
    Ok((row, second))
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for DifferentModel {
            provider,
            model,
            fields,
        } in &self.different
        {
            writeln!(f, "{} {}", one_line(provider), one_line(model))?;
            for DifferentField {
                field,
                values,
                pinned,
            } in fields
            {
                let [first, second] = values.each_ref().map(ToString::to_string);
                let note = if *pinned { " (pinned)" } else { "" };
                writeln!(
                    f,
                    "  {}: {} | {}{note}",
                    one_line(field),
                    one_line(&first),
                    one_line(&second)
                )?;
            }
        }
        let Self {
            sources: [first, second],
            compared,
            different,
            only_in,
        } = self;
        let (first, second) = (one_line(first), one_line(second));
        writeln!(
            f,
            "{first} | {second}: {compared} models compared, {} differ",
            different.len()
        )?;
        let [only_first, only_second] = only_in.each_ref().map(Vec::len);
        writeln!(
            f,
            "{only_first} only in {first}, {only_second} only in {second}"
        )
    }
}
