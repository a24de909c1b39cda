//! Amounts without rounding.

use std::fmt;

use entity::{price::Price, prices::Per};

/// A decimal number without trailing zeros, which is multiplied and added without rounding.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Exact {
    digits: i128,
    places: u32,
}

impl Exact {
    fn new(mut digits: i128, mut places: u32) -> Self {
        while places > 0 && digits % 10 == 0 {
            digits /= 10;
            places -= 1;
        }
        Self { digits, places }
    }

    fn price(price: Price) -> Self {
        let (dollars, rest) = price.parts();
        Self::new(i128::from(dollars) * 10_i128.pow(10) + i128::from(rest), 10)
    }

    /// What a quantity costs; `None` if that has too many digits.
    pub(super) fn of(quantity: i64, per: Per, price: Price, factors: &[Price]) -> Option<Self> {
        let places = if per == Per::Million { 6 } else { 0 };
        let quantity = Self::new(i128::from(quantity), places);
        let all = [price].into_iter().chain(factors.iter().copied());
        all.map(Self::price).try_fold(quantity, Self::times)
    }

    fn times(self, other: Self) -> Option<Self> {
        let digits = self.digits.checked_mul(other.digits)?;
        Some(Self::new(digits, self.places + other.places))
    }

    pub(super) fn plus(self, other: Self) -> Option<Self> {
        let places = self.places.max(other.places);
        let at = |it: Self| {
            it.digits
                .checked_mul(10_i128.checked_pow(places - it.places)?)
        };
        Some(Self::new(at(self)?.checked_add(at(other)?)?, places))
    }
}

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = 10_i128.pow(self.places);
        write!(f, "{}", self.digits / one)?;
        if self.places > 0 {
            let places = usize::try_from(self.places).unwrap_or_default();
            write!(f, ".{:0places$}", self.digits % one)?;
        }
        Ok(())
    }
}
