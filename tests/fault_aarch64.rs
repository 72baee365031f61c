//! Crashes of aarch64: cores that Debian's arm64 kernel wrote
//! (tests/cores/aarch64/make.sh), against what gdb says of them and what the
//! victims' source declares.

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;

use epicore::record::Record;

/// What victims.c does, and what the record is to say of it: words of the
/// sentence, codes.
const DECLARED: [(&str, &str, &[&str]); 18] = [
    ("null-read", "read through a null pointer in x1, at offset 0x18", &["E-NULL"]),
    ("null-write", "write through a null pointer in x0, at offset 0x18", &["E-NULL"]),
    ("wild", "read through a wild pointer in x0", &[]),
    ("read-only", "write of memory that does not permit it in x0", &[]),
    ("flip", "one bit away from a mapped one (bit 40 of x0)", &["E-BITFLIP-UNMAPPED", "E-BITFLIP-WITNESS"]),
    ("high", "one bit away from a mapped one (bit 50 of x0)", &["E-BITFLIP-NONCANON", "E-BITFLIP-WITNESS"]),
    ("call-null", "call of a bad function pointer, in x0: NULL", &["E-NULL"]),
    ("call-data", "call of a bad function pointer, in x0: data, which is not executable", &[]),
    ("return-wild", "return to memory that is not mapped", &[]),
    ("recursion", "stack overflow: write below the end of the stack", &["E-STACK-OVERFLOW"]),
    ("undefined", "a trap instruction", &[]),
    ("brk", "a breakpoint, or a check that the compiler put there", &[]),
    ("past-end", "read 100 bytes behind a mapping", &[]),
    ("pair", "write through a null pointer in x0, at offset 0x10", &["E-NULL"]),
    ("simd", "read through a wild pointer in x0", &[]),
    ("atomic", "read through a wild pointer in x0", &[]),
    ("residue", "read through a null pointer", &["E-NULL"]),
    ("handler", "read through a null pointer", &["E-NULL"]),
];

fn cores() -> PathBuf {
    support::tests_dir().join("cores/aarch64")
}

fn record(kind: &str) -> Record {
    let packed = std::fs::read(cores().join(format!("{kind}.core.zst"))).expect("the core");
    let core = zstd::decode_all(packed.as_slice()).expect("zstd");
    epicore::capture::replay(core.as_slice(), &[cores()])
}

/// Functions of the program by their end, from its symbol table.
fn functions() -> BTreeMap<u64, (u64, String)> {
    let bytes = std::fs::read(cores().join("victims")).expect("the program");
    let elf = goblin::elf::Elf::parse(&bytes).expect("an ELF file");
    let functions = elf.syms.iter().filter(|symbol| symbol.is_function());
    functions
        .map(|symbol| {
            let name = elf.strtab.get_at(symbol.st_name).unwrap_or("").to_owned();
            (symbol.st_value + symbol.st_size, (symbol.st_value, name))
        })
        .collect()
}

fn named(functions: &BTreeMap<u64, (u64, String)>, at: u64) -> String {
    let found = functions.range(at + 1..).next().filter(|(_, (start, _))| *start <= at);
    found.map_or("??".to_owned(), |(_, (_, name))| name.clone())
}

#[test]
fn every_crash_of_aarch64_gets_the_sentence_its_source_declares() {
    for (kind, words, codes) in DECLARED {
        let record = record(kind);
        let cause = record.fault.cause.as_deref().unwrap_or("-");
        assert!(cause.contains(words), "{kind}: {cause}");
        let told: Vec<&str> = record.fault.evidence.iter().map(|(code, _)| code.as_str()).collect();
        assert_eq!(told, codes, "{kind}");
    }
}

#[test]
fn registers_addresses_and_frames_of_aarch64_are_those_that_gdb_shows() {
    let judged = std::fs::read_to_string(cores().join("judged.txt")).expect("judged.txt");
    let functions = functions();
    let mut seen = 0;
    for line in judged.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let &[kind, signal, pc, sp, fp, lr, code, address, chain] = columns.as_slice() else {
            panic!("{line}");
        };
        seen += 1;
        let record = record(kind);
        let hex = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok();
        let registers = &record.registers.first().expect("registers").values;
        let own = [32, 31, 29, 30].map(|index| registers.get(index).map(|value| value.0));
        assert_eq!(own, [hex(pc), hex(sp), hex(fp), hex(lr)], "{kind}");
        assert_eq!(record.crash.signal, signal.parse().ok(), "{kind}");
        assert_eq!(record.crash.code, code.parse().ok(), "{kind}");
        assert_eq!(record.crash.addr.map(|at| at.0), hex(address), "{kind}");
        let frames = &record.stacks.first().expect("a stack").frames;
        let mut ours: Vec<String> = Vec::new();
        for (index, frame) in frames.iter().enumerate() {
            // Behind a call, but for the innermost and what a signal interrupted.
            let back = u64::from(index > 0 && !ours.last().is_some_and(|name| name.starts_with('<')));
            let name = named(&functions, frame.offset.0 - back.min(frame.offset.0));
            let restorer = named(&functions, frame.offset.0) == "restorer";
            ours.push(if restorer { "<signal handler called>".to_owned() } else { name });
        }
        let theirs: Vec<&str> = chain.split(',').collect();
        match kind {
            // The return address is lost: gdb gives up, we say who called the function.
            "return-wild" => assert!(ours.ends_with(&["main".to_owned(), "_start".to_owned()]), "{ours:?}"),
            // gdb names data as a function.
            "call-data" => assert_eq!(ours[1..], theirs[1..], "{kind}"),
            // A record leaves out the middle of a long chain.
            "recursion" => assert_eq!(ours[..8], theirs[..8], "{kind}"),
            _ => assert_eq!(ours, theirs, "{kind}"),
        }
    }
    assert_eq!(seen, DECLARED.len());
}

#[test]
fn what_a_signal_left_below_the_stack_pointer_is_found_on_aarch64_too() {
    let record = record("residue");
    let residue = record.fault.residue.expect("the frame of SIGUSR1");
    assert_eq!(residue.signal, Some(10));
    assert!(!residue.switches);
    let functions = functions();
    assert_eq!(named(&functions, residue.offset.0), "raise_usr1");
    assert!(residue.below > 0x1000, "{}", residue.below);
}
