//! Why it died, as far as one record tells: the cause, and what speaks for or
//! against the machine.

use super::amount;
use super::escape::clean;
use super::facts::Fact;
use super::frames::base;
use super::names::Names;
use crate::epidemiology::evidence::Counts;
use crate::record::{Record, Residue};
use crate::study::shown;

/// The lines of the page's head.
pub(super) fn facts(record: &Record, names: &Names, full: bool) -> Vec<Fact> {
    let fault = &record.fault;
    let mut facts: Vec<Fact> = Vec::new();
    let text = fault.text.as_deref().map_or(String::new(), |text| format!(": {}", clean(text)));
    facts.extend(fault.cause.as_deref().map(|cause| ("cause", format!("{}{text}", clean(cause)))));
    let evidence = fault.evidence.iter().map(|(code, what)| format!("{}: {}", clean(code), clean(what)));
    facts.extend(evidence.enumerate().map(|(index, line)| (if index == 0 { "evidence" } else { "" }, line)));
    facts.extend(machine(record));
    if let Some(residue) = fault.residue.as_ref().filter(|residue| full || residue.switches) {
        facts.push(("residue", of_residue(record, names, residue)));
    }
    if !full {
        return facts;
    }
    if let Some(page) = &fault.code_page {
        let module = module(record, page.module);
        let words = match page.difference.as_str() {
            "same" => "as in its file".to_owned(),
            "1bit" => format!("one bit differs from its file, at {:#x}", page.offset.unwrap_or_default().0),
            other => format!("differs from its file: {}", clean(other)),
        };
        facts.push(("code page", format!("{module}, {} bytes: {words}", page.compared)));
    }
    let window = &fault.window.words;
    if let (Some(below), Some(above)) = (window.get(..64), window.get(64..)) {
        let legend =
            "0 null, s small, c code, d data, k stack, m mapped, n no address, ? unmapped, - unknown";
        facts.push(("words", format!("below rsp {}", clean(below))));
        facts.push(("", format!("from rsp  {}", clean(above))));
        facts.push(("", legend.to_owned()));
    }
    facts.extend(fault.symptom.map(|key| ("symptom key", format!("{:016x}", key.0))));
    facts
}

/// What the codes say together of the machine, where they say something.
fn machine(record: &Record) -> Option<Fact> {
    if record.fault.evidence.is_empty() {
        return None;
    }
    let log10 = Counts::measured().log10(shown(record));
    let times = |log10: f64| amount::count(round(10f64.powf(log10)));
    let text = match log10 {
        more if more >= 1.0 => format!(
            "evidence {} : 1 for the machine, where one in 1,000 is bad: {}",
            times(more),
            if more > 4.0 {
                "drain the host and test it"
            } else {
                "count this host's crashes (epicore study)"
            }
        ),
        less if less <= -0.5 => format!("evidence {} : 1 for software", times(-less)),
        _ => "the evidence says nothing of it".to_owned(),
    };
    Some(("machine?", text))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn round(value: f64) -> u64 {
    let digits = 10f64.powf(value.max(1.0).log10().floor());
    ((value / digits).round() * digits).clamp(0.0, 1e15) as u64
}

fn module(record: &Record, index: i32) -> String {
    let module = usize::try_from(index).ok().and_then(|index| record.modules.get(index));
    module.and_then(|module| module.path.as_deref()).map_or("?".to_owned(), |path| clean(base(path)))
}

fn of_residue(record: &Record, names: &Names, residue: &Residue) -> String {
    let frame = residue.frame();
    let function =
        names.of(&frame).map_or(String::new(), |function| format!("{} in ", clean(&function.name)));
    let of = residue.signal.map_or("a signal".to_owned(), |signal| format!("signal {signal}"));
    format!(
        "a frame of {of} lies {} bytes below rsp: it interrupted {function}{}+{:#x}, whose rsp was {:+} from now",
        residue.below,
        module(record, residue.module),
        residue.offset.0,
        residue.sp,
    )
}
