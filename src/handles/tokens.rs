//! How many tokens a text takes, by its script. No tokenizer of any model: a rule of thumb that errs on the side
//! of too few.

/// The parts of a token that a weight is counted in.
const PARTS: usize = 12;

/// The weight of a text. ASCII has about four characters a token ("What are tokens and how to count them?", OpenAI's
/// help centre), other alphabets about three, and the scripts from U+0900 on one and a half.
pub(super) fn weight(text: &str) -> usize {
    const ASCII: usize = PARTS / 4;
    if text.is_ascii() {
        return text.len() * ASCII;
    }
    let weight_of = |character| match character {
        '\0'..='\u{7f}' => ASCII,
        '\u{80}'..='\u{8ff}' => PARTS / 3,
        _ => PARTS * 2 / 3,
    };
    text.chars().map(weight_of).sum()
}

pub(super) fn of_weight(weight: usize) -> usize {
    weight / PARTS
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
}
