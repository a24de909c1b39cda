//! Bounds of settings and files. A number without a bound overflows somewhere, or means no limit when it
//! is rounded.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    time::Duration,
};

const MIN_TIMEOUT: Duration = Duration::from_millis(1);
const MAX_TIMEOUT: Duration = Duration::from_hours(24);

/// Parses a time limit. PostgreSQL takes whole milliseconds, and 0 would be no limit.
///
/// # Errors
/// A text that is no duration from one millisecond to 24 hours.
pub fn timeout(text: &str) -> Result<Duration, String> {
    parse(text, MIN_TIMEOUT, "1ms")
}

/// Parses a time that may be nothing.
///
/// # Errors
/// A text that is no duration of at most 24 hours.
pub fn delay(text: &str) -> Result<Duration, String> {
    parse(text, Duration::ZERO, "0s")
}

/// Parses a time of at least so many days that something is kept for.
///
/// # Errors
/// A text that is no duration, or one that is shorter, or longer than a hundred years.
pub fn retention<const DAYS: u64>(text: &str) -> Result<Duration, String> {
    const DAY: Duration = Duration::from_hours(24);
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration >= DAY * u32::try_from(DAYS).unwrap_or(u32::MAX) && duration <= DAY * 36_500 {
        Ok(duration)
    } else {
        Err(format!("must be from {DAYS}d to 36500d"))
    }
}

/// Parses a time for which something fails.
///
/// # Errors
/// A text that is no duration from a minute to 30 days.
pub fn failing(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if (Duration::from_mins(1)..=Duration::from_hours(30 * 24)).contains(&duration) {
        Ok(duration)
    } else {
        Err("must be from 1m to 30d".to_owned())
    }
}

fn parse(text: &str, shortest: Duration, name: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if (shortest..=MAX_TIMEOUT).contains(&duration) {
        Ok(duration)
    } else {
        Err(format!("must be from {name} to 24h"))
    }
}

/// Reads a file of at most so many bytes. A device, or a file named by mistake, may have no end.
///
/// # Errors
/// A file that can't be read, or is larger.
pub fn read(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    let length = file.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if u64::try_from(length).is_ok_and(|length| length <= max_bytes) {
        Ok(bytes)
    } else {
        let cause = format!("it is larger than {max_bytes} bytes");
        Err(io::Error::new(io::ErrorKind::FileTooLarge, cause))
    }
}

/// Reads a text of at most so many bytes.
///
/// # Errors
/// As [`read`], or a file that is not UTF-8.
pub fn read_to_string(path: &Path, max_bytes: u64) -> io::Result<String> {
    let not_text = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    String::from_utf8(read(path, max_bytes)?).map_err(not_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_limit_is_never_nothing_and_never_without_end() {
        for (text, parsed) in [
            ("1ms", Some(Duration::from_millis(1))),
            ("1500us", Some(Duration::from_micros(1500))),
            ("24h", Some(MAX_TIMEOUT)),
            ("0s", None),
            ("500us", None),
            ("999999ns", None),
            ("24h 1ms", None),
            ("584542046090y", None),
            ("", None),
            ("5", None),
        ] {
            assert_eq!(timeout(text).ok(), parsed, "{text}");
        }
        assert_eq!(delay("0s"), Ok(Duration::ZERO));
        assert!(delay("25h").is_err());
    }

    #[test]
    fn a_file_without_end_is_not_read_to_its_end() {
        let error = read(Path::new("/dev/zero"), 1 << 20).expect_err("no end");
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}
