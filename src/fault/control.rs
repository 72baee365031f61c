//! Where control was, and how it came there.

use super::abort::Abort;
use super::instruction::{Instruction, Kind, Target};
use super::scene::Scene;
use super::space::NULL_PAGES;
use super::{aarch64, x86_64};
use crate::address::Addr;
use crate::elfcore::SI_KERNEL;
use crate::elfcore::signal::SIGSEGV;
use crate::elfcore::{Machine, Registers};
use crate::module::CodeClass;
use crate::unwind::Site;

/// What rip points at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpClass {
    /// Code of a module.
    #[default]
    Code,
    /// Code of a module, but in the middle of an instruction.
    Middle,
    /// Executable memory of no module.
    Jit,
    /// Near zero.
    Null,
    /// No address.
    NonCanonical,
    /// A stack.
    Stack,
    /// Other memory that is not executable.
    Data,
    /// Nothing.
    Unmapped,
}

impl IpClass {
    /// As the record spells it.
    pub fn name(self) -> &'static str {
        match self {
            IpClass::Code => "code",
            IpClass::Middle => "middle",
            IpClass::Jit => "jit",
            IpClass::Null => "null",
            IpClass::NonCanonical => "noncanonical",
            IpClass::Stack => "stack",
            IpClass::Data => "data",
            IpClass::Unmapped => "unmapped",
        }
    }

    /// Nothing can be fetched there.
    pub fn is_nowhere(self) -> bool {
        !matches!(self, IpClass::Code | IpClass::Middle | IpClass::Jit)
    }
}

/// How control came to a rip that is no code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Not told, or rip is code.
    #[default]
    Unknown,
    /// A return: the slot below rsp, or the link register, holds rip.
    Return,
    /// A call, whose return address is at rsp or in the link register; through
    /// this register, else through memory.
    Call(Option<&'static str>),
}

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// What rip points at.
    pub ip: IpClass,
    /// What control was to go to, when that is no code: rip itself, or, where
    /// the processor refuses at the jump, the jump's target.
    pub to: Option<IpClass>,
    /// How it was to come there.
    pub origin: Origin,
    /// rsp is so many bytes from where call frame information wants it: the
    /// return address is there instead.
    pub off: Option<i64>,
    /// rsp is no multiple of 16 where the psABI wants one, and no return address
    /// lies beside it.
    pub misaligned: bool,
}

/// Looks.
pub(super) fn look(
    scene: &mut Scene<'_>,
    instruction: Option<&Instruction>,
    abort: Option<Abort>,
) -> Control {
    let ip = class(scene);
    let mut control = Control { ip, ..Control::default() };
    if scene.was_sent() && scene.machine() == Machine::X86_64 && abort == Some(Abort::StackSmashed) {
        // What looks like a smashed canary may be another slot than its own.
        let registers = *scene.registers;
        off_by_frame(scene, &registers, false, &mut control);
    }
    if scene.was_sent() {
        return control;
    }
    if ip.is_nowhere() {
        control.to = Some(ip);
        match scene.machine() {
            Machine::X86_64 => nowhere(scene, &mut control),
            Machine::Aarch64 => control.origin = linked(scene),
        }
        return control;
    }
    // aarch64 branches first and faults then, and refuses a stack pointer that
    // is not a multiple of 16.
    if scene.machine() == Machine::Aarch64 {
        return control;
    }
    if let Some(instruction) = instruction {
        refused(scene, instruction, &mut control);
    }
    if control.off.is_none() && !control.misaligned && ip == IpClass::Code {
        let registers = *scene.registers;
        off_by_frame(scene, &registers, false, &mut control);
    }
    control
}

impl Control {
    /// rsp is not where it should be; where it should be may be known.
    fn found(&mut self, off: Option<i64>) {
        self.off = off;
        self.misaligned = off.is_none();
    }
}

/// A jump to what is no address fails at the jump.
fn refused(scene: &mut Scene<'_>, instruction: &Instruction, control: &mut Control) {
    if scene.signal() != SIGSEGV || scene.code() != SI_KERNEL {
        return;
    }
    if scene.target(instruction).is_none_or(|target| scene.is_address(target)) {
        return;
    }
    control.to = Some(IpClass::NonCanonical);
    control.origin = match (instruction.kind, instruction.target) {
        (Kind::Return, _) => Origin::Return,
        (_, Target::Register(register)) => Origin::Call(Some(register)),
        _ => Origin::Call(None),
    };
    let sp = scene.sp();
    if control.origin == Origin::Return
        && let Some(back) = sp.add(8).and_then(|slot| scene.image.u64(slot)).map(Addr)
        && called_through(scene, back) == Some(None)
        && matches!(scene.site(back), Site::Direct(_))
    {
        // A thunk's return is a call's jump.
        control.origin = Origin::Call(None);
    }
    if control.origin == Origin::Return {
        // The return did not happen: its slot is still at rsp.
        let sp = scene.sp();
        if sp.0 & 0xf == 0 {
            control.found(beside(scene, sp.add(8), sp.sub(8)));
        } else {
            control.off = {
                let ip = scene.ip();
                own_return(scene, ip, sp)
            };
        }
    }
}

/// Which way the return address is: -8 when it is in the slot above the one that
/// was taken, 8 when it is in the one below.
fn beside(scene: &mut Scene<'_>, above: Option<Addr>, below: Option<Addr>) -> Option<i64> {
    if scene.returns(above) == Some(true) {
        return Some(-8);
    }
    (scene.returns(below) == Some(true)).then_some(8)
}

/// The same where the alignment says nothing (compilers do not keep it for
/// functions that only they call): the word beside is the return address of a
/// call to this very function, and the slot's is none.
fn own_return(scene: &mut Scene<'_>, ip: Addr, slot: Addr) -> Option<i64> {
    if scene.returns(Some(slot)) != Some(false) {
        return None;
    }
    let (start, _) = scene.function(ip)?;
    let mut calls = |at: Option<Addr>| {
        let word = at.and_then(|at| scene.image.u64(at)).map(Addr);
        word.is_some_and(|word| scene.site(word) == Site::Direct(start))
    };
    if calls(slot.add(8)) {
        return Some(-8);
    }
    calls(slot.sub(8)).then_some(8)
}

fn class(scene: &mut Scene<'_>) -> IpClass {
    let ip = scene.ip();
    if ip.0 < NULL_PAGES {
        return IpClass::Null;
    }
    if !scene.is_address(ip) {
        return IpClass::NonCanonical;
    }
    match scene.modules.code_class(ip) {
        CodeClass::InModule(_) if is_middle(scene, ip) => IpClass::Middle,
        CodeClass::InModule(_) => IpClass::Code,
        CodeClass::Jit => IpClass::Jit,
        CodeClass::NotExecutable if is_stack(scene, ip) => IpClass::Stack,
        CodeClass::NotExecutable => IpClass::Data,
        CodeClass::Unmapped => IpClass::Unmapped,
    }
}

fn is_stack(scene: &Scene<'_>, address: Addr) -> bool {
    let holds = |at: Addr| scene.space.find(at).map(|segment| segment.range);
    holds(address).is_some() && holds(address) == holds(scene.sp())
}

fn is_middle(scene: &mut Scene<'_>, ip: Addr) -> bool {
    if scene.machine() == Machine::Aarch64 {
        return ip.0 & 3 != 0;
    }
    let Some((start, length)) = scene.function(ip) else { return false };
    let inside = length == 0 || ip.offset_from(start).is_some_and(|before| before < length);
    // The instruction at rip may reach beyond it.
    let bytes = ip.add(15).filter(|_| inside).and_then(|end| scene.code_between(start, end));
    bytes.is_some_and(|bytes| x86_64::boundary(&bytes, start, ip) == Some(false))
}

/// A jump to nowhere: by a return, which left rip in the slot below rsp, or by
/// a call, which left its return address at rsp.
fn nowhere(scene: &mut Scene<'_>, control: &mut Control) {
    let sp = scene.sp();
    let popped = sp.sub(8).and_then(|slot| scene.image.u64(slot)) == Some(scene.ip().0);
    if let Some(back) = scene.image.u64(sp).map(Addr)
        && let Some(through) = called_through(scene, back)
    {
        // The register still holds where it went, or the stack is as a call
        // leaves it: a null word below rsp is no proof of a return.
        let still = through.and_then(|name| scene.registers.by_name(name)) == Some(scene.ip().0);
        if !popped || still || (through.is_none() && sp.0 & 0xf == 8) {
            control.origin = Origin::Call(through);
            // The frame of the caller, as the call left it.
            let mut caller = *scene.registers;
            caller.set_ip(back);
            caller.set_sp(sp.add(8).unwrap_or(sp));
            off_by_frame(scene, &caller, true, control);
            // A call finds rsp a multiple of 16 and pushes 8 bytes.
            control.misaligned |= control.off.is_none() && sp.0 & 0xf == 0;
            return;
        }
    }
    if popped {
        control.origin = Origin::Return;
        off_by_return(scene, control);
    }
}

/// A jump to nowhere on aarch64: a return goes where the link register points,
/// a call leaves its return address there.
fn linked(scene: &mut Scene<'_>) -> Origin {
    let (ip, back) = (scene.ip(), scene.registers.lr());
    if back == ip {
        return Origin::Return;
    }
    called_through(scene, back).map_or(Origin::Unknown, Origin::Call)
}

/// The register of the indirect call before `back` (None: through memory); no
/// answer when there is no such call.
fn called_through(scene: &mut Scene<'_>, back: Addr) -> Option<Option<&'static str>> {
    match scene.site(back) {
        Site::Indirect => {
            let bytes = back.sub(8).and_then(|start| scene.code_bytes(start, 8));
            Some(bytes.and_then(|bytes| match scene.machine() {
                Machine::X86_64 => x86_64::target_register(&bytes, back),
                Machine::Aarch64 => aarch64::target_register(&bytes),
            }))
        }
        // A call of a stub, which jumps through its table.
        Site::Direct(stub) => {
            let bytes = scene.code_bytes(stub, 16)?;
            let is_stub = match scene.machine() {
                Machine::X86_64 => x86_64::is_stub(&bytes, stub) || x86_64::is_thunk(&bytes, stub),
                Machine::Aarch64 => aarch64::is_stub(&bytes),
            };
            is_stub.then_some(None)
        }
        Site::Not | Site::Unknown => None,
    }
}

/// After a return rsp is a multiple of 16 (System V psABI 3.2.2). When it is
/// not, and the word on one side is a return address, the return took its
/// neighbour.
fn off_by_return(scene: &mut Scene<'_>, control: &mut Control) {
    let sp = scene.sp();
    if sp.0 & 0xf == 8 {
        // The return address still lies at rsp: the one taken was 8 below it.
        control.found(beside(scene, Some(sp), sp.sub(16)));
    }
}

/// Frames that are looked at outwards: an abort's own are six.
const FRAMES: usize = 12;

/// The return address is not where call frame information says, but one word
/// beside it, where the stack would be aligned. Looked for in the frame of
/// `registers` and, while each leads to its caller, in the ones around it.
fn off_by_frame(scene: &mut Scene<'_>, registers: &Registers, returns: bool, control: &mut Control) {
    let (mut registers, mut returns) = (*registers, returns);
    for _ in 0..FRAMES {
        // The outermost frame has no return address to be beside.
        let Some(frame) = scene.ground.outwards(&registers, returns) else { return };
        let Some(slot) = frame.cfa.sub(8) else { return };
        if frame.by_sp && frame.cfa.0 & 0xf == 8 && scene.returns(Some(slot)) == Some(false) {
            control.found(beside(scene, slot.add(8), slot.sub(8)));
            return;
        }
        control.off = own_return(scene, registers.ip(), slot).filter(|_| frame.by_sp);
        if control.off.is_some() {
            return;
        }
        if frame.caller.sp() <= registers.sp() {
            return;
        }
        (registers, returns) = (frame.caller, true);
    }
}
