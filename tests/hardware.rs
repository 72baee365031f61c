//! What the record says about the machine, on machines of every kind: each
//! file of tests/machines/ is one (a line "== path", then that file's text).

use std::fs;
use std::path::{Path, PathBuf};

use epicore::gap::Gap;
use epicore::hardware::{Allowed, Cores, CpuSet, Edac, Hardware, Roots, identity, look};
use epicore::limits;
use proptest::prelude::*;

struct Machine {
    root: tempfile::TempDir,
    roots: Roots,
}

impl Machine {
    fn empty() -> Machine {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("proc")).unwrap();
        fs::create_dir(root.path().join("sys")).unwrap();
        let roots = Roots::open(&root.path().join("proc"), &root.path().join("sys")).unwrap();
        Machine { root, roots }
    }

    fn stored(name: &str) -> Machine {
        let machine = Machine::empty();
        let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/machines").join(format!("{name}.tree"));
        let tree = fs::read_to_string(tree).unwrap();
        for file in tree.split("\n== ").skip(1) {
            let (path, text) = file.split_once('\n').unwrap();
            machine.write(path, format!("{text}\n"));
        }
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn look(&self, cpu: Option<u32>) -> (Hardware, Vec<Gap>) {
        let mut gaps = Vec::new();
        let hardware = look(&self.roots, cpu, &mut Cores::new(&self.roots), &mut gaps);
        (hardware, gaps)
    }
}

fn counter(name: &str, total: u64, own: impl Into<Option<u64>>) -> (String, u64, Option<u64>) {
    (name.to_owned(), total, own.into())
}

#[test]
fn an_intel_server_with_two_sockets_tells_all_of_it() {
    let (hardware, gaps) = Machine::stored("intel-2-sockets").look(Some(12));
    assert_eq!(gaps, []);
    assert_eq!(hardware.vendor.as_deref(), Some("GenuineIntel"));
    assert_eq!(hardware.model_name.as_deref(), Some("Intel(R) Xeon(R) Gold 6248R CPU @ 3.00GHz"));
    assert_eq!((hardware.family, hardware.model, hardware.stepping), (Some(6), Some(85), Some(7)));
    assert_eq!(hardware.microcode, Some(0x0500_3605), "of the crash CPU's own socket");
    assert_eq!((hardware.online, hardware.cores), (Some(15), Some(8)));
    let topology = hardware.topology.unwrap();
    assert_eq!(
        (topology.cpu, topology.core, topology.package, topology.node),
        (12, Some(0), Some(1), Some(1))
    );
    assert_eq!(topology.siblings, [4, 12]);
    assert_eq!(
        hardware.interrupts,
        [counter("THR", 7, 0), counter("MCE", 1, 0), counter("MCP", 15 * 301, 301)]
    );
    let controller = |at: &str, ce, ue| Edac { at: at.to_owned(), label: None, ce: Some(ce), ue: Some(ue) };
    let dimm =
        Edac { label: Some("CPU_SrcID#1_MC#0_Chan#1_DIMM#0".to_owned()), ..controller("mc1/dimm3", 41, 1) };
    assert_eq!(hardware.edac, [controller("mc0", 0, 0), controller("mc1", 42, 1), dimm]);
    assert_eq!((hardware.corrupted_kib, hardware.taint, hardware.hypervisor), (Some(8), Some(16), false));
    assert_eq!(
        hardware.thermal,
        [counter("core_throttle_count", 115, 12), counter("package_throttle_count", 1500, 100)]
    );
}

/// CPU 5 is offline: the sixth column is CPU 6, and the 14th CPU 14.
#[test]
fn columns_of_interrupts_are_found_by_their_header() {
    let machine = Machine::stored("intel-2-sockets");
    let thr = |cpu| machine.look(cpu).0.interrupts[0].clone();
    assert_eq!(thr(Some(14)), counter("THR", 7, 7));
    assert_eq!(thr(Some(13)), counter("THR", 7, 0));
    assert_eq!(thr(None), counter("THR", 7, None));
}

#[test]
fn a_crash_cpu_that_went_offline_costs_gaps_and_not_the_machine() {
    let (hardware, gaps) = Machine::stored("intel-2-sockets").look(Some(5));
    let reasons: Vec<_> = gaps.iter().map(|gap| gap.reason.as_str()).collect();
    assert_eq!(reasons, ["topology of the crash CPU unknown", "cpuinfo without the crash CPU"]);
    assert_eq!((hardware.model, hardware.topology), (Some(85), None));
    assert_eq!(hardware.interrupts[0], counter("THR", 7, None));
    assert_eq!(hardware.thermal[0], counter("core_throttle_count", 115, None));
}

#[test]
fn an_epyc_counts_deferred_errors_and_ranks() {
    let (hardware, gaps) = Machine::stored("amd-epyc").look(Some(6));
    assert_eq!(gaps, []);
    assert_eq!(hardware.vendor.as_deref(), Some("AuthenticAMD"));
    assert_eq!((hardware.family, hardware.model, hardware.microcode), (Some(25), Some(1), Some(0x0a00_11d5)));
    assert_eq!((hardware.online, hardware.cores), (Some(8), Some(4)));
    assert_eq!(hardware.topology.unwrap().node, Some(1));
    assert_eq!(
        hardware.interrupts,
        [counter("THR", 0, 0), counter("DFR", 2, 2), counter("MCE", 0, 0), counter("MCP", 616, 77)]
    );
    let at: Vec<_> = hardware.edac.iter().map(|edac| (edac.at.as_str(), edac.ce)).collect();
    assert_eq!(at, [("mc0", Some(3)), ("mc0/rank2", Some(3))]);
    assert_eq!(hardware.edac[1].label.as_deref(), Some("mc#0csrow#2channel#0"));
    assert_eq!(hardware.thermal, []);
}

#[test]
fn an_arm_server_speaks_of_implementer_and_part() {
    let (hardware, gaps) = Machine::stored("aarch64-neoverse-n1").look(Some(3));
    assert_eq!(gaps, []);
    assert_eq!(hardware.vendor.as_deref(), Some("0x41"));
    assert_eq!((hardware.family, hardware.model, hardware.stepping), (Some(8), Some(0xd0c), Some(0x32)));
    assert_eq!((hardware.model_name, hardware.microcode), (None, None));
    assert_eq!((hardware.online, hardware.cores), (Some(4), Some(4)));
    let topology = hardware.topology.unwrap();
    assert_eq!((topology.core, topology.package, topology.node), (Some(3), None, None), "-1 is no package");
    assert_eq!((hardware.interrupts, hardware.edac, hardware.corrupted_kib), (vec![], vec![], None));
}

#[test]
fn a_guest_without_counters_has_no_gaps_for_them() {
    let (hardware, gaps) = Machine::stored("cloud-vm").look(Some(0));
    assert_eq!(gaps, []);
    assert!(hardware.hypervisor);
    assert_eq!((hardware.interrupts, hardware.edac, hardware.thermal), (vec![], vec![], vec![]));
    assert_eq!((hardware.online, hardware.cores), (Some(1), Some(1)));
}

#[test]
fn edac_of_old_kernels_is_read_by_rows_and_channels() {
    let (hardware, _) = Machine::stored("csrow-edac").look(Some(0));
    let entries: Vec<_> = hardware
        .edac
        .iter()
        .map(|edac| (edac.at.as_str(), edac.label.as_deref(), edac.ce, edac.ue))
        .collect();
    assert_eq!(
        entries,
        [
            ("mc0", None, Some(9), Some(2)),
            ("mc0/csrow1/ch0", Some("DIMM_10"), Some(0), Some(2)),
            ("mc0/csrow1/ch1", Some("DIMM_11"), Some(9), None),
        ]
    );
}

#[test]
fn an_affinity_mask_is_counted_in_physical_cores() {
    let machine = Machine::stored("intel-2-sockets");
    let mut cores = Cores::new(&machine.roots);
    let mut count = |mask: &str| cores.allowed(mask.as_bytes()).unwrap().cores.unwrap();
    assert_eq!(count("ffff\n"), 8, "all");
    assert_eq!(count("ffffffff,ffffffff"), 8, "all that could ever be plugged in");
    assert_eq!(count("0001"), 1, "one thread");
    assert_eq!(count("0101"), 1, "both threads of one core");
    assert_eq!(count("0003"), 2, "two cores");
    assert_eq!(count("2020"), 1, "an offline CPU and its sibling");
    assert_eq!(count("0020"), 0, "only an offline CPU");
    assert_eq!(cores.allowed(b"everything"), None);
}

/// The hash is compared over the fleet and over versions: it never changes.
#[test]
fn the_hash_of_a_mask_is_fixed_for_ever() {
    let machine = Machine::stored("cloud-vm");
    let mut cores = Cores::new(&machine.roots);
    assert_eq!(cores.allowed(b"1"), Some(Allowed { cores: Some(1), hash: 0x894da202e65cf0c8 }));
    assert_eq!(cores.allowed(b"1\n"), cores.allowed(b"1"));
}

#[test]
fn an_empty_tree_is_a_record_with_gaps() {
    let (hardware, gaps) = Machine::empty().look(Some(0));
    assert_eq!(hardware, Hardware::default());
    let reasons: Vec<_> = gaps.iter().map(|gap| gap.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "topology of the crash CPU unknown",
            "cpuinfo unreadable (ENOENT)",
            "interrupts unreadable (ENOENT)",
            "online CPUs unknown"
        ]
    );
}

#[test]
fn files_that_lie_are_no_values() {
    let machine = Machine::stored("intel-2-sockets");
    let cpu = "sys/devices/system/cpu";
    machine.write(
        "proc/cpuinfo",
        [
            b"processor\t: 0\nmodel\t: 99999999999\nvendor_id\t: \xff\xfe\nflags\n".as_slice(),
            &[b'x'; 100_000],
        ]
        .concat(),
    );
    machine.write(
        "proc/interrupts",
        b"\r CPU0\nMCE: -1\nMCE: 5\nMCP: 18446744073709551615 18446744073709551615 3\nTHR:\nDFR",
    );
    machine.write("proc/meminfo", b"HardwareCorrupted: many kB\n");
    machine.write("proc/sys/kernel/tainted", b"\n");
    machine.write(&format!("{cpu}/online"), b"0-4294967294");
    machine.write(&format!("{cpu}/cpu0/topology/thread_siblings_list"), b"7");
    machine.write("sys/devices/system/edac/mc/mc1/ce_count", b"lots");
    let fifo = machine.path("sys/devices/system/edac/mc/mc0/ce_count");
    fs::remove_file(&fifo).unwrap();
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let (hardware, gaps) = machine.look(Some(0));
    assert_eq!(
        (hardware.model, hardware.vendor, hardware.taint, hardware.corrupted_kib),
        (None, None, None, None)
    );
    assert_eq!(hardware.interrupts, [counter("MCE", 5, 5), counter("MCP", u64::MAX, u64::MAX)]);
    assert_eq!(hardware.online, Some(limits::CPUS as u32));
    assert_eq!((hardware.topology, hardware.cores), (None, None), "a core that its own CPU is not in");
    assert!(gaps.iter().any(|gap| gap.reason == "throttle counts not summed"), "{gaps:?}");
    assert_eq!(hardware.edac[0].ce, None);
}

#[test]
fn four_hundred_dimms_have_a_bounded_record() {
    let machine = Machine::stored("amd-epyc");
    let mc = "sys/devices/system/edac/mc/mc0";
    for n in 0..400 {
        machine.write(&format!("{mc}/dimm{n}/dimm_ce_count"), b"1");
        machine.write(&format!("{mc}/dimm{n}/dimm_label"), vec![b'A'; 4096]);
    }
    let (hardware, gaps) = machine.look(None);
    assert!(hardware.edac.len() <= limits::EDAC_ENTRIES);
    assert!(hardware.edac.iter().all(|edac| edac.label.as_ref().is_none_or(|label| label.len() <= 64)));
    assert_eq!(gaps.last().unwrap().reason, "EDAC beyond its limit");
}

/// 256 CPUs, 1.1 MB of /proc/interrupts: what it costs is printed.
#[test]
fn a_machine_of_256_cpus_is_read_in_milliseconds() {
    let machine = Machine::stored("cloud-vm");
    let cpus = 256u32;
    let row = |name: &str, value: u32| {
        format!(
            "{name:>4}:{}   text\n",
            (0..cpus).map(|cpu| format!("{:>11}", value * cpu)).collect::<String>()
        )
    };
    let mut interrupts: String = " ".repeat(5);
    (0..cpus).for_each(|cpu| interrupts += &format!("{:>11}", format!("CPU{cpu}")));
    interrupts.push('\n');
    (0..400).for_each(|irq| interrupts += &row(&irq.to_string(), 3));
    interrupts += &row("MCE", 2);
    machine.write("proc/interrupts", &interrupts);
    let flags = "flag_of_some_length ".repeat(80);
    let cpuinfo: String = (0..cpus)
        .map(|cpu| {
            format!("processor\t: {cpu}\nvendor_id\t: GenuineIntel\nmodel\t\t: {cpu}\nflags\t\t: {flags}\n\n")
        })
        .collect();
    machine.write("proc/cpuinfo", &cpuinfo);
    let cpu = "sys/devices/system/cpu";
    machine.write(&format!("{cpu}/online"), "0-255");
    for n in 0..cpus {
        machine.write(
            &format!("{cpu}/cpu{n}/topology/thread_siblings_list"),
            format!("{},{}", n % 128, n % 128 + 128),
        );
        machine.write(&format!("{cpu}/cpu{n}/thermal_throttle/core_throttle_count"), "1");
    }
    let begun = std::time::Instant::now();
    let (hardware, gaps) = machine.look(Some(200));
    println!(
        "256 CPUs, interrupts {} KiB, cpuinfo {} KiB: {:?}",
        interrupts.len() >> 10,
        cpuinfo.len() >> 10,
        begun.elapsed()
    );
    assert_eq!(gaps, []);
    assert_eq!(hardware.interrupts, [counter("MCE", (0..256).sum::<u64>() * 2, 400)]);
    assert_eq!((hardware.model, hardware.cores), (Some(200), Some(128)));
    assert_eq!(hardware.thermal, [counter("core_throttle_count", 256, 1)]);
}

#[test]
fn identity_is_bytes_and_an_unset_machine_id_is_none() {
    let machine = Machine::stored("amd-epyc");
    let file = machine.path("machine-id");
    let id = |text: &str| {
        fs::write(&file, text).unwrap();
        identity(&machine.roots, &file)
    };
    let found = id("0123456789abcdef0123456789ABCDEF\n");
    assert_eq!(found.machine_id.map(u128::from_be_bytes), Some(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef));
    assert_eq!(found.boot_id.map(u128::from_be_bytes), Some(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff));
    assert_eq!(found.arch.as_deref(), Some(std::env::consts::ARCH));
    for unset in ["", "uninitialized\n", "00000000000000000000000000000000", "0123", &"a".repeat(34)] {
        assert_eq!(id(unset).machine_id, None, "{unset:?}");
    }
    assert_eq!(identity(&machine.roots, &machine.path("absent")).machine_id, None);
}

#[test]
fn this_machine_is_read_as_lscpu_reads_it() {
    let roots = Roots::open(Path::new("/proc"), Path::new("/sys")).unwrap();
    let mut cores = Cores::new(&roots);
    let mut gaps = Vec::new();
    let begun = std::time::Instant::now();
    let hardware = look(&roots, Some(0), &mut cores, &mut gaps);
    println!("this machine in {:?}: {hardware:?} {gaps:?}", begun.elapsed());
    println!("{:?}", identity(&roots, Path::new("/etc/machine-id")));
    let Ok(lscpu) = std::process::Command::new("lscpu").arg("-p=CPU,CORE,SOCKET,NODE").output() else {
        return println!("skipped: no lscpu");
    };
    let lscpu = String::from_utf8(lscpu.stdout).unwrap();
    let rows: Vec<Vec<Option<u32>>> = lscpu
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(',').map(|field| field.parse().ok()).collect())
        .collect();
    let distinct: std::collections::BTreeSet<_> = rows.iter().map(|row| row[1]).collect();
    assert_eq!(hardware.online, Some(rows.len() as u32));
    assert_eq!(hardware.cores, Some(distinct.len() as u32));
    assert_eq!(hardware.topology.unwrap().node, rows[0][3]);
}

#[test]
fn the_time_of_a_cpu_is_what_it_worked_and_not_what_it_waited_or_was_robbed_of() {
    let machine = Machine::empty();
    machine.write(
        "proc/stat",
        "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 1 2 4 1000 1000 8 16 1000 1000 1000\ncpu3 5 0\nintr 7 8\ncpu9 1\n",
    );
    for (name, value) in [("physical_package_id", "1"), ("core_id", "2")] {
        machine.write(&format!("sys/devices/system/cpu/cpu0/topology/{name}"), value);
    }
    let times = epicore::hardware::cpu_times(&machine.roots).unwrap();
    let told: Vec<_> = times.iter().map(|time| (time.cpu, time.core, time.busy_ms)).collect();
    assert_eq!(told, [(0, Some(65_538), 310), (3, None, 50)]);
    for text in ["", "cpu", "cpu0", "cpu0 x y z\n", "cpu4294967296 1\n"] {
        machine.write("proc/stat", text);
        let times = epicore::hardware::cpu_times(&machine.roots).unwrap();
        assert!(times.iter().all(|time| time.busy_ms == 0), "{text:?}: {times:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_tree_is_a_panic(text in prop::collection::vec(any::<u8>(), 0..400), lines in "[ -~\n:0-9]{0,200}") {
        let machine = Machine::empty();
        let cpu = "sys/devices/system/cpu";
        for path in ["proc/cpuinfo", "proc/interrupts", "proc/meminfo"] {
            machine.write(path, [text.as_slice(), lines.as_bytes()].concat());
        }
        for path in ["online", "cpu0/topology/thread_siblings_list", "cpu0/thermal_throttle/core_throttle_count"] {
            machine.write(&format!("{cpu}/{path}"), lines.as_bytes());
        }
        machine.look(Some(0));
        let _ = Cores::new(&machine.roots).allowed(&text);
    }

    #[test]
    fn a_set_survives_both_ways_of_writing_it(members in prop::collection::btree_set(0u32..256, 0..20)) {
        let list = members.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let read: Vec<u32> = CpuSet::from_list(list.as_bytes()).unwrap().iter().collect();
        prop_assert_eq!(&read, &members.iter().copied().collect::<Vec<_>>());
        let words: Vec<String> = (0..8u32).rev().map(|word| {
            let bits = members.iter().filter(|cpu| **cpu / 32 == word).fold(0u32, |bits, cpu| bits | 1 << (cpu % 32));
            format!("{bits:08x}")
        }).collect();
        let read: Vec<u32> = CpuSet::from_mask(words.join(",").as_bytes()).unwrap().iter().collect();
        prop_assert_eq!(&read, &members.iter().copied().collect::<Vec<_>>());
    }
}
