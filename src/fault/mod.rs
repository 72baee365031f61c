//! Why it died, and could it have been the machine?
//!
//! It needs from you: what the kernel said of the signal, the crashing
//! thread's registers, every mapping of the core, the kept memory, the
//! modules and the walk of the thread. It gives you: [`judge`], what the
//! instruction at rip wanted, what kind of address it met, where control came
//! from, and *evidence*: named codes, each with its facts, that are rare in
//! one world (software, hardware) and common in the other. docs/evidence.md
//! has a section on each. It is not for: adding them up; one crash proves
//! little, and the fleet's statistics weigh them.
//!
//! ```text
//! instruction   bytes at rip ─► what is read, written, jumped to, and where
//! space         which mapping, with which permission; guard pages; neighbours
//! access        the address against both: one class
//! bit_flip      the same address with one bit the other way
//! impossible    what a working CPU does not do
//! control       a jump to nowhere: a return or a call, and the stack pointer
//! code_page     the code that ran against the code of the file
//! abort         why a program ended itself
//! message       what its message says that its files say, too
//! sender        who sent a signal that no fault raised
//! residue       what a signal left below the stack pointer
//! window        what lies around the stack pointer, by class
//! cause         one sentence, and the key of symptoms
//! ```
//!
//! Trusts: nothing. Every loop has a named limit; what is not kept is not
//! judged. No value of memory leaves this room: classes, offsets in modules,
//! distances, bit numbers.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )
)]

mod aarch64;
mod abort;
mod access;
mod bit_flip;
mod cause;
mod code_page;
mod control;
mod evidence;
mod impossible;
mod instruction;
mod message;
mod residue;
mod scene;
mod sender;
mod space;
mod window;
mod x86_64;

pub use abort::Abort;
pub use access::{Access, operand};
pub use code_page::{CodePage, Difference, differ};
pub use control::{Control, IpClass, Origin};
pub use evidence::{Code, Evidence};
pub use instruction::{Direction, Instruction, Kind, Operand};
pub use residue::Residue;
pub use scene::Scene;
pub use sender::{Receiver, Sender};
pub use space::Space;
pub use window::Class as WordClass;

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// The instruction at rip, where its bytes are known.
    pub instruction: Option<Instruction>,
    /// The address that could not be accessed: the kernel's, else computed
    /// from the operands.
    pub address: Option<crate::address::Addr>,
    /// What was wanted of it.
    pub direction: Option<Direction>,
    /// What kind of address that is.
    pub access: Option<Access>,
    /// One bit from a good address.
    flip: Option<bit_flip::Flip>,
    /// Where rip is, and how it came there.
    pub control: Control,
    /// Why it ended itself.
    pub abort: Option<Abort>,
    /// The text of an abort, without what is in no file.
    pub template: Option<String>,
    /// Who sent the signal.
    pub sender: Option<Sender>,
    /// The number of the system call that seccomp refused.
    pub syscall: Option<u32>,
    /// The code around rip against its file.
    pub code_page: Option<CodePage>,
    /// A register that its definition contradicts.
    contradiction: Option<x86_64::Contradiction>,
    /// What a signal left behind.
    pub residue: Option<Residue>,
    /// The words from 64 below rsp to the 63rd above.
    pub window: Vec<WordClass>,
    /// Everything that speaks for or against the machine.
    pub evidence: Vec<Evidence>,
    /// One sentence, without a place.
    pub cause: Option<String>,
    /// Symptoms in one line; its hash is the symptom key.
    pub symptoms: String,
}

/// Looks at one crash.
pub fn judge(scene: &mut Scene<'_>) -> Findings {
    let mut findings = Findings { instruction: scene.instruction(), ..Findings::default() };
    findings.code_page = code_page::check(scene);
    findings.abort = abort::look(scene);
    findings.template = findings.abort.and_then(|abort| abort::template(scene, abort));
    findings.sender = sender::look(scene);
    findings.syscall = scene.refused_call();
    findings.control = control::look(scene, findings.instruction.as_ref(), findings.abort);
    findings.address = access::address(scene, findings.instruction.as_ref());
    findings.direction = findings.address.map(|address| access::direction(scene, &findings, address));
    findings.access = access::classify(scene, &findings);
    findings.flip = bit_flip::telling(scene, &findings);
    findings.contradiction = impossible::contradiction(scene, &findings);
    findings.residue = residue::find(scene);
    findings.window = window::around(scene);
    findings.evidence = evidence::gather(scene, &findings);
    findings.cause = cause::sentence(scene, &findings);
    findings.symptoms = cause::symptoms(scene, &findings);
    findings
}
