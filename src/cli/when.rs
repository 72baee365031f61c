//! Moments as people type them: "2h", "3 days ago", "yesterday",
//! "2026-11-22", "2026-11-22 14:05", "2026-11-22T14:05:09+01:00".

use jiff::civil::{Date, DateTime};
use jiff::{Span, Timestamp, ToSpan, Zoned};

/// The moment that `text` means at `now`, nanoseconds since the epoch.
pub(super) fn parse(text: &str, now: &Zoned) -> Result<u64, String> {
    let moment = moment(text.trim(), now).ok_or_else(|| {
        format!(
            "\"{text}\" is not a time: try \"2h\", \"yesterday\", \"2026-11-22\" or \"2026-11-22T14:05:09Z\""
        )
    })?;
    u64::try_from(moment.as_nanosecond()).map_err(|_| format!("\"{text}\" lies before 1970"))
}

fn moment(text: &str, now: &Zoned) -> Option<Timestamp> {
    let midnight = || now.start_of_day().ok();
    match text {
        "now" => return Some(now.timestamp()),
        "today" => return Some(midnight()?.timestamp()),
        "yesterday" => return Some(midnight()?.checked_sub(1.day()).ok()?.timestamp()),
        _ => {}
    }
    let exact = text.parse::<Timestamp>().ok();
    exact.or_else(|| civil(text, now)).or_else(|| ago(text, now))
}

/// A date, or a date and a time, in the reader's time zone.
fn civil(text: &str, now: &Zoned) -> Option<Timestamp> {
    let civil = match text.parse::<Date>() {
        Ok(date) if text.len() <= 10 => date.at(0, 0, 0, 0),
        _ => text.parse::<DateTime>().ok()?,
    };
    Some(civil.to_zoned(now.time_zone().clone()).ok()?.timestamp())
}

/// "2h", "1 day 4 hours ago".
fn ago(text: &str, now: &Zoned) -> Option<Timestamp> {
    let span: Span = text.strip_suffix("ago").unwrap_or(text).trim().parse().ok()?;
    Some(now.checked_sub(span.abs()).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> String {
        let now: Zoned = "2026-11-22T14:05:09[Europe/Berlin]"
            .parse()
            .unwrap_or_else(|_| "2026-11-22T14:05:09+01:00[+01:00]".parse().unwrap());
        match parse(text, &now) {
            Ok(ns) => Timestamp::from_nanosecond(i128::from(ns)).unwrap().to_string(),
            Err(error) => error,
        }
    }

    #[test]
    fn moments_are_understood_as_people_type_them() {
        assert_eq!(at("2h"), "2026-11-22T11:05:09Z");
        assert_eq!(at("1 day ago"), "2026-11-21T13:05:09Z");
        assert_eq!(at("30min"), "2026-11-22T12:35:09Z");
        assert_eq!(at("yesterday"), "2026-11-20T23:00:00Z");
        assert_eq!(at("today"), "2026-11-21T23:00:00Z");
        assert_eq!(at("2026-11-20"), "2026-11-19T23:00:00Z");
        assert_eq!(at("2026-11-20 10:30"), "2026-11-20T09:30:00Z");
        assert_eq!(at("2026-11-20T10:30:00Z"), "2026-11-20T10:30:00Z");
    }

    #[test]
    fn what_is_not_a_time_is_refused_with_examples() {
        assert!(at("soon").contains("try \"2h\""));
        assert!(at("").contains("is not a time"));
    }
}
