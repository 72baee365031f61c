//! Which part of a census's span nobody has counted yet, and the hours that
//! it falls into. Pure arithmetic on half-open spans of milliseconds.

/// The longest span that one census stands for: a host that slept for a month
/// weighs a day.
const LONGEST: i64 = 24 * HOUR;
/// Milliseconds of an hour.
const HOUR: i64 = 3_600_000;

/// A half-open span.
pub type Span = (i64, i64);

/// The end of the span that a census may claim.
pub fn claim((low, high): Span) -> Span {
    (low.max(high.saturating_sub(LONGEST)), high)
}

/// What of `wanted` lies in none of `counted`, which are disjoint and in order.
pub fn uncounted((low, high): Span, counted: &[Span]) -> Vec<Span> {
    let mut free = Vec::new();
    let mut from = low;
    for (start, end) in counted {
        if *start > from {
            free.push((from, high.min(*start)));
        }
        from = from.max(*end);
    }
    free.push((from, high));
    free.retain(|(low, high)| low < high);
    free
}

/// The hours since the epoch that a span of wall-clock milliseconds touches,
/// and its milliseconds in each.
pub fn hours((low, high): Span) -> impl Iterator<Item = (i64, i64)> {
    let (first, last) = (low.div_euclid(HOUR), high.saturating_sub(1).div_euclid(HOUR));
    (first..=last).filter_map(move |hour| {
        let start = hour.saturating_mul(HOUR);
        let ms = high.min(start.saturating_add(HOUR)).saturating_sub(low.max(start));
        (ms > 0).then_some((hour, ms))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_not_counted_again() {
        assert_eq!(uncounted((0, 10), &[]), [(0, 10)]);
        assert_eq!(uncounted((0, 10), &[(2, 4), (6, 8)]), [(0, 2), (4, 6), (8, 10)]);
        assert_eq!(uncounted((3, 7), &[(0, 5)]), [(5, 7)]);
        assert_eq!(uncounted((3, 7), &[(0, 4), (4, 9)]), []);
        assert_eq!(uncounted((3, 7), &[(5, 12)]), [(3, 5)]);
    }

    #[test]
    fn a_span_is_split_at_full_hours() {
        let quarter = HOUR / 4;
        let parts: Vec<_> = hours((HOUR - quarter, 2 * HOUR + quarter)).collect();
        assert_eq!(parts, [(0, quarter), (1, HOUR), (2, quarter)]);
        assert_eq!(hours((HOUR, 2 * HOUR)).collect::<Vec<_>>(), [(1, HOUR)]);
    }

    #[test]
    fn one_census_stands_for_a_day_at_most() {
        assert_eq!(claim((0, 30 * LONGEST)), (29 * LONGEST, 30 * LONGEST));
        assert_eq!(claim((5, 9)), (5, 9));
    }
}
