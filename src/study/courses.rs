//! What ran when in the whole fleet: process-hours by unit and build, day by day.
//!
//! Each moment of a boot counts once. Unlike a host's exposure this has no holes:
//! between two censuses of a boot the host was up, and what the later one saw is
//! taken as what ran; behind a host's last one the same, for [`TAIL`] at most. A
//! day of which censuses are late would else look like a day with few processes, and
//! its crashes like a new bug.

use std::collections::HashMap;

use crate::epidemiology::population::{Course, UNKNOWN};

/// Hours behind a host's last census in which it is taken to run on: censuses come
/// once a day and may fail once.
pub(super) const TAIL: f64 = 48.0;
/// Days of all courses together: 32 MiB. Builds behind that are of no name.
const MOST_DAYS: usize = 1 << 22;
/// Days of a course: ten years.
const LONGEST: usize = 3660;

/// Collects.
#[derive(Clone, Debug, Default)]
pub(super) struct Courses {
    /// Hours before the window, and the window's.
    before: f64,
    hours: f64,
    places: HashMap<(u32, u32), usize>,
    courses: Vec<Course>,
    days: usize,
}

impl Courses {
    pub(super) fn new(before: f64, hours: f64) -> Courses {
        Courses { before, hours, ..Courses::default() }
    }

    /// So many processes of a build ran from `low` to `high`, hours since the window
    /// began.
    pub(super) fn add(&mut self, unit: u32, build: u32, (low, high): (f64, f64), processes: f64) {
        let (low, high) = (low.max(-self.before) + self.before, high.min(self.hours) + self.before);
        if !(low < high) {
            return;
        }
        let full = self.days >= MOST_DAYS;
        let build = if full && !self.places.contains_key(&(unit, build)) { UNKNOWN } else { build };
        let next = self.courses.len();
        let place = *self.places.entry((unit, build)).or_insert(next);
        if place == next {
            self.courses.push(Course { unit, build, hours: Vec::new() });
        }
        let Some(course) = self.courses.get_mut(place) else { return };
        let mut from = low;
        while from < high {
            let day = whole(from / 24.0);
            let end = high.min(24.0 * (day as f64 + 1.0));
            if course.hours.len() <= day && day < LONGEST {
                self.days =
                    self.days.saturating_add(day.saturating_add(1).saturating_sub(course.hours.len()));
                course.hours.resize(day.saturating_add(1), 0.0);
            }
            if let Some(hours) = course.hours.get_mut(day) {
                *hours += (end - from) * processes;
            }
            // A sum that rounds to the same is the end too.
            from = if end > from { end } else { high };
        }
    }

    /// All of them, in the order of units and builds.
    pub(super) fn done(mut self) -> Vec<Course> {
        self.courses.sort_by_key(|course| (course.unit, course.build));
        self.courses
    }
}

/// The whole part of a number of days.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
pub(super) fn whole(days: f64) -> usize {
    days.clamp(0.0, 1e6) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_fall_into_their_days_and_what_is_outside_into_none() {
        let mut courses = Courses::new(24.0, 36.0);
        courses.add(1, 5, (-30.0, 30.0), 2.0);
        courses.add(1, 5, (30.0, 100.0), 1.0);
        courses.add(0, UNKNOWN, (f64::NAN, 1.0), 1.0);
        courses.add(0, 7, (5.0, 5.0), 1.0);
        let done = courses.done();
        let known: Vec<&Course> = done.iter().filter(|course| course.unit == 1).collect();
        assert_eq!(known.len(), 1, "{done:?}");
        assert_eq!(known[0].hours, [48.0, 48.0, 18.0]);
        assert_eq!(Courses::new(0.0, f64::INFINITY).done(), []);
    }

    #[test]
    fn a_million_builds_are_bounded_and_none_of_their_hours_is_lost() {
        let mut courses = Courses::new(0.0, 24.0 * 3660.0);
        for build in 0..2000 {
            courses.add(0, build, (24.0 * 3650.0, 24.0 * 3651.0), 1.0);
        }
        let done = courses.done();
        assert!(done.iter().map(|course| course.hours.len()).sum::<usize>() < MOST_DAYS + 2 * LONGEST);
        let sum: f64 = done.iter().flat_map(|course| &course.hours).sum();
        assert!((sum - 48_000.0).abs() < 1e-6, "{sum}");
    }
}
