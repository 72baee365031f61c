// build: rustc -O -C panic=abort -C symbol-mangling-version=v0 -o victim
// build: rustc -C panic=unwind -C symbol-mangling-version=v0 -o victim
// chain: c_outer main
#[inline(never)]
fn inner(v: &[u32], i: usize) -> u32 { v[i] + 1 }
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn c_outer(i: usize) -> u32 { let v = vec![1, 2, 3]; inner(&v, i) + v[0] }
fn main() { println!("{}", c_outer(std::env::args().count() + 5)); }
