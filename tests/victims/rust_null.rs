// CHAIN read,{{closure}},apply,walk,main,...
// CAUSE An unsafe block reads a wild pointer, below a closure that was passed as a trait object.
// SAYS read through a null pointer
// SAYS at offset 0x10
// SIGNAL SIGSEGV
// BUILD -O -C force-frame-pointers=no
use std::hint::black_box;
#[inline(never)]
fn read(p: *const u64) -> u64 { unsafe { p.read_volatile() } }
#[inline(never)]
fn apply(f: &dyn Fn(u64) -> u64, n: u64) -> u64 { black_box(f(n)) + 1 }
#[inline(never)]
fn walk(n: u64) -> u64 { black_box(apply(black_box(&|p| black_box(read(p as *const u64)) + 1), n)) + 1 }
fn main() { black_box(black_box(walk(0x10)) + 1); }
