//! What the patterns of the description mean, in words: a regular expression alone tells most people nothing.

const NAME: &str = "may have ASCII letters, digits, \".\", \"_\" and \"-\", and starts with a letter or digit, because it is \
    part of addresses; put a name in any script, with spaces, into display_name";
const KIND: &str = "may have lower-case ASCII letters, digits, \"_\" and \"-\", and starts with a letter or digit, as \"chat\"";

/// The patterns of the description. A test holds that none is missing.
const WORDS: [(&str, &str); 17] = [
    ("^[A-Za-z0-9][A-Za-z0-9._-]*$", NAME),
    (
        entity::label_name::LabelName::PATTERN,
        "may have ASCII letters, digits, \".\", \"_\" and \"-\", and starts with a letter, as \"production\"",
    ),
    (
        "^[a-z0-9][a-z0-9._-]*$",
        "may have lower-case ASCII letters, digits, \".\", \"_\" and \"-\", and starts with a letter or digit, as \"openai\"",
    ),
    ("^[a-z0-9][a-z0-9_-]*$", KIND),
    (
        "^[A-Za-z_][A-Za-z0-9_.:-]*$",
        "may have ASCII letters, digits, \".\", \":\", \"_\" and \"-\", and starts with a letter or \"_\", as \"read_file\"",
    ),
    (
        entity::variables::PATTERN,
        "must name an environment variable, as \"${GITHUB_TOKEN}\" or \"Bearer ${GITHUB_TOKEN}\"; the value itself is never \
         stored",
    ),
    (
        "^[a-z_]+$",
        "may have lower-case ASCII letters and \"_\", as \"agent\"",
    ),
    (
        "^[A-Za-z_][A-Za-z0-9_]*$",
        "must be the name of an environment variable: ASCII letters, digits and \"_\", as \"OPENAI_API_KEY\"; the key itself \
         is never stored",
    ),
    (
        "^https?://[!$-.0-;=A-\\[\\]-~]+([/?][!$-~]*)?$",
        "must be an address, as \"https://api.example.com/v1\", with other characters percent-encoded",
    ),
    (
        "^[1-9][0-9]*(,[1-9][0-9]*)*$",
        "must be ids, separated by commas, as \"1,2,3\"",
    ),
    (
        "^(participants|last_message)(,(participants|last_message))*$",
        "must be \"participants\", \"last_message\" or both, separated by a comma",
    ),
    (
        "^[A-Za-z0-9][A-Za-z0-9._-]*(,[A-Za-z0-9][A-Za-z0-9._-]*)*$",
        "must be names of circles, separated by commas, as \"review,support\"",
    ),
    (
        "^[a-z_]+(,[a-z_]+)*$",
        "must be names of capabilities, separated by commas, as \"tools,vision\"",
    ),
    (
        "^P[0-9]{1,5}[DW]$",
        "must be a duration in days or weeks, as \"P90D\"",
    ),
    (
        "^[0-9a-f]{64}$",
        "must be the digest of a plan: 64 hexadecimal digits in lower case",
    ),
    (
        "^[!-~]+$",
        "must be visible ASCII characters without spaces, as a UUID",
    ),
    (
        entity::price::Price::PATTERN,
        "must be an amount in decimal digits, as \"3.25\", with at most eight before and ten after the point",
    ),
];

/// What a text must be that does not match.
pub(super) fn in_words(pattern: &str) -> String {
    let found = WORDS.iter().find(|(known, _)| *known == pattern);
    found.map_or_else(
        || format!("must match {pattern}"),
        |(_, words)| (*words).to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn patterns(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                if let (Some(Value::String(pattern)), Some(_)) =
                    (members.get("pattern"), members.get("type"))
                {
                    found.push(pattern.clone());
                }
                members.values().for_each(|value| patterns(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| patterns(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_pattern_of_the_description_has_words() {
        let description: Value =
            serde_json::from_str(&crate::routes::description()).expect("a description");
        let mut found = Vec::new();
        patterns(&description, &mut found);
        for pattern in &found {
            let known = WORDS.iter().any(|(known, _)| known == pattern);
            assert!(known, "{pattern} has no words");
        }
        for (pattern, _) in WORDS {
            assert!(
                found.iter().any(|it| it == pattern),
                "{pattern} is not used"
            );
        }
    }
}
