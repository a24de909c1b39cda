//! JSON in the making: what comes often is written by hand, in the way serde writes it.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use entity::price::Price;
use sea_orm::DbErr;
use serde::{Deserialize, Serialize};
use simdutf8::basic::from_utf8;

use super::source::{out_of_range, undecoded};

/// A JSON text in the making.
#[derive(Debug)]
pub(crate) struct JsonText(Vec<u8>);

impl JsonText {
    /// For about so many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// What is JSON as it stands.
    #[inline]
    pub(crate) fn push(&mut self, text: &str) {
        self.push_bytes(text.as_bytes());
    }

    /// The same.
    #[inline]
    pub(super) fn push_bytes(&mut self, text: &[u8]) {
        self.0.extend_from_slice(text);
    }

    /// The key of a field: the comma before it, the name in quotes, the colon. A copy of a size that
    /// is known is a few instructions, any other a call.
    #[inline]
    pub(super) fn key(&mut self, key: &Key) {
        self.0.extend_from_slice(&key.text);
        self.0.truncate(self.0.len() - (Key::CAPACITY - key.length));
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Makes an object of the fields that were written from `start` on: the comma before the first
    /// gives way to a brace.
    pub(crate) fn open(&mut self, start: usize) {
        if let Some(comma) = self.0.get_mut(start) {
            *comma = b'{';
        }
    }

    pub(crate) fn value(&mut self, value: &impl Serialize) -> Result<(), DbErr> {
        sonic_rs::to_writer(&mut self.0, value).map_err(|error| DbErr::Json(error.to_string()))
    }

    /// A list with an element for each of these things.
    pub(crate) fn list<T>(
        &mut self,
        things: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T) -> Result<(), DbErr>,
    ) -> Result<(), DbErr> {
        self.push("[");
        for (index, thing) in things.into_iter().enumerate() {
            if index > 0 {
                self.push(",");
            }
            write(self, thing)?;
        }
        self.push("]");
        Ok(())
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    #[inline]
    pub(super) fn integer(&mut self, number: i64) {
        self.push(itoa::Buffer::new().format(number));
    }

    #[inline]
    pub(super) fn flag(&mut self, flag: bool) {
        self.push(if flag { "true" } else { "false" });
    }

    pub(super) fn text(&mut self, text: &str) -> Result<(), DbErr> {
        if self.short_and_plain(text.as_bytes()) {
            return Ok(());
        }
        self.value(&text)
    }

    /// A text that nobody has looked at yet, whether it is UTF-8.
    pub(super) fn text_bytes(&mut self, text: &[u8]) -> Result<(), DbErr> {
        if self.short_and_plain(text) {
            return Ok(());
        }
        self.value(&from_utf8(text).map_err(undecoded)?)
    }

    /// Writes a text if it is short and has nothing to escape, as most are, which is seen in one pass;
    /// and tells whether it did.
    fn short_and_plain(&mut self, text: &[u8]) -> bool {
        let is_written = is_short_and_plain(text);
        if is_written {
            self.0.reserve(text.len() + 2);
            self.0.push(b'"');
            self.0.extend_from_slice(text);
            self.0.push(b'"');
        }
        is_written
    }

    pub(super) fn price(&mut self, price: Price) {
        let (dollars, rest) = price.parts();
        let mut buffer = itoa::Buffer::new();
        let rest = buffer.format(rest);
        self.push("\"");
        self.integer(dollars);
        self.push(".");
        self.push(&"0000000000"[rest.len()..]);
        self.push(rest);
        self.push("\"");
    }

    pub(super) fn date(&mut self, date: NaiveDate) -> Result<(), DbErr> {
        if !(0..=9999).contains(&date.year()) {
            return self.value(&date);
        }
        let mut text = *b"\"0000-00-00\"";
        put_day(&mut text, date);
        self.0.extend_from_slice(&text);
        Ok(())
    }

    /// As chrono writes moments by serde, which takes ten times as long for it.
    pub(super) fn moment(&mut self, moment: DateTime<Utc>) -> Result<(), DbErr> {
        if !moment.timestamp_subsec_nanos().is_multiple_of(1_000) {
            return self.value(&moment);
        }
        self.micros(moment.timestamp_micros())
    }

    /// The moment so many microseconds after the beginning of 1970.
    pub(super) fn micros(&mut self, micros: i64) -> Result<(), DbErr> {
        const SECOND: u64 = 1_000_000;
        const DAY: u64 = 86_400 * SECOND;
        let days = i32::try_from(micros.div_euclid(DAY.cast_signed())).ok();
        let date = days.and_then(NaiveDate::from_epoch_days);
        let Some(date) = date.filter(|date| (0..=9999).contains(&date.year())) else {
            let moment = DateTime::from_timestamp_micros(micros);
            return self.value(&moment.ok_or_else(out_of_range)?);
        };
        let of_day = micros.rem_euclid(DAY.cast_signed()).cast_unsigned();
        let (seconds, micros) = (of_day / SECOND, of_day % SECOND);
        let mut text = *b"\"0000-00-00T00:00:00.000000Z\"";
        put_day(&mut text, date);
        put(&mut text, 12, seconds / 3600);
        put(&mut text, 15, seconds / 60 % 60);
        put(&mut text, 18, seconds % 60);
        put(&mut text, 21, micros / 10_000);
        put(&mut text, 23, micros / 100 % 100);
        put(&mut text, 25, micros % 100);
        let hidden = match micros {
            0 => 7,
            _ if micros.is_multiple_of(1_000) => 3,
            _ => 0,
        };
        self.0.extend_from_slice(&text);
        if hidden > 0 {
            self.0.truncate(self.0.len() - hidden - 2);
            self.push("Z\"");
        }
        Ok(())
    }
}

/// Whether this is a short text of ASCII characters, none of which is escaped in JSON. It looks at
/// eight bytes at a time; long texts are for the library that looks at 32.
fn is_short_and_plain(text: &[u8]) -> bool {
    const LONG: usize = 64;
    if text.len() >= LONG {
        return false;
    }
    let (words, rest) = text.as_chunks();
    let last = match text.last_chunk() {
        // Some bytes once more, in place of those that are left over.
        Some(last) => u64::from_le_bytes(*last),
        None => rest.iter().fold(0x2020_2020_2020_2020, |word, byte| {
            word << 8 | u64::from(*byte)
        }),
    };
    let words = words.iter().map(|word| u64::from_le_bytes(*word));
    words.fold(marks(last), |all, word| all | marks(word)) == 0
}

/// Marks the bytes of a word that are not ASCII, or are escaped in JSON: control characters, quotes
/// and backslashes. A byte that is less than another has its highest bit set once that one is
/// subtracted ("Bit Twiddling Hacks" by Sean Eron Anderson, "Determine if a word has a byte less
/// than n", where the mark of a higher byte can be wrong, but only beside a right one).
fn marks(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHEST: u64 = ONES << 7;
    let less = |word: u64, than: u8| word.wrapping_sub(ONES * u64::from(than)) & !word;
    let equal = |byte: u8| less(word ^ (ONES * u64::from(byte)), 1);
    (word | less(word, b' ') | equal(b'"') | equal(b'\\')) & HIGHEST
}

/// A day of the years 0 to 9999, behind a quote.
fn put_day(text: &mut [u8], date: NaiveDate) {
    let year = u64::from(date.year().unsigned_abs());
    put(text, 1, year / 100);
    put(text, 3, year % 100);
    put(text, 6, date.month().into());
    put(text, 9, date.day().into());
}

/// A number below 100, in two digits.
#[inline]
fn put(text: &mut [u8], at: usize, number: u64) {
    let pair = usize::try_from(number).ok().and_then(|at| PAIRS.get(at));
    text[at..at + 2].copy_from_slice(pair.unwrap_or(b"00"));
}

/// The numbers below 100.
static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [*b"00"; 100];
    let mut number = 1;
    while number < 100 {
        let [tens, ones] = pairs[number - 1];
        pairs[number] = match ones {
            b'9' => [tens + 1, b'0'],
            _ => [tens, ones + 1],
        };
        number += 1;
    }
    pairs
};

/// What goes before the value of a field: a comma, the name in quotes, a colon.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    text: [u8; Self::CAPACITY],
    length: usize,
}

impl Key {
    const CAPACITY: usize = 32;

    pub(super) const fn of(name: &str) -> Self {
        let name = name.as_bytes();
        let mut text = [0; Self::CAPACITY];
        let length = name.len() + 4;
        text[0] = b',';
        text[1] = b'"';
        let mut index = 0;
        while index < name.len() {
            text[2 + index] = name[index];
            index += 1;
        }
        text[length - 2] = b'"';
        text[length - 1] = b':';
        Self { text, length }
    }
}

/// A JSON text that goes from the database into an answer as it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored<'r>(pub(super) &'r [u8]);

impl<'r> Stored<'r> {
    pub(crate) const EMPTY_LIST: Stored<'static> = Stored(b"[]");
    pub(crate) const EMPTY_OBJECT: Stored<'static> = Stored(b"{}");

    /// Whether it is a list of nothing.
    pub(crate) fn is_empty(self) -> bool {
        let is_filling = |byte: u8| !b"[] \t\r\n".contains(&byte);
        !self.0.iter().copied().any(is_filling)
    }

    pub(crate) fn read<T: Deserialize<'r>>(self) -> Result<T, DbErr> {
        sonic_rs::from_slice(self.0).map_err(|error| DbErr::Json(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut JsonText) -> Result<(), DbErr>) -> String {
        let mut json = JsonText::with_capacity(0);
        write(&mut json).expect("written");
        String::from_utf8(json.into_bytes()).expect("UTF-8")
    }

    #[test]
    fn a_moment_is_written_as_serde_writes_it() {
        for text in [
            "-0001-12-31T23:59:59.999999Z",
            "0000-01-01T00:00:00Z",
            "1900-02-28T23:59:59.999Z",
            "1969-12-31T23:59:59.999999Z",
            "1970-01-01T00:00:00Z",
            "2000-02-29T12:34:56.12Z",
            "2026-11-24T09:05:07Z",
            "2026-11-24T09:05:07.5Z",
            "2026-11-24T09:05:07.000001Z",
            "2026-11-24T09:05:07.123456Z",
            "2026-11-24T09:05:07.123456789Z",
            "9999-12-31T23:59:59.999999Z",
            "+10000-01-01T00:00:00Z",
        ] {
            let moment: DateTime<Utc> = text.parse().expect(text);
            let expected = serde_json::to_string(&moment).expect("JSON");
            assert_eq!(written(|json| json.moment(moment)), expected, "{text}");
        }
        for moment in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            let expected = serde_json::to_string(&moment).expect("JSON");
            assert_eq!(written(|json| json.moment(moment)), expected);
        }
    }

    #[test]
    fn a_stored_text_is_read_where_it_is_asked_for() {
        for (text, is_empty) in [
            ("[]", true),
            (" [ ]\n", true),
            ("[\"\"]", false),
            ("[1]", false),
        ] {
            assert_eq!(Stored(text.as_bytes()).is_empty(), is_empty, "{text}");
        }
        let items: Vec<String> = Stored(br#"["a\n", "\u00e9"]"#).read().expect("a list");
        assert_eq!(items, ["a\n", "é"]);
    }

    #[test]
    fn a_date_and_a_price_are_written_as_serde_writes_them() {
        for text in ["0000-01-01", "2026-02-03", "9999-12-31"] {
            let date: NaiveDate = text.parse().expect(text);
            assert_eq!(written(|json| json.date(date)), format!("\"{text}\""));
        }
        for count in [
            0,
            1,
            25_000_000_000,
            12_345_678_901,
            999_999_999_999_999_999,
        ] {
            let price = Price::from_stored(count);
            let written = written(|json| {
                json.price(price);
                Ok(())
            });
            assert_eq!(written, serde_json::to_string(&price).expect("JSON"));
        }
    }

    #[test]
    fn a_number_is_written_as_serde_json_writes_it() {
        for number in [
            0.0,
            -0.0,
            0.1,
            0.3,
            0.1 + 0.2,
            1.0,
            2.0,
            1e15,
            1e16,
            1e17,
            1.5e300,
            5e-324,
            1e-5,
            1e-7,
            123_456_789.123_456_79,
            f64::MAX,
            f64::MIN_POSITIVE,
            f64::NAN,
            f64::INFINITY,
        ] {
            let expected = serde_json::to_string(&number).expect("JSON");
            assert_eq!(written(|json| json.value(&number)), expected);
        }
        for number in [0, -1, 7, i64::MIN, i64::MAX] {
            assert_eq!(written(|json| json.value(&number)), number.to_string());
        }
    }

    #[test]
    fn a_text_is_escaped_as_serde_escapes_it() {
        let every_ascii: String = (0..=127_u8).map(char::from).collect();
        for text in [
            every_ascii.clone(),
            format!("{}{every_ascii}", "é漢\u{1f980}\u{2028}".repeat(20)),
            "plain ".repeat(1_000),
            "\"\\".repeat(500),
        ] {
            let expected = serde_json::to_string(&text).expect("JSON");
            assert_eq!(written(|json| json.text_bytes(text.as_bytes())), expected);
            assert_eq!(written(|json| json.text(&text)), expected);
        }
    }

    #[test]
    fn a_character_is_escaped_wherever_it_is_in_a_short_text() {
        let characters = (0..=255_u8)
            .map(char::from)
            .chain(['漢', '\u{2028}', '\u{1f980}']);
        for character in characters {
            for length in 0..70 {
                for at in [0, 1, 6, 7, 8, 9, 15, 16, 62, 63, 64, length] {
                    let mut text = "plain".repeat(14);
                    text.truncate(length);
                    text.insert(at.min(length), character);
                    let expected = serde_json::to_string(&text).expect("JSON");
                    assert_eq!(written(|json| json.text_bytes(text.as_bytes())), expected);
                }
            }
        }
    }

    #[test]
    fn a_text_that_is_not_utf_8_is_not_written() {
        for text in [
            &b"\xff"[..],
            b"seven \xc3",
            b"eight bytes \x80 and more",
            &[0xe9; 100],
        ] {
            let mut json = JsonText::with_capacity(0);
            assert!(json.text_bytes(text).is_err(), "{text:?}");
        }
    }
}
