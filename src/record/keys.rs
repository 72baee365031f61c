//! Location keys: where a crash happened, three times as stable as the last.
//!
//! ```text
//! L0  build-id and offset of the first frame that says something
//! L1  build-id and start of each function, at most six
//! L2  module name and identity of each function: the same over rebuilds that
//!     do not touch the function, and over strip
//! ```
//!
//! Which frames: what only carries a signal out (raise, abort, an assertion's
//! reporter) says nothing and is skipped, with every frame inside it; library
//! code that a program calls with its own arguments (memcpy, malloc, the throw
//! machinery, all of the C and C++ runtime) says less than its caller and is
//! taken along, Rust's standard library too; the first frame of the program's
//! own ends the key. Hashes are
//! SipHash-2-4 under a key that never changes: keys are compared across
//! versions of epicore.

use siphasher::sip::SipHasher24;
use std::hash::Hasher;

use super::schema::{Hex, Keys, Record};
use crate::limits;

/// Never changes (16 bytes).
const KEY: &[u8; 16] = b"epicore:location";

/// The key of symptoms: the hash of their line, under a key of its own.
pub fn symptom_key(symptoms: &str) -> Hex {
    let mut hasher = SipHasher24::new_with_key(b"epicore:symptoms");
    hasher.write(symptoms.as_bytes());
    Hex(hasher.finish())
}

/// Functions that carry a signal out: they and what is inside them say nothing.
const CARRIERS: [&[u8]; 22] = [
    b"raise",
    b"gsignal",
    b"abort",
    b"kill",
    b"tgkill",
    b"killpg",
    b"sigqueue",
    b"pthread_kill",
    b"__pthread_kill",
    b"pthread_sigqueue",
    b"__assert",
    b"__assert_fail",
    b"__assert_perror_fail",
    b"__stack_chk_fail",
    b"__fortify_fail",
    b"__chk_fail",
    b"__libc_fatal",
    b"__libc_message",
    b"malloc_printerr",
    b"_ZSt9terminatev",
    b"_ZN10__cxxabiv111__terminateEPFvvE",
    b"__cxa_call_terminate",
];

/// The same of Rust's standard library, whose names are mangled: parts of them.
const RUST_CARRIERS: [&[u8]; 9] = [
    b"4core9panicking",
    b"3std9panicking",
    b"3std7process5abort",
    b"14abort_internal",
    b"17rust_begin_unwind",
    b"rust_panic",
    b"__rust_start_panic",
    b"__rust_abort",
    b"26__rust_end_short_backtrace",
];

/// Modules that a program calls into, by the start of their file name.
const RUNTIME: [&[u8]; 18] = [
    b"libc.so",
    b"libc-",
    b"libc.musl",
    b"ld-linux",
    b"ld-musl",
    b"ld-2",
    b"libpthread",
    b"libm.so",
    b"libstdc++",
    b"libc++",
    b"libgcc_s",
    b"libunwind",
    b"librt.so",
    b"libdl.so",
    b"libasan",
    b"libtsan",
    b"libubsan",
    b"[vdso]",
];

/// One frame, as a key sees it.
#[derive(Clone, Copy, Debug, Default)]
pub struct FrameKey<'a> {
    /// Index of the frame in its stack.
    pub index: u32,
    /// Path of the module; `None` for code outside every module.
    pub module: Option<&'a [u8]>,
    /// Build-id of the module.
    pub build_id: Option<&'a [u8]>,
    /// Offset of the instruction from the module's bias.
    pub offset: u64,
    /// Offset of the function's start, when it is known.
    pub function: Option<u64>,
    /// What the function is over builds: a hash of its exported name, or of
    /// its code without what a linker changes.
    pub identity: Option<u64>,
    /// Exported name of the function around the frame.
    pub symbol: Option<&'a [u8]>,
}

impl FrameKey<'_> {
    fn file_name(&self) -> Option<&[u8]> {
        self.module?.rsplit(|byte| *byte == b'/').next()
    }

    fn is_runtime(&self) -> bool {
        self.file_name().is_some_and(|name| RUNTIME.iter().any(|runtime| name.starts_with(runtime)))
    }

    /// Code that a program calls into: of a runtime's module, or of Rust's
    /// standard library, which is linked into the program's own.
    fn is_library(&self) -> bool {
        let rust = |symbol: &[u8]| {
            let legacy =
                [&b"_ZN4core"[..], b"_ZN3std", b"_ZN5alloc"].iter().any(|start| symbol.starts_with(start));
            let part = |part: &[u8]| symbol.windows(part.len()).any(|window| window == part);
            legacy
                || symbol.starts_with(b"_R")
                    && [&b"_4core"[..], b"_3std", b"_5alloc"].iter().any(|name| part(name))
        };
        self.is_runtime() || self.symbol.is_some_and(rust)
    }

    fn is_carrier(&self) -> bool {
        let has = |symbol: &[u8], part: &[u8]| symbol.windows(part.len()).any(|window| window == part);
        let rust = |symbol: &[u8]| RUST_CARRIERS.iter().any(|part| has(symbol, part));
        self.symbol.is_some_and(|symbol| CARRIERS.contains(&symbol) || rust(symbol))
    }

    fn stem(&self) -> &[u8] {
        module_stem(self.module.unwrap_or(b""))
    }

    /// What the function is over builds; 0 unknown.
    fn portable(&self) -> u64 {
        let Some(identity) = self.identity.filter(|_| self.module.is_some()) else { return 0 };
        let mut hasher = hasher(b"function");
        add(&mut hasher, self.stem());
        add_number(&mut hasher, Some(identity));
        hasher.finish()
    }
}

/// A module's file name without what changes from version to version:
/// `libfoo.so.1.2.3` and `libfoo-1.2.so` are `libfoo`.
pub fn module_stem(path: &[u8]) -> &[u8] {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(b"");
    let end = name.windows(3).position(|three| three == b".so").unwrap_or(name.len());
    let stem = name.get(..end).unwrap_or(name);
    let versioned = end < name.len();
    let version = stem.iter().rposition(|byte| !byte.is_ascii_digit() && *byte != b'.');
    match version {
        Some(dash) if versioned && stem.get(dash) == Some(&b'-') => stem.get(..dash).unwrap_or(stem),
        _ => stem,
    }
}

fn hasher(domain: &[u8]) -> SipHasher24 {
    let mut hasher = SipHasher24::new_with_key(KEY);
    add(&mut hasher, domain);
    hasher
}

/// A length before the bytes, so that two fields never read as one.
fn add(hasher: &mut SipHasher24, bytes: &[u8]) {
    hasher.write_u64(bytes.len() as u64);
    hasher.write(bytes);
}

fn add_number(hasher: &mut SipHasher24, number: Option<u64>) {
    match number {
        Some(number) => add(hasher, &number.to_le_bytes()),
        None => add(hasher, b"?"),
    }
}

/// How many frames without a telling name may lie between two carriers:
/// static functions of the C library, closures of the panic machinery.
const BETWEEN: usize = 2;

/// How many innermost frames only carry the signal out. A process that aborted
/// is inside that machinery for certain, whatever its frames are called.
fn carried(frames: &[FrameKey<'_>], aborted: bool) -> usize {
    let mut behind = 0usize;
    for (index, frame) in frames.iter().enumerate() {
        if frame.is_carrier() {
            behind = index.saturating_add(1);
        } else if aborted {
            if index.saturating_sub(behind) >= BETWEEN {
                break;
            }
        } else if frame.module.is_some() && !frame.is_library() {
            break;
        }
    }
    behind
}

/// The frames that make a key.
fn telling<'a, 'b>(frames: &'a [FrameKey<'b>], aborted: bool) -> Vec<&'a FrameKey<'b>> {
    let mut telling = Vec::new();
    // Code outside every module (a wild jump, a JIT) is the symptom's affair.
    for frame in frames.iter().skip(carried(frames, aborted)).filter(|frame| frame.module.is_some()) {
        telling.push(frame);
        if !frame.is_library() || telling.len() >= limits::KEY_FRAMES {
            break;
        }
    }
    telling
}

/// Computes the keys of a crashing thread's stack. `aborted`: the process sent
/// itself SIGABRT.
pub fn location_keys(frames: &[FrameKey<'_>], aborted: bool) -> Keys {
    let telling = telling(frames, aborted);
    let Some(leaf) = telling.first() else { return Keys::default() };
    let module = |frame: &FrameKey<'_>| frame.build_id.or(frame.file_name()).unwrap_or(b"").to_vec();
    let mut l0 = hasher(b"L0");
    add(&mut l0, &module(leaf));
    add_number(&mut l0, Some(leaf.offset));
    let (mut l1, mut l2) = (hasher(b"L1"), hasher(b"L2"));
    for frame in &telling {
        add(&mut l1, &module(frame));
        add_number(&mut l1, Some(frame.function.unwrap_or(frame.offset)));
        add(&mut l2, frame.stem());
        add_number(&mut l2, frame.identity);
    }
    // A key of nothing but module names would join what does not belong
    // together.
    let portable = telling.iter().any(|frame| frame.identity.is_some());
    let behind = frames.iter().skip_while(|frame| frame.index < leaf.index).take(limits::KEY_IDENTITIES);
    let mut identities: Vec<Hex> = behind.map(|frame| Hex(frame.portable())).collect();
    while identities.last() == Some(&Hex(0)) {
        identities.pop();
    }
    Keys {
        leaf: Some(Hex(l0.finish())),
        functions: Some(Hex(l1.finish())),
        portable: portable.then(|| Hex(l2.finish())),
        frames: telling.iter().map(|frame| frame.index).collect(),
        identities,
    }
}

/// Whose crash it is, for a fair quota of the spool: the executable's
/// build-id, else its path, else the process's name. A number, so that the
/// spool learns nothing else about a crash.
pub fn group(record: &Record) -> u64 {
    let process = &record.process;
    let text = |text: &Option<String>| text.as_ref().map(|text| text.clone().into_bytes());
    let build_id = process.build_id.as_ref().map(|id| id.0.clone());
    let name = build_id.or_else(|| text(&process.exe)).or_else(|| text(&process.comm));
    let mut hasher = hasher(b"group");
    add(&mut hasher, &name.unwrap_or_default());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(
        index: u32,
        module: &'static str,
        function: u64,
        symbol: Option<&'static str>,
    ) -> FrameKey<'static> {
        FrameKey {
            index,
            module: Some(module.as_bytes()),
            build_id: Some(module.as_bytes()),
            offset: function + 7,
            function: Some(function),
            identity: Some(function * 31),
            symbol: symbol.map(str::as_bytes),
        }
    }

    const LIBC: &str = "/lib/x86_64-linux-gnu/libc.so.6";

    #[test]
    fn two_places_that_abort_are_two_keys() {
        let abort = |caller| {
            location_keys(
                &[
                    frame(0, LIBC, 1, None),
                    frame(1, LIBC, 2, Some("raise")),
                    frame(2, LIBC, 3, Some("abort")),
                    frame(3, "/bin/app", caller, None),
                ],
                true,
            )
        };
        assert_eq!(abort(10).frames, vec![3]);
        assert_ne!(abort(10).functions, abort(11).functions);
        assert_ne!(abort(10).leaf, abort(11).leaf);
    }

    #[test]
    fn a_library_frame_is_taken_along_and_the_programs_own_ends_the_key() {
        let keys = location_keys(
            &[
                frame(0, LIBC, 1, Some("memcpy")),
                frame(1, "/bin/app", 10, None),
                frame(2, "/bin/app", 11, None),
            ],
            false,
        );
        assert_eq!(keys.frames, vec![0, 1]);
    }

    #[test]
    fn offsets_inside_a_function_change_only_the_leaf_key() {
        let mut one = frame(0, "/bin/app", 10, None);
        let first = location_keys(&[one], false);
        one.offset += 1;
        let second = location_keys(&[one], false);
        assert_ne!(first.leaf, second.leaf);
        assert_eq!((first.functions, first.portable), (second.functions, second.portable));
    }

    #[test]
    fn a_rebuild_that_leaves_the_function_alone_keeps_the_portable_key() {
        let old = FrameKey { module: Some(b"/usr/lib/libx-1.2.so"), ..frame(0, "a", 10, None) };
        let new =
            FrameKey { module: Some(b"/opt/libx-1.3.so"), build_id: Some(b"b"), function: Some(99), ..old };
        assert_eq!(location_keys(&[old], false).portable, location_keys(&[new], false).portable);
        assert_ne!(location_keys(&[old], false).functions, location_keys(&[new], false).functions);
    }

    #[test]
    fn two_panics_of_one_rust_program_are_two_keys() {
        let panic = |caller| {
            location_keys(
                &[
                    frame(0, LIBC, 1, None),
                    frame(1, LIBC, 2, Some("abort")),
                    frame(2, "/bin/app", 3, Some("_RNvNtCs1_3std7process5abort")),
                    frame(3, "/bin/app", 4, Some("_RNvCs1_7___rustc10rust_panic")),
                    frame(4, "/bin/app", 5, Some("_RNCNvNtCs1_3std9panicking13panic_handler0Bb_")),
                    frame(5, "/bin/app", 6, Some("_RNvNtCs1_4core9panicking9panic_fmt")),
                    frame(6, "/bin/app", 7, Some("_RNvNtCs1_4core6option13unwrap_failed")),
                    frame(7, "/bin/app", caller, Some("_ZN3app4work17h0E")),
                ],
                true,
            )
        };
        assert_eq!(panic(10).frames, vec![6, 7]);
        assert_ne!(panic(10).functions, panic(11).functions);
    }

    #[test]
    fn a_static_program_that_aborts_is_known_by_who_called_abort() {
        let app = "/bin/app";
        let keys = location_keys(
            &[
                frame(0, app, 1, Some("__pthread_kill_implementation")),
                frame(1, app, 2, Some("raise")),
                frame(2, app, 3, Some("abort")),
                frame(3, app, 4, Some("check")),
            ],
            true,
        );
        assert_eq!(keys.frames, vec![3]);
    }

    #[test]
    fn keys_never_change_from_version_to_version() {
        // Old and new records are compared by these: another value here is a
        // new generation of keys, to be said in the changelog.
        let keys = location_keys(&[frame(0, LIBC, 1, Some("memcpy")), frame(1, "/bin/app", 10, None)], false);
        let hex = |key: Option<Hex>| key.map(|key| format!("{:x}", key.0));
        let all = [hex(keys.leaf), hex(keys.functions), hex(keys.portable)].map(Option::unwrap_or_default);
        assert_eq!(all, ["45742929787b3f33", "1975967b5acbac20", "a31ad9e357f3e16e"]);
    }

    #[test]
    fn identities_begin_where_the_key_does_and_are_the_same_over_builds() {
        let old = [
            frame(0, LIBC, 1, None),
            frame(1, LIBC, 2, Some("abort")),
            frame(2, "/usr/lib/libx-1.2.so", 10, None),
            FrameKey { identity: None, ..frame(3, "/bin/app", 11, None) },
            FrameKey { module: None, ..frame(4, "", 12, None) },
            frame(5, "/bin/app", 13, None),
        ];
        let mut new = old;
        new[2] = FrameKey {
            module: Some(b"/opt/libx-1.3.so"),
            build_id: Some(b"b"),
            function: Some(99),
            ..old[2]
        };
        let (old, new) = (location_keys(&old, true), location_keys(&new, true));
        assert_eq!((old.frames.first(), old.identities.len()), (Some(&2), 4));
        assert_eq!(old.identities, new.identities);
        assert!(old.identities[1..3].iter().all(|unknown| unknown.0 == 0), "{old:?}");
        assert_ne!(old.identities[0], old.identities[3]);
        let deep: Vec<_> =
            (0..30).map(|index| frame(index, "/bin/app", u64::from(index) + 1, None)).collect();
        assert_eq!(location_keys(&deep, false).identities.len(), limits::KEY_IDENTITIES);
    }

    #[test]
    fn nothing_is_a_key_of_nothing() {
        assert_eq!(location_keys(&[], false), Keys::default());
        assert_eq!(location_keys(&[FrameKey::default()], true), Keys::default());
    }
}
