//! The machine's answers, in the record's words: of a crash, and of a census.

use std::fs::File;
use std::path::Path;

use super::evidence::Evidence;
use crate::hardware::{self, Cores, Roots};
use crate::record::{Edac, Hardware, Hex, Host, Id, Record, Serials, Topology, app_specific};

/// Adds host and hardware. `host_file` is what the census of this boot left.
pub(super) fn ask(record: &mut Record, evidence: &Evidence, roots: &Roots, host_file: Option<&File>) {
    let identity = hardware::identity(roots, Path::new("/etc/machine-id"));
    let known =
        host_file.zip(identity.boot_id).and_then(|(file, boot)| hardware::Serials::from_file(file, &boot));
    record.serials = known.map(of_serials).unwrap_or_default();
    record.host = of_identity(identity);
    let mut cores = Cores::new(roots);
    let mask = evidence.facts.as_ref().and_then(|facts| facts.status.cpus_allowed.as_ref());
    let allowed = mask.and_then(|mask| cores.allowed(mask.as_bytes()));
    record.process.allowed_cores = allowed.and_then(|allowed| allowed.cores);
    record.process.allowed_hash = allowed.map(|allowed| Hex(allowed.hash));
    // The kernel's word; before Linux 6.2 the thread's last CPU, which is the
    // one that dumped unless it moved since.
    let last = evidence.cpus.first().copied().flatten();
    let found = hardware::look(roots, record.crash.cpu.or(last), &mut cores, &mut record.gaps);
    record.hardware = of_hardware(found);
}

/// Hashed serials.
pub fn of_serials(found: hardware::Serials) -> Serials {
    let id = |hashed: hardware::Hashed| Id(hashed.to_vec());
    Serials {
        ppin: found.ppin.into_iter().map(id).collect(),
        board: found.board.map(id),
        product: found.product.map(id),
        uuid: found.uuid.map(id),
    }
}

/// Which machine: the machine-id leaves as only this application knows it.
pub fn of_identity(identity: hardware::Identity) -> Host {
    Host {
        name: identity.hostname,
        boot: identity.boot_id.map(|id| Id(id.to_vec())),
        mid: identity.machine_id.map(|id| Id(app_specific(&id).to_vec())),
        kernel: identity.kernel,
        arch: identity.arch,
    }
}

/// The machine.
pub fn of_hardware(found: hardware::Hardware) -> Hardware {
    Hardware {
        vendor: found.vendor,
        model_name: found.model_name,
        family: found.family,
        model: found.model,
        stepping: found.stepping,
        microcode: found.microcode.map(Hex),
        online: found.online,
        cores: found.cores,
        topology: found.topology.map(|at| Topology {
            cpu: at.cpu,
            core: at.core,
            package: at.package,
            node: at.node,
            siblings: at.siblings,
        }),
        interrupts: found.interrupts,
        edac: found
            .edac
            .into_iter()
            .map(|edac| Edac { at: edac.at, label: edac.label, ce: edac.ce, ue: edac.ue })
            .collect(),
        corrupted_kib: found.corrupted_kib,
        taint: found.taint.map(Hex),
        thermal: found.thermal,
        hypervisor: found.hypervisor,
    }
}
