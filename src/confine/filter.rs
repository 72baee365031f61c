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
use seccompiler::{
    SeccompAction, SeccompCmpArgLen as Width, SeccompCmpOp as Is, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

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
    // Its deadline, and its end.
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_setitimer,
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
    libc::SYS_seccomp,
];

/// The architecture that this was built for.
const ARCHITECTURE: TargetArch =
    if cfg!(target_arch = "aarch64") { TargetArch::aarch64 } else { TargetArch::x86_64 };

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// A call whose argument of this number, and a mask of it, has to be something.
fn only(argument: u8, width: Width, is: Is, value: u64) -> Option<Vec<SeccompRule>> {
    let condition = SeccompCondition::new(argument, width, is, value).ok()?;
    Some(vec![SeccompRule::new(vec![condition]).ok()?])
}

fn rules(lists: &[&[i64]]) -> Option<Rules> {
    let mut rules: Rules = lists.iter().copied().flatten().map(|call| (*call, Vec::new())).collect();
    let executable = u64::from(libc::PROT_EXEC.unsigned_abs());
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, only(2, Width::Dword, Is::MaskedEq(executable), 0)?);
    }
    // Only itself: how a panic ends. musl's raise(3) names the thread alone, and there
    // is one.
    let own = u64::try_from(nix::unistd::getpid().as_raw()).ok()?;
    for call in [libc::SYS_tgkill, libc::SYS_tkill] {
        rules.insert(call, only(0, Width::Dword, Is::Eq, own)?);
    }
    // Reading a limit is asking for a new one that is nowhere.
    rules.insert(libc::SYS_prlimit64, only(2, Width::Qword, Is::Eq, 0)?);
    Some(rules)
}

fn apply(lists: &[&[i64]]) -> Result<(), Errno> {
    let denied = SeccompAction::Errno(Errno::EPERM as u32);
    let rules = rules(lists).ok_or(Errno::EINVAL)?;
    let filter = SeccompFilter::new(rules, denied, SeccompAction::Allow, ARCHITECTURE);
    let program: seccompiler::BpfProgram = filter.and_then(TryInto::try_into).map_err(|_| Errno::EINVAL)?;
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
