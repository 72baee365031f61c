//! What leaves the host of a register is its class, and the class is true: a
//! program puts one value of each kind into a register of its own and dies.
//!
//! Needs root (core_pattern) and x86_64; says so and passes without.

mod support;

use std::process::Stdio;

use epicore::record::{Record, RegisterClass, RegisterClasses};
use support::observe::{Observatory, Watch, records, victim};
use support::pattern_guard::PatternGuard;

/// The kernel's order of user_regs_struct.
const NAMES: [&str; 27] = [
    "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi",
    "orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs",
];

fn at(name: &str) -> usize {
    NAMES.iter().position(|known| *known == name).expect("a register")
}

struct Told<'a>(&'a RegisterClasses);

impl Told<'_> {
    /// Class, distance, offset.
    fn of(&self, name: &str) -> (RegisterClass, i8, i64) {
        let index = at(name);
        (self.0.class[index], self.0.distance[index], self.0.offset[index])
    }
}

fn check(record: &Record) {
    use RegisterClass::{Code, Data, Heap, Jit, Mapped, Noncanonical, Null, Other, Small, Stack};
    let classes = &record.register_classes;
    for length in [classes.class.len(), classes.low.len(), classes.distance.len(), classes.module.len()] {
        assert_eq!(length, NAMES.len());
    }
    let told = Told(classes);
    let expected = [
        ("rax", Heap, 0),
        ("rcx", Code, 0),
        ("rdx", Data, 0),
        ("rsi", Null, -1),
        ("rdi", Small, -1),
        ("r8", Mapped, 0),
        ("r9", Jit, 0),
        ("r10", Noncanonical, 1),
        ("r11", Small, -1),
        ("r12", Other, 1),
        ("r13", Noncanonical, -1),
        ("rbx", Stack, 0),
        ("rsp", Stack, 0),
        ("rip", Code, 0),
        ("cs", Small, -1),
    ];
    for (name, class, distance) in expected {
        let (found, far, _) = told.of(name);
        assert_eq!((found, far), (class, distance), "{name}: {classes:?}");
    }
    assert_eq!((told.of("rbx").2, told.of("rsp").2), (0x40, 0));
    assert_eq!((classes.low[at("r8")], classes.low[at("r9")]), (0x123, 0x456));
    // rip: the same place that the first frame names.
    let frame = &record.stacks[0].frames[0];
    let rip = at("rip");
    let said = (u32::try_from(classes.module[rip]).ok(), classes.offset[rip]);
    assert_eq!(said, (frame.module, frame.offset.0.cast_signed()));
    let program = &record.modules[usize::try_from(classes.module[at("rdx")]).expect("a module")];
    assert!(program.path.as_deref().is_some_and(|path| path.ends_with("registers")), "{program:?}");
}

#[test]
fn a_register_of_each_class_is_told_as_what_it_was() {
    if cfg!(not(target_arch = "x86_64")) {
        return println!("skipped: the program is for x86_64");
    }
    let Some(observatory) = Observatory::open() else { return };
    let program = support::workshop::helper("registers");
    let spool = observatory.spool("s");
    let mut command = victim(&program);
    observatory.crash(Watch::Usage, &spool, command.stdout(Stdio::null()));
    let record = records(&spool).pop().expect("a record");
    check(&record);
    drop(observatory);

    // The kernel's own core of the same program says the same.
    let guard = PatternGuard::take();
    let place = tempfile::tempdir().expect("a directory");
    guard.set("kernel/core_pattern", &format!("{}/core", place.path().display()));
    let status = victim(&program).stdout(Stdio::null()).status().expect("the victim");
    drop(guard);
    assert!(!status.success());
    let core = std::fs::File::open(place.path().join("core")).expect("a core");
    check(&epicore::capture::replay_file(&core, &[]));
}
