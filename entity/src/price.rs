//! Prices, exact on both databases.

use std::{borrow::Cow, fmt, str::FromStr};

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use rust_decimal::{Decimal, RoundingStrategy};
use sea_orm::DeriveValueType;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::Value;

/// US dollars per million tokens with ten decimal places, from 0 to 99,999,999.9999999999.
///
/// Stored as an integer in units of 10⁻¹⁰ dollars: SQLite has no decimal type, and a binary float
/// would lose digits. Integers compare and sort the same way on both databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, DeriveValueType)]
pub struct Price(i64);

/// Why a text is not a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    #[error("is not a decimal number")]
    NotANumber,
    #[error("has more than ten decimal places")]
    TooPrecise,
    #[error("is negative")]
    Negative,
    #[error("is over 99999999.9999999999 dollars per million tokens")]
    TooLarge,
}

impl Price {
    const PLACES: u32 = 10;
    const DOLLAR: i64 = 10_i64.pow(Self::PLACES);
    const LIMIT: i64 = 1_000_000_000_000_000_000;
    /// The format in the API: at most eight digits before the decimal point and ten after it.
    pub const PATTERN: &str = r"^[0-9]{1,8}(\.[0-9]{1,10})?$";

    /// The price for a stored count of 10⁻¹⁰ dollars.
    #[must_use]
    pub const fn from_stored(count: i64) -> Self {
        Self(count)
    }

    /// The whole dollars, and the rest in units of 10⁻¹⁰ dollars.
    #[must_use]
    pub const fn parts(self) -> (i64, i64) {
        (self.0 / Self::DOLLAR, self.0 % Self::DOLLAR)
    }

    /// Parses an amount such as `2.5e-06` and multiplies it by a power of ten: the sixth makes dollars per million
    /// tokens of dollars per token. Also returns whether digits beyond the tenth decimal place were rounded, half to
    /// even.
    ///
    /// # Errors
    /// A text that is not a number, or a number out of bounds.
    pub fn from_amount(text: &str, power: i8) -> Result<(Self, bool), PriceError> {
        let amount = Decimal::from_str_exact(text)
            .or_else(|_| Decimal::from_scientific(text))
            .map_err(|_| PriceError::NotANumber)?;
        let shift = Decimal::from(10_u64.pow(power.unsigned_abs().into()));
        let scaled = if power < 0 {
            amount.checked_div(shift)
        } else {
            amount.checked_mul(shift)
        };
        let scaled = scaled.ok_or(PriceError::TooLarge)?;
        let rounded =
            scaled.round_dp_with_strategy(Self::PLACES, RoundingStrategy::MidpointNearestEven);
        Ok((Self::from_decimal(rounded)?, rounded != scaled))
    }

    fn from_decimal(value: Decimal) -> Result<Self, PriceError> {
        if value.is_sign_negative() && !value.is_zero() {
            return Err(PriceError::Negative);
        }
        if value.normalize().scale() > Self::PLACES {
            return Err(PriceError::TooPrecise);
        }
        if value >= Decimal::new(Self::LIMIT, Self::PLACES) {
            return Err(PriceError::TooLarge);
        }
        let mut scaled = value;
        scaled.rescale(Self::PLACES);
        i64::try_from(scaled.mantissa())
            .map(Self)
            .map_err(|_| PriceError::TooLarge)
    }
}

impl FromStr for Price {
    type Err = PriceError;

    fn from_str(text: &str) -> Result<Self, PriceError> {
        let value = Decimal::from_str_exact(text).map_err(|_| PriceError::NotANumber)?;
        Self::from_decimal(value)
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dollars, rest) = self.parts();
        write!(f, "{dollars}.{rest:010}")
    }
}

/// As [`Display`](fmt::Display) shows it, without its overhead: a page of models has two hundred prices.
impl Serialize for Price {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const POINT: usize = 8;
        let (dollars, rest) = self.parts();
        let mut digits = *b"00000000.0000000000";
        write_digits(&mut digits[..POINT], dollars);
        write_digits(&mut digits[POINT + 1..], rest);
        let zeros = digits[..POINT - 1]
            .iter()
            .take_while(|digit| **digit == b'0');
        let shown = &digits[zeros.count()..];
        serializer.serialize_str(str::from_utf8(shown).map_err(ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Fills `digits` with a number that is not negative, with leading zeros.
#[inline]
pub fn write_digits(digits: &mut [u8], mut number: i64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10).to_le_bytes()[0];
        number /= 10;
    }
}

impl Type for Price {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "Price".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            pattern: Some(Self::PATTERN.to_owned()),
            example: Some("2.5000000000".into()),
            ..MetaSchema::new_with_format("string", "decimal")
        }))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::empty())
    }
}

impl ParseFromJSON for Price {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value.unwrap_or_default() {
            Value::String(text) => text.parse().map_err(ParseError::custom),
            other => Err(ParseError::expected_type(other)),
        }
    }
}

impl ToJSON for Price {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn per_token(text: &str) -> (String, bool) {
        let (price, rounded) = Price::from_amount(text, 6).expect("a price");
        (price.to_string(), rounded)
    }

    #[test]
    fn a_price_per_token_becomes_exact_dollars_per_million() {
        assert_eq!(per_token("2.5e-06"), ("2.5000000000".into(), false));
        assert_eq!(per_token("0.0032"), ("3200.0000000000".into(), false));
        assert_eq!(per_token("0.0"), ("0.0000000000".into(), false));
        assert_eq!(per_token("1"), ("1000000.0000000000".into(), false));
    }

    #[test]
    fn digits_beyond_the_tenth_place_are_rounded_and_reported() {
        assert_eq!(
            per_token("3.0001999999999996E-7"),
            ("0.3000200000".into(), true)
        );
        assert_eq!(
            per_token("2.9999900000000002e-06"),
            ("2.9999900000".into(), true)
        );
    }

    #[test]
    fn what_is_no_price_is_refused_with_its_reason() {
        let refused = |text| Price::from_amount(text, 6).expect_err("no price");
        assert_eq!(refused("free"), PriceError::NotANumber);
        assert_eq!(refused("-1e-06"), PriceError::Negative);
        assert_eq!(refused("100"), PriceError::TooLarge);
        assert_eq!(
            "1.00000000001".parse::<Price>(),
            Err(PriceError::TooPrecise)
        );
        assert_eq!("100000000".parse::<Price>(), Err(PriceError::TooLarge));
    }

    #[test]
    fn a_price_is_serialized_as_it_is_displayed() {
        for count in [0, 1, 25_000_000_000, 12_345_678_901, Price::LIMIT - 1] {
            let price = Price::from_stored(count);
            let json = serde_json::to_value(price).expect("JSON");
            assert_eq!(json, price.to_string());
        }
    }

    #[test]
    fn the_largest_price_keeps_every_digit() {
        let text = "99999999.9999999999";
        assert_eq!(text.parse::<Price>().expect("a price").to_string(), text);
    }
}
