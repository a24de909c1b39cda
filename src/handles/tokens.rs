//! How many tokens a text takes, by its script. No tokenizer of any model: a rule of thumb that errs on the side
//! of too few.

/// The parts of a token that a weight is counted in.
const PARTS: u8 = 12;

/// The weight of a text. ASCII has about four characters a token ("What are tokens and how to count them?", OpenAI's
/// help centre), other alphabets about three, and the scripts from U+0900 on one and a half.
pub(super) fn weight(text: &str) -> usize {
    const ALPHABET: u8 = PARTS / 3;
    const SCRIPT: u8 = PARTS * 2 / 3;
    // By the first byte of each character (RFC 3629), because whole characters take five times as long.
    let weight_of = |byte: &u8| match byte {
        0..0x80 => PARTS / 4,
        0x80..0xc0 => 0,
        0xc0..0xe0 => ALPHABET,
        _ => SCRIPT,
    };
    let bytes = text.as_bytes();
    // The sum of a chunk fits into a byte, so that sixteen bytes are counted at once.
    let chunks = bytes.chunks(16);
    let chunks = chunks.map(|chunk| usize::from(chunk.iter().map(weight_of).sum::<u8>()));
    chunks.sum::<usize>() - usize::from(SCRIPT - ALPHABET) * alphabets_of_three_bytes(bytes)
}

/// The number of characters from U+0800 to U+08FF, whose first byte is that of a script.
fn alphabets_of_three_bytes(bytes: &[u8]) -> usize {
    const FIRST: u8 = 0xe0;
    if !bytes.contains(&FIRST) {
        return 0;
    }
    let after_first = bytes.split(|byte| *byte == FIRST).skip(1);
    let seconds = after_first.filter_map(|rest| rest.first());
    seconds.filter(|second| **second < 0xa4).count()
}

pub(super) fn of_weight(weight: usize) -> usize {
    weight / usize::from(PARTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_with_many_characters_take_more_tokens() {
        for (text, tokens) in [
            ("review", 1000),
            ("проверка", 1777),
            ("团队审查", 1777),
            ("レビュー", 1777),
            ("검토하다", 1777),
        ] {
            let text = text.repeat(4000 / text.chars().count());
            let estimated = of_weight(weight(&text));
            assert!(
                estimated <= tokens * 2 && estimated * 2 >= tokens,
                "{text:.12}: {estimated}"
            );
        }
        assert!(of_weight(weight(&"团".repeat(3000))) > 1000);
    }

    #[test]
    fn every_character_has_the_weight_of_its_range() {
        let mut together = (String::new(), 0);
        for character in '\0'..=char::MAX {
            let expected = match character {
                '\0'..='\u{7f}' => 3,
                '\u{80}'..='\u{8ff}' => 4,
                _ => 8,
            };
            assert_eq!(weight(&character.to_string()), expected, "{character:?}");
            together.0.push(character);
            together.1 += expected;
        }
        assert_eq!(weight(&together.0), together.1);
    }
}
