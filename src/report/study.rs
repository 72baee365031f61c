//! A study for people: what to do first, each finding one sentence with its numbers,
//! then what speaks for it and what was ruled out.

use std::fmt::Write;

use jiff::tz::TimeZone;

use super::amount;
use super::escape::clean;
use super::map;
use super::paint::Paint;
use super::time;
use crate::study::{
    Began, Bug, Change, Compared, Erratum, Machine, More, Ruling, Study, Trigger, Variant, Verdict, With,
};

/// Bugs that are told without --full.
const BUGS: usize = 10;
/// Machines that are told without --full.
const MACHINES: usize = 20;
/// Characters of a build that are told.
const BUILD: usize = 12;
/// P of the place within a machine from which on only that place is tested.
const SURE: f64 = 0.95;
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
    changed(&mut out, study, paint, &day);
    machines(&mut out, study, full, paint, &day);
    rulings(&mut out, study, paint, &day);
    let picture = map::map(&study.map, &study.machines, paint);
    if !picture.is_empty() && (full || !study.machines.is_empty()) {
        let _ = write!(out, "\n{picture}");
    }
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

fn changed(out: &mut String, study: &Study, paint: Paint, day: &dyn Fn(u64) -> String) {
    if study.changed.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{}", paint.bold("What changed"));
    for changed in &study.changed {
        let (what, when) = match changed.what {
            Change::New => ("new", "since"),
            Change::Gone => ("gone", "last seen"),
        };
        let _ = writeln!(
            out,
            "  {what:4}  {}  {}  {when} {}: {}",
            clean(&changed.signature),
            clean(&changed.unit),
            day(changed.at),
            amount::of(u64::from(changed.hosts), "host")
        );
    }
}

fn machines(out: &mut String, study: &Study, full: bool, paint: Paint, day: &dyn Fn(u64) -> String) {
    let _ = writeln!(out, "\n{}", paint.bold("Machines"));
    if study.machines.is_empty() {
        let _ = writeln!(out, "  none stands out");
        return;
    }
    let most = if full { usize::MAX } else { MACHINES };
    for machine in study.machines.iter().take(most) {
        let _ = writeln!(out, "  {}", sentence(machine, paint));
        let _ = writeln!(out, "      {}", paint.dim(&support(machine)));
        if let Some(ruling) = &machine.ruling {
            let _ = writeln!(out, "      {}", said(ruling, day));
        }
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

/// What people found out of hosts that are not told above.
fn rulings(out: &mut String, study: &Study, paint: Paint, day: &dyn Fn(u64) -> String) {
    let told =
        |ruling: &&Ruling| !study.machines.iter().any(|machine| machine.ruling.as_ref() == Some(ruling));
    let mut rest = study.rulings.iter().filter(told).peekable();
    if rest.peek().is_none() {
        return;
    }
    let _ = writeln!(out, "\n{}", paint.bold("Verdicts"));
    for ruling in rest {
        let _ = writeln!(out, "  {}  {}", paint.bold(&clean(&ruling.host)), said(ruling, day));
    }
}

/// Who found out what, and what it decides.
fn said(ruling: &Ruling, day: &dyn Fn(u64) -> String) -> String {
    let whose = if ruling.confirmed { "the machine's" } else { "software's" };
    let of = ruling.signature.as_ref().map_or(String::new(), |key| format!(" of signature {}", clean(key)));
    let how = ruling.note.as_ref().map_or(String::new(), |note| format!(" ({})", clean(note)));
    let decided = crashes(u64::from(ruling.crashes));
    let verb = if ruling.crashes == 1 { "is" } else { "are" };
    let who = clean(&ruling.who);
    format!("{} on {} by {who}{how}: {decided}{of} {verb} {whose}", verdict(ruling), day(ruling.at))
}

fn verdict(ruling: &Ruling) -> &'static str {
    if ruling.confirmed { "confirmed" } else { "refuted" }
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
    let is_known = machine.ruling.as_ref().is_some_and(|ruling| ruling.confirmed);
    let p = if is_known { "confirmed".to_owned() } else { p };
    let what = if machine.verdict == Verdict::Look { "may compute wrongly" } else { "computes wrongly" };
    // P is that of the machine; where in it is less sure.
    let place = match machine.core {
        Some(place) => format!(", most likely {} ({:.2})", core(place), machine.core_posterior),
        None if machine.elsewhere > 0.5 => {
            format!(", most likely memory or what all cores share ({:.2})", machine.elsewhere)
        }
        None => String::new(),
    };
    let verdict = match machine.verdict {
        Verdict::Accuse => paint.red(what),
        Verdict::Drain => paint.yellow(what),
        Verdict::Look => what.to_owned(),
    };
    format!(
        "{host}  {verdict}, {p}{place}: {} that hardly any other host shows, {:.2} expected",
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
    let is_sure = machine.core_posterior > SURE && machine.memory_errors == (0, 0);
    if let Some(ruling) = machine.ruling.as_ref().filter(|ruling| ruling.confirmed) {
        return match ruling.since {
            0 => format!("Next: repair {host}, if nobody did: it has shown nothing of the kind since."),
            n => format!(
                "Next: drain {host}: {} since the verdict, so it was not repaired, or not of this.",
                amount::of(u64::from(n), "such signature")
            ),
        };
    }
    match machine.verdict {
        Verdict::Accuse | Verdict::Drain if !machine.held => match machine.core {
            Some(place) if is_sure => format!("Next: drain {host} {} and run a core test.", core(place)),
            Some(place) => {
                format!(
                    "Next: drain {host}; run a core test, above all of {}, and a memory test.",
                    core(place)
                )
            }
            None if machine.elsewhere > SURE => format!("Next: drain {host} and run a memory test."),
            None => format!("Next: drain {host}; run a memory test and a core test of all cores."),
        },
        _ if machine.undecidable || machine.held => format!(
            "Next: undecidable between {host} and what runs there: move the workload and see whether the crashes follow."
        ),
        _ => format!("Next: look at its crashes (`epicore list --host {host}`)."),
    }
}

/// What is missing.
fn more(needed: More) -> String {
    let few = if needed.ninety == 1 { "crash" } else { "crashes" };
    format!("if it does, {} more {few} of its own may decide it", needed.ninety)
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
    let _ = writeln!(out, "\n{}", paint.bold("Bugs: those with something to say, then by hosts"));
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
            "  {} {}  {}  {}, {}, {} to {}  {}",
            map::letter(&study.map, &bug.signature).unwrap_or(' '),
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
            let p = match &apart.ruling {
                Some(ruling) if ruling.at >= bug.last => {
                    format!("{} on {}", verdict(ruling), day(ruling.at))
                }
                _ => probability("P(machine)", apart.machine),
            };
            let _ = writeln!(
                out,
                "      {} of its crashes are another story: those of {}{place} ({p}); the rest below",
                apart.cases,
                paint.red(&clean(&apart.host)),
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
            let _ = writeln!(out, "      {}", cause(trigger, bug.compared.as_ref(), paint));
        }
        if let Some(next) = after(bug, day) {
            let _ = writeln!(out, "      {next}");
        }
        for variant in bug.variants.iter().filter(|_| full) {
            let _ = writeln!(out, "      {}", paint.dim(&form(variant)));
        }
        if !bug.variants.is_empty() && !full {
            let forms = amount::of(bug.variants.len() as u64, "other location key");
            let _ = writeln!(out, "      and {forms} of the same bug: --full");
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

/// What to do about a bug.
fn after(bug: &Bug, day: &dyn Fn(u64) -> String) -> Option<String> {
    let needs = bug.triggers.iter().find(|trigger| trigger.declared && trigger.status == "supported");
    let next = if let Some(apart) = &bug.split {
        format!("drain {} and test it, then look at the others' crashes", clean(&apart.host))
    } else if let Some(began) = &bug.rollout {
        let build: String = clean(&began.build).chars().take(BUILD).collect();
        format!("roll build {build} back, or look at what is new in it")
    } else if let Some(trigger) = needs {
        format!("reproduce it where {} is, or keep the unit away from there", clean(&trigger.what))
    } else {
        format!("look at what changed about {}", day(bug.onset.as_ref()?.at))
    };
    Some(format!("Next: {next}."))
}

/// Another location key, and why it is the same bug.
fn form(variant: &Variant) -> String {
    let frames: Vec<String> = variant.frames.iter().map(|frame| clean(frame)).collect();
    format!(
        "also {}: {:.2} like {} (mean {:.2}), by {}",
        clean(&variant.signature),
        variant.alike,
        clean(&variant.with),
        variant.mean,
        frames.join(", ")
    )
}

fn cause(trigger: &Trigger, compared: Option<&Compared>, paint: Paint) -> String {
    let (ratio, low, high) = trigger.ratio;
    let name = clean(&trigger.what);
    let name = if trigger.declared { paint.yellow(&name) } else { name };
    let number = |value: f64| if value.is_finite() { format!("{value:.1}") } else { "∞".to_owned() };
    let (ratio, high) = (number(ratio), number(high));
    let word = match (trigger.declared, trigger.status.as_str()) {
        (true, "supported") => "needs",
        (true, _) => "seen with",
        (false, _) => "perhaps",
    };
    let mut text = format!(
        "{word} {name}: {} of {} hosts, {:.1} expected; {} {ratio} [{low:.1}, {high}], q = {:.2e}",
        trigger.cases,
        trigger.of,
        trigger.expected,
        if compared.is_none_or(|compared| compared.with == With::Hours) {
            "rate ratio"
        } else {
            "odds ratio"
        },
        trigger.q
    );
    if let Some(compared) = compared {
        let _ = write!(text, "{}", versus(compared));
    }
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
        let _ = write!(text, ", {} more hosts may decide it", needed.ninety);
    }
    text
}

/// What it was compared with, where that is less than how long it ran.
fn versus(compared: &Compared) -> String {
    let of = if compared.of == "unit" { "of its unit" } else { "of the whole fleet" };
    let count = amount::count(compared.controls);
    match compared.with {
        With::Hours => String::new(),
        With::Controls => format!(", from {count} controls {of} (living processes that censuses drew)"),
        With::Crashes => format!(", compared with {count} other crashes {of}, not with what ran"),
    }
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
            core_posterior: 0.97,
            ..Machine::default()
        };
        let mut value = Study { machines: vec![machine], ..Study::default() };
        value.bugs = vec![Bug { unit: "a\nb".into(), signature: "\x1b]0;x".into(), ..Bug::default() }];
        let text = study(&value, true, Paint::Plain, &TimeZone::UTC);
        assert!(
            !text.contains('\x1b')
                && text.contains("computes wrongly, P = 0.9950, most likely core 3 (0.97)"),
            "{text}"
        );
        assert!(text.contains("drain \\x1b[2Jhost core 3"), "{text}");
    }

    #[test]
    fn a_verdict_is_told_with_who_when_and_what_it_decides() {
        let ruling = Ruling {
            host: "web-1".into(),
            confirmed: true,
            at: 1_795_356_309_000_000_000,
            who: "mia".into(),
            note: Some("memtest: DIMM A2\x1b[2J".into()),
            crashes: 5,
            since: 2,
            ..Ruling::default()
        };
        let refuted = Ruling { host: "web-2".into(), confirmed: false, crashes: 1, ..ruling.clone() };
        let known = Some(ruling.clone());
        let machine = Machine { host: "web-1".into(), posterior: 1.0, ruling: known, ..Machine::default() };
        let (machines, rulings) = (vec![machine], vec![ruling, refuted]);
        let value = Study { machines, rulings, ..Study::default() };
        let text = study(&value, false, Paint::Plain, &TimeZone::UTC);
        let by = "on 2026-11-22 by mia (memtest: DIMM A2\\x1b[2J)";
        assert!(text.contains(&format!("confirmed {by}: 5 crashes are the machine's")), "{text}");
        assert!(text.contains("2 such signatures since the verdict"), "{text}");
        assert!(text.contains(&format!("web-2  refuted {by}: 1 crash is software's")), "{text}");
        assert_eq!(text.matches("confirmed on").count(), 1, "{text}");
    }
}
