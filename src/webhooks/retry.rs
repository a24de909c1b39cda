//! When the next attempt follows one that failed.

use std::time::Duration;

/// The first delay; each doubles the one before.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(5);
/// What a receiver may ask for with `Retry-After`.
const LONGEST_ASKED: Duration = Duration::from_hours(1);

/// The delay after so many failures, the last of which asked for this one.
pub(super) fn delay(failures: i64, asked: Option<Duration>) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    let backoff = 2_u32.checked_pow(doublings).map_or(LONGEST, |factor| {
        FIRST.checked_mul(factor).unwrap_or(LONGEST).min(LONGEST)
    });
    let asked = asked.unwrap_or_default().min(LONGEST_ASKED);
    backoff.mul_f64(1.0 + jitter()).max(asked)
}

/// Up to a quarter more, so that the webhooks of a receiver that was down don't all come back at once.
fn jitter() -> f64 {
    let mut byte = [0];
    // Without randomness there is no jitter, which is no reason not to send.
    let _ = getrandom::fill(&mut byte);
    f64::from(byte[0]) / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_five_minutes_with_up_to_a_quarter_more() {
        for (failures, seconds) in [
            (1, 1),
            (2, 2),
            (3, 4),
            (9, 256),
            (10, 300),
            (40, 300),
            (i64::MAX, 300),
        ] {
            let base = Duration::from_secs(seconds);
            for _ in 0..50 {
                let delay = delay(failures, None);
                assert!(
                    delay >= base && delay <= base.mul_f64(1.25),
                    "{failures}: {delay:?}"
                );
            }
        }
    }

    #[test]
    fn a_receiver_is_left_alone_for_as_long_as_it_asks_up_to_an_hour() {
        let asked = |seconds| delay(1, Some(Duration::from_secs(seconds)));
        assert_eq!(asked(120), Duration::from_mins(2));
        assert_eq!(asked(1_000_000), LONGEST_ASKED);
        assert!(asked(0) >= FIRST);
    }
}
