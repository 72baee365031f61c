//! Where a logical CPU sits, and how many physical cores a set of them is.
//!
//! Threads of one core are folded by thread_siblings_list: the core is its
//! lowest member. One file tells of all siblings, so half the CPUs of an SMT
//! machine are never asked for, and none twice ([`Cores`] remembers). Limits:
//! limits::CORES_READ files; a set with more cores has no count.

use std::hash::Hasher;

use siphasher::sip::SipHasher24;

use super::cpu_set::CpuSet;
use super::roots::Roots;
use super::value;
use crate::limits;

const CPU: &str = "devices/system/cpu";
/// SipHash-2-4 key of the mask's hash: fixed for ever, so that equal masks
/// are equal on the whole fleet. Not a secret.
const MASK_KEY: &[u8; 16] = b"epicore-cpu-mask";

/// Where a logical CPU sits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// Logical CPU.
    pub cpu: u32,
    /// core_id.
    pub core: Option<u32>,
    /// physical_package_id.
    pub package: Option<u32>,
    /// NUMA node.
    pub node: Option<u32>,
    /// Logical CPUs of the same core, itself included.
    pub siblings: Vec<u32>,
}

/// `None` when the CPU is not there, or offline.
pub(super) fn topology(roots: &Roots, cpu: u32) -> Option<Topology> {
    let number = |name: &str| {
        roots.sys_text(&format!("{CPU}/cpu{cpu}/topology/{name}")).ok().and_then(|text| value::number(&text))
    };
    let siblings = siblings(roots, cpu)?;
    Some(Topology {
        cpu,
        core: number("core_id"),
        package: number("physical_package_id"),
        node: roots.sys_numbered(&format!("{CPU}/cpu{cpu}"), "node").first().copied(),
        siblings: siblings.iter().collect(),
    })
}

fn siblings(roots: &Roots, cpu: u32) -> Option<CpuSet> {
    let text = roots.sys_text(&format!("{CPU}/cpu{cpu}/topology/thread_siblings_list")).ok()?;
    CpuSet::from_list(&text).filter(|set| set.contains(cpu))
}

/// The affinity of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Physical cores that are online and allowed; 1 = pinned.
    pub cores: Option<u32>,
    /// SipHash-2-4 of the mask's text, under the key "epicore-cpu-mask".
    pub hash: u64,
}

/// Online CPUs and the cores they fold into.
#[derive(Debug)]
pub struct Cores<'a> {
    roots: &'a Roots,
    online: Option<CpuSet>,
    /// By CPU: the lowest member of its core.
    leader: Vec<Option<u32>>,
    reads: usize,
}

impl<'a> Cores<'a> {
    /// Reads which CPUs are online.
    pub fn new(roots: &'a Roots) -> Cores<'a> {
        let online = roots.sys_text(&format!("{CPU}/online")).ok().and_then(|text| CpuSet::from_list(&text));
        let online = online.filter(|set| !set.is_empty());
        Cores { roots, online, leader: Vec::new(), reads: 0 }
    }

    /// Logical CPUs that are online.
    pub fn online(&self) -> Option<&CpuSet> {
        self.online.as_ref()
    }

    /// Physical cores that are online.
    pub fn count(&mut self) -> Option<u32> {
        let online = self.online.clone()?;
        self.fold(&online)
    }

    /// Cpus_allowed of /proc/PID/status; `None` when it is no mask.
    pub fn allowed(&mut self, mask: &[u8]) -> Option<Allowed> {
        let mask = mask.trim_ascii();
        let allowed = CpuSet::from_mask(mask)?;
        let mut hasher = SipHasher24::new_with_key(MASK_KEY);
        hasher.write(mask);
        Some(Allowed { cores: self.fold(&allowed), hash: hasher.finish() })
    }

    /// How many cores the online members of a set are.
    fn fold(&mut self, set: &CpuSet) -> Option<u32> {
        let online = self.online.clone()?;
        let mut leaders = CpuSet::default();
        for cpu in set.iter().filter(|cpu| online.contains(*cpu)) {
            leaders.insert(self.leader(cpu)?);
        }
        u32::try_from(leaders.len()).ok()
    }

    fn leader(&mut self, cpu: u32) -> Option<u32> {
        if let Some(leader) = usize::try_from(cpu).ok().and_then(|at| self.leader.get(at).copied().flatten())
        {
            return Some(leader);
        }
        if self.reads >= limits::CORES_READ {
            return None;
        }
        self.reads = self.reads.saturating_add(1);
        let siblings = siblings(self.roots, cpu)?;
        let leader = siblings.iter().next()?;
        for sibling in siblings.iter() {
            self.remember(sibling, leader);
        }
        Some(leader)
    }

    fn remember(&mut self, cpu: u32, leader: u32) {
        let Ok(at) = usize::try_from(cpu) else { return };
        if self.leader.len() <= at {
            self.leader.resize(at.saturating_add(1).min(limits::CPUS), None);
        }
        if let Some(slot) = self.leader.get_mut(at) {
            slot.get_or_insert(leader);
        }
    }
}
