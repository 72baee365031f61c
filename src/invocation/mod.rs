//! What the kernel hands over when it runs the handler, and how it is told to.
//!
//! ```text
//! core_pattern  |/usr/lib/epicore/epicore-handler -P%P -I%I -u%u -g%g -d%d -s%s -t%t -C%C -c%c -F%F
//! stdin         the core, a pipe; the crashed task is held until we close it
//! fd 3          a pidfd of the process (%F, Linux ≥ 6.16)
//! fds 1, 2      closed; environment empty; cwd /; uid 0 with all capabilities
//! ```
//!
//! Each option is the kernel's own specifier letter, so that nothing depends
//! on positions: core(5). On an older kernel an unknown specifier expands to
//! nothing; the option is then absent, not an error. [`pattern`] installs and
//! restores it, [`boot`] makes it last.
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

mod arguments;
pub mod boot;
mod dropped;
pub mod pattern;
mod stdin;

pub use arguments::Arguments;
pub use dropped::{Dropped, dropped, each_line, open_log};
pub use stdin::{is_piped, pipe_inode, still_holds, take_stdin};
