//! Request bodies, for which a client has time according to their length.

use std::{io, time::Duration};

use futures_util::{StreamExt, stream};
use poem::Body;
use tokio::time::{Instant, timeout_at};

/// The slowest that a long body may come, in bytes a millisecond: 80 kbit/s.
const SLOWEST: usize = 10;

/// The same body, which fails with [`io::ErrorKind::TimedOut`] where it takes the client longer
/// than `patience`, and longer than its length excuses.
pub(super) fn paced(body: Body, patience: Duration) -> Body {
    if body.is_empty() {
        return body;
    }
    let limit = Instant::now() + patience;
    let parts = Box::pin(body.into_bytes_stream());
    Body::from_bytes_stream(stream::try_unfold(
        (parts, limit),
        |(mut parts, limit)| async move {
            let Ok(part) = timeout_at(limit, parts.next()).await else {
                return Err(io::Error::from(io::ErrorKind::TimedOut));
            };
            let part = part.transpose()?;
            Ok(part.map(|part| {
                let earned = u64::try_from(part.len() / SLOWEST).unwrap_or(u64::MAX);
                (part, (parts, limit + Duration::from_millis(earned)))
            }))
        },
    ))
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    fn dribble(part: &'static [u8], pause: Duration) -> Body {
        Body::from_bytes_stream(stream::unfold((), move |()| async move {
            tokio::time::sleep(pause).await;
            Some((Ok::<_, io::Error>(part), ()))
        }))
    }

    #[tokio::test]
    async fn a_body_that_dribbles_is_given_up_and_one_that_comes_along_is_not() {
        const PATIENCE: Duration = Duration::from_millis(300);
        let pause = PATIENCE / 10;
        let slow = paced(dribble(b"x", pause), PATIENCE).into_bytes();
        let end = timeout(100 * PATIENCE, slow).await.expect("an end");
        assert!(end.is_err());

        let long = paced(dribble(&[0; 10_000], pause), PATIENCE);
        assert_eq!(long.into_bytes_stream().take(20).count().await, 20);
    }
}
