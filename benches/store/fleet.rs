//! A fleet's records: real ones (the tests' cores, replayed), with the id,
//! host, unit, signature and time of each made up, and with the modules,
//! threads and stacks of a service, because the tests' cores are of programs
//! with one thread and no library: 5 KB, as a live capture of a service has.
//!
//! 1,000 hosts, 5,000 signatures by Zipf's law, 40 units, 30 days in order.

use epicore::record::*;
use epicore::store::{Incoming, Origin};
use epicore::wire::ItemKind;

pub const HOSTS: u64 = 1000;
pub const SIGNATURES: usize = 5000;
pub const UNITS: u64 = 40;
/// 2026-10-23.
pub const BEGIN: u64 = 1_792_764_000_000_000_000;
pub const HOUR: u64 = 3_600_000_000_000;
pub const SPAN: u64 = 720 * HOUR;

/// Records as captured, without what [`Fleet::record`] gives them.
pub fn captured() -> Vec<Record> {
    let cores = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cores");
    let one = |name: &str| {
        let core = std::fs::File::open(cores.join(name)).unwrap();
        epicore::capture::replay(core, std::slice::from_ref(&cores))
    };
    ["abort.core", "divide.core", "jump.core", "null.core", "recursion.core"].map(one).to_vec()
}

const LIBRARIES: [&str; 16] = [
    "libc.so.6",
    "libm.so.6",
    "libpthread.so.0",
    "ld-linux-x86-64.so.2",
    "libssl.so.3",
    "libcrypto.so.3",
    "libz.so.1",
    "libpcre2-8.so.0",
    "libstdc++.so.6",
    "libgcc_s.so.1",
    "libcurl.so.4",
    "libnghttp2.so.14",
    "libsystemd.so.0",
    "libzstd.so.1",
    "libcap.so.2",
    "libselinux.so.1",
];

pub struct Fleet {
    samples: Vec<Record>,
    /// They are as large as real ones already.
    whole: bool,
    /// Cumulated weights of the signatures.
    zipf: Vec<f64>,
    random: fastrand::Rng,
    made: u64,
    total: u64,
}

impl Fleet {
    /// A fleet that crashes `total` times.
    pub fn new(seed: u64, total: u64) -> Fleet {
        let mut sum = 0.0;
        let zipf = (1..=SIGNATURES).map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        });
        Fleet {
            samples: captured(),
            whole: false,
            zipf: zipf.collect(),
            random: fastrand::Rng::with_seed(seed),
            made: 0,
            total,
        }
    }

    /// Makes only records like these.
    pub fn only(&mut self, samples: &[Record]) {
        self.samples = samples.to_vec();
    }

    /// Makes only records like these, with nothing added.
    #[allow(dead_code)] // benches/fleet
    pub fn like(&mut self, samples: &[Record]) {
        self.samples = samples.to_vec();
        self.whole = true;
    }

    fn signature(&mut self) -> u64 {
        let at = self.random.f64() * self.zipf.last().unwrap();
        let rank = self.zipf.partition_point(|sum| *sum < at) as u64;
        (rank + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn record(&mut self, host: &str) -> Incoming {
        let at = BEGIN + (self.made * (SPAN / self.total.max(1))).min(SPAN) + self.random.u64(0..HOUR / 4);
        self.made += 1;
        let mut id = [0u8; 16];
        id[..6].copy_from_slice(&(at / 1_000_000).to_be_bytes()[2..]);
        id[6..].copy_from_slice(&self.random.u128(..).to_be_bytes()[6..]);
        let signature = self.signature();
        let unit = signature % UNITS;
        let choice = self.random.usize(0..self.samples.len());
        let core = self.random.u32(0..64);
        let record = &mut self.samples[choice];
        record.id = Id(id.to_vec());
        record.kind = Kind::Full;
        record.realtime_ns = Some(at);
        record.host.name = Some(host.to_owned());
        record.host.mid = Some(mid(host));
        record.host.kernel = Some("6.18.44-cloud-amd64".to_owned());
        record.process.unit = Some(format!("service-{unit}.service"));
        record.process.exe = Some(format!("/opt/service-{unit}/bin/server"));
        record.process.comm = Some(format!("server-{unit}"));
        record.process.build_id = Some(Id(vec![unit as u8; 20]));
        record.keys.portable = Some(Hex(signature));
        record.keys.functions = Some(Hex(signature ^ 1));
        record.hardware.model_name = Some("AMD EPYC 9654 96-Core Processor".to_owned());
        record.hardware.microcode = Some(Hex(0x0a10_1148));
        record.hardware.topology = Some(Topology { cpu: core * 2, core: Some(core), ..Topology::default() });
        record.registers.iter_mut().flat_map(|set| &mut set.values).for_each(|value| {
            value.0 ^= self.random.u64(..) >> 20;
        });
        let mut record = record.clone();
        if !self.whole {
            self.enlarge(&mut record, unit);
        }
        Incoming { id, kind: ItemKind::Crash, body: encode(&record).unwrap() }
    }

    /// The libraries of a service at this process's addresses, eight threads,
    /// five distinct stacks.
    fn enlarge(&mut self, record: &mut Record, unit: u64) {
        let first = record.modules.len() as u32;
        for (number, name) in LIBRARIES.iter().enumerate() {
            let bias = 0x7f00_0000_0000 + (self.random.u64(..) >> 28 << 12);
            record.modules.push(Module {
                path: Some(format!("/usr/lib/x86_64-linux-gnu/{name}")),
                build_id: Some(Id((0..20)
                    .map(|at| (at * 37 + number as u64 * 11 + unit % 3) as u8)
                    .collect())),
                bias: Hex(bias),
                start: Hex(bias),
                size: 0x21_0000,
                flags: Vec::new(),
            });
        }
        for _ in 0..8 {
            record.threads.tid.push(self.random.u32(1000..4_000_000));
            record.threads.ip.push(Hex(0x7f00_0000_0000 + (self.random.u64(..) >> 24)));
            record.threads.sp.push(Hex(0x7f00_0000_0000 + (self.random.u64(..) >> 24)));
            record.threads.stack.push(self.random.i32(0..5));
        }
        for _ in 0..5 {
            let frames = (0..14).map(|_| Frame {
                module: Some(first + self.random.u32(0..LIBRARIES.len() as u32)),
                offset: Hex(self.random.u64(0x1000..0x20_0000)),
                function: Some(Hex(self.random.u64(0x1000..0x20_0000))),
                trust: Trust::Cfi,
                kind: None,
            });
            let frames = frames.collect();
            record.stacks.push(Stack { frames, count: 2, end: Some("end".to_owned()), ..Stack::default() });
        }
    }

    /// Crashes of one host, as it would send them.
    pub fn batch(&mut self, most: u64) -> (Origin, Vec<Incoming>) {
        let host = format!("web-{:04}.example.net", self.random.u64(0..HOSTS));
        let left = self.total.saturating_sub(self.made).min(most);
        let items = (0..left).map(|_| self.record(&host)).collect();
        (origin(&host), items)
    }

    /// A census of every host for each day.
    pub fn censuses(&mut self) -> impl Iterator<Item = (Origin, Vec<Incoming>)> {
        let id = |host: u64, day: u64| (u128::from(host) << 64 | u128::from(day) | 1 << 120).to_be_bytes();
        (0..HOSTS).map(move |host| {
            let name = format!("web-{host:04}.example.net");
            let items = (1..=30u64)
                .map(|day| {
                    let exposure = census(&name, id(host, day), day);
                    Incoming {
                        id: id(host, day),
                        kind: ItemKind::Exposure,
                        body: encode_exposure(&exposure).unwrap(),
                    }
                })
                .collect();
            (origin(&name), items)
        })
    }
}

fn census(host: &str, id: [u8; 16], day: u64) -> Exposure {
    let mut exposure = Exposure { v: EXPOSURE_SCHEMA, id: Id(id.to_vec()), ..Exposure::default() };
    exposure.realtime_ns = Some(BEGIN + day * 24 * HOUR);
    exposure.boottime_ns = Some(day * 24 * HOUR);
    exposure.since_ns = Some((day - 1) * 24 * HOUR);
    exposure.host.name = Some(host.to_owned());
    exposure.host.mid = Some(mid(host));
    exposure.host.boot = Some(Id(vec![1; 16]));
    exposure.host.kernel = Some("6.18.44-cloud-amd64".to_owned());
    exposure.labels = vec![("rack".to_owned(), host[4..6].to_owned()), ("role".to_owned(), "web".to_owned())];
    exposure.running = (0..UNITS)
        .map(|unit| Running {
            unit: Some(format!("service-{unit}.service")),
            build_id: Some(Id(vec![unit as u8; 20])),
            n: 4,
            ..Running::default()
        })
        .collect();
    exposure
}

/// Each host its own: a thousand machines of one image are another fleet.
fn mid(host: &str) -> Id {
    Id(host.bytes().cycle().take(16).collect())
}

fn origin(host: &str) -> Origin {
    Origin { host: host.to_owned(), mid: None, clock_ns: 0, received: BEGIN + SPAN + HOUR }
}
