//! What a record says of why: the instruction, the address, where control came
//! from, and the evidence for or against the machine.

use serde::{Deserialize, Serialize};

use super::schema::{Frame, Hex, Trust, is_default};

/// Why it died. docs/evidence.md has the codes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fault {
    /// One sentence, without the place.
    #[serde(rename = "why", skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Codes, each with its facts in words.
    #[serde(rename = "ev", skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<(String, String)>,
    /// Symptom key: signal, code, kinds and classes, and nothing of any address.
    #[serde(rename = "s", skip_serializing_if = "Option::is_none")]
    pub symptom: Option<Hex>,
    /// Kind of the instruction at rip.
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    pub instruction: Option<String>,
    /// What it did to the address: "read", "write", "execute".
    #[serde(rename = "dir", skip_serializing_if = "Option::is_none")]
    pub direction: Option<String>,
    /// Class of the address.
    #[serde(rename = "acc", skip_serializing_if = "Option::is_none")]
    pub access: Option<String>,
    /// Bytes that were to be accessed.
    #[serde(rename = "n", skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The base register of the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The index register.
    #[serde(rename = "idx", skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
    /// The address, computed from the operands, where the kernel gave none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addr: Option<Hex>,
    /// What rip points at, when that is no code of a module.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// How control came to a rip that is no code: "ret", "call".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The register that a call went through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// Bytes that rsp is from where it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub off: Option<i64>,
    /// The message of an abort; "…" for what is not in the files of its modules.
    #[serde(rename = "lit", skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Who sent a signal that no fault raised: "itself", "parent", "outside" (of
    /// the pid namespace), "root", "same-user", "other-user".
    #[serde(rename = "by", skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// The system call that seccomp refused.
    #[serde(rename = "sys", skip_serializing_if = "Option::is_none")]
    pub syscall: Option<u32>,
    /// The code that ran against its file.
    #[serde(rename = "cp", skip_serializing_if = "Option::is_none")]
    pub code_page: Option<CodePage>,
    /// What a signal left below rsp.
    #[serde(rename = "res", skip_serializing_if = "Option::is_none")]
    pub residue: Option<Residue>,
    /// The words around rsp.
    #[serde(rename = "win", skip_serializing_if = "is_default")]
    pub window: Window,
}

/// The code that ran against its file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CodePage {
    /// Index into `modules`; -1 none.
    #[serde(rename = "m")]
    pub module: i32,
    /// Bytes that were compared.
    #[serde(rename = "n")]
    pub compared: u64,
    /// "same", "1bit", "several", "breakpoint", "patched", "page".
    #[serde(rename = "d")]
    pub difference: String,
    /// The bit of its byte, for "1bit".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bit: Option<u32>,
    /// Offset of that byte from the module's bias.
    #[serde(rename = "o", skip_serializing_if = "Option::is_none")]
    pub offset: Option<Hex>,
}

/// What a signal left below rsp.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Residue {
    /// The signal, where its handler asked for siginfo.
    #[serde(rename = "sig", skip_serializing_if = "Option::is_none")]
    pub signal: Option<u32>,
    /// Module of what was interrupted; -1 none.
    #[serde(rename = "m")]
    pub module: i32,
    /// Its offset from the module's bias.
    #[serde(rename = "o")]
    pub offset: Hex,
    /// Start of its function, offset as above.
    #[serde(rename = "f", skip_serializing_if = "Option::is_none")]
    pub function: Option<Hex>,
    /// The stack pointer then, relative to rsp.
    pub sp: i64,
    /// How far below rsp the frame begins.
    pub below: u64,
    /// The function changes stacks.
    #[serde(rename = "sw", skip_serializing_if = "is_default")]
    pub switches: bool,
}

/// The words from 64 below rsp to the 63rd above it, by class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Window {
    /// A letter each: - not kept, 0 null, s small, c code, d module data, k
    /// stack, m mapped, n no address, ? not mapped.
    #[serde(rename = "w", skip_serializing_if = "is_default")]
    pub words: String,
    /// Of the words that are code, in their order: module, offset.
    #[serde(rename = "c", skip_serializing_if = "Vec::is_empty")]
    pub code: Vec<(i32, Hex)>,
    /// Of the words that are stack, in their order: words from rsp.
    #[serde(rename = "k", skip_serializing_if = "Vec::is_empty")]
    pub stack: Vec<i64>,
}

impl Residue {
    /// What was interrupted, as a frame.
    pub fn frame(&self) -> Frame {
        Frame {
            module: u32::try_from(self.module).ok(),
            offset: self.offset,
            function: self.function,
            trust: Trust::Context,
            kind: None,
        }
    }
}

impl Fault {
    /// Every index into `modules`.
    pub(super) fn modules(&mut self) -> impl Iterator<Item = &mut i32> {
        let page = self.code_page.iter_mut().map(|page| &mut page.module);
        let residue = self.residue.iter_mut().map(|residue| &mut residue.module);
        page.chain(residue).chain(self.window.code.iter_mut().map(|(module, _)| module))
    }
}
