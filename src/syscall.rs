//! The system calls that no crate wraps safely: the only file of the library
//! with `unsafe` in it (the demo's victims are the other place in the package).
//!
//! What it gives: small safe functions, one system call each, errors as
//! [`Errno`]. What it trusts: only what the kernel handed over at exec.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::mman::{MapFlags, ProtFlags, mmap};

/// The error number behind an error of std; EIO where it has none.
pub fn errno(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// Takes over a descriptor that the kernel opened for us before exec (%F).
///
/// Refused below 3 and when it is not open. May be called once for a number.
pub fn adopt(fd: RawFd) -> Result<OwnedFd, Errno> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if fd < 3 || TAKEN.swap(true, Ordering::Relaxed) {
        return Err(Errno::EBADF);
    }
    // SAFETY: F_SETFD on a number that is not open only fails with EBADF.
    Errno::result(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    // SAFETY: the descriptor is open and was inherited over exec: the handler
    // calls this before it opens anything, and descriptors 0 to 2 are refused,
    // so nobody else in this process owns it; the flag above makes it the only
    // adoption.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Reads the memory of a thread, as far as it is there; EFAULT where nothing is. A wait
/// for a page ends when this process is killed, which one for /proc/TID/mem does not
/// (process_vm_readv(2); mm/gup.c: FAULT_FLAG_KILLABLE).
pub fn read_memory(thread: u32, from: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
    let thread = libc::pid_t::try_from(thread).map_err(|_| Errno::ESRCH)?;
    let base = usize::try_from(from).map_err(|_| Errno::EFAULT)?;
    let theirs = libc::iovec { iov_base: std::ptr::without_provenance_mut(base), iov_len: buffer.len() };
    let ours = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: the kernel writes to `ours` alone, which is this exclusive slice; the other
    // address is never used in this process.
    let got = unsafe { libc::process_vm_readv(thread, &raw const ours, 1, &raw const theirs, 1, 0) };
    Errno::result(got).map(|got| usize::try_from(got).unwrap_or(0))
}

/// A socket of the connector (NETLINK_CONNECTOR, netlink(7)), which never waits.
pub fn connector() -> Result<OwnedFd, Errno> {
    // linux/netlink.h; libc has no name for it.
    const NETLINK_CONNECTOR: libc::c_int = 11;
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: three integers.
    let socket = Errno::result(unsafe { libc::socket(libc::AF_NETLINK, kind, NETLINK_CONNECTOR) })?;
    // SAFETY: it is open, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(socket) })
}

/// Lets a socket hear only what passes a filter (SO_ATTACH_FILTER: classic BPF, for netlink
/// over the message from its nlmsghdr on); it takes an earlier one's place.
pub fn attach_filter(socket: BorrowedFd<'_>, filter: &[libc::sock_filter]) -> Result<(), Errno> {
    let len = u16::try_from(filter.len()).map_err(|_| Errno::E2BIG)?;
    let program = libc::sock_fprog { len, filter: filter.as_ptr().cast_mut() };
    let size = libc::socklen_t::try_from(size_of_val(&program)).map_err(|_| Errno::EINVAL)?;
    let (socket, option) = (socket.as_raw_fd(), libc::SO_ATTACH_FILTER);
    // SAFETY: the kernel reads `size` bytes of `program` and, through it, `len`
    // instructions of `filter`; it writes to neither.
    let done =
        unsafe { libc::setsockopt(socket, libc::SOL_SOCKET, option, (&raw const program).cast(), size) };
    Errno::result(done).map(drop)
}

/// A descriptor of a process (pidfd_open(2)).
pub fn pidfd(process: u32) -> Result<OwnedFd, Errno> {
    let process = libc::pid_t::try_from(process).map_err(|_| Errno::ESRCH)?;
    // SAFETY: two integers.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, process, 0) })?;
    let fd = RawFd::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: it is open, closes at exec, and is nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether a process has ended, reaped or not: its descriptor is readable then.
pub fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(pidfd, PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

/// Lets others go first, from now on: the nice value (setpriority(2)), and the lowest
/// place of the best-effort class for the disk (ioprio_set(2)).
pub fn stand_back(nice: i32) -> Result<(), Errno> {
    // IOPRIO_WHO_PROCESS and IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 7) of linux/ioprio.h.
    let (own, lowest) = (1, 2 << 13 | 7);
    // SAFETY: both take integers only; 0 is this process.
    unsafe {
        Errno::result(libc::setpriority(libc::PRIO_PROCESS, 0, nice))?;
        Errno::result(libc::syscall(libc::SYS_ioprio_set, own, 0, lowest)).map(drop)
    }
}

/// Sends a signal through a pidfd: never to a process that reused the number.
pub fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
    // SAFETY: no pointer is passed (siginfo NULL is allowed).
    let result = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, std::ptr::null::<()>(), 0)
    };
    Errno::result(result).map(drop)
}

/// Drops one capability from the bounding set; EINVAL beyond the last one.
pub fn drop_bounding(capability: u64) -> Result<(), Errno> {
    // SAFETY: PR_CAPBSET_DROP takes integers only.
    Errno::result(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) }).map(drop)
}

static LAST_WORDS: std::sync::OnceLock<fn(u8)> = std::sync::OnceLock::new();

extern "C" fn on_fatal(signal: libc::c_int) {
    if let Some(say) = LAST_WORDS.get() {
        say(u8::try_from(signal).unwrap_or(0));
    }
}

/// Before a fault or an abort ends this process `say` is called once, with the signal's
/// number: async-signal-safe, so nothing but atomics and clocks. Then it dies of it, by
/// SA_RESETHAND: the fault happens again, abort(3) raises again.
pub fn on_fatal_signals(say: fn(u8)) -> Result<(), Errno> {
    let _ = LAST_WORDS.set(say);
    for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT, libc::SIGTRAP] {
        // SAFETY: the structure is plain data for which all zeroes is valid; the
        // handler calls what its caller promised to be async-signal-safe, on the
        // alternate stack that the runtime has for overflows.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_fatal as *const () as usize;
            action.sa_flags = libc::SA_RESETHAND | libc::SA_ONSTACK;
            Errno::result(libc::sigaction(signal, &action, std::ptr::null_mut()))?;
        }
    }
    Ok(())
}

static EXPIRED: AtomicBool = AtomicBool::new(false);

extern "C" fn on_deadline(_: libc::c_int) {
    // The first time: stop what blocks (no SA_RESTART) and let the code wind
    // up with what it has. SA_RESETHAND makes the next one fatal.
    EXPIRED.store(true, Ordering::Relaxed);
}

/// True once the deadline has passed.
pub fn deadline_passed() -> bool {
    EXPIRED.load(Ordering::Relaxed)
}

/// Sets the deadline: SIGALRM after `seconds` interrupts whatever blocks and
/// sets [`deadline_passed`]; one more `grace` later ends this process.
pub fn set_deadline(seconds: u64, grace: u64) -> Result<(), Errno> {
    // SAFETY: the structure is plain data for which all zeroes is valid; the
    // handler only stores to an atomic, which is async-signal-safe.
    unsafe {
        // The earlier one must not go off in between.
        let none: libc::itimerval = std::mem::zeroed();
        Errno::result(libc::setitimer(libc::ITIMER_REAL, &none, std::ptr::null_mut()))?;
        EXPIRED.store(false, Ordering::Relaxed);
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_deadline as *const () as usize;
        action.sa_flags = libc::SA_RESETHAND;
        Errno::result(libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut()))?;
        let timer = libc::itimerval {
            it_value: libc::timeval { tv_sec: seconds as _, tv_usec: 0 },
            it_interval: libc::timeval { tv_sec: grace as _, tv_usec: 0 },
        };
        Errno::result(libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut())).map(drop)
    }
}

/// The first `words` words of a file as memory that processes share, until this
/// process ends: read and written as atomics only, so that a process killed at
/// any instant leaves every word whole. EINVAL for no words.
///
/// The file must be open for reading and writing, have that many words on its
/// filesystem, and be out of reach of whoever might shorten it: memory behind a
/// file's end is SIGBUS.
pub fn share(file: BorrowedFd<'_>, words: usize) -> Result<&'static [AtomicU64], Errno> {
    let length = words.checked_mul(size_of::<AtomicU64>()).and_then(std::num::NonZeroUsize::new);
    let length = length.ok_or(Errno::EINVAL)?;
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice overlaps
    // nothing.
    let start = unsafe { mmap(None, length, access, MapFlags::MAP_SHARED, file, 0)? };
    // SAFETY: a mapping begins at a page, so it is aligned for u64; it is that
    // long, readable and writable, and nobody unmaps it. Every bit pattern is a
    // u64, and AtomicU64 allows others, in this process or not, to write.
    Ok(unsafe { std::slice::from_raw_parts(start.as_ptr().cast::<AtomicU64>(), words) })
}

/// What is known of a file without asking its file system's server for news, as fstat(2)
/// would tell it: device, inode, mode, size and time of change only (statx(2) with
/// AT_STATX_DONT_SYNC; Linux 4.11). Beside it the number of the mount, as in
/// /proc/PID/mountinfo (Linux 5.8).
pub fn stat_unasked(file: BorrowedFd<'_>) -> Result<(nix::sys::stat::FileStat, Option<u64>), Errno> {
    // SAFETY: both are plain data for which all zeroes is valid; the kernel writes no
    // more than a statx, and the empty path ends with a zero.
    let (told, mut stat) = unsafe {
        let mut told: libc::statx = std::mem::zeroed();
        let flags = libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC;
        let wanted = libc::STATX_BASIC_STATS | libc::STATX_MNT_ID;
        Errno::result(libc::syscall(
            libc::SYS_statx,
            file.as_raw_fd(),
            c"".as_ptr(),
            flags,
            wanted,
            &raw mut told,
        ))?;
        (told, std::mem::zeroed::<nix::sys::stat::FileStat>())
    };
    stat.st_dev = nix::sys::stat::makedev(told.stx_dev_major.into(), told.stx_dev_minor.into());
    stat.st_ino = told.stx_ino;
    stat.st_mode = told.stx_mode.into();
    (stat.st_uid, stat.st_gid) = (told.stx_uid, told.stx_gid);
    stat.st_size = i64::try_from(told.stx_size).unwrap_or(i64::MAX);
    stat.st_mtime = told.stx_mtime.tv_sec;
    stat.st_mtime_nsec = told.stx_mtime.tv_nsec.into();
    Ok((stat, (told.stx_mask & libc::STATX_MNT_ID != 0).then_some(told.stx_mnt_id)))
}

/// Nanoseconds of CLOCK_REALTIME and CLOCK_BOOTTIME.
pub fn clocks() -> (Option<u64>, Option<u64>) {
    use nix::time::{ClockId, clock_gettime};
    let ns = |clock| {
        let now = clock_gettime(clock).ok()?;
        let seconds = u64::try_from(now.tv_sec()).ok()?.checked_mul(1_000_000_000)?;
        seconds.checked_add(u64::try_from(now.tv_nsec()).ok()?)
    };
    (ns(ClockId::CLOCK_REALTIME), ns(ClockId::CLOCK_BOOTTIME))
}

/// True when a file has this extended attribute; false, too, where that cannot
/// be asked.
pub fn has_attribute(path: &Path, name: &CStr) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: both texts end with a zero and outlive the call; a buffer of no
    // length is never written.
    unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), std::ptr::null_mut(), 0) > 0 }
}

/// Fewer heaps for threads (glibc makes up to eight for each CPU, and gives
/// none of them back): for daemons. Nothing with another libc.
pub fn use_few_arenas() {
    // SAFETY: mallopt takes integers only; before threads start it races with
    // nobody, and a refusal changes nothing.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}

/// Free memory goes back to the kernel, after a burst. Nothing with another
/// libc.
pub fn give_memory_back() {
    // SAFETY: malloc_trim takes an integer and locks the heaps by itself.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}
