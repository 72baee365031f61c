//! Which processor: /proc/cpuinfo, the block of the crash CPU and no further.
//!
//! x86 as it is printed. On aarch64 the same fields hold: vendor = CPU
//! implementer ("0x41"), family = CPU architecture, model = CPU part,
//! stepping = variant × 16 + revision (r3p1 is 0x31). Blocks are in the order
//! of CPUs and offline ones are left out, hence the search; without a crash
//! CPU the first block stands for all. Before 5.16 opening the file may sleep
//! 10 ms for frequencies: it is done after the release.

use nix::errno::Errno;

use super::roots::Roots;
use super::stream::Stream;
use super::value;
use crate::limits;

/// The longest name of a vendor or model that is kept.
const NAME: usize = 64;
/// The longest line that is looked at: flags are 2 KB.
const LINE: usize = 8192;

/// What one block says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cpu {
    pub(super) vendor: Option<String>,
    pub(super) model_name: Option<String>,
    pub(super) family: Option<u32>,
    pub(super) model: Option<u32>,
    pub(super) stepping: Option<u32>,
    pub(super) microcode: Option<u64>,
    pub(super) hypervisor: bool,
    variant: Option<u32>,
    revision: Option<u32>,
}

/// The block of `cpu`; the first one when there is none of it. The flag tells
/// whether the block is the one that was asked for.
pub(super) fn cpuinfo(roots: &Roots, cpu: Option<u32>) -> Result<(Cpu, bool), Errno> {
    let mut stream = Stream::new(roots.proc_file("cpuinfo")?, limits::CPUINFO_BYTES);
    let mut first: Option<Cpu> = None;
    while let Some((processor, block)) = block(&mut stream) {
        if cpu.is_none() || processor == cpu {
            return Ok((block, true));
        }
        first.get_or_insert(block);
    }
    Ok((first.unwrap_or_default(), false))
}

/// One block, behind which the stream stands at the next.
fn block(stream: &mut Stream) -> Option<(Option<u32>, Cpu)> {
    let mut cpu = Cpu::default();
    let mut processor = None;
    let mut lines = 0usize;
    loop {
        let line = stream.line(LINE);
        let more = stream.next_line();
        if !line.trim_ascii().is_empty() {
            lines = lines.saturating_add(1);
            if let Some((key, text)) = split(&line) {
                match key {
                    b"processor" => processor = value::number(text),
                    key => cpu.set(key, text),
                }
            }
        }
        let ends = line.trim_ascii().is_empty() && lines > 0;
        if ends || !more {
            cpu.stepping = cpu.stepping.or_else(|| cpu.variant?.checked_mul(16)?.checked_add(cpu.revision?));
            return (lines > 0).then_some((processor, cpu));
        }
    }
}

fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (key, rest) = line.split_at_checked(colon)?;
    Some((key.trim_ascii(), rest.get(1..)?.trim_ascii()))
}

impl Cpu {
    fn set(&mut self, key: &[u8], text: &[u8]) {
        let number = || value::either(text).and_then(|number| u32::try_from(number).ok());
        match key {
            b"vendor_id" | b"CPU implementer" => self.vendor = value::words(text, NAME),
            b"model name" => self.model_name = value::words(text, NAME),
            b"cpu family" | b"CPU architecture" => self.family = number(),
            b"model" | b"CPU part" => self.model = number(),
            b"stepping" => self.stepping = number(),
            b"CPU variant" => self.variant = number(),
            b"CPU revision" => self.revision = number(),
            b"microcode" => self.microcode = value::either(text),
            b"flags" => {
                self.hypervisor = text.split(|byte| *byte == b' ').any(|flag| flag == b"hypervisor");
            }
            _ => {}
        }
    }
}
