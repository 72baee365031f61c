//! One thing done to a running process, as broken hardware would do it.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use iced_x86::{Decoder, DecoderOptions, FlowControl, InstructionInfoFactory, OpAccess, Register};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use super::Random;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// One bit of the register that the next access is based on.
    Base,
    /// One bit of any general register.
    Register,
    /// One bit of a pointer in the heap.
    HeapPointer,
    /// One bit of a word of the stack near rsp.
    StackSlot,
    /// One bit of the code around rip.
    Code,
    /// rsp is eight bytes off, at any instruction.
    StackPointer,
    /// One instruction is not executed.
    Skip,
}

impl Class {
    pub(crate) const ALL: [Class; 7] = [
        Class::Base,
        Class::Register,
        Class::HeapPointer,
        Class::StackSlot,
        Class::Code,
        Class::StackPointer,
        Class::Skip,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Class::Base => "base",
            Class::Register => "register",
            Class::HeapPointer => "heap-pointer",
            Class::StackSlot => "stack-slot",
            Class::Code => "code",
            Class::StackPointer => "rsp",
            Class::Skip => "skip",
        }
    }
}

/// What was done.
pub(crate) struct Done {
    pub(crate) what: String,
    /// The very instruction that was meant has faulted.
    pub(crate) at_once: bool,
    /// With this signal, which it still has to be given.
    signal: Option<Signal>,
}

impl Done {
    fn of(what: String) -> Done {
        Done { what, at_once: false, signal: None }
    }
}

/// Stops the process, does it, and lets it go on alone.
pub(crate) fn inject(pid: u32, class: Class, random: &mut Random) -> Option<Done> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?);
    ptrace::attach(pid).ok()?;
    let stopped = matches!(waitpid(pid, None), Ok(WaitStatus::Stopped(..)));
    let done = if stopped { act(pid, class, random) } else { None };
    // The same signal keeps its siginfo.
    let _ = ptrace::detach(pid, done.as_ref().and_then(|done| done.signal));
    done
}

fn step(pid: Pid) -> Option<()> {
    ptrace::step(pid, None).ok()?;
    match waitpid(pid, None) {
        Ok(WaitStatus::Stopped(_, Signal::SIGTRAP)) => Some(()),
        _ => None,
    }
}

fn read(pid: Pid, at: u64, length: usize) -> Option<Vec<u8>> {
    let memory = OpenOptions::new().read(true).open(format!("/proc/{pid}/mem")).ok()?;
    let mut bytes = vec![0; length];
    memory.read_exact_at(&mut bytes, at).ok()?;
    Some(bytes)
}

fn write(pid: Pid, at: u64, bytes: &[u8]) -> Option<()> {
    // Writing through mem makes a private copy of a page of code, as a debugger
    // does.
    let memory = OpenOptions::new().write(true).open(format!("/proc/{pid}/mem")).ok()?;
    memory.write_all_at(bytes, at).ok()
}

fn decode(pid: Pid, ip: u64) -> Option<iced_x86::Instruction> {
    let bytes = (1..=15).rev().find_map(|length| read(pid, ip, length))?;
    let instruction = Decoder::with_ip(64, &bytes, ip, DecoderOptions::NONE).decode();
    (!instruction.is_invalid()).then_some(instruction)
}

/// Not in the middle of a system call.
fn leave_the_kernel(pid: Pid) -> Option<()> {
    for _ in 0..64 {
        let registers = ptrace::getregs(pid).ok()?;
        let after_call = read(pid, registers.rip.checked_sub(2)?, 2)? == [0x0f, 0x05];
        if !after_call {
            return Some(());
        }
        step(pid)?;
    }
    None
}

fn act(pid: Pid, class: Class, random: &mut Random) -> Option<Done> {
    leave_the_kernel(pid)?;
    for _ in 0..random.below(200) {
        step(pid)?;
    }
    match class {
        Class::Base => base(pid, random),
        Class::Register => register(pid, random),
        Class::HeapPointer => heap_pointer(pid, random),
        Class::StackSlot => stack_slot(pid, random),
        Class::Code => code(pid, random),
        Class::StackPointer => stack_pointer(pid, random),
        Class::Skip => skip(pid),
    }
}

fn slot(registers: &mut nix::libc::user_regs_struct, register: Register) -> Option<&mut u64> {
    let r = registers;
    Some(match register.full_register() {
        Register::RAX => &mut r.rax,
        Register::RBX => &mut r.rbx,
        Register::RCX => &mut r.rcx,
        Register::RDX => &mut r.rdx,
        Register::RSI => &mut r.rsi,
        Register::RDI => &mut r.rdi,
        Register::RBP => &mut r.rbp,
        Register::R8 => &mut r.r8,
        Register::R9 => &mut r.r9,
        Register::R10 => &mut r.r10,
        Register::R11 => &mut r.r11,
        Register::R12 => &mut r.r12,
        Register::R13 => &mut r.r13,
        Register::R14 => &mut r.r14,
        Register::R15 => &mut r.r15,
        _ => return None,
    })
}

/// Steps until the next instruction accesses memory through a register.
fn base(pid: Pid, random: &mut Random) -> Option<Done> {
    for _ in 0..200 {
        let mut registers = ptrace::getregs(pid).ok()?;
        let instruction = decode(pid, registers.rip)?;
        let mut factory = InstructionInfoFactory::new();
        let info = factory.info(&instruction);
        let used = info.used_memory().iter().find(|memory| {
            memory.access() != OpAccess::NoMemAccess
                && memory.base() != Register::RSP
                && memory.base() != Register::RIP
        });
        if let Some(register) = used.map(|memory| memory.base())
            && let Some(value) = slot(&mut registers, register)
        {
            let bit = random.below(64);
            *value ^= 1 << bit;
            ptrace::setregs(pid, registers).ok()?;
            ptrace::step(pid, None).ok()?;
            let signal = match waitpid(pid, None) {
                Ok(WaitStatus::Stopped(_, Signal::SIGTRAP)) => None,
                Ok(WaitStatus::Stopped(_, signal)) => Some(signal),
                _ => return None,
            };
            return Some(Done {
                what: format!("bit {bit} of {register:?}"),
                at_once: signal.is_some(),
                signal,
            });
        }
        step(pid)?;
    }
    None
}

fn register(pid: Pid, random: &mut Random) -> Option<Done> {
    const ALL: [Register; 15] = [
        Register::RAX,
        Register::RBX,
        Register::RCX,
        Register::RDX,
        Register::RSI,
        Register::RDI,
        Register::RBP,
        Register::R8,
        Register::R9,
        Register::R10,
        Register::R11,
        Register::R12,
        Register::R13,
        Register::R14,
        Register::R15,
    ];
    let mut registers = ptrace::getregs(pid).ok()?;
    let register = ALL[random.below(ALL.len() as u64) as usize];
    let bit = random.below(64);
    *slot(&mut registers, register)? ^= 1 << bit;
    ptrace::setregs(pid, registers).ok()?;
    Some(Done::of(format!("bit {bit} of {register:?}")))
}

/// Mappings: start, end, line.
fn maps(pid: Pid) -> Vec<(u64, u64, String)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let (start, rest) = line.split_once('-')?;
            let end = rest.split(' ').next()?;
            let hex = |text: &str| u64::from_str_radix(text, 16).ok();
            Some((hex(start)?, hex(end)?, line.to_owned()))
        })
        .collect()
}

fn heap_pointer(pid: Pid, random: &mut Random) -> Option<Done> {
    let (start, end, _) = maps(pid).into_iter().find(|(_, _, line)| line.ends_with("[heap]"))?;
    let bytes = read(pid, start, usize::try_from((end - start).min(1 << 17)).ok()?)?;
    let pointers: Vec<(u64, u64)> = (start..)
        .step_by(8)
        .zip(bytes.chunks_exact(8))
        .map(|(at, word)| (at, u64::from_le_bytes(word.try_into().expect("eight bytes"))))
        .filter(|(_, value)| (start..end).contains(value))
        .collect();
    let (at, value) = *pointers.get(random.below(pointers.len().max(1) as u64) as usize)?;
    let bit = random.below(64);
    write(pid, at, &(value ^ 1 << bit).to_le_bytes())?;
    Some(Done::of(format!("bit {bit} of the pointer at heap+{:#x}", at - start)))
}

fn stack_slot(pid: Pid, random: &mut Random) -> Option<Done> {
    let registers = ptrace::getregs(pid).ok()?;
    let at = (registers.rsp & !7) + 8 * random.below(48);
    let word = u64::from_le_bytes(read(pid, at, 8)?.try_into().ok()?);
    let bit = random.below(64);
    write(pid, at, &(word ^ 1 << bit).to_le_bytes())?;
    Some(Done::of(format!("bit {bit} of the word at rsp+{}", at - registers.rsp)))
}

/// A bit of one of the next instructions, so that it is executed.
fn code(pid: Pid, random: &mut Random) -> Option<Done> {
    let registers = ptrace::getregs(pid).ok()?;
    let mut at = registers.rip;
    for _ in 0..random.below(4) {
        let instruction = decode(pid, at)?;
        if instruction.flow_control() != FlowControl::Next {
            break;
        }
        at = instruction.next_ip();
    }
    let length = decode(pid, at)?.len() as u64;
    let place = at + random.below(length);
    let byte = read(pid, place, 1)?;
    let bit = random.below(8);
    write(pid, place, &[byte.first()? ^ 1 << bit])?;
    let from = place.wrapping_sub(registers.rip).cast_signed();
    Some(Done::of(format!("bit {bit} of the code at rip{from:+} ({place:#x})")))
}

fn stack_pointer(pid: Pid, random: &mut Random) -> Option<Done> {
    let mut registers = ptrace::getregs(pid).ok()?;
    let by = if random.below(2) == 0 { 8u64 } else { 8u64.wrapping_neg() };
    registers.rsp = registers.rsp.wrapping_add(by);
    ptrace::setregs(pid, registers).ok()?;
    Some(Done::of(format!("rsp {:+}", by.cast_signed())))
}

fn skip(pid: Pid) -> Option<Done> {
    let mut registers = ptrace::getregs(pid).ok()?;
    let instruction = decode(pid, registers.rip)?;
    registers.rip = instruction.next_ip();
    ptrace::setregs(pid, registers).ok()?;
    Some(Done::of(format!("{:?} not executed", instruction.mnemonic())))
}
