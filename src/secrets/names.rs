//! Secrets by the name they stand under: `password`, `x-api-key`, `OPENAI_API_KEY`, `clientSecret`.

use super::{
    placeholders::{is_placeholder, is_prose},
    words::is_wordy,
};

/// What holds a secret, without case, hyphens and underscores.
const EXACT: [&str; 35] = [
    "accesskey",
    "accesstoken",
    "accountkey",
    "apikey",
    "apikeys",
    "apisecret",
    "apitoken",
    "appsecret",
    "authkey",
    "authtoken",
    "bearertoken",
    "bottoken",
    "clientsecret",
    "encryptionkey",
    "masterkey",
    "passphrase",
    "passwd",
    "password",
    "passwords",
    "privatekey",
    "proxyauthorization",
    "pwd",
    "refreshtoken",
    "secret",
    "secretaccesskey",
    "secretkey",
    "servicekey",
    "sessiontoken",
    "sharedaccesskey",
    "signingkey",
    "signingsecret",
    "subscriptionkey",
    "webhooksecret",
    "xapikey",
    "xauthtoken",
];

/// What holds a secret, or a word about it: `"authorization": "delegated"`.
const AMBIGUOUS: [&str; 3] = ["authorization", "credential", "token"];

/// How other names of secrets end, as `db_password` and `OPENAI_API_KEY` do.
const ENDINGS: [&str; 14] = [
    "accesskey",
    "accesstoken",
    "apikey",
    "apisecret",
    "apitoken",
    "authtoken",
    "bearertoken",
    "clientsecret",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "refreshtoken",
    "secretkey",
];

/// How names end that hold as much else: `next_page_token`, `cookie`.
const DOUBTFUL_ENDINGS: [&str; 7] = [
    "cookie",
    "credential",
    "credentials",
    "jwt",
    "pwd",
    "secret",
    "token",
];

/// What a value is, as far as can be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    #[default]
    Fine,
    Suspected,
    Secret,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    /// Holds a secret.
    Exact,
    /// Holds a secret or a word.
    Ambiguous,
    /// Ends like the name of a secret.
    Ending,
    /// May hold one.
    Doubtful,
    Other,
}

/// Judges a value by the name it stands under.
pub(super) fn judge(name: &str, value: &str) -> Verdict {
    let name = Name::of(name);
    if name == Name::Other || is_placeholder(value) {
        return Verdict::Fine;
    }
    match name {
        Name::Exact if !is_prose(value) => Verdict::Secret,
        Name::Ambiguous if !is_prose(value) && !is_plain_word(value) => Verdict::Secret,
        Name::Ending if !is_prose(value) && !is_wordy(value) => Verdict::Secret,
        Name::Exact | Name::Ambiguous | Name::Ending => Verdict::Suspected,
        _ if is_generated(value) => Verdict::Suspected,
        _ => Verdict::Fine,
    }
}

/// Whether a name says that it holds a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    !matches!(Name::of(name), Name::Doubtful | Name::Other)
}

/// Judges texts like `API_KEY=…`, `Authorization: …` and `Server=…;Password=…` by the names in them.
/// Prose has colons, too, so words are no secrets here.
pub(super) fn judge_assignments(text: &str) -> Verdict {
    let parts = text.split([';', '\n']).map(str::trim);
    let parts = parts.filter(|part| !part.is_empty());
    let judged = parts.map(|part| {
        let (name, value) = part.split_once(['=', ':'])?;
        let name = name.trim().trim_start_matches('-');
        let name = name.strip_prefix("export ").unwrap_or(name);
        is_identifier(name).then(|| judge_words(name, value))
    });
    // What is not all assignments is something else.
    let judged: Option<Vec<Verdict>> = judged.collect();
    judged.into_iter().flatten().max().unwrap_or_default()
}

/// Judges a value that may as well be a word.
pub(super) fn judge_words(name: &str, value: &str) -> Verdict {
    if is_wordy(value.trim()) {
        Verdict::Fine
    } else {
        judge(name, value)
    }
}

/// One long word of letters and digits that is none of a language.
pub(super) fn is_generated(value: &str) -> bool {
    const SHORTEST: usize = 16;
    let has = |is: fn(&u8) -> bool| value.bytes().any(|byte| is(&byte));
    value.len() >= SHORTEST
        && !value.contains(char::is_whitespace)
        && has(u8::is_ascii_alphabetic)
        && has(u8::is_ascii_digit)
        && !is_wordy(value)
}

impl Name {
    fn of(name: &str) -> Self {
        const LONGEST: usize = 128;
        if name.len() > LONGEST {
            return Self::Other;
        }
        let plain: String = name
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|character| character.to_ascii_lowercase())
            .collect();
        if EXACT.contains(&plain.as_str()) {
            Self::Exact
        } else if AMBIGUOUS.contains(&plain.as_str()) {
            Self::Ambiguous
        } else if ENDINGS.iter().any(|ending| plain.ends_with(ending)) {
            Self::Ending
        } else if DOUBTFUL_ENDINGS.iter().any(|it| plain.ends_with(it)) {
            Self::Doubtful
        } else {
            Self::Other
        }
    }
}

fn is_plain_word(value: &str) -> bool {
    const LONGEST: usize = 20;
    value.len() <= LONGEST && value.bytes().all(|byte| byte.is_ascii_alphabetic())
}

fn is_identifier(name: &str) -> bool {
    const LONGEST: usize = 64;
    let mut bytes = name.bytes();
    name.len() <= LONGEST
        && bytes
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_-. ".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_judged_by_its_name() {
        for (name, value, verdict) in [
            ("password", "hunter2", Verdict::Secret),
            ("Passwd", "correct-horse", Verdict::Secret),
            ("x-api-key", "abc123", Verdict::Secret),
            ("apiKey", "0123456789abcdef", Verdict::Secret),
            ("Authorization", "Bearer Zq3vT9xKpL2m", Verdict::Secret),
            ("Authorization", "Basic dXNlcjpwYXNz", Verdict::Secret),
            ("OPENAI_API_KEY", "Zq3vT9xKpL2m", Verdict::Secret),
            ("token", "a1b2c3", Verdict::Secret),
            ("authorization", "delegated", Verdict::Suspected),
            ("db_password", "p@ss!word", Verdict::Secret),
            ("db_password", "swordfish", Verdict::Suspected),
            ("password", "Ask the operator for it.", Verdict::Suspected),
            ("secret", "请向管理员索取", Verdict::Suspected),
            ("github_token", "Zq3vT9xKpL2mWc8RnY5b", Verdict::Suspected),
            ("next_page_token", "CAUQAA", Verdict::Fine),
            ("pad_token", "<pad>", Verdict::Fine),
            ("api_key", "${OPENAI_API_KEY}", Verdict::Fine),
            ("Authorization", "Bearer $TOKEN", Verdict::Fine),
            ("tokenizer", "cl100k_base", Verdict::Fine),
            ("secretary", "Jane", Verdict::Fine),
            ("public_key", "Zq3vT9xKpL2mWc8RnY5b", Verdict::Fine),
            ("password_policy", "at-least-12-characters", Verdict::Fine),
            ("api_key_env", "OPENAI_API_KEY", Verdict::Fine),
            ("key", "Zq3vT9xKpL2mWc8RnY5b", Verdict::Fine),
        ] {
            assert_eq!(judge(name, value), verdict, "{name}: {value}");
        }
    }

    #[test]
    fn assignments_are_judged_and_prose_is_not() {
        for text in [
            "API_KEY=Zq3vT9xKpL2m",
            "--api-key=Zq3vT9xKpL2m",
            "export GITEA_PASSWORD='x7!k'",
            "Authorization: Bearer Zq3vT9xKpL2mWc8R",
            "Server=db;User Id=app;Password=x7!kQ9;",
        ] {
            assert_eq!(judge_assignments(text), Verdict::Secret, "{text}");
        }
        for text in [
            "Secret: santa",
            "Token: the smallest piece of text a model reads.",
            "A note about passwords: they are kept in the vault; ask first",
            "API_KEY=${API_KEY}",
            "https://api.example/v1?x=1",
            "",
        ] {
            assert_ne!(judge_assignments(text), Verdict::Secret, "{text}");
        }
    }
}
