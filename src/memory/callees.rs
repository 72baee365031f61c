//! Code that ran last and has returned: what the calls went to whose return
//! addresses are still on the stack.
//!
//! ```text
//! call rel32 | call *slot(%rip)      stands before a return address
//! [endbr64] jmp *slot(%rip)          a stub, which goes where its slot says
//! bl | adrp x16; ldr x17, [x16, #n]  the same on aarch64
//! ```
//!
//! Trusts: nothing; patterns of bytes, where they are kept. A wrong guess costs
//! one page that is read in vain.

use super::image::Image;
use crate::address::{Addr, AddrRange};
use crate::elfcore::Machine;

/// Where the next thing is to be read.
pub(super) enum Step {
    /// These bytes are needed first.
    Read(AddrRange),
    /// The code that was called.
    At(Addr),
}

/// How far it leads from the return address `back`; None when no direct call
/// stands before it.
pub(super) fn follow(machine: Machine, back: Addr, image: &Image) -> Option<Step> {
    let target = match machine {
        Machine::X86_64 => x86_64_call(back, image)?,
        Machine::Aarch64 => aarch64_call(back, image)?,
    };
    let target = match target {
        Target::Code(at) => at,
        Target::Slot(slot) => return through(slot, image),
    };
    let Some(code) = image.read(target, STUB) else { return Some(Step::Read(target.range(STUB as u64)?)) };
    let slot = match machine {
        Machine::X86_64 => x86_64_stub(code.as_slice(), target),
        Machine::Aarch64 => aarch64_stub(code.as_slice(), target),
    };
    match slot {
        Some(slot) => through(slot, image),
        None => Some(Step::At(target)),
    }
}

/// Bytes in which a stub is known.
const STUB: usize = 12;

enum Target {
    Code(Addr),
    Slot(Addr),
}

fn through(slot: Addr, image: &Image) -> Option<Step> {
    Some(match image.u64(slot) {
        Some(target) => Step::At(Addr(target)),
        None => Step::Read(slot.range(8)?),
    })
}

/// `at` and a signed distance of 32 bits.
fn relative(at: Addr, bytes: Option<&[u8]>) -> Option<Addr> {
    let distance = i32::from_le_bytes(bytes?.try_into().ok()?);
    Some(Addr(at.0.wrapping_add_signed(i64::from(distance))))
}

fn x86_64_call(back: Addr, image: &Image) -> Option<Target> {
    let code = image.read(back.sub(6)?, 6)?;
    let code = code.as_slice();
    let target = relative(back, code.get(2..6));
    match code {
        [0xff, 0x15, ..] => target.map(Target::Slot),
        [_, 0xe8, ..] => target.map(Target::Code),
        _ => None,
    }
}

fn x86_64_stub(code: &[u8], at: Addr) -> Option<Addr> {
    let marked = code.starts_with(&[0xf3, 0x0f, 0x1e, 0xfa]);
    let (skip, code) = if marked { (4, code.get(4..)?) } else { (0, code) };
    // bnd jmp, of older linkers.
    let (skip, code) = if code.first() == Some(&0xf2) { (skip | 1, code.get(1..)?) } else { (skip, code) };
    let jump = code.starts_with(&[0xff, 0x25]);
    relative(at.add(skip)?.add(6)?, code.get(2..6)).filter(|_| jump)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.as_chunks::<4>().0.get(at).map(|word| u32::from_le_bytes(*word))
}

fn aarch64_call(back: Addr, image: &Image) -> Option<Target> {
    let from = back.sub(4)?;
    let call = word(image.read(from, 4)?.as_slice(), 0)?;
    let words = i64::from((call << 6).cast_signed() >> 6);
    let target = from.0.wrapping_add_signed(words.saturating_mul(4));
    (call & 0xfc00_0000 == 0x9400_0000).then_some(Target::Code(Addr(target)))
}

fn aarch64_stub(code: &[u8], at: Addr) -> Option<Addr> {
    let bti = usize::from(word(code, 0)? == 0xd503_245f);
    let (adrp, ldr) = (word(code, bti)?, word(code, bti.saturating_add(1))?);
    if adrp & 0x9f00_001f != 0x9000_0010 || ldr & 0xffc0_03ff != 0xf940_0211 {
        return None;
    }
    // 21 bits of pages: the upper 19 from bit 5 on, the lower two in bits 29, 30.
    let pages = ((adrp >> 5 & 0x7_ffff) << 2 | adrp >> 29 & 3) << 11;
    let pages = i64::from(pages.cast_signed() >> 11);
    let page = at.align_down(4096).0.wrapping_add_signed(pages.saturating_mul(4096));
    Some(Addr(page.wrapping_add(u64::from(ldr >> 10 & 0xfff).saturating_mul(8))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(pieces: &[(u64, &[u8])]) -> Image {
        Image::new(pieces.iter().map(|(at, bytes)| (Addr(*at), bytes.to_vec())).collect())
    }

    fn at(step: Option<Step>) -> Option<u64> {
        match step? {
            Step::At(at) => Some(at.0),
            Step::Read(range) => Some(range.start.0 | 1 << 63),
        }
    }

    #[test]
    fn a_call_leads_to_its_function_also_through_a_stub() {
        // call 0x2000, before 0x1105.
        let call: &[u8] = &[0x90, 0xe8, 0xfb, 0x0e, 0, 0];
        let plain: &[u8] = &[0x55; 16];
        // endbr64; jmp *0x1ff6(%rip) at 0x2000: its slot is 0x4000.
        let stub: &[u8] = &[0xf3, 0x0f, 0x1e, 0xfa, 0xff, 0x25, 0xf6, 0x1f, 0, 0, 0x66, 0x0f];
        let slot: &[u8] = &0x7000u64.to_le_bytes();
        let follow = |pieces: &[(u64, &[u8])]| at(follow(Machine::X86_64, Addr(0x1105), &image(pieces)));
        assert_eq!(follow(&[(0x10ff, call), (0x2000, plain)]), Some(0x2000));
        assert_eq!(follow(&[(0x10ff, call)]), Some(0x2000 | 1 << 63), "its bytes are wanted first");
        assert_eq!(follow(&[(0x10ff, call), (0x2000, stub)]), Some(0x4000 | 1 << 63), "then its slot");
        assert_eq!(follow(&[(0x10ff, call), (0x2000, stub), (0x4000, slot)]), Some(0x7000));
        assert_eq!(follow(&[(0x10ff, plain)]), None);
    }

    #[test]
    fn so_it_does_on_aarch64() {
        // bl 0x2000 at 0x1100; adrp x16, +2 pages; ldr x17, [x16, #16].
        let call: &[u8] = &0x9400_03c0u32.to_le_bytes();
        let stub: &[u8] = &[0xd000_0010u32.to_le_bytes(), 0xf940_0a11u32.to_le_bytes(), [0; 4]].concat();
        let slot: &[u8] = &0x7000u64.to_le_bytes();
        let pieces = image(&[(0x1100, call), (0x2000, stub), (0x4010, slot)]);
        assert_eq!(at(follow(Machine::Aarch64, Addr(0x1104), &pieces)), Some(0x7000));
        let marked = [&0xd503_245fu32.to_le_bytes()[..], &stub[..8]].concat();
        let pieces = image(&[(0x1100, call), (0x2000, &marked), (0x4010, slot)]);
        assert_eq!(at(follow(Machine::Aarch64, Addr(0x1104), &pieces)), Some(0x7000), "behind a bti");
    }
}
