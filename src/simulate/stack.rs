//! Stacks of simulated crashes: what a bug's own functions are called by, and in which
//! forms one bug shows.
//!
//! ```text
//! leaf, helpers        the bug's own, one to three
//! a, b, c              of one of the unit's eight subsystems: other bugs have them too
//! loop, dispatch, main of the unit: all of its bugs have them
//! start                of the C library: everything has it
//! ```
//!
//! Some bugs are in a function that another bug's leaf is called by. What happens only
//! once has a leaf of its own, or a stack that is cut off.

use super::dice::{Dice, hash};

/// Forms of a bug beside the ordinary one.
pub(super) const VARIANTS: u32 = 4;
/// Subsystems of a unit, and functions that bugs are in and that call others' leaves.
const SUBSYSTEMS: u32 = 8;
const CALLERS: u32 = 64;
/// Functions of the C library that a leaf may stand in.
const LIBRARY: u32 = 20;
/// Of what happens once: stacks that are cut off.
const CUT: f64 = 0.3;

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Function {
    /// What it is over builds.
    pub(super) identity: u64,
    /// Nothing names it over builds: it is another one in each.
    pub(super) unnamed: bool,
    /// It is the C library's.
    pub(super) library: bool,
}

/// What stands on the stack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    /// The bug; None of what happens once.
    pub(super) bug: Option<u64>,
    /// The form in which it shows: 0 the ordinary one.
    pub(super) variant: u32,
}

/// The location key of a variant.
pub(super) fn varied(bug: u64, variant: u32, build: u32) -> u64 {
    // Without a name the key is of the build.
    hash(&[bug, 0x7a, u64::from(variant), u64::from(if variant == 3 { build } else { 0 })])
}

/// The functions, innermost first.
pub(super) fn stack(told: Told, signature: u64, unit: u32) -> Vec<Function> {
    let plain = |words: &[u64]| Function { identity: hash(words), unnamed: false, library: false };
    let of_unit = |what: u64, which: u32| plain(&[0xf, u64::from(unit), what, u64::from(which)]);
    let mut dice = Dice::of(&[told.bug.unwrap_or(signature), 0x57ac]);
    let mut stack = Vec::new();
    let subsystem = dice.below(SUBSYSTEMS);
    let own = 1u32.saturating_add(dice.below(3));
    let role = dice.unit();
    let caller = of_unit(1, dice.below(CALLERS));
    let seed = told.bug.unwrap_or(signature);
    let leaf = |which: u32| plain(&[0x1eaf, seed, u64::from(which)]);
    match told.bug {
        None if role < CUT => return (0..own).map(leaf).collect(),
        Some(_) if role < 0.1 => stack.push(caller),
        Some(_) if role < 0.2 => stack.extend([leaf(0), caller]),
        _ => stack.extend((0..own).map(leaf)),
    }
    match told.variant {
        // Inlined into its caller; a bug of one function has another one split off.
        1 if stack.len() > 1 => drop(stack.remove(0)),
        1 | 2 => stack.insert(0, plain(&[0x5f11, seed, u64::from(told.variant)])),
        3 => {
            if let Some(first) = stack.first_mut() {
                first.unnamed = true;
            }
        }
        4 => {
            let name = hash(&[0x11bc, u64::from(dice.below(LIBRARY))]);
            stack.insert(0, Function { identity: name, unnamed: false, library: true });
        }
        _ => {}
    }
    let depth = 1u32.saturating_add(dice.below(3));
    stack.extend((0..depth).map(|which| of_unit(2, subsystem.saturating_mul(3).saturating_add(which))));
    stack.extend((0..3).map(|which| of_unit(3, which)));
    stack.extend((0..2).map(|which| Function { library: true, ..plain(&[0x57a7, which]) }));
    stack
}
