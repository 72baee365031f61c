//! The proc connector: the kernel tells of each crash, whether or not it then runs a
//! handler (drivers/connector/cn_proc.c, linux/cn_proc.h).
//!
//! What it gives: [`Heard`], for crashes (PROC_EVENT_COREDUMP) and for processes that
//! ended of a signal that dumps core (PROC_EVENT_EXIT), no other of the host's many events:
//! a filter in the kernel keeps those. It needs the host's own network and process namespaces, and
//! before Linux 6.6 CAP_NET_ADMIN. What it trusts: the kernel (port 0) alone; root may
//! send to this socket, too.
//!
//! ```text
//!  0  nlmsghdr         length, type, flags, sequence, port
//! 16  cn_msg           idx 1, val 1 (CN_IDX_PROC, CN_VAL_PROC), seq, ack, len, flags
//! 36  proc_event       what, cpu, timestamp
//! 52    its data       process, thread group ─ EXIT: exit code at 60; NONE: an errno at 52
//! ```

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc::{self, sock_filter};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, NetlinkAddr, bind, recvfrom, send, setsockopt, sockopt::RcvBuf};

use crate::syscall;

const ACK: usize = 28;
const WHAT: usize = 36;
const PROCESS: usize = 52;
const GROUP: usize = 56;
const EXIT_CODE: usize = 60;
/// The signal is in the lowest bits of the exit code, a word in the machine's own order.
const LOWEST_OF_EXIT_CODE: usize = if cfg!(target_endian = "big") { EXIT_CODE + 3 } else { EXIT_CODE };
const SIGNAL: u32 = 0x7f;
const LEAST: usize = 64;
const MOST: usize = 128;

const NONE: u32 = 0;
const COREDUMP: u32 = 0x4000_0000;
const EXIT: u32 = 0x8000_0000;

const LISTEN: u32 = 1;
const IGNORE: u32 = 2;
/// CN_IDX_PROC, also the multicast group.
const PROC: u32 = 1;

/// Bytes that may wait to be read.
const BUFFER: usize = 1 << 20;
/// For the kernel's answer to [`LISTEN`].
const PATIENCE: Duration = Duration::from_secs(1);

/// What the kernel told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A process takes a signal that dumps core, in this thread.
    Crash {
        /// The process.
        process: u32,
        /// Its thread.
        thread: u32,
    },
    /// A process has ended of such a signal.
    Ended(u32),
    /// The answer to a request, by its ack: 0, or an errno.
    Answer(u32, u32),
    /// More was told than the socket could hold. (What the kernel has no memory to compose
    /// is lost without a word.)
    Missed,
}

/// The socket.
#[derive(Debug)]
pub(super) struct Connector(OwnedFd);

impl Connector {
    /// Listens from now on; why not, in words.
    pub(super) fn listen() -> Result<Connector, String> {
        let words = |errno: Errno| errno.desc().to_owned();
        let socket = syscall::connector().map_err(|errno| format!("no socket: {}", errno.desc()))?;
        let ack = fastrand::u32(..);
        syscall::attach_filter(socket.as_fd(), &filter(Some(ack))).map_err(words)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, PROC)).map_err(|errno| match errno {
            Errno::EPERM => "before Linux 6.6 it needs CAP_NET_ADMIN".to_owned(),
            other => words(other),
        })?;
        // As much as net.core.rmem_max allows, for moments in which we do not get to run.
        let _ = setsockopt(&socket, RcvBuf, &BUFFER);
        let connector = Connector(socket);
        say(connector.as_fd(), LISTEN, ack).map_err(|errno| match errno {
            Errno::ECONNREFUSED => "this kernel, or this network namespace, has none".to_owned(),
            other => words(other),
        })?;
        match connector.answer(ack, &mut Vec::new()) {
            Some(0) => {}
            Some(errno) => return Err(words(Errno::from_raw(i32::try_from(errno).unwrap_or(0)))),
            None => return Err("the kernel does not answer: is this a container?".to_owned()),
        }
        syscall::attach_filter(connector.as_fd(), &filter(None)).map_err(words)?;
        Ok(connector)
    }

    /// Whether the kernel still tells, and what it told meanwhile. From Linux 6.6 on any
    /// user can make it stop: a request that is none, and then IGNORE, take a listener from
    /// the count of all without having been one. Before, to ask again would be one listener
    /// more, and is left.
    pub(super) fn probe(&self) -> (bool, Vec<Heard>) {
        let mut heard = Vec::new();
        if !asks_twice() {
            return (true, heard);
        }
        let ack = fastrand::u32(..);
        let asked = syscall::attach_filter(self.as_fd(), &filter(Some(ack))).is_ok()
            && say(self.as_fd(), LISTEN, ack).is_ok();
        let told = asked && self.answer(ack, &mut heard) == Some(0);
        let alone = syscall::attach_filter(self.as_fd(), &filter(None)).is_ok();
        (told && alone, heard)
    }

    /// What ends the kernel's telling.
    pub(super) fn ending(&self) -> Option<Ending> {
        self.0.try_clone().ok().map(Ending)
    }

    /// The answer to a request; what else was told goes to `heard`.
    fn answer(&self, ack: u32, heard: &mut Vec<Heard>) -> Option<u32> {
        let end = Instant::now().checked_add(PATIENCE)?;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.wait(left) {
                return None;
            }
            while let Some(one) = self.next() {
                match one {
                    Heard::Answer(of, errno) if of == ack.wrapping_add(1) => return Some(errno),
                    other => heard.push(other),
                }
            }
        }
    }

    /// Waits until there is something to hear; false when there was not.
    pub(super) fn wait(&self, patience: Duration) -> bool {
        let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(self.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, timeout).is_ok_and(|ready| ready > 0)
    }

    /// The next that was told, without waiting.
    pub(super) fn next(&self) -> Option<Heard> {
        loop {
            let mut message = [0; MOST];
            match recvfrom::<NetlinkAddr>(self.0.as_raw_fd(), &mut message) {
                Ok((length, Some(from))) if from.pid() == 0 => {
                    if let Some(heard) = message.get(..length).and_then(meaning) {
                        return Some(heard);
                    }
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::ENOBUFS) => return Some(Heard::Missed),
                Err(_) => return None,
            }
        }
    }
}

impl AsFd for Connector {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Tells the kernel, when it is dropped, that one fewer listens: it counts them, composes
/// its messages while there is one, and does not see who ends without a word.
#[derive(Debug)]
pub(super) struct Ending(OwnedFd);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = say(self.0.as_fd(), IGNORE, fastrand::u32(..));
    }
}

fn say(socket: BorrowedFd<'_>, word: u32, ack: u32) -> Result<usize, Errno> {
    // nlmsghdr: length, NLMSG_DONE; cn_msg: idx, val, seq, ack, length of the word.
    let message = [40, 3, 0, 0, PROC, PROC, 0, ack, 4, word].map(u32::to_ne_bytes);
    send(socket.as_raw_fd(), message.as_flattened(), MsgFlags::empty())
}

/// Whether a listener may ask to listen again and is still one (Linux 6.6).
fn asks_twice() -> bool {
    let name = nix::sys::utsname::uname();
    let release = name.as_ref().ok().and_then(|name| name.release().to_str());
    let mut numbers = release.unwrap_or("").split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(6), Some(6))
}

/// What a message says; `None` for one that is none of ours.
fn meaning(message: &[u8]) -> Option<Heard> {
    let word = |at: usize| {
        let bytes = message.get(at..at.checked_add(4)?)?;
        Some(u32::from_ne_bytes(bytes.try_into().ok()?))
    };
    if message.len() < LEAST || (word(16)?, word(20)?) != (PROC, PROC) {
        return None;
    }
    match word(WHAT)? {
        // Its sequence is the kernel's own, its ack one more than the request's.
        NONE => Some(Heard::Answer(word(ACK)?, word(PROCESS)?)),
        COREDUMP => Some(Heard::Crash { process: word(GROUP)?, thread: word(PROCESS)? }),
        EXIT => Some(Heard::Ended(word(GROUP)?)),
        _ => None,
    }
}

/// Lets crashes pass, the answer to a request with this ack if there is one (everybody who
/// listens gets every answer, and everybody may ask), and the end of a process (not of its threads) by a
/// signal that dumps core. Loads are in network order, whatever the machine's is.
fn filter(ack: Option<u32>) -> [sock_filter; 19] {
    let step = |code: u32, k: u32| {
        let code = u16::try_from(code).unwrap_or(0);
        sock_filter { code, jt: 0, jf: 0, k }
    };
    // How many instructions are skipped when it holds, and when it does not.
    let jump = |code: u32, k: u32, jt: u8, jf: u8| sock_filter { jt, jf, ..step(libc::BPF_JMP | code, k) };
    let load = |size: u32, offset: usize| {
        step(libc::BPF_LD | size | libc::BPF_ABS, u32::try_from(offset).unwrap_or(0))
    };
    let index = step(libc::BPF_MISC | libc::BPF_TAX, 0);
    [
        load(libc::BPF_W, WHAT),
        jump(libc::BPF_JEQ, COREDUMP.to_be(), 15, 0),
        jump(libc::BPF_JEQ, EXIT.to_be(), 3, 0),
        jump(libc::BPF_JEQ, NONE, 0, 14),
        load(libc::BPF_W, ACK),
        jump(
            libc::BPF_JEQ,
            ack.unwrap_or(0).wrapping_add(1).to_be(),
            if ack.is_some() { 11 } else { 12 },
            12,
        ),
        load(libc::BPF_B, LOWEST_OF_EXIT_CODE),
        step(libc::BPF_ALU | libc::BPF_AND, SIGNAL),
        jump(libc::BPF_JGT, 31, 9, 0),
        index,
        step(libc::BPF_LD | libc::BPF_IMM, dumping()),
        step(libc::BPF_ALU | libc::BPF_RSH | libc::BPF_X, 0),
        jump(libc::BPF_JSET, 1, 0, 5),
        load(libc::BPF_W, PROCESS),
        index,
        load(libc::BPF_W, GROUP),
        jump(libc::BPF_JEQ | libc::BPF_X, 0, 0, 1),
        step(libc::BPF_RET | libc::BPF_K, u32::MAX),
        step(libc::BPF_RET | libc::BPF_K, 0),
    ]
}

/// The signals that dump core (signal(7)), a bit each.
fn dumping() -> u32 {
    let signals = [
        libc::SIGQUIT,
        libc::SIGILL,
        libc::SIGTRAP,
        libc::SIGABRT,
        libc::SIGBUS,
        libc::SIGFPE,
        libc::SIGSEGV,
        libc::SIGXCPU,
        libc::SIGXFSZ,
        libc::SIGSYS,
    ];
    signals
        .into_iter()
        .filter_map(|signal| 1u32.checked_shl(u32::try_from(signal).ok()?))
        .fold(0, |all, bit| all | bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(what: u32, data: [u32; 3]) -> Vec<u8> {
        let head = [76, 3, 0, 0, PROC, PROC, 0, 0, 40, what, 1, 0, 0];
        let mut bytes: Vec<u8> = head.into_iter().chain(data).flat_map(u32::to_ne_bytes).collect();
        bytes.resize(76, 0);
        bytes
    }

    #[test]
    fn only_whole_messages_of_the_connector_mean_something() {
        let crash = Heard::Crash { process: 7, thread: 8 };
        assert_eq!(meaning(&message(COREDUMP, [8, 7, 1])), Some(crash));
        assert_eq!(meaning(&message(EXIT, [7, 7, 11])), Some(Heard::Ended(7)));
        assert_eq!(meaning(&message(1, [7, 7, 11])), None, "a fork");
        let answer = message(NONE, [1, 0, 0]);
        assert_eq!(meaning(&answer), Some(Heard::Answer(0, 1)));
        let crash = message(COREDUMP, [8, 7, 1]);
        assert!((0..LEAST).all(|length| meaning(&crash[..length]).is_none()));
        let mut other = crash;
        other[16] = 2;
        assert_eq!(meaning(&other), None, "another user of the connector");
    }

    #[test]
    fn the_kernel_tells_of_a_crash_and_of_its_end_and_of_nothing_else() {
        let connector = match Connector::listen() {
            Ok(connector) => connector,
            Err(why) => return eprintln!("skipped: the proc connector cannot be had: {why}"),
        };
        let run = |script: &str| {
            let child = std::process::Command::new("sh").arg("-c").arg(script).spawn().unwrap();
            let id = child.id();
            child.wait_with_output().unwrap();
            id
        };
        let quiet = run("exit 3");
        let killed = [run("kill -KILL $$"), run("kill -TERM $$")];
        let crashed = run("ulimit -c 1; kill -SEGV $$");
        let mut heard = Vec::new();
        while !heard.contains(&Heard::Ended(crashed)) && connector.wait(PATIENCE) {
            heard.extend(std::iter::from_fn(|| connector.next()));
        }
        let of = |id| {
            let is = move |heard: &&Heard| matches!(heard, Heard::Crash { process, .. } | Heard::Ended(process) if *process == id);
            heard.iter().filter(is)
        };
        assert_eq!(of(quiet).chain(killed.into_iter().flat_map(of)).count(), 0);
        assert_eq!(
            of(crashed).collect::<Vec<_>>(),
            [&Heard::Crash { process: crashed, thread: crashed }, &Heard::Ended(crashed)]
        );
    }
}
