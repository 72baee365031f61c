//! What is looked at, and the questions that every other file asks of it.

use super::instruction::{Instruction, Target};
use super::sender::Receiver;
use super::space::Space;
use super::{aarch64, x86_64};
use crate::address::Addr;
use crate::elfcore::{Machine, Origin, Registers, Segment, Siginfo};
use crate::memory::Image;
use crate::module::{CodeClass, Modules};
use crate::unwind::{Ground, Site};

/// Bytes of the longest function that is decoded from its beginning.
const FUNCTION: u64 = 64 << 10;

/// One crash.
pub struct Scene<'a> {
    /// What the kernel said.
    pub siginfo: Option<Siginfo>,
    /// Whom the signal was sent to.
    pub receiver: Receiver,
    /// The processor that it ran on is the one that this runs on.
    pub live: bool,
    /// Of the crashing thread.
    pub registers: &'a Registers,
    /// How many threads there were.
    pub threads: usize,
    /// Names of the functions of its innermost frames, where they are known.
    pub names: Vec<Vec<u8>>,
    /// The modules of its frames, each once, innermost first.
    pub callers: Vec<usize>,
    /// What the C library noted of the abort.
    pub message: Option<&'a [u8]>,
    /// Every mapping.
    pub space: Space,
    /// Memory that was kept.
    pub image: &'a Image,
    /// The loaded objects.
    pub modules: &'a Modules,
    /// For look-ups of call frame information.
    pub ground: Ground<'a>,
}

impl Scene<'_> {
    pub(super) fn machine(&self) -> Machine {
        self.modules.machine()
    }

    pub(super) fn ip(&self) -> Addr {
        self.registers.ip()
    }

    pub(super) fn sp(&self) -> Addr {
        self.registers.sp()
    }

    pub(super) fn signal(&self) -> u32 {
        self.siginfo.map_or(0, |siginfo| siginfo.signal)
    }

    pub(super) fn code(&self) -> i32 {
        self.siginfo.map_or(0, |siginfo| siginfo.code)
    }

    /// Somebody sent the signal: nothing faulted.
    pub(super) fn was_sent(&self) -> bool {
        self.siginfo.is_none_or(|siginfo| siginfo.code <= 0)
    }

    /// si_addr, where the kernel gave one.
    pub(super) fn told_address(&self) -> Option<Addr> {
        match self.siginfo?.origin {
            // A core has FAR_EL1 as it was, with the tag that was ignored.
            Origin::Fault(address) if self.machine() == Machine::Aarch64 => {
                Some(aarch64::untagged(address.0))
            }
            Origin::Fault(address) => Some(address),
            _ => None,
        }
    }

    /// The system call that seccomp refused.
    pub(super) fn refused_call(&self) -> Option<u32> {
        match self.siginfo?.origin {
            Origin::Syscall { number, .. } => Some(number),
            _ => None,
        }
    }

    /// True for what an address of this machine can be.
    pub(super) fn is_address(&self, address: Addr) -> bool {
        self.machine().is_canonical(address)
    }

    /// True when instructions can be fetched at `address`.
    pub(super) fn is_code(&self, address: Addr) -> bool {
        self.modules.code_class(address).is_code()
            && self.space.find(address).is_none_or(Segment::is_executable)
    }

    /// Where a call, jump or return at rip wanted to go.
    pub(super) fn target(&self, instruction: &Instruction) -> Option<Addr> {
        match instruction.target {
            Target::None => None,
            Target::Register(name) => self.registers.by_name(name).map(Addr),
            Target::Memory(at) => self.image.u64(at).map(Addr),
        }
    }

    pub(super) fn module_of(&self, address: Addr) -> Option<usize> {
        match self.modules.code_class(address) {
            CodeClass::InModule(index) => Some(index),
            _ => None,
        }
    }

    /// Code at `address`, as it is in memory where that was kept.
    pub(super) fn code_bytes(&self, address: Addr, length: usize) -> Option<Vec<u8>> {
        self.modules.code(self.image, address, length)
    }

    /// The instruction at rip.
    pub(super) fn instruction(&self) -> Option<Instruction> {
        match self.machine() {
            Machine::X86_64 => {
                // The last instruction of a mapping has fewer bytes behind it.
                let bytes = (1..=15).rev().find_map(|length| self.code_bytes(self.ip(), length))?;
                x86_64::decode(&bytes, self.registers)
            }
            Machine::Aarch64 => aarch64::decode(&self.code_bytes(self.ip(), 4)?, self.registers),
        }
    }

    /// What stands before `address`, when that can be a return address.
    pub(super) fn site(&mut self, address: Addr) -> Site {
        self.ground.site(address)
    }

    pub(super) fn is_return(&mut self, address: Addr) -> bool {
        !matches!(self.site(address), Site::Not | Site::Unknown)
    }

    /// Whether the word at `at` is a return address; None when it was not kept.
    pub(super) fn returns(&mut self, at: Option<Addr>) -> Option<bool> {
        let word = self.image.u64(at?)?;
        Some(self.is_return(Addr(word)))
    }

    /// The function at `address`: its start and length (0 unknown).
    pub(super) fn function(&mut self, address: Addr) -> Option<(Addr, u64)> {
        self.ground.function(address)
    }

    /// Code from `start` up to `end`, when it can be that of one function.
    pub(super) fn code_between(&self, start: Addr, end: Addr) -> Option<Vec<u8>> {
        let length = end.offset_from(start).filter(|length| (1..=FUNCTION).contains(length))?;
        self.code_bytes(start, usize::try_from(length).ok()?)
    }
}
