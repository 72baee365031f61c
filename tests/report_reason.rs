//! The sentence that says why, for each way to die.
#![allow(missing_docs)]

use epicore::record::{Crash, Hex, Record, Threads};
use epicore::report::{Names, reason};

fn sentence(signal: u32, code: i32, addr: Option<u64>, ip: u64, sp: u64) -> String {
    let crash = Crash {
        pid: Some(100),
        signal: Some(signal),
        code: Some(code),
        addr: addr.map(Hex),
        ..Crash::default()
    };
    let threads = Threads { tid: vec![100], ip: vec![Hex(ip)], sp: vec![Hex(sp)], ..Threads::default() };
    reason::sentence(&Record { crash, threads, ..Record::default() }, &Names::default())
}

#[test]
fn faults_are_told_as_the_kernel_told_them() {
    let stack = 0x7ffd_0000_0000;
    for (signal, code, addr, ip, said) in [
        (
            11,
            1,
            Some(0),
            0x1000,
            "SIGSEGV: access to address 0x0 (null pointer): nothing is mapped there (SEGV_MAPERR)",
        ),
        (
            11,
            1,
            Some(0),
            0,
            "SIGSEGV: jump to address 0x0 (null pointer): nothing is mapped there (SEGV_MAPERR)",
        ),
        (
            11,
            2,
            Some(0x4000_0000),
            0x1000,
            "SIGSEGV: access to address 0x40000000: mapped, but not for this access (SEGV_ACCERR)",
        ),
        (11, 1, Some(stack - 8), 0x1000, "close to the stack pointer: a stack overflow is likely"),
        (11, 0x80, Some(0), 0x1000, "SIGSEGV: general protection fault (SI_KERNEL)"),
        (11, 10, Some(0), 0x1000, "SEGV_CPERR"),
        (
            7,
            2,
            Some(0x5000_0000),
            0x1000,
            "SIGBUS: access to address 0x50000000: beyond the end of the mapped object (BUS_ADRERR)",
        ),
        (7, 4, Some(0x5000_0000), 0x1000, "SIGBUS: hardware memory error at address 0x50000000"),
        (8, 1, Some(0x1000), 0x1000, "SIGFPE: integer divide by zero (FPE_INTDIV)"),
        (4, 2, Some(0x1000), 0x1000, "SIGILL: illegal operand (ILL_ILLOPN)"),
        (5, 0x80, None, 0x1000, "SIGTRAP: breakpoint instruction"),
        (31, 1, None, 0x1000, "SIGSYS: system call denied by seccomp (SYS_SECCOMP)"),
        (11, 77, Some(0x5000_0000), 0x1000, "si_code 77"),
    ] {
        let text = sentence(signal, code, addr, ip, stack);
        assert!(text.contains(said), "{text}\nlacks {said}");
    }
}

#[test]
fn who_sent_a_signal_is_told() {
    let crash = Crash { pid: Some(100), signal: Some(6), code: Some(-6), ..Crash::default() };
    let mut record = Record { crash, ..Record::default() };
    (record.crash.sender_pid, record.crash.sender_uid) = (Some(100), Some(1000));
    let say = |record: &Record| reason::sentence(record, &Names::default());
    assert!(say(&record).starts_with("SIGABRT: raised by the process itself (tgkill from pid 100)"));
    record.crash.code = Some(0);
    record.crash.sender_pid = Some(7);
    assert_eq!(say(&record), "SIGABRT: sent by pid 7 of uid 1000 (kill)");
    record.crash.sender_pid = Some(0);
    assert!(say(&record).contains("outside its pid namespace"));
    // In a container siginfo speaks of the namespace's own numbers.
    record.process.nspid = Some(1);
    record.crash.sender_pid = Some(1);
    assert!(say(&record).contains("raised by the process itself"));
}

#[test]
fn without_siginfo_the_signal_alone_is_told() {
    let record = Record { crash: Crash { signal: Some(11), ..Crash::default() }, ..Record::default() };
    let text = reason::sentence(&record, &Names::default());
    assert_eq!(text, "SIGSEGV: bad memory access; the kernel's siginfo is missing");
    let nothing = reason::sentence(&Record::default(), &Names::default());
    assert_eq!(nothing, "crashed; the signal is not known");
}
