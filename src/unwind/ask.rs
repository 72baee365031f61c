//! Single questions about an address or a frame, for who looks closer at one.

use super::cache::Cache;
use super::cfi::Outcome;
use super::ground::{Ground, Site, State};
use super::stacks::Stacks;
use crate::address::Addr;
use crate::elfcore::Registers;
use crate::memory::Image;
use crate::module::Modules;

/// Where a frame begins, by call frame information.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// The canonical frame address.
    pub cfa: Addr,
    /// It was counted from the stack pointer.
    pub by_sp: bool,
}

fn ground<'a>(
    image: &'a Image,
    modules: &'a Modules,
    stacks: &'a Stacks,
    cache: &'a mut Cache,
) -> Ground<'a> {
    Ground { image, modules, stacks, cache }
}

/// What stands before `address`.
pub fn site(image: &Image, modules: &Modules, stacks: &Stacks, cache: &mut Cache, address: Addr) -> Site {
    ground(image, modules, stacks, cache).site(address)
}

/// The function at `address`: its start and length (0 unknown).
pub fn function(
    image: &Image,
    modules: &Modules,
    stacks: &Stacks,
    cache: &mut Cache,
    address: Addr,
) -> Option<(Addr, u64)> {
    ground(image, modules, stacks, cache).function(address)
}

/// The frame that these registers are in; `returns`: their ip is a return
/// address.
pub fn base(
    image: &Image,
    modules: &Modules,
    stacks: &Stacks,
    cache: &mut Cache,
    registers: &Registers,
    returns: bool,
) -> Option<Base> {
    let state = State { registers: *registers, returns, sure: true };
    let row = ground(image, modules, stacks, cache).row(state.lookup())?;
    row.base(registers)
}

/// The registers of their caller, by call frame information alone.
pub fn caller(
    image: &Image,
    modules: &Modules,
    stacks: &Stacks,
    cache: &mut Cache,
    registers: &Registers,
    returns: bool,
) -> Option<Registers> {
    let state = State { registers: *registers, returns, sure: true };
    let row = ground(image, modules, stacks, cache).row(state.lookup())?;
    match row.caller(registers, image) {
        Outcome::Caller(caller) if !row.signal => Some(caller),
        _ => None,
    }
}
