//! A study for people: what to do first, each finding one sentence with its numbers,
//! then what speaks for it and what was ruled out.

use std::fmt::Write;

use jiff::tz::TimeZone;

use super::amount;
use super::escape::clean;
use super::paint::Paint;
use super::time;
use crate::study::{Began, Bug, Erratum, Machine, More, Study, Trigger, Verdict};

/// Bugs that are told without --full.
const BUGS: usize = 10;
/// Machines that are told without --full.
const MACHINES: usize = 20;
/// Characters of a build that are told.
const BUILD: usize = 12;
/// Steps of a sparkline.
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// All of it.
pub fn study(study: &Study, full: bool, paint: Paint, zone: &TimeZone) -> String {
    let mut out = String::new();
    let day = |ns: u64| time::long(ns, zone).map_or(String::new(), |text| text.chars().take(10).collect());
    let _ = writeln!(
        out,
        "{} of {} on {} ({}), {} to {}",
        crashes(study.crashes),
        amount::of(study.signatures, "signature"),
        amount::of(study.hosts, "host"),
        amount::of(study.episodes, "restart chain"),
        day(study.since),
        day(study.until)
    );
    machines(&mut out, study, full, paint);
    errata(&mut out, &study.errata, paint);
    bugs(&mut out, study, full, paint, &day);
    if !study.limits.is_empty() {
        let _ = writeln!(out, "\n{}", paint.bold("What cannot be concluded"));
        for limit in &study.limits {
            let _ = writeln!(out, "  {}", clean(limit));
        }
    }
    out
}

fn machines(out: &mut String, study: &Study, full: bool, paint: Paint) {
    let _ = writeln!(out, "\n{}", paint.bold("Machines"));
    if study.machines.is_empty() {
        let _ = writeln!(out, "  none stands out");
        return;
    }
    let most = if full { usize::MAX } else { MACHINES };
    for machine in study.machines.iter().take(most) {
        let _ = writeln!(out, "  {}", sentence(machine, paint));
        let _ = writeln!(out, "      {}", paint.dim(&support(machine)));
        let missing = machine.needed.map_or(String::new(), |needed| format!(" Or wait: {}.", more(needed)));
        let _ = writeln!(out, "      {}{missing}", next(machine));
    }
    let hidden = study.machines.len().saturating_sub(most);
    if hidden > 0 {
        let _ = writeln!(out, "  … {hidden} more: --full");
    }
    let accused = study.machines.iter().filter(|machine| machine.verdict == Verdict::Accuse).count();
    if accused > 0 {
        let _ = writeln!(
            out,
            "  {} accused, of which {:.2} are expected to be innocent",
            amount::of(accused as u64, "host"),
            study.declared_fdr * accused as f64
        );
    }
}

/// Probabilities near 1 in a form that tells them apart.
fn probability(name: &str, p: f64) -> String {
    match p {
        p if p > 0.9999 => format!("{name} > 0.9999"),
        p if p > 0.99 => format!("{name} = {p:.4}"),
        p => format!("{name} = {p:.2}"),
    }
}

fn crashes(count: u64) -> String {
    format!("{} {}", amount::count(count), if count == 1 { "crash" } else { "crashes" })
}

fn core(core: (u32, u32)) -> String {
    if core.1 == 0 { format!("core {}", core.0) } else { format!("core {} of package {}", core.0, core.1) }
}

fn sentence(machine: &Machine, paint: Paint) -> String {
    let host = paint.bold(&clean(&machine.host));
    let p = probability("P", machine.posterior);
    let what = match (machine.core, machine.verdict) {
        (Some(place), _) => format!("{} computes wrongly", core(place)),
        (None, _) if machine.elsewhere > 0.5 => {
            "memory, or something that all cores share, is bad".to_owned()
        }
        (None, _) => "it computes wrongly".to_owned(),
    };
    let verdict = match machine.verdict {
        Verdict::Accuse => paint.red(&what),
        Verdict::Drain => paint.yellow(&what),
        Verdict::Look => what,
    };
    format!(
        "{host}  {verdict}, {p}: {} that hardly any other host shows, {:.2} expected",
        amount::of(u64::from(machine.signatures), "signature"),
        machine.expected
    )
}

fn support(machine: &Machine) -> String {
    let mut parts = Vec::new();
    let (on, of) = machine.on_core;
    if let Some(place) = machine.core.filter(|_| of > 0) {
        parts.push(format!("{on} of {of} unpinned crashes on {}", core(place)));
    }
    if !machine.evidence.is_empty() {
        let codes: Vec<String> =
            machine.evidence.iter().take(4).map(|(code, count)| format!("{count} × {code}")).collect();
        parts.push(codes.join(", "));
    }
    if machine.memory_errors != (0, 0) {
        parts.push(format!(
            "memory errors: {} corrected, {} not",
            machine.memory_errors.0, machine.memory_errors.1
        ));
    }
    let (usual, spray, own) = machine.against;
    let times = |ln: f64| {
        let log10 = ln / std::f64::consts::LN_10;
        if log10 > 1.0 { format!("10^{log10:.0}") } else { format!("{:.1}", ln.exp()) }
    };
    parts.push(format!(
        "{} times as likely as of an ordinary host, {} as of one rogue write, {} as of odd software",
        times(usual),
        times(spray),
        times(own)
    ));
    parts.join("; ")
}

fn next(machine: &Machine) -> String {
    let host = clean(&machine.host);
    let test = machine.core.map_or(String::new(), |place| format!(" {}", core(place)));
    match machine.verdict {
        Verdict::Accuse | Verdict::Drain if machine.core.is_none() && machine.elsewhere > 0.5 => {
            format!("Next: drain {host} and run a memory test.")
        }
        Verdict::Accuse | Verdict::Drain if !machine.held => {
            format!("Next: drain {host}{test} and run a core test.")
        }
        _ if machine.undecidable || machine.held => format!(
            "Next: undecidable between {host} and what runs there: move the workload and see whether the crashes follow."
        ),
        _ => format!("Next: look at its crashes (`epicore list --host {host}`)."),
    }
}

/// What is missing.
fn more(needed: More) -> String {
    let few = if needed.median == 1 { "crash" } else { "crashes" };
    format!("about {} more {few} would decide it (9 of 10 times: {})", needed.median, needed.ninety)
}

fn errata(out: &mut String, errata: &[Erratum], paint: Paint) {
    if errata.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{}", paint.bold("Kinds of machines"));
    for erratum in errata {
        let what: Vec<String> =
            erratum.what.iter().map(|(name, value)| format!("{}={}", clean(name), clean(value))).collect();
        let _ = writeln!(
            out,
            "  {}: {} of {} hosts have crashes that look like hardware's, {:.1} expected",
            paint.red(&what.join(" & ")),
            erratum.cases,
            amount::count(erratum.hosts),
            erratum.expected
        );
        let _ = writeln!(out, "      Next: an erratum, not bad hosts: look for a newer microcode.");
    }
}

fn bugs(out: &mut String, study: &Study, full: bool, paint: Paint, day: &dyn Fn(u64) -> String) {
    let _ = writeln!(out, "\n{}", paint.bold("Bugs, by hosts"));
    if study.bugs.is_empty() {
        let _ = writeln!(out, "  no signature of two hosts");
        return;
    }
    // What has something to say is said first.
    let says = |bug: &Bug| {
        let told = bug.split.is_some() || bug.onset.is_some() || bug.rollout.is_some();
        told || bug.triggers.iter().any(|t| t.declared)
    };
    let mut order: Vec<&Bug> = study.bugs.iter().collect();
    order.sort_by_key(|bug| !says(bug));
    let most = if full { usize::MAX } else { BUGS };
    for bug in order.iter().take(most) {
        let _ = writeln!(
            out,
            "  {}  {}  {}, {}, {} to {}  {}",
            paint.bold(&clean(&bug.signature)),
            clean(&bug.unit),
            amount::of(u64::from(bug.hosts), "host"),
            crashes(u64::from(bug.crashes)),
            day(bug.first),
            day(bug.last),
            sparkline(&bug.days)
        );
        if let Some(apart) = &bug.split {
            let place = apart.core.map_or(String::new(), |place| format!(", {}", core(place)));
            let _ = writeln!(
                out,
                "      {} of its crashes are another story: those of {}{place} ({}); the rest below",
                apart.cases,
                paint.red(&clean(&apart.host)),
                probability("P(machine)", apart.machine)
            );
        }
        if let Some(since) = &bug.onset {
            let (ratio, low, high) = since.ratio;
            let _ = writeln!(
                out,
                "      began {} ({} to {}): {ratio:.0} times as often since [{low:.0}, {high:.0}]",
                day(since.at),
                day(since.between.0),
                day(since.between.1)
            );
        }
        if let Some(began) = &bug.rollout {
            let _ = writeln!(out, "      {}", rollout(began, paint, day));
        }
        for trigger in bug.triggers.iter().filter(|trigger| full || trigger.declared) {
            let _ = writeln!(out, "      {}", cause(trigger, paint));
        }
        if let Some(reason) = bug.no_trigger.as_ref().filter(|_| full) {
            let _ = writeln!(out, "      {}", clean(reason));
        }
    }
    let hidden = order.len().saturating_sub(most);
    if hidden > 0 {
        let _ = writeln!(out, "  … {hidden} more: --full");
    }
}

fn rollout(began: &Began, paint: Paint, day: &dyn Fn(u64) -> String) -> String {
    let (ratio, low, high) = began.ratio;
    let high = if high.is_finite() { format!("{high:.0}") } else { "∞".to_owned() };
    let ratio = if ratio.is_finite() { format!("{ratio:.0}") } else { "∞".to_owned() };
    let name: String = clean(&began.build).chars().take(BUILD).collect();
    let what = if began.began { "began with build" } else { "worse in build" };
    let newer = if began.and_newer { " and newer ones" } else { "" };
    let mut text =
        format!("{what} {}{newer} on {}, RR {ratio} [{low:.0}–{high}]", paint.yellow(&name), day(began.at));
    if began.named {
        let _ = write!(text, ": {} of {} hosts crashed in it", began.cases.0, began.cases.1);
    } else {
        text.push_str(": by time only");
    }
    text
}

fn cause(trigger: &Trigger, paint: Paint) -> String {
    let (ratio, low, high) = trigger.ratio;
    let name = clean(&trigger.what);
    let name = if trigger.declared { paint.yellow(&name) } else { name };
    let high = if high.is_finite() { format!("{high:.1}") } else { "∞".to_owned() };
    let mut text = format!(
        "needs {name}: {} of {} hosts, {:.1} expected; rate ratio {ratio:.1} [{low:.1}, {high}], q = {:.2e}",
        trigger.cases, trigger.of, trigger.expected, trigger.q
    );
    if trigger.status != "supported" {
        let _ = write!(text, "; {}", clean(&trigger.status));
    }
    if let Some(more) = trigger.more {
        let _ = write!(text, ", {more} more crashes would separate them");
    }
    if !trigger.declared {
        text.push_str("; not declared");
    }
    if let Some(needed) = trigger.needed {
        let _ = write!(text, ", {}", more(needed));
    }
    text
}

/// Crashes by day.
fn sparkline(days: &[u32]) -> String {
    let most = days.iter().copied().max().unwrap_or(0).max(1);
    let bar = |count: u32| {
        let place = (u64::from(count) * 8).div_ceil(u64::from(most));
        usize::try_from(place).ok().and_then(|place| BARS.get(place)).copied().unwrap_or('█')
    };
    days.iter().rev().take(60).rev().map(|count| bar(*count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_shows_every_crash() {
        assert_eq!(sparkline(&[0, 1, 100, 50]), " ▁█▄");
        assert_eq!(sparkline(&[]), "");
    }

    #[test]
    fn a_hostile_name_does_not_reach_the_terminal() {
        let machine = Machine {
            host: "\x1b[2Jhost".into(),
            posterior: 0.995,
            verdict: Verdict::Accuse,
            core: Some((3, 0)),
            ..Machine::default()
        };
        let mut value = Study { machines: vec![machine], ..Study::default() };
        value.bugs = vec![Bug { unit: "a\nb".into(), signature: "\x1b]0;x".into(), ..Bug::default() }];
        let text = study(&value, true, Paint::Plain, &TimeZone::UTC);
        assert!(!text.contains('\x1b') && text.contains("core 3 computes wrongly, P = 0.9950"), "{text}");
        assert!(text.contains("drain \\x1b[2Jhost core 3"), "{text}");
    }
}
