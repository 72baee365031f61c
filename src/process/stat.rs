//! /proc/TID/stat, parsed from its last parenthesis (proc_pid_stat(5)): comm
//! may hold anything, parentheses and newlines included (CVE-2021-25682).

/// What is used of stat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stat {
    /// Field 3: Z or X, a process that only waits for its parent.
    pub is_dead: bool,
    /// Field 9: flags of the task (PF_KTHREAD 0x200000).
    pub flags: Option<u32>,
    /// Field 22: start time after boot, clock ticks.
    pub start_ticks: Option<u64>,
    /// Field 39: CPU last executed on.
    pub cpu: Option<u32>,
}

/// Parses stat.
pub(super) fn parse(text: &[u8]) -> Stat {
    let Some(last) = text.iter().rposition(|byte| *byte == b')') else { return Stat::default() };
    let rest = text.get(last..).and_then(|rest| rest.get(1..)).unwrap_or(&[]);
    let Ok(rest) = std::str::from_utf8(rest) else { return Stat::default() };
    // The first word behind comm is field 3.
    let field = |number: usize| rest.split_ascii_whitespace().nth(number.saturating_sub(3));
    Stat {
        is_dead: matches!(field(3), Some("Z" | "X")),
        flags: field(9).and_then(|word| word.parse().ok()),
        start_ticks: field(22).and_then(|word| word.parse().ok()),
        cpu: field(39).and_then(|word| word.parse().ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comm_with_parentheses_and_newlines_does_not_shift_the_fields() {
        let tail: Vec<String> = (3..=52).map(|field| field.to_string()).collect();
        let text = format!("7 (a) R 1\n(b)) {}\n", tail.join(" "));
        let expected = Stat { is_dead: false, flags: Some(9), start_ticks: Some(22), cpu: Some(39) };
        assert_eq!(parse(text.as_bytes()), expected);
        assert!(parse(b"7 (a) R) Z 1 2").is_dead);
        assert_eq!(parse(b"7 (a"), Stat::default());
    }
}
