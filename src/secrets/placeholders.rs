//! What stands where a secret would, without being one: the name of a variable, a reference to a
//! vault, a mask, a word of a manual.

use std::sync::LazyLock;

use regex::RegexSet;

use super::{names::is_secret_name, words::is_wordy};

/// Words that are no secrets under the name of one: what is allowed, of which kind it is, where it
/// comes from, and what manuals and local servers say.
const WORDS: &str = " admin all allow always any api apikey apitoken argon2 argon2id array ask auth auto aws \
    azure basic bcrypt bearer body bool boolean changeit changeme cookie custom default deny digest \
    disabled dummy empty enabled encrypted env environment example external fake false file full gcp \
    github google hashed header hidden hmac hs256 inherit inline int integer internal jwt kerberos key \
    keychain keyring lmstudio local manage manual masked md5 member mtls mysecret mypassword na never \
    negotiate no none null ntlm nil number oauth oauth1 oauth2 object off oidc ollama on openid \
    optional owner pass password passwd path pbkdf2 placeholder plain plaintext private prompt public \
    pwd query read readonly readwrite redacted replaceme required rs256 saml sample scrypt secret self \
    session sha1 sha256 sha512 shared sigv4 sso str string system tbd test text todo token true \
    undefined unused user vault write x xxx yes yourapikey yourkey yourpassword yoursecret yourtoken ";

static FORMS: LazyLock<RegexSet> = LazyLock::new(|| {
    let forms = [
        // Templates and variables: ${KEY}, {{ key }}, $(key), %KEY%, $KEY, __KEY__.
        r"\$\{|\{\{|\$\(|<%|^%[\w.]+%$|^\$[A-Za-z_][\w.:]*$|^__\w+__$|^@\w+@$",
        // Names of variables.
        r"^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$|^[A-Z]{2,}$",
        // References: env:KEY, vault:path, op://vault/item, arn:aws:secretsmanager:…
        r"(?i)^[!=$]{0,2}(?:akv|arn|aws-?sm|azure|bws|config|context|credentials?|doppler|env|environment|file|gcp|gsm|infisical|inputs?|keychain|keyring|keyvault|kv|op|param|ref|secrets?|secretref|sops|ssm|vars?|vault)[:.+\[/]",
        r"(?i)^(?:@microsoft\.keyvault|process\.env|os\.(?:environ|getenv)|getenv|env\(|projects/|import\.meta|st\.secrets|\w+\.env\b)",
        // Paths.
        r"^(?:~|\.{1,2})?/[\w./-]*$|^[A-Za-z]:\\",
        // Masks, in part.
        r"\*{3}|•{3}|…|\.\.\.|(?i:x{4})",
        // The words of manuals.
        r"(?i)\b_?(?:your|my|the|an?|some|any|insert|replace|enter|put)[ _-][ -~]*(?:key|token|secret|password|credential|here)",
        r"(?i)change[_-]?me|placeholder|redacted|not[_ -]?(?:needed|required|used|set|applicable)|no[_-]key|dummy|example",
    ];
    RegexSet::new(forms.map(|form| format!("(?-u){form}"))).expect("regular expressions")
});

/// Whether a value only stands for a secret.
pub(super) fn is_placeholder(value: &str) -> bool {
    const LONGEST: usize = 512;
    let value = value.trim().trim_matches(['"', '\'', '`']);
    let value = without_scheme(value);
    if value.len() > LONGEST {
        return false;
    }
    is_word(value)
        || is_bracketed(value)
        || value.chars().all(|mask| "*•●xX.…_#?-".contains(mask))
        || FORMS.is_match(value)
        || names_a_secret(value)
}

/// All in brackets: `<your key>`, `[redacted]`, `{key}`.
fn is_bracketed(value: &str) -> bool {
    const BRACKETS: [(char, char); 4] = [('<', '>'), ('[', ']'), ('{', '}'), ('(', ')')];
    let is_in = |(opening, closing)| value.starts_with(opening) && value.ends_with(closing);
    BRACKETS.into_iter().any(is_in)
}

/// Whether a value tells of something, rather than being it.
pub(super) fn is_prose(value: &str) -> bool {
    let value = without_scheme(value.trim());
    let words = value.split_whitespace().count();
    let has_digit = value.bytes().any(|byte| byte.is_ascii_digit());
    words > 2 || words == 2 && !has_digit || value.chars().any(is_foreign_letter)
}

fn is_foreign_letter(character: char) -> bool {
    !character.is_ascii() && character.is_alphabetic()
}

/// A value of `Authorization` without `Bearer` and its like.
fn without_scheme(value: &str) -> &str {
    const SCHEMES: [&str; 6] = ["apikey", "api-key", "basic", "bearer", "key", "token"];
    match value.split_once(' ') {
        Some((scheme, rest)) if SCHEMES.contains(&&*scheme.to_ascii_lowercase()) => rest.trim(),
        _ => value,
    }
}

fn is_word(value: &str) -> bool {
    const LONGEST: usize = 24;
    if value.len() > LONGEST {
        return false;
    }
    let plain = value.to_ascii_lowercase().replace(['-', '_', ' ', '/'], "");
    let is_plain = plain.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plain.is_empty() || is_plain && WORDS.contains(&format!(" {plain} "))
}

/// Whether a value is the name of a secret that is kept elsewhere, as `openai-api-key` is.
fn names_a_secret(value: &str) -> bool {
    is_wordy(value) && is_secret_name(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_a_secret_is_none() {
        for value in [
            "",
            "  ",
            "***",
            "sk-...abcd",
            "sk-****abcd",
            "xxxx",
            "<your key>",
            "[REDACTED]",
            "{api_key}",
            "${OPENAI_API_KEY}",
            "$TOKEN",
            "%API_KEY%",
            "Bearer ${TOKEN}",
            "Bearer {{ token }}",
            "Bearer",
            "=Env.OPENAI_API_KEY",
            "OPENAI_API_KEY",
            "os.environ/OPENAI_API_KEY",
            "env:OPENAI_API_KEY",
            "vault:secret/data/openai#key",
            "op://team/openai/key",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:openai",
            "/run/secrets/openai",
            "openai-api-key",
            "your-api-key-here",
            "not-needed",
            "ollama",
            "read-only",
            "none",
            "string",
            "oauth2",
        ] {
            assert!(is_placeholder(value), "{value}");
        }
    }

    #[test]
    fn what_is_one_does_not_pass_for_less() {
        for value in [
            "hunter2",
            "p",
            "s3cr3t",
            "swordfish",
            "Zq3vT9xKpL2m",
            "Bearer Zq3vT9xKpL2m",
            "0123456789abcdef",
            "correct horse battery staple",
        ] {
            assert!(!is_placeholder(value), "{value}");
        }
    }
}
