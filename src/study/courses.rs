//! What ran when in the whole fleet: process-hours by unit and build, day by day.
//!
//! Each moment of a boot counts once. Unlike a host's exposure this has no holes:
//! between two censuses of a boot the host was up, and what the later one saw is
//! taken as what ran; behind a host's last one the same, for [`TAIL`] at most. A
//! day of which censuses are late would else look like a day with few processes, and
//! its crashes like a new bug.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::names::named;
use crate::epidemiology::population::{Course, Run, UNKNOWN};
use crate::record::coverage;

const HOUR_MS: f64 = 3.6e6;

/// Hours behind a host's last census in which it is taken to run on: censuses come
/// once a day and may fail once.
const TAIL: f64 = 48.0;
/// Days of all courses together: 32 MiB. Builds behind that are of no name.
const MOST_DAYS: usize = 1 << 22;
/// Times what is usual that a host may run of a unit.
const MANY: f64 = 20.0;
/// Units and builds of one host, at most; what more builds it tells of have no name, and
/// beyond twice as many it is not heard. Else one host's inventions were the budget above.
const PAIRS: usize = 2048;
/// Days of a course: ten years.
const LONGEST: usize = 3660;

/// One census: its span of the boot, and what ran.
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) span: coverage::Span,
    /// Of the report, for one order of what is told twice.
    pub(super) id: u64,
    /// Hours since the beginning of the window at the span's end.
    pub(super) ends: f64,
    /// Of the window, and not of the time before it.
    pub(super) counts: bool,
    pub(super) running: Vec<(u32, u32, u32)>,
}

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
        // Also where one is no number.
        if low.partial_cmp(&high) != Some(Ordering::Less) {
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

/// A host's hours, and process-hours by unit and build.
type Ran = (f64, BTreeMap<(u32, u32), f64>);

/// Hours of each host, and process-hours of what ran there; the same day by day.
pub(super) fn exposures(
    spans: HashMap<(u32, u32), Vec<Report>>,
    (hosts, boots): (&[String], &[String]),
    courses: &mut Courses,
) -> (HashMap<u32, (f64, Vec<Run>)>, u64) {
    let most = believable(&spans);
    let mut capped: HashSet<u32> = HashSet::new();
    let mut pairs: HashMap<u32, HashSet<(u32, u32)>> = HashMap::new();
    let mut all: HashMap<u32, Ran> = HashMap::new();
    let mut last: HashMap<u32, f64> = HashMap::new();
    for ((host, _), report) in spans.iter().flat_map(|(key, own)| own.iter().map(move |one| (key, one))) {
        let last = last.entry(*host).or_insert(report.ends);
        *last = last.max(report.ends);
    }
    // By name: hours are then added in one order, whatever was read first.
    let name = |names: &[String], number: u32| named(names, number).map(str::to_owned);
    let mut spans: Vec<((u32, u32), Vec<Report>)> = spans.into_iter().collect();
    spans.sort_by_cached_key(|((host, boot), _)| (name(hosts, *host), name(boots, *boot)));
    for ((host, _), mut reports) in spans {
        reports.sort_by_key(|report| (report.span, report.id));
        let entry = all.entry(host).or_default();
        let (mut counted, mut until) = (i64::MIN, f64::NEG_INFINITY);
        for report in reports {
            let (low, high) = (report.span.0.max(counted), report.span.1);
            if low >= high {
                continue;
            }
            counted = high;
            let hours = high.saturating_sub(low) as f64 / HOUR_MS;
            // From where the one before ended; and on, where none comes behind it.
            let from = if until.is_finite() { until } else { report.ends - hours };
            let is_last = last.get(&host).is_some_and(|last| report.ends >= *last);
            let to = if is_last { report.ends + TAIL } else { report.ends };
            until = report.ends;
            entry.0 += if report.counts { hours } else { 0.0 };
            let told = of_units(&report.running);
            for (unit, build, processes) in report.running {
                let (told, most) = (told.get(&unit).copied().unwrap_or(0.0), most.get(&unit).copied());
                let most = most.unwrap_or(f64::INFINITY);
                if told > most {
                    capped.insert(host);
                }
                let processes = f64::from(processes) * (most / told.max(1e-9)).min(1.0);
                let own = pairs.entry(host).or_default();
                let build = match own.len() {
                    length if length < PAIRS || own.contains(&(unit, build)) => build,
                    length if length < 2 * PAIRS => UNKNOWN,
                    _ => continue,
                };
                own.insert((unit, build));
                courses.add(unit, build, (from, to), processes);
                if report.counts {
                    *entry.1.entry((unit, build)).or_insert(0.0) += hours * processes;
                }
            }
        }
    }
    let runs = |runs: BTreeMap<(u32, u32), f64>| {
        runs.into_iter().map(|((unit, build), hours)| Run { unit, build, hours }).collect()
    };
    let all = all.into_iter().map(|(host, (hours, ran))| (host, (hours, runs(ran)))).collect();
    (all, capped.len() as u64)
}

/// Processes of each unit, its builds together.
fn of_units(running: &[(u32, u32, u32)]) -> HashMap<u32, f64> {
    let mut units: HashMap<u32, f64> = HashMap::new();
    for (unit, _, processes) in running {
        *units.entry(*unit).or_insert(0.0) += f64::from(*processes);
    }
    units
}

/// Processes of each unit that one host can have: [`MANY`] times as many as usual. A
/// damaged count, a fork bomb or a lie of one host would else be the fleet's exposure.
fn believable(spans: &HashMap<(u32, u32), Vec<Report>>) -> HashMap<u32, f64> {
    let mut means: HashMap<(u32, u32), (f64, f64)> = HashMap::new();
    for ((host, _), reports) in spans {
        for (unit, told) in reports.iter().flat_map(|report| of_units(&report.running)) {
            let (sum, count) = means.entry((unit, *host)).or_insert((0.0, 0.0));
            *sum += told;
            *count += 1.0;
        }
    }
    let mut by_unit: HashMap<u32, Vec<f64>> = HashMap::new();
    for ((unit, _), (sum, count)) in means {
        by_unit.entry(unit).or_default().push(sum / count);
    }
    let most = |(unit, mut means): (u32, Vec<f64>)| {
        means.sort_by(f64::total_cmp);
        // The lower one of two: there is nobody else to say who is right.
        let middle = means.len().saturating_sub(1) / 2;
        (unit, MANY * means.get(middle).copied().unwrap_or(1.0).max(1.0))
    };
    by_unit.into_iter().map(most).collect()
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
