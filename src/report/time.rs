//! Moments, in the time zone that the caller chose.

use jiff::Timestamp;
use jiff::tz::TimeZone;

fn stamp(ns: u64) -> Option<Timestamp> {
    Timestamp::from_nanosecond(i128::from(ns)).ok()
}

/// "2026-11-22 14:05:09", for a table; "?" for a time that cannot be.
pub fn short(ns: Option<u64>, zone: &TimeZone) -> String {
    let zoned = ns.and_then(stamp).map(|t| t.to_zoned(zone.clone()));
    zoned.map_or_else(|| "?".to_owned(), |z| z.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// "2026-11-22 14:05:09.123 +01:00".
pub fn long(ns: u64, zone: &TimeZone) -> Option<String> {
    Some(stamp(ns)?.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S%.3f %:z").to_string())
}

/// RFC 3339 in UTC, for machines.
pub fn utc(ns: u64) -> Option<String> {
    Some(stamp(ns)?.to_string())
}
