//! Numbers on their way into SQLite's signed 64 bits and back.
//!
//! Keys and addresses keep their bits (a key above 2⁶³ is a negative integer);
//! times and amounts are clamped, so that they keep their order.

/// Nanoseconds of an hour: the resolution of every roll-up.
pub(super) const HOUR_NS: i64 = 3_600_000_000_000;

/// The bits of a key.
pub(super) fn key(value: u64) -> i64 {
    value.cast_signed()
}

/// The key of the bits.
pub(super) fn unkey(value: i64) -> u64 {
    value.cast_unsigned()
}

/// A time or an amount; beyond the year 2262 it is 2262.
pub(super) fn clamp(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// An amount that cannot be negative.
pub(super) fn amount(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// The hour of a moment.
pub(super) fn hour(ns: i64) -> i64 {
    ns.div_euclid(HOUR_NS)
}
