//! Where the primary's log ended, and when: by that, the lag of a replica is measured without comparing clocks.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::database::LogPosition;

/// The newest is the last.
#[derive(Debug, Default)]
pub(super) struct Samples(VecDeque<(Instant, LogPosition)>);

impl Samples {
    /// Adds where the log ended when the primary was asked, which was after `asked_at`.
    pub(super) fn add(&mut self, asked_at: Instant, end: LogPosition) {
        self.0.push_back((asked_at, end));
    }

    /// Forgets those that are older than this.
    pub(super) fn forget(&mut self, age: Duration) {
        self.0.retain(|(asked_at, _)| asked_at.elapsed() <= age);
    }

    /// By how much a replica lags that has replayed the log up to here, at most: it has all that was committed so long ago.
    /// `None` if that is longer than samples are kept, or it has another history.
    pub(super) fn lag_at(&self, replayed: LogPosition) -> Option<Duration> {
        let mut newest_first = self.0.iter().rev();
        let (asked_at, _) = newest_first.find(|(_, end)| replayed.includes(*end))?;
        Some(asked_at.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_lags_by_the_time_since_the_newest_sample_that_it_has() {
        let position = |text: &str| text.parse::<LogPosition>().expect(text);
        let ago = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds));
        let mut samples = Samples::default();
        for (seconds, end) in [(30, "1-0/10"), (20, "1-0/20"), (10, "2-0/30")] {
            samples.add(ago(seconds).expect("a time"), position(end));
        }
        let seconds = |replayed| samples.lag_at(position(replayed)).map(|lag| lag.as_secs());
        assert_eq!(seconds("1-0/F"), None);
        assert_eq!(seconds("1-0/10"), Some(30));
        assert_eq!(seconds("1-0/2F"), Some(20));
        // It has more than the new primary, but of another history.
        assert_eq!(seconds("1-0/FF"), Some(20));
        assert_eq!(seconds("2-0/30"), Some(10));
        samples.forget(Duration::from_secs(25));
        let lag = samples.lag_at(position("1-0/10"));
        assert_eq!(lag, None);
    }
}
