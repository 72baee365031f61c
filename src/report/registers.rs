//! General registers in gdb's order and naming.
//!
//! The record holds them in the kernel's order (user_regs_struct on x86_64,
//! user_pt_regs on aarch64); `info registers` shows another. orig_rax, which
//! gdb hides, says whether a system call was under way and comes last.

use super::paint::Paint;
use crate::record::Registers;

/// x86_64: (gdb's name, index in user_regs_struct).
const X86_64: [(&str, usize); 27] = [
    ("rax", 10),
    ("rbx", 5),
    ("rcx", 11),
    ("rdx", 12),
    ("rsi", 13),
    ("rdi", 14),
    ("rbp", 4),
    ("rsp", 19),
    ("r8", 9),
    ("r9", 8),
    ("r10", 7),
    ("r11", 6),
    ("r12", 3),
    ("r13", 2),
    ("r14", 1),
    ("r15", 0),
    ("rip", 16),
    ("eflags", 18),
    ("cs", 17),
    ("ss", 20),
    ("ds", 23),
    ("es", 24),
    ("fs", 25),
    ("gs", 26),
    ("fs_base", 21),
    ("gs_base", 22),
    ("orig_rax", 15),
];

/// The flags of eflags that gdb names, by bit.
const EFLAGS: [(u32, &str); 16] = [
    (0, "CF"),
    (2, "PF"),
    (4, "AF"),
    (6, "ZF"),
    (7, "SF"),
    (8, "TF"),
    (9, "IF"),
    (10, "DF"),
    (11, "OF"),
    (14, "NT"),
    (16, "RF"),
    (17, "VM"),
    (18, "AC"),
    (19, "VIF"),
    (20, "VIP"),
    (21, "ID"),
];

fn flags(value: u64) -> String {
    let set = EFLAGS.iter().filter(|(bit, _)| value >> bit & 1 == 1);
    let names: Vec<&str> = set.map(|(_, name)| *name).collect();
    if names.is_empty() { "[ ]".to_owned() } else { format!("[ {} ]", names.join(" ")) }
}

/// Names and values in gdb's order.
pub fn ordered(registers: &Registers) -> Vec<(String, u64)> {
    let value = |index: usize| registers.values.get(index).map(|v| v.0);
    match registers.values.len() {
        27 => X86_64.iter().filter_map(|(name, i)| Some(((*name).to_owned(), value(*i)?))).collect(),
        34 => (0..34).filter_map(|i| Some((aarch64(i), value(i)?))).collect(),
        n => (0..n).filter_map(|i| Some((format!("[{i}]"), value(i)?))).collect(),
    }
}

fn aarch64(index: usize) -> String {
    match index {
        31 => "sp".to_owned(),
        32 => "pc".to_owned(),
        33 => "cpsr".to_owned(),
        n => format!("x{n}"),
    }
}

/// Four registers a line, those that a reader asks for first.
pub fn compact(registers: &Registers) -> Vec<String> {
    let all = ordered(registers);
    let general: Vec<_> = all.iter().filter(|(name, _)| !segment(name)).collect();
    general
        .chunks(4)
        .map(|row| {
            let cells: Vec<String> =
                row.iter().map(|(name, value)| format!("{name:<6} {value:016x}")).collect();
            format!("  {}", cells.join("  "))
        })
        .collect()
}

fn segment(name: &str) -> bool {
    matches!(name, "cs" | "ss" | "ds" | "es" | "fs" | "gs" | "gs_base" | "orig_rax" | "fs_base")
}

/// One register a line, as gdb's `info registers` shows them.
pub fn table(registers: &Registers, paint: Paint) -> Vec<String> {
    let line = |(name, value): (String, u64)| {
        let natural = if name == "eflags" { flags(value) } else { value.cast_signed().to_string() };
        let hex = format!("{value:#x}");
        format!("  {name:<15}{hex:<19}{}", paint.dim(&natural))
    };
    ordered(registers).into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Hex;

    #[test]
    fn the_order_is_gdbs_and_each_register_appears_once() {
        let values = (0..27).map(Hex).collect();
        let all = ordered(&Registers { tid: 1, values });
        assert_eq!(all.first(), Some(&("rax".to_owned(), 10)));
        assert_eq!(all.get(16), Some(&("rip".to_owned(), 16)));
        let mut seen: Vec<u64> = all.iter().map(|(_, v)| *v).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..27).collect::<Vec<_>>());
    }

    #[test]
    fn eflags_are_named_as_gdb_names_them() {
        assert_eq!(flags(0x10246), "[ PF ZF IF RF ]");
        assert_eq!(flags(0), "[ ]");
    }
}
