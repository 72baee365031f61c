//! Which system calls are left: two allow-lists, as data (seccomp(2)).
//!
//! The first holds from before the first byte of the crash, the second, on top of
//! it, once the crashed process is released. What is in no list fails with EPERM:
//! a handler that is tricked can neither run a program, nor open a socket, nor trace
//! a process, nor make memory executable; and one whose C library learnt a new call
//! still writes what it has.
//!
//! Trusts: nothing but that x86_64 and aarch64 number their calls as libc says.

use std::collections::BTreeMap;

use nix::errno::Errno;
use nix::libc;
use seccompiler::{BpfProgram, apply_filter, sock_filter};

/// Whatever else it does: memory, time, signals to itself, its own descriptors, and
/// the spool.
const ALWAYS: &[i64] = &[
    // Memory; mmap and mprotect stand below, never executable.
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    // Reading and writing what is open.
    libc::SYS_close,
    libc::SYS_fcntl,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_getdents64,
    libc::SYS_lseek,
    libc::SYS_newfstatat,
    libc::SYS_ppoll,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_statx,
    libc::SYS_write,
    libc::SYS_writev,
    // Opening: which files, say uid, capabilities and Landlock.
    libc::SYS_openat,
    // The spool.
    libc::SYS_fallocate,
    libc::SYS_fchmod,
    libc::SYS_fchown,
    libc::SYS_fdatasync,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_linkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_unlinkat,
    // Who and when.
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_getuid,
    libc::SYS_nanosleep,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_uname,
    // Its deadline, its place behind others, and its end.
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_ioprio_set,
    libc::SYS_setitimer,
    libc::SYS_setpriority,
    libc::SYS_sigaltstack,
];

/// The same calls under the names that x86_64 alone still has.
#[cfg(target_arch = "x86_64")]
const OLD_NAMES: &[i64] = &[
    libc::SYS_access,
    libc::SYS_lstat,
    libc::SYS_open,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_stat,
    libc::SYS_time,
    libc::SYS_unlink,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_NAMES: &[i64] = &[];

/// Until the release: the crash is looked at, and the second step is taken.
const BEFORE: &[i64] = &[
    libc::SYS_capget,
    libc::SYS_capset,
    libc::SYS_faccessat,
    libc::SYS_ioctl,
    libc::SYS_landlock_add_rule,
    libc::SYS_landlock_create_ruleset,
    libc::SYS_landlock_restrict_self,
    libc::SYS_openat2,
    libc::SYS_prctl,
    libc::SYS_process_vm_readv,
    libc::SYS_seccomp,
];

/// AUDIT_ARCH_ of what this was built for (linux/audit.h).
const ARCHITECTURE: u32 = if cfg!(target_arch = "aarch64") { 0xc000_00b7 } else { 0xc000_003e };
/// struct seccomp_data (linux/seccomp.h): the number, the architecture, the arguments.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;
/// Of classic BPF (linux/bpf_common.h).
const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER: u16 = 0x25;
const JUMP_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;
const ALLOW: u32 = 0x7fff_0000;
/// SECCOMP_RET_ERRNO.
const DENY: u32 = 0x0005_0000 | Errno::EPERM as u32;

/// What an argument must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Must {
    /// Whatever it is.
    Any,
    /// The low word of this argument, masked, is that.
    Be(u32, u32, u32),
    /// This pointer is null.
    BeNull(u32),
}

/// Calls from this number to that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: u32,
    last: u32,
    must: Must,
}

fn step(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

/// Goes on when it holds, else passes over so many.
fn holds(code: u16, k: u32, over: u8) -> sock_filter {
    sock_filter { code, jt: 0, jf: over, k }
}

/// Allowed as far as the argument is what it must be.
fn judge(must: Must) -> Vec<sock_filter> {
    let low = |argument: u32| ARGUMENTS.saturating_add(argument.saturating_mul(8));
    let mut steps = match must {
        Must::Any => Vec::new(),
        Must::Be(argument, mask, value) => {
            vec![step(LOAD, low(argument)), step(AND, mask), holds(JUMP_EQUAL, value, 1)]
        }
        Must::BeNull(argument) => vec![
            step(LOAD, low(argument)),
            holds(JUMP_EQUAL, 0, 3),
            step(LOAD, low(argument).saturating_add(4)),
            holds(JUMP_EQUAL, 0, 1),
        ],
    };
    steps.push(step(RETURN, ALLOW));
    steps.push(step(RETURN, DENY));
    steps
}

/// A binary search: the kernel walks through it for each of some 900 numbers when it is
/// loaded (seccomp_cache_prepare), while the crashed process is held. A list of as many
/// comparisons took 0.3 ms.
fn search(ranges: &[Range]) -> Vec<sock_filter> {
    match ranges {
        [] => vec![step(RETURN, DENY)],
        [one] => {
            let judged = judge(one.must);
            let over = u8::try_from(judged.len()).unwrap_or(u8::MAX);
            // Below it or above it: the last step of what follows, which denies.
            let deny = over.saturating_sub(1);
            let mut steps = vec![holds(JUMP_AT_LEAST, one.first, deny.saturating_add(1))];
            steps.push(sock_filter { code: JUMP_GREATER, jt: deny, jf: 0, k: one.last });
            steps.extend(judged);
            steps
        }
        many => {
            let (below, above) = many.split_at(many.len() / 2);
            let (left, right) = (search(below), search(above));
            let first = above.first().map_or(0, |range| range.first);
            let over = u32::try_from(left.len()).unwrap_or(u32::MAX);
            let mut steps = vec![holds(JUMP_AT_LEAST, first, 1), step(JUMP, over)];
            steps.extend(left.into_iter().chain(right));
            steps
        }
    }
}

fn ranges(lists: &[&[i64]]) -> Option<Vec<Range>> {
    let number = |call: &i64| u32::try_from(*call).ok();
    let mut calls: BTreeMap<u32, Must> = BTreeMap::new();
    for call in lists.iter().copied().flatten() {
        calls.insert(number(call)?, Must::Any);
    }
    let executable = libc::PROT_EXEC.unsigned_abs();
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        calls.insert(number(&call)?, Must::Be(2, executable, 0));
    }
    // Only itself: how a panic ends. musl's raise(3) names the thread alone, and there
    // is one.
    let own = u32::try_from(nix::unistd::getpid().as_raw()).ok()?;
    for call in [libc::SYS_tgkill, libc::SYS_tkill] {
        calls.insert(number(&call)?, Must::Be(0, u32::MAX, own));
    }
    // Reading a limit is asking for a new one that is nowhere.
    calls.insert(number(&libc::SYS_prlimit64)?, Must::BeNull(2));
    let mut ranges: Vec<Range> = Vec::new();
    for (call, must) in calls {
        match ranges.last_mut() {
            Some(range)
                if must == Must::Any && range.must == must && range.last.checked_add(1) == Some(call) =>
            {
                range.last = call;
            }
            _ => ranges.push(Range { first: call, last: call, must }),
        }
    }
    Some(ranges)
}

fn program(ranges: &[Range]) -> BpfProgram {
    let mut steps = vec![
        step(LOAD, ARCH),
        sock_filter { code: JUMP_EQUAL, jt: 1, jf: 0, k: ARCHITECTURE },
        step(RETURN, DENY),
        step(LOAD, NUMBER),
    ];
    steps.extend(search(ranges));
    steps
}

fn apply(lists: &[&[i64]]) -> Result<(), Errno> {
    let program = program(&ranges(lists).ok_or(Errno::EINVAL)?);
    apply_filter(&program).map_err(|error| match error {
        seccompiler::Error::Seccomp(error) | seccompiler::Error::Prctl(error) => {
            error.raw_os_error().map_or(Errno::EINVAL, Errno::from_raw)
        }
        _ => Errno::EINVAL,
    })
}

/// While the crashed process is held. `kill`: it may be ended (release.sparse).
pub(super) fn before_release(kill: bool) -> Result<(), Errno> {
    let signal: &[i64] = if kill { &[libc::SYS_pidfd_send_signal] } else { &[] };
    apply(&[ALWAYS, OLD_NAMES, BEFORE, signal])
}

/// From the release on.
pub(super) fn after_release() -> Result<(), Errno> {
    apply(&[ALWAYS, OLD_NAMES])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel's interpreter would say of a call.
    fn run(program: &[sock_filter], number: u32, arch: u32, arguments: [u64; 6]) -> u32 {
        let (mut at, mut value) = (0usize, 0u32);
        loop {
            let one = &program[at];
            at += 1;
            let jump = |is: bool| usize::from(if is { one.jt } else { one.jf });
            match one.code {
                LOAD => {
                    value = match one.k {
                        NUMBER => number,
                        ARCH => arch,
                        k => {
                            let word = (k - ARGUMENTS) / 4;
                            let argument = arguments[usize::try_from(word / 2).unwrap()];
                            (argument >> (32 * (word % 2)) & 0xffff_ffff) as u32
                        }
                    }
                }
                AND => value &= one.k,
                JUMP => at += one.k as usize,
                JUMP_EQUAL => at += jump(value == one.k),
                JUMP_GREATER => at += jump(value > one.k),
                JUMP_AT_LEAST => at += jump(value >= one.k),
                RETURN => return one.k,
                other => panic!("{other:#x}"),
            }
        }
    }

    #[test]
    fn each_number_is_allowed_exactly_when_it_is_in_a_list() {
        let lists: &[&[i64]] = &[ALWAYS, OLD_NAMES, BEFORE];
        let program = program(&ranges(lists).unwrap());
        let conditional =
            [libc::SYS_mmap, libc::SYS_mprotect, libc::SYS_tgkill, libc::SYS_tkill, libc::SYS_prlimit64];
        for number in (0..600).chain([0x4000_0000, 0x4000_0001, u32::MAX]) {
            let listed = lists.iter().any(|list| list.contains(&i64::from(number)));
            if conditional.contains(&i64::from(number)) {
                continue;
            }
            let said = run(&program, number, ARCHITECTURE, [u64::MAX; 6]);
            assert_eq!(said, if listed { ALLOW } else { DENY }, "{number}");
            assert_eq!(run(&program, number, 0x4000_0003, [0; 6]), DENY, "another architecture");
        }
    }

    #[test]
    fn arguments_that_matter_are_looked_at() {
        let program = program(&ranges(&[ALWAYS]).unwrap());
        let own = u64::from(std::process::id());
        let says = |call: i64, arguments: [u64; 6]| {
            run(&program, u32::try_from(call).unwrap(), ARCHITECTURE, arguments) == ALLOW
        };
        for call in [libc::SYS_mmap, libc::SYS_mprotect] {
            assert!(says(call, [0, 1, 3, 0, 0, 0]) && !says(call, [0, 1, 5, 0, 0, 0]));
            assert!(!says(call, [0, 1, 1 << 40 | 4, 0, 0, 0]));
        }
        for call in [libc::SYS_tgkill, libc::SYS_tkill] {
            assert!(says(call, [own, own, 6, 0, 0, 0]) && !says(call, [1, own, 6, 0, 0, 0]));
        }
        assert!(says(libc::SYS_prlimit64, [0, 4, 0, 8, 0, 0]));
        assert!(!says(libc::SYS_prlimit64, [0, 4, 8, 8, 0, 0]));
        assert!(!says(libc::SYS_prlimit64, [0, 4, 1 << 32, 8, 0, 0]));
    }
}
