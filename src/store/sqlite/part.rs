//! The part of a record that becomes columns: borrowed from its bytes, decoded
//! on the caller's thread.
//!
//! Threads, registers, memory and all stacks but the innermost frames of the
//! first are passed over (and so checked to be MessagePack, nothing more).

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};

use crate::limits;
use crate::record::Kind;

/// What columns need of a record.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Part<'a> {
    pub v: u16,
    #[serde(borrow)]
    pub id: &'a [u8],
    pub kind: Kind,
    #[serde(rename = "priv")]
    pub private: bool,
    pub at: Option<u64>,
    #[serde(borrow)]
    pub host: HostPart<'a>,
    pub crash: CrashPart,
    #[serde(rename = "proc", borrow)]
    pub process: ProcessPart<'a>,
    #[serde(rename = "mod", borrow)]
    pub modules: Few<ModulePart<'a>, { limits::MODULES }>,
    #[serde(rename = "st")]
    pub stacks: First<StackPart>,
    pub keys: KeysPart,
    #[serde(rename = "hw", borrow)]
    pub hardware: HardwarePart<'a>,
}

/// What is left of a record whose schema is too new for [`Part`].
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Least<'a> {
    pub v: u16,
    #[serde(borrow)]
    pub id: &'a [u8],
}

/// What most versions to come will still say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Little<'a> {
    pub v: u16,
    #[serde(borrow)]
    pub id: &'a [u8],
    #[serde(rename = "priv")]
    pub private: bool,
    pub at: Option<u64>,
    #[serde(borrow)]
    pub host: HostPart<'a>,
}

/// What columns and roll-ups need of an exposure report. Lists are cut where a
/// census cuts them: each entry is a row that the writer adds.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ExposurePart<'a> {
    #[serde(borrow)]
    pub id: &'a [u8],
    pub at: Option<u64>,
    #[serde(rename = "bt")]
    pub boottime: Option<u64>,
    pub since: Option<u64>,
    #[serde(borrow)]
    pub host: HostPart<'a>,
    #[serde(rename = "hw", borrow)]
    pub hardware: HardwarePart<'a>,
    #[serde(rename = "lab", borrow)]
    pub labels: Few<(&'a str, &'a str), LABELS>,
    #[serde(rename = "img", borrow)]
    pub images: Few<(&'a str, &'a str), { limits::CENSUS_CONTAINERS }>,
    #[serde(rename = "run", borrow)]
    pub running: Few<RunningPart<'a>, { limits::CENSUS_WORKLOADS }>,
}

/// Labels of one host.
const LABELS: usize = 64;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RunningPart<'a> {
    #[serde(rename = "u")]
    pub unit: Option<&'a str>,
    #[serde(rename = "i")]
    pub image: Option<&'a str>,
    #[serde(rename = "x")]
    pub exe: Option<&'a str>,
    #[serde(rename = "b")]
    pub build: Option<&'a [u8]>,
    pub n: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct HostPart<'a> {
    pub name: Option<&'a str>,
    pub mid: Option<&'a [u8]>,
    pub boot: Option<&'a [u8]>,
    #[serde(rename = "kern")]
    pub kernel: Option<&'a str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CrashPart {
    pub uid: Option<u32>,
    #[serde(rename = "sig")]
    pub signal: Option<u32>,
    pub code: Option<i32>,
    pub addr: Option<u64>,
    pub cpu: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ProcessPart<'a> {
    pub comm: Option<&'a str>,
    pub exe: Option<&'a str>,
    #[serde(rename = "bid")]
    pub build: Option<&'a [u8]>,
    pub unit: Option<&'a str>,
    #[serde(rename = "ctr")]
    pub container: Option<&'a str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ModulePart<'a> {
    #[serde(rename = "p")]
    pub path: Option<&'a str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct StackPart {
    #[serde(rename = "f")]
    pub frames: Few<FramePart>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct FramePart {
    #[serde(rename = "m")]
    pub module: Option<u32>,
    #[serde(rename = "o")]
    pub offset: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct KeysPart {
    #[serde(rename = "l0")]
    pub leaf: Option<u64>,
    #[serde(rename = "l1")]
    pub functions: Option<u64>,
    #[serde(rename = "l2")]
    pub portable: Option<u64>,
    #[serde(rename = "fr")]
    pub frames: Few<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct HardwarePart<'a> {
    #[serde(rename = "name")]
    pub model: Option<&'a str>,
    #[serde(rename = "uc")]
    pub microcode: Option<u64>,
    #[serde(rename = "topo")]
    pub topology: Option<TopologyPart>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TopologyPart {
    pub core: Option<u32>,
    #[serde(rename = "pkg")]
    pub package: Option<u32>,
}

/// The first element of a list.
#[derive(Debug)]
pub(super) struct First<T>(pub Option<T>);

/// The first `N` elements of a list.
#[derive(Debug)]
pub(super) struct Few<T, const N: usize = { limits::KEY_SEARCH }>(pub Vec<T>);

impl<T> Default for First<T> {
    fn default() -> First<T> {
        First(None)
    }
}

impl<T, const N: usize> Default for Few<T, N> {
    fn default() -> Few<T, N> {
        Few(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for First<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<First<T>, D::Error> {
        let few = deserializer.deserialize_seq(Head { most: 1, element: PhantomData })?;
        Ok(First(few.into_iter().next()))
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for Few<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Few<T, N>, D::Error> {
        deserializer.deserialize_seq(Head { most: N, element: PhantomData }).map(Few)
    }
}

struct Head<T> {
    most: usize,
    element: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Head<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut few = Vec::new();
        while few.len() < self.most {
            match list.next_element()? {
                Some(element) => few.push(element),
                None => return Ok(few),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(few)
    }
}

impl Part<'_> {
    /// The key that it is counted under: L2, else L1, else L0.
    pub(super) fn signature(&self) -> Option<u64> {
        self.keys.portable.or(self.keys.functions).or(self.keys.leaf)
    }

    /// "libc.so.6+0x9e21": the first frame that the keys are made of, else the
    /// innermost.
    pub(super) fn culprit(&self) -> Option<String> {
        let frames = &self.stacks.0.as_ref()?.frames.0;
        let first = self.keys.frames.0.first().and_then(|index| usize::try_from(*index).ok());
        let frame = first.and_then(|index| frames.get(index)).or_else(|| frames.first())?;
        let Some(module) = frame.module else { return Some(format!("{:#x}", frame.offset)) };
        let path = self.modules.0.get(usize::try_from(module).ok()?)?.path.unwrap_or("?");
        let base = path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(path);
        Some(format!("{}+{:#x}", crate::record::workload::short(base), frame.offset))
    }

    /// package × 65536 + core_id, as an exposure report's.
    pub(super) fn core(&self) -> Option<i64> {
        let topology = self.hardware.topology.as_ref()?;
        let package = i64::from(topology.package.unwrap_or(0));
        package.checked_mul(1 << 16)?.checked_add(i64::from(topology.core?))
    }
}
