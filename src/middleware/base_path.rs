//! The path under which a proxy publishes the service.

use std::{mem, sync::Arc};

use poem::{
    Request, Response,
    http::{HeaderMap, HeaderValue, Uri, header, uri::PathAndQuery},
};

use super::{Middleware, Next};

/// Serves requests whose path begins with the base path like those without it, because some proxies remove it and
/// others do not, and puts it before the paths in `Location`.
#[derive(Clone, Debug)]
pub(crate) struct BasePath(Option<String>);

impl BasePath {
    pub(crate) fn new(path: Option<&str>) -> Self {
        Self(path.map(ToOwned::to_owned))
    }
}

impl Middleware for BasePath {
    async fn call(
        &self,
        mut request: Box<Request>,
        next: &Arc<impl Next>,
    ) -> poem::Result<Response> {
        let base = self.0.as_deref();
        if let Some(base) = base {
            remove(base, request.uri_mut());
        }
        let mut response = next.call(request).await?;
        if let Some(base) = base {
            prepend(base, response.headers_mut());
        }
        Ok(response)
    }
}

fn remove(base: &str, uri: &mut Uri) {
    let inner = uri.path_and_query().and_then(|whole| {
        let rest = whole.as_str().strip_prefix(base)?;
        match rest.bytes().next() {
            Some(b'/') => PathAndQuery::try_from(rest).ok(),
            None | Some(b'?') => PathAndQuery::try_from(format!("/{rest}")).ok(),
            Some(_) => None,
        }
    });
    if let Some(inner) = inner {
        let mut parts = mem::take(uri).into_parts();
        parts.path_and_query = Some(inner);
        *uri = Uri::from_parts(parts).unwrap_or_default();
    }
}

fn prepend(base: &str, headers: &mut HeaderMap) {
    if let Some(location) = headers.get_mut(header::LOCATION)
        && let Ok(path) = location.to_str()
        && path.starts_with('/')
        && let Ok(whole) = HeaderValue::try_from(format!("{base}{path}"))
    {
        *location = whole;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_segments_of_a_path_are_removed() {
        for (sent, served) in [
            ("/registry/v1/agents?limit=1", "/v1/agents?limit=1"),
            ("/registry/", "/"),
            ("/registry", "/"),
            ("/registry?a=b", "/?a=b"),
            ("/registry/registry", "/registry"),
            ("/v1/agents", "/v1/agents"),
            ("/registry-2/v1", "/registry-2/v1"),
            ("http://host/registry/v1", "http://host/v1"),
        ] {
            let mut uri: Uri = sent.parse().expect("a URI");
            remove("/registry", &mut uri);
            assert_eq!(uri, served, "{sent}");
        }
    }
}
