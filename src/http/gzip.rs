//! Compressed responses: who accepts them, and how they are made. gzip is the one coding, because every client
//! that accepts another accepts it, too.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::{
    Compression,
    write::{GzDecoder, GzEncoder},
};
use poem::http::{HeaderMap, header};
use tokio::{sync::Semaphore, task::yield_now};

/// What is shorter fits into one packet anyway.
const MIN_BYTES: usize = 1 << 10;
/// What is longer is compressed in parts of so many bytes, between which the worker thread serves others.
const PART: usize = 64 << 10;
/// So many longer ones are compressed at once, because each takes a third of a megabyte meanwhile.
static LONG: Semaphore = Semaphore::const_new(4);

/// Whether `Accept-Encoding` lists gzip, other than with the weight 0 (RFC 9110, section 12.5.3).
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).into_iter();
    let mut codings = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    codings.any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").unwrap_or("1");
        name.trim().eq_ignore_ascii_case("gzip")
            && weight.parse::<f32>().is_ok_and(|weight| weight > 0.0)
    })
}

/// The body of a response in its compressed form, where that is kept: an extension of the response.
#[derive(Clone, Debug)]
pub(crate) struct Gzipped(pub(crate) Bytes);

/// Whether a body of this length is compressed.
pub(crate) fn is_compressible(length: usize) -> bool {
    length >= MIN_BYTES
}

/// The text compressed with little effort; `None` if it is not shorter then.
pub(crate) async fn gzip(text: &[u8]) -> Option<Bytes> {
    if !is_compressible(text.len()) {
        return None;
    }
    let is_long = text.len() > PART;
    let _permit = if is_long {
        Some(LONG.acquire().await.ok()?)
    } else {
        None
    };
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    for part in text.chunks(PART) {
        encoder.write_all(part).ok()?;
        if is_long {
            yield_now().await;
        }
    }
    let compressed = encoder.finish().ok()?;
    (compressed.len() < text.len()).then(|| compressed.into())
}

/// The text compressed as far as is usual, for what is compressed once.
pub(crate) fn gzip_once(text: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(text).and_then(|()| encoder.finish());
    written.expect("a vector takes all").into()
}

/// The text that was compressed.
pub(crate) fn gunzip(compressed: &[u8]) -> io::Result<Vec<u8>> {
    let mut decoder = GzDecoder::new(Vec::new());
    decoder.write_all(compressed)?;
    decoder.finish()
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    #[test]
    fn gzip_is_sent_to_those_that_accept_it() {
        for (value, accepted) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("deflate, gzip;q=1.0, *;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip; q=0.0", false),
            ("br", false),
            ("identity", false),
            ("", false),
        ] {
            let value = HeaderValue::from_static(value);
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, value.clone())]);
            assert_eq!(accepts_gzip(&headers), accepted, "{value:?}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn texts_of_every_length_are_compressed_where_that_is_shorter() {
        for length in [0, MIN_BYTES - 1, MIN_BYTES, PART, PART + 1, 5 * PART + 7] {
            let text = "abcdefg ".repeat(length).into_bytes();
            let text = &text[..length];
            let Some(compressed) = gzip(text).await else {
                assert!(length < MIN_BYTES, "{length}");
                continue;
            };
            let read = gunzip(&compressed).expect("gzip");
            assert_eq!(gunzip(&gzip_once(text)).expect("gzip"), text);
            assert!(compressed.len() * 4 < length && read == text, "{length}");
        }
        let mut noise = vec![0; 2 * MIN_BYTES];
        getrandom::fill(&mut noise).expect("random bytes");
        assert_eq!(gzip(&noise).await, None);
    }
}
