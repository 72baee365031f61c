//! A record becomes text for people.
//!
//! What it needs from you: a [`Record`](crate::record::Record), and whatever
//! only the caller can know, as values: function [`Names`], a time zone, the
//! width of the terminal, whether colours are welcome. What it gives you:
//! text. It reads no file, no clock and no environment, so that each promise
//! of the output is a test on values.
//!
//! Names inside a record were chosen by the process that crashed. Nothing
//! here prints one without [`escape::clean`].

pub mod amount;
pub mod code;
pub mod crash;
pub mod escape;
pub mod facts;
mod fault;
pub mod frames;
pub mod gaps;
pub mod machine;
mod map;
pub mod modules;
pub mod names;
pub mod paint;
pub mod reason;
pub mod registers;
pub mod signal;
pub mod study;
pub mod table;
pub mod threads;
pub mod time;

pub use crash::{Options, crash};
pub use frames::Look;
pub use names::Names;
pub use paint::Paint;
