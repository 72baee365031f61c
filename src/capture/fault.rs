//! What the room `fault` found, as the record says it.

use super::evidence::Evidence;
use crate::fault::{self, Difference, Findings, IpClass, Origin, Receiver, Scene, Space, WordClass};
use crate::record::{CodePage, Fault, Hex, Residue, Window, symptom_key};
use crate::unwind::{Cache, Ground, Stacks};

/// Looks at the crash; `place` is where the record names a module, by its index
/// among `evidence.modules`.
pub(super) fn of(
    evidence: &Evidence,
    names: Vec<Vec<u8>>,
    callers: Vec<usize>,
    stacks: &Stacks,
    cache: &mut Cache,
    place: impl Fn(usize) -> Option<u32>,
) -> Fault {
    let Some(thread) = evidence.head.threads.first() else { return Fault::default() };
    let head = &evidence.head;
    let mut scene = Scene {
        siginfo: head.siginfo,
        receiver: receiver(evidence),
        live: evidence.facts.is_some(),
        registers: &thread.registers,
        threads: head.threads.len(),
        names,
        callers,
        message: evidence.message.as_deref(),
        space: Space::new(head),
        image: &evidence.image,
        modules: &evidence.modules,
        ground: Ground::new(&evidence.image, &evidence.modules, stacks, cache),
    };
    let findings = fault::judge(&mut scene);
    let index = |module: Option<usize>| {
        module.and_then(&place).and_then(|place| i32::try_from(place).ok()).unwrap_or(-1)
    };
    told(evidence, &findings, index)
}

fn receiver(evidence: &Evidence) -> Receiver {
    let status = evidence.facts.as_ref().map(|facts| &facts.status);
    let note = evidence.head.prpsinfo.as_ref();
    // The note has what its own namespaces call them, as the siginfo does.
    Receiver {
        pid: status.and_then(|status| status.namespace_pid).or(note.map(|note| note.pid)),
        parent: note.map(|note| note.ppid).or(status.and_then(|status| status.ppid)),
        uid: note.map(|note| note.uid).or(status.and_then(|status| status.uid).map(|(real, _)| real)),
    }
}

fn told(evidence: &Evidence, findings: &Findings, index: impl Fn(Option<usize>) -> i32) -> Fault {
    let instruction = findings.instruction.as_ref();
    let address = findings.address;
    let operand = address.and_then(|address| fault::operand(findings, address));
    let control = &findings.control;
    let (from, via) = match control.origin {
        Origin::Unknown => (None, None),
        Origin::Return => (Some("ret"), None),
        Origin::Call(register) => (Some("call"), register),
    };
    let own = |text: &str| text.to_owned();
    let linked = |module: Option<usize>, at: crate::address::Addr| {
        Hex(module.and_then(|index| evidence.modules.get(index)).map_or(at.0, |module| module.linked(at)))
    };
    let untold = !matches!(evidence.head.siginfo.map(|s| s.origin), Some(crate::elfcore::Origin::Fault(_)));
    Fault {
        cause: findings.cause.clone(),
        evidence: findings.evidence.iter().map(|e| (own(e.code.name()), e.what.clone())).collect(),
        symptom: Some(symptom_key(&findings.symptoms)),
        instruction: instruction.map(|instruction| own(instruction.kind.name())),
        direction: findings.direction.map(|direction| own(direction.name())),
        access: findings.access.map(|access| own(access.name())),
        size: operand.map(|operand| operand.size),
        base: operand.and_then(|operand| operand.base).map(own),
        index: operand.and_then(|operand| operand.index).map(own),
        addr: address.filter(|_| untold).map(|address| Hex(address.0)),
        ip: Some(own(control.ip.name())).filter(|_| control.ip != IpClass::Code),
        from: from.map(own),
        via: via.map(own),
        off: control.off,
        text: findings.template.clone(),
        sender: findings.sender.map(|sender| own(sender.name())),
        syscall: findings.syscall,
        code_page: findings.code_page.map(|page| {
            let (bit, offset) = match page.difference {
                Difference::OneBit { bit, at } => (Some(bit), Some(Hex(at))),
                _ => (None, None),
            };
            CodePage {
                module: index(Some(page.module)),
                compared: page.compared,
                difference: own(page.difference.name()),
                bit,
                offset,
            }
        }),
        residue: findings.residue.as_ref().map(|residue| Residue {
            signal: residue.signal,
            module: index(residue.module),
            offset: linked(residue.module, residue.ip),
            function: residue.function.map(|function| linked(residue.module, function)),
            sp: residue.sp,
            below: residue.below,
            switches: residue.switches,
        }),
        window: window(&findings.window, index),
    }
}

fn window(words: &[WordClass], index: impl Fn(Option<usize>) -> i32) -> Window {
    let mut window = Window::default();
    for class in words {
        window.words.push(class.letter());
        match class {
            WordClass::Code(module, offset) => window.code.push((index(Some(*module)), Hex(*offset))),
            WordClass::Stack(delta) => window.stack.push(delta.div_euclid(8)),
            _ => {}
        }
    }
    window
}
