//! Why it died, as far as one record tells: the cause, and what speaks for or
//! against the machine.

use super::escape::clean;
use super::facts::Fact;
use super::frames::base;
use super::names::Names;
use crate::record::{Record, Residue};

/// The lines of the page's head.
pub(super) fn facts(record: &Record, names: &Names, full: bool) -> Vec<Fact> {
    let fault = &record.fault;
    let mut facts: Vec<Fact> = Vec::new();
    let text = fault.text.as_deref().map_or(String::new(), |text| format!(": {}", clean(text)));
    facts.extend(fault.cause.as_deref().map(|cause| ("cause", format!("{}{text}", clean(cause)))));
    let evidence = fault.evidence.iter().map(|(code, what)| format!("{}: {}", clean(code), clean(what)));
    facts.extend(evidence.enumerate().map(|(index, line)| (if index == 0 { "evidence" } else { "" }, line)));
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
        facts.push(("stack window", format!("below rsp {}", clean(below))));
        facts.push(("", format!("from rsp  {}", clean(above))));
    }
    facts.extend(fault.symptom.map(|key| ("symptoms", format!("{:016x}", key.0))));
    facts
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
