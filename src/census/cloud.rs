//! The physical host under a virtual machine, where the platform tells it
//! without a network.
//!
//! Hyper-V and Azure do: the host pushes key-value pairs, and hv_kvp_daemon
//! keeps them in pool 3 (tools/hv/hv_kvp_daemon.c of the kernel; Microsoft's
//! "Data Exchange: Using key-value pairs"). Entries of fixed size, NUL-filled:
//!
//! ```text
//! 512 bytes key, 2048 bytes value, and again
//! ```
//!
//! Others (EC2, GCE) do not tell a guest; there `[labels]` of the configuration
//! may, from whatever the provisioning knows.

use std::path::Path;

use super::arguments::below;
use crate::bytes::Bytes;
use crate::limits;
use crate::record::text;

const POOL: &str = "/var/lib/hyperv/.kvp_pool_3";
const KEY: usize = 512;
const VALUE: usize = 2048;
/// The longest name of a host that is kept.
const NAME: usize = 128;
/// Keys that name the host, the best one first.
const NAMES: [&[u8]; 3] = [b"PhysicalHostNameFullyQualified", b"PhysicalHostName", b"HostName"];
/// The label; one of the configuration is believed instead.
const LABEL: &str = "cloud.physical-host";

/// The labels of the configuration and of the platform, sorted.
pub(super) fn labels(mut labels: Vec<(String, String)>, root: &Path) -> Vec<(String, String)> {
    if !labels.iter().any(|(name, _)| name == LABEL) {
        labels.extend(physical_host(root).map(|host| (LABEL.to_owned(), host)));
        labels.sort();
    }
    labels
}

fn physical_host(root: &Path) -> Option<String> {
    let pool = super::images::read(&below(root, POOL), limits::KVP_POOL)?;
    let value = NAMES.iter().find_map(|name| find(Bytes::new(&pool), name))?;
    (!value.is_empty() && value.len() <= NAME).then(|| text(value))
}

fn find<'a>(mut pool: Bytes<'a>, name: &[u8]) -> Option<&'a [u8]> {
    loop {
        let key = pool.take(KEY)?.until_nul();
        let value = pool.take(VALUE)?.until_nul();
        if key.as_slice() == name {
            return Some(value.as_slice().trim_ascii());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, value: &str) -> Vec<u8> {
        let mut bytes = key.as_bytes().to_vec();
        bytes.resize(KEY, 0);
        bytes.extend(value.as_bytes());
        bytes.resize(KEY + VALUE, 0);
        bytes
    }

    fn told(pool: &[u8]) -> Vec<(String, String)> {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("var/lib/hyperv")).unwrap();
        std::fs::write(below(root.path(), POOL), pool).unwrap();
        labels(vec![("rack".into(), "b7".into())], root.path())
    }

    #[test]
    fn the_host_that_hyper_v_names_is_a_label() {
        let mut pool = entry("VirtualMachineName", "vm");
        pool.extend(entry("PhysicalHostName", "NODE17"));
        assert_eq!(told(&pool).first(), Some(&("cloud.physical-host".into(), "NODE17".into())));
        pool.extend(entry("PhysicalHostNameFullyQualified", "node17.example"));
        assert_eq!(told(&pool).first(), Some(&("cloud.physical-host".into(), "node17.example".into())));
    }

    #[test]
    fn a_pool_cut_anywhere_is_no_more_than_silent() {
        let pool = entry("PhysicalHostName", "NODE17");
        for length in [0, 1, KEY, KEY + 1, KEY + VALUE - 1] {
            assert_eq!(told(&pool[..length]).len(), 1, "{length}");
        }
        assert_eq!(told(&entry("PhysicalHostName", &"x".repeat(VALUE))).len(), 1);
    }

    #[test]
    fn the_configuration_knows_better() {
        let root = tempfile::tempdir().unwrap();
        let given = vec![(LABEL.to_owned(), "from-provisioning".to_owned())];
        assert_eq!(labels(given.clone(), root.path()), given);
    }
}
