//! Where control was, and how it came there.

use super::instruction::{Instruction, Kind, Target};
use super::scene::Scene;
use super::space::NULL_PAGES;
use super::x86_64;
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
    /// A return: the slot below rsp holds rip.
    Return,
    /// A call, whose return address is at rsp; through this register, else
    /// through memory.
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
}

/// Looks.
pub(super) fn look(scene: &mut Scene<'_>, instruction: Option<&Instruction>) -> Control {
    let ip = class(scene);
    let mut control = Control { ip, ..Control::default() };
    if scene.machine() != Machine::X86_64 || scene.was_sent() {
        return control;
    }
    if ip.is_nowhere() {
        control.to = Some(ip);
        nowhere(scene, &mut control);
        return control;
    }
    if let Some(instruction) = instruction {
        refused(scene, instruction, &mut control);
    }
    if control.off.is_none() && ip == IpClass::Code {
        let registers = *scene.registers;
        control.off = off_by_frame(scene, &registers, false);
    }
    control
}

/// A jump to what is no address fails at the jump.
fn refused(scene: &mut Scene<'_>, instruction: &Instruction, control: &mut Control) {
    if scene.signal() != SIGSEGV || scene.code() != SI_KERNEL {
        return;
    }
    if scene.target(instruction).is_none_or(Addr::is_canonical) {
        return;
    }
    control.to = Some(IpClass::NonCanonical);
    control.origin = match (instruction.kind, instruction.target) {
        (Kind::Return, _) => Origin::Return,
        (_, Target::Register(register)) => Origin::Call(Some(register)),
        _ => Origin::Call(None),
    };
    if control.origin == Origin::Return {
        // The return did not happen: its slot is still at rsp.
        let sp = scene.sp();
        if sp.0 & 0xf == 0 {
            control.off = beside(scene, sp.add(8), sp.sub(8));
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

fn class(scene: &mut Scene<'_>) -> IpClass {
    let ip = scene.ip();
    if ip.0 < NULL_PAGES {
        return IpClass::Null;
    }
    if !ip.is_canonical() {
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
    if scene.machine() != Machine::X86_64 {
        return false;
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
            control.off = off_by_frame(scene, &caller, true);
            return;
        }
    }
    if popped {
        control.origin = Origin::Return;
        control.off = off_by_return(scene);
    }
}

/// The register of the indirect call before `back` (None: through memory); no
/// answer when there is no such call.
fn called_through(scene: &mut Scene<'_>, back: Addr) -> Option<Option<&'static str>> {
    match scene.site(back) {
        Site::Indirect => {
            let bytes = back.sub(8).and_then(|start| scene.code_bytes(start, 8));
            Some(bytes.and_then(|bytes| x86_64::target_register(&bytes, back)))
        }
        // A call of a stub, which jumps through its table.
        Site::Direct(stub) => {
            let bytes = scene.code_bytes(stub, 16)?;
            x86_64::is_stub(&bytes, stub).then_some(None)
        }
        Site::Not | Site::Unknown => None,
    }
}

/// After a return rsp is a multiple of 16 (System V psABI 3.2.2). When it is
/// not, and the word on one side is a return address, the return took its
/// neighbour.
fn off_by_return(scene: &mut Scene<'_>) -> Option<i64> {
    let sp = scene.sp();
    if sp.0 & 0xf != 8 {
        return None;
    }
    // The return address still lies at rsp: the one taken was 8 below it.
    beside(scene, Some(sp), sp.sub(16))
}

/// Frames that are looked at outwards.
const FRAMES: usize = 8;

/// The return address is not where call frame information says, but one word
/// beside it, where the stack would be aligned. Looked for in the frame of
/// `registers` and, while each leads to its caller, in the ones around it.
fn off_by_frame(scene: &mut Scene<'_>, registers: &Registers, returns: bool) -> Option<i64> {
    let (mut registers, mut returns) = (*registers, returns);
    for _ in 0..FRAMES {
        // The outermost frame has no return address to be beside.
        let frame = scene.ground.outwards(&registers, returns)?;
        let slot = frame.cfa.sub(8)?;
        if frame.by_sp && frame.cfa.0 & 0xf == 8 && scene.returns(Some(slot)) == Some(false) {
            return beside(scene, slot.add(8), slot.sub(8));
        }
        if frame.caller.sp() <= registers.sp() {
            return None;
        }
        (registers, returns) = (frame.caller, true);
    }
    None
}
