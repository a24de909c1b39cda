//! One entry of a price list, in either format.
//!
//! Only the provider and the name must be right. A fact that can't be read, or that the API would reject, is
//! left out, and the model stays. Prices are parsed from the text of the file, because a binary float would
//! change digits.

use std::{collections::BTreeMap, fmt};

use entity::{model, price::Price};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IdenStatic, Iterable};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    bounds,
    price_list::ListedModel,
    prices::{self, ListedPrices},
    values::{number, shown},
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

/// The members of an entry that are left to read, and what was found when the others were read.
pub(super) struct Entry<'t> {
    pub(super) members: BTreeMap<String, &'t RawValue>,
    pub(super) notes: Vec<String>,
    prices: ListedPrices,
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
