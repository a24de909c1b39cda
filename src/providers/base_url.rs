//! Where a provider may be. The address is kept for runtimes and never fetched from here; but the
//! prompts, and the provider's key, go wherever it points.

use url::Url;

/// Holds an address against what the description can't say of it.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check(base_url: Option<&str>, is_local: bool) -> Result<(), &'static str> {
    let Some(text) = base_url else {
        return Ok(());
    };
    match parse(text)?.scheme() {
        "https" => Ok(()),
        "http" if is_local => Ok(()),
        _ => Err("needs https, unless the provider is_local"),
    }
}

/// Parses an address of any scheme, in which nothing hides.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "is not a URL")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user name or password");
    }
    if url.fragment().is_some() {
        return Err("has a fragment");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_or_local_and_nothing_else_hides_in_it() {
        for (address, local_only) in [
            ("https://api.acme.example", false),
            ("https://api.acme.example:8443/v1?tenant=a@b", false),
            ("https://[2001:db8::1]/v1", false),
            ("http://127.0.0.1:11434", true),
            ("http://ollama.lan", true),
        ] {
            assert_eq!(check(Some(address), true), Ok(()), "{address}");
            assert_eq!(
                check(Some(address), false).is_err(),
                local_only,
                "{address}"
            );
        }
        assert_eq!(check(None, false), Ok(()));
        for address in [
            "https://me@api.acme.example",
            "https://me:secret@api.acme.example",
            "https://:secret@api.acme.example",
            "https://api.acme.example/#v1",
            "https://",
            "https://%",
            "ftp://api.acme.example",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "api.acme.example",
        ] {
            assert!(check(Some(address), true).is_err(), "{address}");
        }
    }
}
