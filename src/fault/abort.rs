//! Why a program ended itself, by the functions that its abort went through.
//!
//! Names come from symbol tables, so a static and stripped program says no more
//! than that it aborted. Of the message that the C library keeps only what the
//! modules' own files contain is told ([`message`]): the rest may be what the
//! program's users typed.

use super::message;
use super::scene::Scene;
use crate::address::Addr;
use crate::elfcore::SI_TKILL;
use crate::elfcore::signal::SIGABRT;
use crate::limits;

/// How the chain above abort() begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abort {
    /// abort(), and nothing known above it.
    Plain,
    /// assert().
    Assertion,
    /// -fstack-protector.
    StackSmashed,
    /// -D_FORTIFY_SOURCE.
    Fortified,
    /// The allocator.
    Heap,
    /// A pure virtual call.
    PureVirtual,
    /// std::terminate.
    Terminate,
    /// A Rust panic.
    RustPanic,
    /// A sanitizer.
    Sanitizer,
    /// The Java virtual machine.
    Jvm,
    /// The Go runtime.
    Go,
    /// Somebody else sent the signal.
    Sent,
}

/// Parts of names, each with what it means; the first that any of the
/// innermost frames bears (one reporter calls another).
const SIGNS: [(&[u8], Abort); 22] = [
    (b"__stack_chk_fail", Abort::StackSmashed),
    (b"__fortify_fail", Abort::Fortified),
    (b"__chk_fail", Abort::Fortified),
    (b"__assert", Abort::Assertion),
    (b"__cxa_pure_virtual", Abort::PureVirtual),
    (b"__asan_", Abort::Sanitizer),
    (b"__sanitizer", Abort::Sanitizer),
    (b"__ubsan", Abort::Sanitizer),
    (b"malloc_printerr", Abort::Heap),
    (b"rust_panic", Abort::RustPanic),
    (b"rust_begin_unwind", Abort::RustPanic),
    (b"9panicking", Abort::RustPanic),
    (b"_ZSt9terminatev", Abort::Terminate),
    (b"__cxxabiv111__terminate", Abort::Terminate),
    (b"__cxa_throw", Abort::Terminate),
    (b"__cxa_rethrow", Abort::Terminate),
    (b"__gxx_personality", Abort::Terminate),
    (b"runtime.dieFromSignal", Abort::Go),
    (b"runtime.crash", Abort::Go),
    (b"__libc_free", Abort::Heap),
    (b"cfree", Abort::Heap),
    (b"__libc_malloc", Abort::Heap),
];
/// Whole names of the allocator: parts of them mean other things.
const ALLOCATOR: [&[u8]; 5] = [b"free", b"malloc", b"realloc", b"calloc", b"_int_free"];

impl Abort {
    /// In words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Abort::Plain => "the program called abort()",
            Abort::Assertion => "an assertion failed",
            Abort::StackSmashed => "a buffer on the stack was overrun: the stack protector noticed",
            Abort::Fortified => "a buffer would have been overrun: the C library noticed",
            Abort::Heap => "the allocator found its heap corrupted, or a block freed twice",
            Abort::PureVirtual => "a pure virtual function was called",
            Abort::Terminate => "std::terminate: an exception that nobody catches, or that must not leave",
            Abort::RustPanic => "a Rust panic",
            Abort::Sanitizer => "a sanitizer's report",
            Abort::Jvm => "the Java virtual machine gave up: its hs_err file says why",
            Abort::Go => "the Go runtime gave up",
            Abort::Sent => "another process sent SIGABRT",
        }
    }

    /// As the symptoms spell it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Abort::Plain => "abort",
            Abort::Assertion => "assert",
            Abort::StackSmashed => "smashed",
            Abort::Fortified => "fortify",
            Abort::Heap => "heap",
            Abort::PureVirtual => "purevirtual",
            Abort::Terminate => "terminate",
            Abort::RustPanic => "panic",
            Abort::Sanitizer => "sanitizer",
            Abort::Jvm => "jvm",
            Abort::Go => "go",
            Abort::Sent => "sent",
        }
    }
}

/// HotSpot keeps no names of functions, and its module's name is its own.
const JVM: &[u8] = b"libjvm.so";
/// Where the standard library's own panics say that they are.
const STANDARD_LIBRARY: [&str; 3] = ["/rustc/", "library/std/", "library/core/"];

/// Modules whose literals are looked through: the program, the C library and
/// who called them.
const MODULES: usize = 4;

/// What the program said: where it panicked, or its message's template.
pub(super) fn template(scene: &Scene<'_>, abort: Abort) -> Option<String> {
    if abort == Abort::RustPanic {
        return panic_location(scene);
    }
    let text = scene.message?;
    let data: Vec<Vec<u8>> = scene
        .callers
        .iter()
        .take(MODULES)
        .filter_map(|index| scene.modules.literals(*index, limits::LITERALS))
        .collect();
    message::template(text, &data)
}

/// The innermost Location that the stack points to and that is not the standard
/// library's: every function of the panic machinery is handed it.
fn panic_location(scene: &Scene<'_>) -> Option<String> {
    let from = Addr(scene.sp().0 & !7);
    let words = (0..limits::PANIC_WORDS).map_while(|index| scene.image.u64(from.add(index.checked_mul(8)?)?));
    let is_own = |place: &String| !STANDARD_LIBRARY.iter().any(|prefix| place.starts_with(prefix));
    words.filter_map(|word| scene.modules.panic_location(Addr(word))).find(is_own)
}

/// The innermost frame outside the C library is HotSpot's.
fn is_jvm(scene: &Scene<'_>) -> bool {
    scene
        .callers
        .iter()
        .take(2)
        .any(|index| scene.modules.get(*index).is_some_and(|module| module.name() == JVM))
}

/// Looks at a SIGABRT that was sent; None for any other signal.
pub(super) fn look(scene: &Scene<'_>) -> Option<Abort> {
    if scene.signal() != SIGABRT || !scene.was_sent() {
        return None;
    }
    let by_others = scene.code() != SI_TKILL;
    let names = &scene.names;
    let holds = |name: &[u8], part: &[u8]| name.windows(part.len()).any(|window| window == part);
    let sign = SIGNS.iter().find(|(part, _)| names.iter().any(|name| holds(name, part)));
    let allocator = || names.iter().any(|name| ALLOCATOR.contains(&name.as_slice()));
    let known = sign.map(|(_, abort)| *abort).or_else(|| allocator().then_some(Abort::Heap));
    match known {
        Some(abort) => Some(abort),
        None if !by_others && is_jvm(scene) => Some(Abort::Jvm),
        None if by_others => Some(Abort::Sent),
        None => Some(Abort::Plain),
    }
}
