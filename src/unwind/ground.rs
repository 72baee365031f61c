//! What every method of the walk asks: is this code, is it behind a call, is
//! this slot kept.
//!
//! Trusts: nothing; code bytes come from memory where they were kept, else
//! from the module's file.

use std::rc::Rc;

use super::cache::Cache;
use super::cfi::Row;
use super::stacks::Stacks;
use super::{aarch64, x86_64};
use crate::address::{Addr, AddrRange};
use crate::elfcore::{Machine, Registers};
use crate::limits;
use crate::memory::Image;
use crate::module::{CodeClass, Modules};

/// What stands before an address that may be a return address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// No call, or no code.
    Not,
    /// Executable, but its bytes are not at hand.
    Unknown,
    /// A call through a register or memory.
    Indirect,
    /// A call to this address.
    Direct(Addr),
}

/// Everything that a walk reads; also what answers single questions ([`super::ask`]).
pub struct Ground<'a> {
    pub(super) image: &'a Image,
    pub(super) modules: &'a Modules,
    pub(super) stacks: &'a Stacks,
    pub(super) cache: &'a mut Cache,
}

/// A place in a walk.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    pub(super) registers: Registers,
    /// The ip is a return address: look up one less.
    pub(super) returns: bool,
    /// Every register is as the ABI promises; otherwise only ip and sp are.
    pub(super) sure: bool,
}

impl State {
    pub(super) fn ip(&self) -> Addr {
        self.registers.ip()
    }

    pub(super) fn sp(&self) -> Addr {
        self.registers.sp()
    }

    pub(super) fn lookup(&self) -> Addr {
        if self.returns { self.ip().sub(1).unwrap_or_default() } else { self.ip() }
    }
}

/// A function: absolute start, length (0 unknown).
pub(super) type Function = (Addr, u64);

impl Ground<'_> {
    pub(super) fn machine(&self) -> Machine {
        self.modules.machine()
    }

    pub(super) fn is_code(&self, address: Addr) -> bool {
        self.modules.code_class(address).is_code()
    }

    pub(super) fn row(&mut self, lookup: Addr) -> Option<Rc<Row>> {
        match self.modules.code_class(lookup) {
            CodeClass::InModule(index) => self.cache.row(self.modules, index, lookup),
            _ => None,
        }
    }

    /// The function at an address, its start and length (0 unknown): by its
    /// FDE, else by a symbol.
    pub fn function(&mut self, lookup: Addr) -> Option<(Addr, u64)> {
        let CodeClass::InModule(index) = self.modules.code_class(lookup) else { return None };
        let module = self.modules.get(index)?;
        if let Some(row) = self.cache.row(self.modules, index, lookup) {
            return Some((module.mapped(row.start), row.end.saturating_sub(row.start)));
        }
        let (start, length) = self.modules.symbol_extent(index, module.linked(lookup))?;
        Some((module.mapped(start), length))
    }

    /// What stands before `address`.
    pub fn site(&mut self, address: Addr) -> Site {
        if !self.is_code(address.sub(1).unwrap_or_default()) {
            return Site::Not;
        }
        if let Some(site) = self.cache.sites.get(&address) {
            return *site;
        }
        let site = self.read_site(address);
        if self.cache.sites.len() >= limits::ROWS_CACHED {
            self.cache.sites.clear();
        }
        self.cache.sites.insert(address, site);
        site
    }

    fn read_site(&self, address: Addr) -> Site {
        let before = |length: usize| {
            let start = address.sub(length as u64)?;
            self.modules.code(self.image, start, length)
        };
        let Some(bytes) = before(8).or_else(|| before(5)).or_else(|| before(4)) else { return Site::Unknown };
        match self.machine() {
            Machine::X86_64 => x86_64::call_before(&bytes, address),
            Machine::Aarch64 => aarch64::call_before(&bytes, address),
        }
    }

    /// True when `ip` begins or continues a signal trampoline: such a return
    /// address stands behind no call.
    pub(super) fn is_trampoline(&mut self, ip: Addr) -> bool {
        if self.row(ip).is_some_and(|row| row.signal) {
            return true;
        }
        self.trampoline_code(ip)
    }

    pub(super) fn trampoline_code(&self, ip: Addr) -> bool {
        let Some(bytes) = self.modules.code(self.image, ip, 8) else { return false };
        match self.machine() {
            Machine::X86_64 => x86_64::is_sigreturn(&bytes),
            Machine::Aarch64 => aarch64::is_sigreturn(&bytes),
        }
    }

    /// True when `ip` can be what a frame returns to.
    pub(super) fn is_return(&mut self, ip: Addr) -> bool {
        self.site(ip) != Site::Not || self.is_trampoline(ip)
    }

    pub(super) fn area(&self, sp: Addr) -> Option<AddrRange> {
        self.stacks.area(sp)
    }
}
