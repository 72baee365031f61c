//! One sentence in plain words, and the line of symptoms.
//!
//! The sentence says what the instruction did to which kind of address, and
//! names the one thing that explains it best. It has no place in it: whoever
//! shows it knows the frame. The symptoms are what the fleet groups by beside
//! the place: no address, no register, no module.

use super::access::{self, Access};
use super::bit_flip::Flip;
use super::control::{IpClass, Origin};
use super::evidence::Code;
use super::instruction::{Direction, Division, Kind};
use super::scene::Scene;
use super::sender::Sender;
use super::{Abort, Difference, Findings};
use crate::elfcore::SI_KERNEL;
use crate::elfcore::signal::{SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};

/// The sentence; None when the signal says it all.
pub(super) fn sentence(scene: &Scene<'_>, findings: &Findings) -> Option<String> {
    let difference = findings.code_page.as_ref().map(|page| page.difference);
    if matches!(difference, Some(Difference::OneBit { .. })) {
        return Some("one bit of the code that ran differs from its file".to_owned());
    }
    if let Some(residue) = findings.residue.as_ref().filter(|residue| residue.switches)
        && findings.control.ip.is_nowhere()
    {
        return Some(format!(
            "{} interrupted a change of stacks, which then went on with overwritten registers: jump to {}",
            residue.who(),
            nowhere(findings.control.ip)
        ));
    }
    if let Some(contradiction) = findings.contradiction {
        return Some(format!(
            "{} differs in {} from what the instruction before gave it",
            contradiction.register,
            contradiction.how()
        ));
    }
    let impossible = findings.evidence.iter().find(|evidence| {
        matches!(
            evidence.code,
            Code::AddressNotOperand | Code::NoDivision | Code::DivisionFine | Code::ValidIllegal
        )
    });
    if let Some(impossible) = impossible {
        return Some(match impossible.code {
            Code::AddressNotOperand => {
                format!(
                    "the fault is at an address that the instruction does not access ({})",
                    impossible.what
                )
            }
            Code::NoDivision => "a division error of an instruction that does not divide".to_owned(),
            Code::DivisionFine => "a division error of a division that works".to_owned(),
            _ => "an illegal instruction that the processor has".to_owned(),
        });
    }
    if let Some(to) = findings.control.to {
        return Some(jump(findings, to));
    }
    if let Some(abort) = findings.abort {
        if let Some(off) = findings.control.off {
            return Some(format!(
                "the stack protector read another slot than its own: the stack pointer is {off:+} bytes off"
            ));
        }
        let itself = abort == Abort::Sent && findings.sender == Some(Sender::Itself);
        return Some(if itself { "the process sent SIGABRT to itself" } else { abort.words() }.to_owned());
    }
    match scene.signal() {
        SIGSEGV | SIGBUS if !scene.was_sent() => memory(scene, findings),
        SIGFPE if !scene.was_sent() => Some(division(findings)),
        SIGILL if !scene.was_sent() => illegal(findings),
        SIGTRAP if !scene.was_sent() => {
            Some("a breakpoint, or a check that the compiler put there".to_owned())
        }
        SIGSYS if !scene.was_sent() => {
            let number = findings.syscall.map_or(String::new(), |number| format!(": number {number}"));
            Some(format!("a system call that seccomp forbids{number}"))
        }
        _ => findings.sender.map(|sender| format!("{} sent the signal", sender.words())),
    }
}

fn nowhere(ip: IpClass) -> &'static str {
    match ip {
        IpClass::Null => "NULL",
        IpClass::NonCanonical => "what is no address",
        IpClass::Stack => "the stack, which is not executable",
        IpClass::Data => "data, which is not executable",
        _ => "memory that is not mapped",
    }
}

fn jump(findings: &Findings, to: IpClass) -> String {
    let to = nowhere(to);
    match (findings.control.origin, findings.control.off) {
        (Origin::Return, Some(off)) => {
            format!("return to {to}: the stack pointer is {off:+} bytes from the return address")
        }
        (Origin::Return, None) if findings.control.misaligned => {
            format!("return to {to}: the stack pointer is no multiple of 16, the return address is elsewhere")
        }
        (Origin::Return, None) => format!("return to {to}: the return address was overwritten"),
        (Origin::Call(Some(register)), _) => format!("call of a bad function pointer, in {register}: {to}"),
        (Origin::Call(None), _) => format!("call of a bad function pointer, in memory: {to}"),
        (Origin::Unknown, _) => format!("jump to {to}"),
    }
}

fn division(findings: &Findings) -> String {
    match findings.instruction.as_ref().and_then(|instruction| instruction.division) {
        Some(Division::ByZero) => "integer division by zero".to_owned(),
        Some(Division::Overflow) => "integer division whose quotient does not fit".to_owned(),
        _ => "an arithmetic exception".to_owned(),
    }
}

fn illegal(findings: &Findings) -> Option<String> {
    Some(match findings.instruction.as_ref()?.kind {
        Kind::Trap => "a trap instruction: the compiler's mark of what must not be reached".to_owned(),
        Kind::Invalid => "no instruction at all: data was executed".to_owned(),
        _ => "an instruction that this processor does not have".to_owned(),
    })
}

fn memory(scene: &Scene<'_>, findings: &Findings) -> Option<String> {
    if findings.instruction.as_ref().is_some_and(|i| i.kind == Kind::Privileged) && scene.code() == SI_KERNEL
    {
        return Some("an instruction that only the kernel may execute".to_owned());
    }
    let address = findings.address?;
    let verb = findings.direction?.name();
    let pointer = access::operand(findings, address)
        .and_then(|operand| operand.base.or(operand.index))
        .map_or(String::new(), |register| format!(" in {register}"));
    if let Some(flip) = &findings.flip {
        return Some(flipped(verb, flip));
    }
    Some(match findings.access? {
        Access::Poisoned => format!("{verb} of memory that is broken"),
        Access::Null(0) => format!("{verb} through a null pointer{pointer}"),
        Access::Null(offset) => format!("{verb} through a null pointer{pointer}, at offset {offset:#x}"),
        Access::StackOverflow => format!("stack overflow: {verb} below the end of the stack"),
        Access::Guard => format!("{verb} of a guard page{pointer}"),
        Access::FreeLink => {
            format!("{verb} through a link of glibc's list of freed blocks{pointer}: freed memory was used")
        }
        Access::Filler(byte) => {
            format!("{verb} through a pointer of {byte:#04x} bytes{pointer}: freed or never set memory")
        }
        Access::Text => {
            format!("{verb} through a pointer that is text{pointer}: a buffer was written over it")
        }
        Access::NonCanonical => format!("{verb} through a pointer that is no address{pointer}"),
        Access::NotPermitted => format!("{verb} of memory that does not permit it{pointer}"),
        Access::PastFile => format!("{verb} behind the end of a mapped file{pointer}"),
        Access::Misaligned => format!("misaligned {verb}{pointer}"),
        Access::Key => format!("{verb} that a protection key forbids{pointer}"),
        Access::Behind(bytes) => format!("{verb} {bytes} bytes behind a mapping: it was run over{pointer}"),
        Access::Wild => format!("{verb} through a wild pointer{pointer}"),
        Access::Permitted => format!("{verb} of memory that permits it{pointer}"),
    })
}

fn flipped(verb: &str, flip: &Flip) -> String {
    let of = flip.register.unwrap_or("the address");
    let good = if flip.null { "NULL" } else { "a mapped one" };
    format!("{verb} through a pointer one bit away from {good} (bit {} of {of})", flip.bit)
}

/// Symptoms: signal, code, kinds and classes, in one line.
pub(super) fn symptoms(scene: &Scene<'_>, findings: &Findings) -> String {
    let kind = findings.instruction.as_ref().map_or("?", |instruction| instruction.kind.name());
    let access =
        findings.abort.map(|abort| abort.name()).or(findings.access.map(Access::name)).unwrap_or("-");
    let direction = findings.direction.map_or("-", Direction::name);
    let null = match findings.access {
        Some(Access::Null(offset)) if offset.unsigned_abs() < 4096 => "near",
        Some(Access::Null(_)) => "far",
        _ => "-",
    };
    let origin = match findings.control.origin {
        Origin::Unknown => "-",
        Origin::Return => "ret",
        Origin::Call(_) => "call",
    };
    let off = match (findings.control.off, findings.control.misaligned) {
        (Some(off), _) => format!("{off:+}"),
        (None, true) => "?".to_owned(),
        (None, false) => "-".to_owned(),
    };
    let codes: Vec<&str> = findings.evidence.iter().map(|evidence| evidence.code.name()).collect();
    format!(
        "{}/{} {kind} {direction} {access} {null} {} {origin} {off} {} {}",
        scene.signal(),
        scene.code(),
        findings.control.ip.name(),
        scene.sp().0 & 0xf,
        codes.join(",")
    )
}
