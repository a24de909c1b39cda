//! A PostgreSQL URL, split as libpq splits it. No part of it is in any error: a character that is not
//! percent-encoded can turn a part of the password into anything.

use super::{
    host,
    target::{Fault, TargetError, URL_SETTING},
};

/// What a URL says, decoded.
#[derive(Default)]
pub(super) struct PostgresUrl {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    /// Hosts with their ports, as written. Each may be empty.
    pub(super) hosts: Vec<(String, String)>,
    pub(super) database: Option<String>,
    pub(super) parameters: Vec<UrlParameter>,
}

/// A parameter of the URL, whether or not its name is known.
pub(super) struct UrlParameter {
    pub(super) name: String,
    pub(super) value: String,
    /// Whether the name can't be a part of a password.
    pub(super) may_be_shown: bool,
}

impl PostgresUrl {
    /// Reads the URL after `postgres://`.
    pub(super) fn parse(text: &str) -> Result<Self, TargetError> {
        Self::split(text).map_err(|fault| TargetError::new(URL_SETTING, fault))
    }

    fn split(text: &str) -> Result<Self, Fault> {
        let text = text.trim();
        if text.contains(char::is_control) {
            return Err(Fault::Ambiguous);
        }
        let (user_and_password, rest) = split_user(text);
        let (user, password) = user_and_password
            .split_once(':')
            .unwrap_or((user_and_password, ""));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (hosts, database) = rest.split_once('/').unwrap_or((rest, ""));
        if database.contains(['@', '/', '#']) {
            return Err(Fault::Ambiguous);
        }
        let hosts = hosts.split(',').map(|host| {
            let (host, port) = host::split_port(host);
            Ok((decode(host)?, decode(port)?))
        });
        Ok(Self {
            user: non_empty(user)?,
            password: non_empty(password)?,
            hosts: hosts.collect::<Result<_, _>>()?,
            database: non_empty(database)?,
            parameters: parameters(query)?,
        })
    }
}

/// The user and password, and what follows them. They end at the first `@` before a `/`, or at a later
/// one that can't be part of a host.
fn split_user(text: &str) -> (&str, &str) {
    let before_slash = text.split('/').next().unwrap_or_default();
    let Some(first) = before_slash.find('@') else {
        return ("", text);
    };
    let hosts = &before_slash[first + 1..];
    let hosts = hosts.split('?').next().unwrap_or_default();
    let end = hosts.rfind('@').map_or(first, |last| first + 1 + last);
    (&text[..end], &text[end + 1..])
}

fn parameters(query: &str) -> Result<Vec<UrlParameter>, Fault> {
    let mut parameters: Vec<UrlParameter> = Vec::new();
    let mut rest = query;
    while !rest.is_empty() {
        let (pair, after) = rest.split_once('&').unwrap_or((rest, ""));
        let (name, value) = pair.split_once('=').ok_or(Fault::NotAParameter)?;
        // An `&` in a password begins what looks like another parameter.
        let follows_password = parameters
            .last()
            .is_some_and(|last| last.name.contains("password"));
        let looks_like_a_name = name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.len() < 64
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte));
        parameters.push(UrlParameter {
            name: decode(name)?,
            value: decode(value)?,
            may_be_shown: looks_like_a_name && !follows_password && !rest.contains('@'),
        });
        rest = after;
    }
    Ok(parameters)
}

fn non_empty(text: &str) -> Result<Option<String>, Fault> {
    Ok(Some(decode(text)?).filter(|text| !text.is_empty()))
}

/// Percent-decodes a part. Unlike in a form, `+` is a plus sign.
fn decode(text: &str) -> Result<String, Fault> {
    let mut after_percent = text.split('%').skip(1);
    let is_encoded = after_percent.all(|rest| {
        let digits = rest.as_bytes().get(..2).unwrap_or_default();
        digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit) && digits != b"00"
    });
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    match decoded {
        Ok(decoded) if is_encoded => Ok(decoded.into_owned()),
        _ => Err(Fault::Encoding),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> PostgresUrl {
        PostgresUrl::parse(text).expect(text)
    }

    #[test]
    fn user_password_host_and_database_are_where_libpq_sees_them() {
        for (text, user, password, host, port, database) in [
            (
                "me:s%40cret@db:5433/teams",
                "me",
                "s@cret",
                "db",
                "5433",
                "teams",
            ),
            ("me:a?b#c@db/teams", "me", "a?b#c", "db", "", "teams"),
            ("me:a@b@db/teams", "me", "a@b", "db", "", "teams"),
            ("me:a@db?options=x@y", "me", "a", "db", "", ""),
            (
                "me:a:b+c@[::1]:5433/te%2Fams",
                "me",
                "a:b+c",
                "::1",
                "5433",
                "te/ams",
            ),
            ("%2Frun%2Fpg:5433/teams", "", "", "/run/pg", "5433", "teams"),
            ("/teams?user=a@b", "", "", "", "", "teams"),
            (":5433/teams", "", "", "", "5433", "teams"),
            (" db/teams\n", "", "", "db", "", "teams"),
        ] {
            let url = parsed(text);
            assert_eq!(url.user.unwrap_or_default(), user, "{text}");
            assert_eq!(url.password.unwrap_or_default(), password, "{text}");
            assert_eq!(url.hosts, [(host.to_owned(), port.to_owned())], "{text}");
            assert_eq!(url.database.unwrap_or_default(), database, "{text}");
        }
        assert_eq!(parsed("a:1,b:2/x").hosts.len(), 2);
        assert_eq!(parsed("h/x?password=a+b%20c").parameters[0].value, "a+b c");
    }

    #[test]
    fn a_url_that_can_not_be_meant_so_is_refused() {
        for text in [
            "app:5/hunter2@db/app",
            "app:a@b/hunter2@db/app",
            "app:5/hunter2",
            "app:5/a/hunter2",
            "app:5/hunter2#x",
            "app:hunter2%zz@db/app",
            "app:hunter2%4@db/app",
            "app:hunter2%00@db/app",
            "app:hunter2%ff@db/app",
            "db/app?hunter2",
            "app:hun\nter2@db/app",
        ] {
            let fault = PostgresUrl::parse(text)
                .err()
                .map(|error| error.to_string());
            // Without an `@`, a database of this name may be meant.
            assert_eq!(fault.is_none(), text == "app:5/hunter2", "{text}");
            assert!(!fault.unwrap_or_default().contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn a_name_that_may_be_a_part_of_a_password_is_not_shown() {
        for (text, shown) in [
            ("db/app?sslMode=require", true),
            ("db/app?hunter2=x@db/app", false),
            ("db/app?password=hun&ter2=x", false),
            ("db/app?ter%32=x", false),
            ("db/app?2=x", false),
        ] {
            let last = parsed(text).parameters.pop().expect(text);
            assert_eq!(last.may_be_shown, shown, "{text}");
        }
    }
}
