//! What a record holds. Every field is optional: a record with nothing but an
//! id is valid, and each missing thing has a gap that says why.
//!
//! Numbers that are addresses are [`Hex`], identities are [`Id`]: integers and
//! raw bytes on the wire, hexadecimal text in JSON. Names of keys are two to
//! five letters and never change their meaning.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::fault::Fault;
use crate::gap::Gap;

/// The version this code writes. Readers accept any.
pub const SCHEMA: u16 = 1;

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// An address, offset or mask: an integer, shown in hexadecimal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hex(pub u64);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&format_args!("{:#x}", self.0))
        } else {
            serializer.serialize_u64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            let digits = text.strip_prefix("0x").unwrap_or(&text);
            u64::from_str_radix(digits, 16).map(Hex).map_err(serde::de::Error::custom)
        } else {
            u64::deserialize(deserializer).map(Hex)
        }
    }
}

/// Raw bytes that identify something (record, boot, build): hex text in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub Vec<u8>);

impl Id {
    /// Lower-case hexadecimal.
    pub fn hex(&self) -> String {
        use std::fmt::Write;
        self.0.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// From hexadecimal text, dashes ignored; `None` when it is not that.
    pub fn from_hex(text: &str) -> Option<Id> {
        let digits: Vec<u8> = text
            .bytes()
            .filter(|b| *b != b'-')
            .map(|b| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok()))
            .collect::<Option<_>>()?;
        let (pairs, []) = digits.as_chunks::<2>() else { return None };
        Some(Id(pairs.iter().map(|[high, low]| high << 4 | low).collect()))
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&self.hex())
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Id;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes, or hexadecimal text")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Id, E> {
                Ok(Id(bytes.to_vec()))
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Id, E> {
                Id::from_hex(text).ok_or_else(|| E::custom("not hexadecimal"))
            }
        }
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Visitor)
        } else {
            deserializer.deserialize_bytes(Visitor)
        }
    }
}

/// How much of a crash this record could keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Written right after the release, before the expensive work: what the
    /// kernel's arguments, the head of the core and /proc gave.
    #[default]
    Minimal,
    /// Everything that could be learned.
    Full,
    /// Read from a core file afterwards: no /proc, no live memory.
    Replay,
}

/// One crash.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// Schema version ([`SCHEMA`] of the writer).
    pub v: u16,
    /// UUIDv7 of the crash.
    pub id: Id,
    /// How complete it is.
    pub kind: Kind,
    /// Set when the process was privileged (dump mode 2, AT_SECURE,
    /// uid ≠ euid): stays in the private part of the spool.
    #[serde(rename = "priv", skip_serializing_if = "is_default")]
    pub private: bool,
    /// CLOCK_REALTIME at capture, nanoseconds since the epoch.
    #[serde(rename = "at", skip_serializing_if = "Option::is_none")]
    pub realtime_ns: Option<u64>,
    /// CLOCK_BOOTTIME at capture, nanoseconds since boot.
    #[serde(rename = "bt", skip_serializing_if = "Option::is_none")]
    pub boottime_ns: Option<u64>,
    /// Which machine.
    #[serde(skip_serializing_if = "is_default")]
    pub host: Host,
    /// The crash as the kernel reported it.
    #[serde(skip_serializing_if = "is_default")]
    pub crash: Crash,
    /// The process that crashed.
    #[serde(rename = "proc", skip_serializing_if = "is_default")]
    pub process: Process,
    /// All threads, columnar.
    #[serde(rename = "th", skip_serializing_if = "is_default")]
    pub threads: Threads,
    /// General registers: the crashing thread first, others as they fit.
    #[serde(rename = "regs", skip_serializing_if = "Vec::is_empty")]
    pub registers: Vec<Registers>,
    /// What the crashing thread's registers were, without their values: the
    /// form in which they leave the host.
    #[serde(rename = "rcls", skip_serializing_if = "is_default")]
    pub register_classes: RegisterClasses,
    /// Loaded objects; frames refer to them by index.
    #[serde(rename = "mod", skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<Module>,
    /// Distinct stacks; `threads.stack` refers to them by index. The crashing
    /// thread's is the first.
    #[serde(rename = "st", skip_serializing_if = "Vec::is_empty")]
    pub stacks: Vec<Stack>,
    /// Location keys.
    #[serde(skip_serializing_if = "is_default")]
    pub keys: Keys,
    /// Why it died.
    #[serde(rename = "flt", skip_serializing_if = "is_default")]
    pub fault: Fault,
    /// The machine under the crash.
    #[serde(rename = "hw", skip_serializing_if = "is_default")]
    pub hardware: Hardware,
    /// Hashed serial numbers of the machine, as the census of this boot left
    /// them in /run/epicore/host.
    #[serde(rename = "hwid", skip_serializing_if = "is_default")]
    pub serials: Serials,
    /// Crashes of this boot that left less than a full record, when this one was
    /// made; they only grow.
    #[serde(skip_serializing_if = "is_default")]
    pub storm: Storm,
    /// How the record was made, and at what cost.
    #[serde(rename = "cap", skip_serializing_if = "is_default")]
    pub capture: Capture,
    /// What could not be learned, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
}

/// The machine's identity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Host {
    /// Host name, from uname(2): in clear, because somebody must drain it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// /proc/sys/kernel/random/boot_id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot: Option<Id>,
    /// /etc/machine-id under an application-specific HMAC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mid: Option<Id>,
    /// Kernel release, from uname(2).
    #[serde(rename = "kern", skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Machine, from uname(2) ("x86_64").
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
}

/// The crash as the kernel reported it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Crash {
    /// Process id in the initial pid namespace (%P).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Crashing thread in the initial pid namespace (%I).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tid: Option<u32>,
    /// Real uid (%u).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Real gid (%g).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// Dump mode (%d, PR_GET_DUMPABLE): 1 normal, 2 root only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dump: Option<u32>,
    /// Signal number (%s).
    #[serde(rename = "sig", skip_serializing_if = "Option::is_none")]
    pub signal: Option<u32>,
    /// siginfo si_code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// siginfo si_errno, when not zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
    /// siginfo si_addr, for signals of a fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addr: Option<Hex>,
    /// siginfo si_pid, for signals that somebody sent.
    #[serde(rename = "spid", skip_serializing_if = "Option::is_none")]
    pub sender_pid: Option<u32>,
    /// siginfo si_uid, for signals that somebody sent.
    #[serde(rename = "suid", skip_serializing_if = "Option::is_none")]
    pub sender_uid: Option<u32>,
    /// CPU on which the dump began (%C, kernel ≥ 6.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// Soft RLIMIT_CORE of the process (%c), bytes.
    #[serde(rename = "clim", skip_serializing_if = "Option::is_none")]
    pub core_limit: Option<u64>,
}

impl Crash {
    /// True when the process sent itself SIGABRT: abort, an assertion, a panic.
    pub fn is_abort(&self) -> bool {
        const SIGABRT: u32 = 6;
        const SI_TKILL: i32 = -6;
        self.signal == Some(SIGABRT) && self.code == Some(SI_TKILL)
    }
}

/// Facts of the process, from /proc and the core's notes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Process {
    /// comm of the process (PRPSINFO pr_fname: the thread group leader's).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comm: Option<String>,
    /// comm of the crashing thread (/proc/TID/comm).
    #[serde(rename = "tcomm", skip_serializing_if = "Option::is_none")]
    pub thread_comm: Option<String>,
    /// /proc/TID/exe, " (deleted)" taken off and told in `gone`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exe: Option<String>,
    /// The executable was deleted or replaced on disk.
    #[serde(skip_serializing_if = "is_default")]
    pub gone: bool,
    /// Build-id of the executable.
    #[serde(rename = "bid", skip_serializing_if = "Option::is_none")]
    pub build_id: Option<Id>,
    /// Effective uid (/proc/TID/status Uid).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub euid: Option<u32>,
    /// Parent process id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ppid: Option<u32>,
    /// Process id in its own pid namespace, when that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nspid: Option<u32>,
    /// cgroup v2 path.
    #[serde(rename = "cg", skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
    /// systemd unit, from the cgroup path: the innermost one that root made. Of
    /// a user's own manager it is user@UID.service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Unit of a user's own manager, which that user named.
    #[serde(rename = "uunit", skip_serializing_if = "Option::is_none")]
    pub user_unit: Option<String>,
    /// Container id, from the cgroup path.
    #[serde(rename = "ctr", skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Namespaces that differ from the handler's: name → inode number.
    #[serde(rename = "ns", skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<(String, u64)>,
    /// Start time after boot, nanoseconds (stat field 22).
    #[serde(rename = "start", skip_serializing_if = "Option::is_none")]
    pub start_ns: Option<u64>,
    /// Age at the crash, nanoseconds.
    #[serde(rename = "age", skip_serializing_if = "Option::is_none")]
    pub age_ns: Option<u64>,
    /// Resident set, KiB (VmRSS).
    #[serde(rename = "rss", skip_serializing_if = "Option::is_none")]
    pub rss_kib: Option<u64>,
    /// Virtual size, KiB (VmSize).
    #[serde(rename = "vsz", skip_serializing_if = "Option::is_none")]
    pub vsize_kib: Option<u64>,
    /// Threads at the crash (PRSTATUS notes; else status Threads).
    #[serde(rename = "nth", skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
    /// Soft limits: name → value, the ones that explain crashes
    /// (stack, as, data, nofile, nproc, memlock). Unlimited is absent.
    #[serde(rename = "lim", skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<(String, u64)>,
    /// Physical cores in Cpus_allowed: 1 = pinned.
    #[serde(rename = "pcores", skip_serializing_if = "Option::is_none")]
    pub allowed_cores: Option<u32>,
    /// Hash of the Cpus_allowed mask (SipHash-2-4 of its hex text).
    #[serde(rename = "cpus", skip_serializing_if = "Option::is_none")]
    pub allowed_hash: Option<Hex>,
}

/// All threads: equal indices belong together. The crashing thread is first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Threads {
    /// Thread ids, as the core's PRSTATUS gives them (the pid namespace of
    /// the process).
    pub tid: Vec<u32>,
    /// Instruction pointers.
    pub ip: Vec<Hex>,
    /// Stack pointers.
    pub sp: Vec<Hex>,
    /// Last CPU (stat field 39) of the first threads; -1 unknown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cpu: Vec<i32>,
    /// Index into `stacks`; -1 none was kept.
    #[serde(rename = "st", skip_serializing_if = "Vec::is_empty")]
    pub stack: Vec<i32>,
}

/// General registers of one thread.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Registers {
    /// Thread id.
    pub tid: u32,
    /// Values in the order of the kernel's user_regs_struct (x86_64: 27, r15
    /// … gs) or user_pt_regs (aarch64: 34, x0 … x30 sp pc pstate).
    #[serde(rename = "r")]
    pub values: Vec<Hex>,
}

/// What a register held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegisterClass {
    /// Zero.
    Null,
    /// Within 64 KiB of zero, on either side: a number, an offset from NULL.
    Small,
    /// Executable memory of a module.
    Code,
    /// Other memory of a module.
    Data,
    /// Executable memory of no module.
    Jit,
    /// The stack that the thread stands on.
    Stack,
    /// The heap of brk(2).
    Heap,
    /// Mapped, and nothing of the above.
    Mapped,
    /// No address that a pointer of 48 bits can hold.
    Noncanonical,
    /// Not mapped; also a class that this version does not know.
    #[default]
    #[serde(other)]
    Other,
}

/// The crashing thread's registers without their values: equal indices belong
/// together, in the order of `regs[].r`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RegisterClasses {
    /// What each held.
    #[serde(rename = "c", skip_serializing_if = "Vec::is_empty")]
    pub class: Vec<RegisterClass>,
    /// The lowest 12 bits: where in its page, how aligned.
    #[serde(rename = "lo", skip_serializing_if = "Vec::is_empty")]
    pub low: Vec<u16>,
    /// Bits to flip until it is an address inside a mapping: 0 mapped, 1, 2;
    /// -1 more, or not asked (null, small).
    #[serde(rename = "d", skip_serializing_if = "Vec::is_empty")]
    pub distance: Vec<i8>,
    /// Index into `modules` for code and data; -1 none.
    #[serde(rename = "m", skip_serializing_if = "Vec::is_empty")]
    pub module: Vec<i32>,
    /// Code, data: offset from the module's bias. Stack: bytes above the stack
    /// pointer, negative below. Otherwise 0.
    #[serde(rename = "o", skip_serializing_if = "Vec::is_empty")]
    pub offset: Vec<i64>,
}

/// One loaded object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Module {
    /// Path as mapped, " (deleted)" taken off; "[vdso]" for the vdso.
    #[serde(rename = "p", skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Build-id, from the mapped ELF headers, else from the file.
    #[serde(rename = "b", skip_serializing_if = "Option::is_none")]
    pub build_id: Option<Id>,
    /// Load bias: the address of the module's virtual address 0.
    #[serde(rename = "a")]
    pub bias: Hex,
    /// Lowest mapped address.
    #[serde(rename = "lo")]
    pub start: Hex,
    /// Bytes from the lowest to the highest mapped address.
    #[serde(rename = "z")]
    pub size: u64,
    /// What is unusual: "deleted", "replaced", "memfd", "vdso", "no-file".
    #[serde(rename = "fl", skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
}

/// How a frame was found, from surest to least sure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// The thread's own registers.
    #[default]
    Context,
    /// Call frame information of the frame below.
    Cfi,
    /// Through a signal frame: the interrupted instruction.
    Signal,
    /// The return slot at rsp, after a jump or return to nowhere.
    Slot,
    /// The frame pointer chain.
    Fp,
    /// Found by scanning the stack, then confirmed by what follows.
    Scan,
    /// Found at the oldest end of the stack, behind bytes that were not kept.
    Tail,
}

/// One frame.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Frame {
    /// Index into `modules`; absent for code outside every module (JIT, wild).
    #[serde(rename = "m", skip_serializing_if = "Option::is_none")]
    pub module: Option<u32>,
    /// Offset from the module's bias; without a module the absolute address.
    #[serde(rename = "o")]
    pub offset: Hex,
    /// Start of the function (its FDE's initial location), offset as above.
    #[serde(rename = "f", skip_serializing_if = "Option::is_none")]
    pub function: Option<Hex>,
    /// How it was found.
    #[serde(rename = "h")]
    pub trust: Trust,
    /// Code that lies in no module: "jit" (anonymous executable), "wild".
    #[serde(rename = "k", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// One distinct stack, innermost frame first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stack {
    /// Frames.
    #[serde(rename = "f")]
    pub frames: Vec<Frame>,
    /// Threads that have it.
    #[serde(rename = "n")]
    pub count: u32,
    /// Why it ends: "end" (outermost frame reached), else what stopped it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// Frames left out after index `cut_at`; for bytes that were not kept, 0.
    #[serde(rename = "cut", skip_serializing_if = "Option::is_none")]
    pub cut: Option<u32>,
    /// Index of the first frame behind what was left out.
    #[serde(rename = "cutat", skip_serializing_if = "Option::is_none")]
    pub cut_at: Option<u32>,
}

/// Location keys (SipHash-2-4-64 under a fixed key, see docs/record-format.md).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Keys {
    /// Leaf: build-id and offset of the first frame.
    #[serde(rename = "l0", skip_serializing_if = "Option::is_none")]
    pub leaf: Option<Hex>,
    /// Functions by (build-id, start).
    #[serde(rename = "l1", skip_serializing_if = "Option::is_none")]
    pub functions: Option<Hex>,
    /// Functions by (module name, dynamic symbol or hash of masked code).
    #[serde(rename = "l2", skip_serializing_if = "Option::is_none")]
    pub portable: Option<Hex>,
    /// Frame indices of the first stack that L1 and L2 are made of.
    #[serde(rename = "fr", skip_serializing_if = "Vec::is_empty")]
    pub frames: Vec<u32>,
    /// What the functions of the first of these frames and of those behind it are over
    /// builds, at most eight: hash of (module name, dynamic symbol or hash of masked
    /// code); 0 unknown.
    #[serde(rename = "id", skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<Hex>,
}

/// The machine under the crash.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hardware {
    /// /proc/cpuinfo vendor_id.
    #[serde(rename = "ven", skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// /proc/cpuinfo model name.
    #[serde(rename = "name", skip_serializing_if = "Option::is_none")]
    pub model_name: Option<String>,
    /// CPU family.
    #[serde(rename = "fam", skip_serializing_if = "Option::is_none")]
    pub family: Option<u32>,
    /// Model.
    #[serde(rename = "mdl", skip_serializing_if = "Option::is_none")]
    pub model: Option<u32>,
    /// Stepping.
    #[serde(rename = "step", skip_serializing_if = "Option::is_none")]
    pub stepping: Option<u32>,
    /// Microcode revision.
    #[serde(rename = "uc", skip_serializing_if = "Option::is_none")]
    pub microcode: Option<Hex>,
    /// Online logical CPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub online: Option<u32>,
    /// Online physical cores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cores: Option<u32>,
    /// Where the crash CPU sits.
    #[serde(rename = "topo", skip_serializing_if = "Option::is_none")]
    pub topology: Option<Topology>,
    /// Rows MCE, MCP, THR, DFR of /proc/interrupts: name, total, on the crash
    /// CPU. MCP counts polls, not errors.
    #[serde(rename = "irq", skip_serializing_if = "Vec::is_empty")]
    pub interrupts: Vec<(String, u64, Option<u64>)>,
    /// EDAC counters, one entry a memory controller and one a DIMM.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub edac: Vec<Edac>,
    /// /proc/meminfo HardwareCorrupted, KiB.
    #[serde(rename = "hwc", skip_serializing_if = "Option::is_none")]
    pub corrupted_kib: Option<u64>,
    /// /proc/sys/kernel/tainted (bit 4 = M, machine check seen).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taint: Option<Hex>,
    /// thermal_throttle: name, sum over CPUs, on the crash CPU.
    #[serde(rename = "therm", skip_serializing_if = "Vec::is_empty")]
    pub thermal: Vec<(String, u64, Option<u64>)>,
    /// The hypervisor bit of cpuinfo: a guest counts no machine checks of its
    /// own, so zeros mean nothing.
    #[serde(rename = "guest", skip_serializing_if = "is_default")]
    pub hypervisor: bool,
}

/// Serial numbers under an HMAC with the fleet's key: equal on every host and
/// boot, worthless without the key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Serials {
    /// Protected processor identification number, by package.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ppin: Vec<Id>,
    /// DMI board_serial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub board: Option<Id>,
    /// DMI product_serial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<Id>,
    /// DMI product_uuid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<Id>,
}

/// Where a logical CPU sits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Topology {
    /// Logical CPU.
    pub cpu: u32,
    /// core_id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core: Option<u32>,
    /// physical_package_id.
    #[serde(rename = "pkg", skip_serializing_if = "Option::is_none")]
    pub package: Option<u32>,
    /// NUMA node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<u32>,
    /// Logical CPUs of the same core, itself included.
    #[serde(rename = "smt", skip_serializing_if = "Vec::is_empty")]
    pub siblings: Vec<u32>,
}

/// EDAC counters since boot (or since they were reset).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Edac {
    /// "mc0" for a controller, "mc0/dimm3" for a DIMM or rank.
    pub at: String,
    /// dimm_label, where the firmware or an administrator gave one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Corrected errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ce: Option<u64>,
    /// Uncorrected errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ue: Option<u64>,
}

/// Crashes of this boot that left less than a full record, by the handler's
/// count. Absent is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Storm {
    /// Of this executable, suppressed by the throttle.
    #[serde(skip_serializing_if = "is_default")]
    pub own: u64,
    /// Of all executables, suppressed by the throttle.
    #[serde(rename = "sup", skip_serializing_if = "is_default")]
    pub suppressed: u64,
    /// Kept as a minimal record, because no analysis slot was free.
    #[serde(rename = "min", skip_serializing_if = "is_default")]
    pub unanalysed: u64,
    /// Ended by an error that the kernel's log has: no record, or the minimal one.
    #[serde(rename = "fail", skip_serializing_if = "is_default")]
    pub failed: u64,
    /// Handlers that began and did not end (killed, or ended by a deadline).
    #[serde(skip_serializing_if = "is_default")]
    pub lost: u64,
}

/// How the record was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capture {
    /// Version of epicore.
    #[serde(rename = "ver", skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where memory came from: "live", "stream", or "none" when the process
    /// turned out to be another one.
    #[serde(rename = "src", skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Microseconds from the handler's first instruction to the release.
    #[serde(rename = "held", skip_serializing_if = "Option::is_none")]
    pub held_us: Option<u64>,
    /// Microseconds from the first instruction to the finished record.
    #[serde(rename = "total", skip_serializing_if = "Option::is_none")]
    pub total_us: Option<u64>,
    /// Bytes read from the stream.
    #[serde(rename = "read", skip_serializing_if = "Option::is_none")]
    pub stream_bytes: Option<u64>,
    /// Bytes of memory looked at (none of them is in the record).
    #[serde(rename = "kept", skip_serializing_if = "Option::is_none")]
    pub kept_bytes: Option<u64>,
    /// Bytes that the core's segments would have had (sum of p_filesz).
    #[serde(rename = "core", skip_serializing_if = "Option::is_none")]
    pub core_bytes: Option<u64>,
    /// How identity was verified: "pidfd", "starttime", "none".
    #[serde(rename = "ident", skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// The walk of empty mappings was ended with SIGKILL
    /// (release.sparse = "kill").
    #[serde(rename = "killed", skip_serializing_if = "is_default")]
    pub killed: bool,
    /// The handler ran with the uid of the spool's owner; absent = uid 0.
    #[serde(rename = "ruid", skip_serializing_if = "Option::is_none")]
    pub run_uid: Option<u32>,
    /// What could not be confined.
    #[serde(rename = "open", skip_serializing_if = "Vec::is_empty")]
    pub unconfined: Vec<String>,
}
