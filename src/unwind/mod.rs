//! Who called whom, and how each step is known.
//!
//! It needs from you: the registers of a thread, the kept memory, the modules
//! with their files, and where stacks may be (every writable mapping). It
//! gives you: [`walk`], frames from the innermost to the outermost, each with
//! how it was found, and why the walk ended. It is not for: names, lines,
//! inlined functions; those need debug information and another machine.
//!
//! ```text
//! for each frame      call frame information: the whole row, by gimli
//!   none, or nonsense  a signal trampoline, by its instructions
//!                      the instructions ahead, up to the `ret`
//!                      the frame pointer, when its pair holds
//!                      the stack upwards: a return address behind a call
//! broken start (NULL, unmapped, not executable)
//!                      the slot at rsp (a call or jump to nowhere), then the
//!                      frame pointer and the stack upwards (a return there)
//! bytes not kept       the oldest end of the stack, forwards again from there
//! ```
//!
//! Every loop has a named limit, the stack pointer must rise (but for signal
//! frames and a bounded number of stack switches), and truncation is an
//! answer: [`End`]. Only [`Frame::lookup`] may be looked up: a return
//! address can be one past the end of the function that made the call.
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
mod ask;
mod broken;
mod cache;
mod cfi;
mod expression;
mod frame;
mod ground;
mod ladder;
mod scan;
mod stacks;
mod step;
mod tail;
mod walk;
mod x86_64;

pub use ask::Outwards;
pub use cache::Cache;
pub use frame::{Cut, End, Frame, FrameKind, How, Walk};
pub use ground::{Ground, Site};
pub use stacks::Stacks;
pub use walk::walk;
