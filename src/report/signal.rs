//! Signals by the names of signal(7), for x86 and arm.

/// Number → name, without "SIG", for 1 to 31.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// SIGILL.
pub const ILL: u32 = 4;
/// SIGTRAP.
pub const TRAP: u32 = 5;
/// SIGABRT.
pub const ABRT: u32 = 6;
/// SIGBUS.
pub const BUS: u32 = 7;
/// SIGFPE.
pub const FPE: u32 = 8;
/// SIGSEGV.
pub const SEGV: u32 = 11;
/// SIGSYS.
pub const SYS: u32 = 31;

/// The first real-time signal as the C library counts (the kernel's 32 and 33
/// belong to the library itself).
const RTMIN: u32 = 34;

/// "SIGSEGV", "SIGRTMIN+3", "signal 99".
pub fn name(number: u32) -> String {
    let index = usize::try_from(number).ok().and_then(|n| n.checked_sub(1));
    match (index.and_then(|i| NAMES.get(i)), number) {
        (Some(name), _) => format!("SIG{name}"),
        (None, RTMIN) => "SIGRTMIN".to_owned(),
        (None, RTMIN..=64) => format!("SIGRTMIN+{}", number - RTMIN),
        (None, _) => format!("signal {number}"),
    }
}

/// The number of "SIGSEGV", "segv" or "11".
pub fn number(text: &str) -> Option<u32> {
    if let Ok(number) = text.parse::<u32>() {
        return (1..=64).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(above) = short.strip_prefix("RTMIN") {
        let above = if above.is_empty() { 0 } else { above.strip_prefix('+')?.parse::<u32>().ok()? };
        return RTMIN.checked_add(above).filter(|n| *n <= 64);
    }
    let short = if short == "IOT" { "ABRT" } else { short };
    let index = NAMES.iter().position(|name| *name == short)?;
    u32::try_from(index + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_known_by_number_and_by_name() {
        assert_eq!(name(11), "SIGSEGV");
        assert_eq!(name(31), "SIGSYS");
        assert_eq!(name(37), "SIGRTMIN+3");
        assert_eq!(name(0), "signal 0");
        for n in 1..=31 {
            assert_eq!(number(&name(n)), Some(n));
        }
        assert_eq!(number("segv"), Some(11));
        assert_eq!(number("SIGRTMIN+3"), Some(37));
        assert_eq!(number("8"), Some(8));
        assert_eq!(number("99"), None);
        assert_eq!(number("SIGNAL"), None);
    }
}
