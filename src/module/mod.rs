//! The loaded objects: which file, which build, where, and what their unwind
//! tables and code say.
//!
//! It needs from you: the mappings (from /proc/TID/maps or from the core's
//! own notes, in any order, overlapping, 100,000 of them), the kept memory,
//! and for each module that matters the open file ([`Modules::attach`]). It
//! gives you: [`Modules::find`], [`Modules::code_class`],
//! [`Modules::unwind_entry`], function starts, names and identities. It is
//! not for: opening files (capture knows the rules for that), walking stacks.
//!
//! ```text
//! mappings ─► instances ─► Module     one for each *mapped* object: a file that
//!   by file     by bias               is loaded twice is two modules; a file
//!                                     without executable pages is none
//! ELF head in the Image ─► program headers ─► bias, build-id (4096 bytes)
//! file (pread) or copy of the vdso ─► .eh_frame_hdr ─► FDE, CIE; .dynsym; code
//! ```
//!
//! Addresses are absolute unless called *linked*: linked = address − bias,
//! modulo 2⁶⁴.
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
mod assemble;
mod build_id;
mod dynamic;
mod elf;
mod function;
mod identity;
mod layout;
mod object;
mod panic_location;
mod sections;
mod source;
mod symbols;
mod unwind_section;
mod variable;
mod x86_64;

pub use layout::{CodeClass, Modules};
pub use object::{Flags, Module, Origin, build_id_of};
pub use unwind_section::{Entry, Kind, Slice, debug_frame, eh_frame};
