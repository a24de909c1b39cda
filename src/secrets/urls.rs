//! Secrets in URLs: a password before the host, a key in the query.

use percent_encoding::percent_decode_str;
use url::form_urlencoded;

use super::{
    names::{self, Verdict, is_generated},
    placeholders::is_placeholder,
};

/// Whether a text holds a URL with a password in it.
pub(super) fn has_password(text: &str) -> bool {
    text.match_indices("://").any(|(at, separator)| {
        let follows_scheme = text[..at].ends_with(|last: char| last.is_ascii_alphanumeric());
        follows_scheme && is_with_password(authority(&text[at + separator.len()..]))
    })
}

/// What comes before the path, with the user and the password.
fn authority(rest: &str) -> &str {
    let ends = |character: char| {
        character.is_whitespace() || "/?#\\\"'`<>".contains(character) || character.is_control()
    };
    &rest[..rest.find(ends).unwrap_or(rest.len())]
}

fn is_with_password(authority: &str) -> bool {
    // `docker://image:tag@sha256:…` names a digest.
    let user = authority.rsplit_once('@').filter(|(_, host)| {
        !host.is_empty() && !host.starts_with("sha256:") && !host.starts_with("sha512:")
    });
    let Some((_, password)) = user.and_then(|(user, _)| user.split_once(':')) else {
        return false;
    };
    !is_placeholder(&percent_decode_str(password).decode_utf8_lossy())
}

/// Judges the parameters of the URLs in a text by their names.
pub(super) fn judge_parameters(text: &str) -> Verdict {
    let ends = |character: char| character.is_whitespace() || "\"'`<>".contains(character);
    let words = text.split(ends).filter(|word| word.contains("://"));
    let parameters = words.flat_map(|url| {
        let query = url.split_once(['?', '#']).map_or("", |(_, query)| query);
        query.split(['&', '?', '#', ';'])
    });
    let judged = parameters.map(|parameter| {
        let mut decoded = form_urlencoded::parse(parameter.as_bytes());
        let judged = decoded.next().map(|(name, value)| judge(&name, &value));
        judged.unwrap_or_default()
    });
    judged.max().unwrap_or_default()
}

/// A parameter's name says less than a member's: `key` and `code` name much.
fn judge(name: &str, value: &str) -> Verdict {
    const DOUBTFUL: [&str; 5] = ["auth", "code", "key", "sig", "signature"];
    const OF_MEETINGS: &str = "pwd";
    match names::judge_words(name, value) {
        Verdict::Secret if name == OF_MEETINGS => Verdict::Suspected,
        Verdict::Fine if DOUBTFUL.contains(&name) && is_generated(value) => Verdict::Suspected,
        verdict => verdict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_urls_are_found() {
        for text in [
            "postgres://u:p@h",
            "Use postgresql+asyncpg://app:Xk29!f@db.internal:5432/app?ssl=true for it.",
            "redis://:Xk29f@cache:6379/0",
            "https://me:Xk29f@api.acme.example/v1",
            "mongodb+srv://app:X%40k29@c0.mongodb.net/?retryWrites=true",
            "https://login.example/?next=https://me:Xk29f@api.acme.example",
        ] {
            assert!(has_password(text), "{text}");
        }
        for text in [
            "postgres://user:password@localhost/db",
            "postgres://app:${DB_PASSWORD}@db/app",
            "postgres://app:***@db/app",
            "postgres://app@db:5432/app",
            "ssh://git@github.com:22/acme/app.git",
            "docker://alpine:3.20@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4",
            "https://medium.example:443/@ada/post:1@2",
            "http://[::1]:8080/v1",
            "://:@",
            "a://",
        ] {
            assert!(!has_password(text), "{text}");
        }
    }

    #[test]
    fn parameters_are_judged_by_name() {
        for (text, verdict) in [
            (
                "https://api.acme.example/v1?api_key=Zq3vT9xKpL2m",
                Verdict::Secret,
            ),
            (
                "see https://x.example/#access_token=Zq3vT9xKpL2m&x=1",
                Verdict::Secret,
            ),
            (
                "jdbc:mysql://db/app?user=app&password=Xk29!f",
                Verdict::Secret,
            ),
            (
                "https://x.example/?key=Zq3vT9xKpL2mWc8RnY5b",
                Verdict::Suspected,
            ),
            (
                "https://x.example/?sig=Zq3vT9xKpL2mWc8RnY5b",
                Verdict::Suspected,
            ),
            (
                "https://zoom.example/j/123?pwd=Zq3vT9xKpL2m",
                Verdict::Suspected,
            ),
            ("https://x.example/?key=name&code=1", Verdict::Fine),
            ("https://x.example/?api_key=YOUR_API_KEY", Verdict::Fine),
            (
                "https://x.example/?token=preview&max_tokens=100",
                Verdict::Fine,
            ),
            ("?api_key=Zq3vT9xKpL2m", Verdict::Fine),
        ] {
            assert_eq!(judge_parameters(text), verdict, "{text}");
        }
    }
}
