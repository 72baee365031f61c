//! Serial numbers leave only as what nobody without the fleet's key can read,
//! and the crash handler learns them from the census. Needs root; says so and
//! passes without.

mod support;

#[path = "support/census.rs"]
mod census;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use census::Place;
use epicore::hardware::{HOST_FILE, Serials};
use epicore::record::Exposure;
use support::observe::{Observatory, Watch, records, victim};

/// A machine of two packages whose vendor filled in two of three texts.
fn machine(place: &Place) -> String {
    for (cpu, package) in [(0, 0), (1, 0), (2, 1), (3, 1)] {
        let topology = format!("root/sys/devices/system/cpu/cpu{cpu}/topology");
        place.write(&format!("{topology}/physical_package_id"), format!("{package}\n"));
        place.write(&format!("{topology}/ppin"), format!("0x{:x}\n", 0xabc0 + package));
    }
    place.write("root/sys/class/dmi/id/board_serial", "CN7792\n");
    place.write("root/sys/class/dmi/id/product_serial", "To be filled by O.E.M.\n");
    place.write("root/sys/class/dmi/id/product_uuid", "4c4c4544-004a-3510-8043-cac04f563533\n");
    place.path("root").display().to_string()
}

fn key(place: &Place, mode: u32, text: &str) {
    let key = place.write("fleet.key", text);
    std::fs::set_permissions(&key, PermissionsExt::from_mode(mode)).unwrap();
    place.write("epicore.toml", format!("[fleet]\nkey_file='{}'\n", key.display()));
}

fn gap(report: &Exposure, words: &str) -> bool {
    report.gaps.iter().any(|gap| gap.reason.contains(words))
}

#[test]
fn serials_are_hashed_once_a_boot_and_told_to_the_handler() {
    let Some(place) = Place::new() else { return };
    let root = machine(&place);
    key(&place, 0o600, "a secret of the fleet's\n");
    let report = place.report(&["--root", &root]);
    assert_eq!(report.serials.ppin.len(), 2);
    assert_ne!(report.serials.ppin[0], report.serials.ppin[1]);
    assert!(report.serials.board.is_some() && report.serials.uuid.is_some());
    assert_eq!(report.serials.product, None, "a placeholder is no serial");

    let host = place.path("run/host");
    let (text, facts) = (std::fs::read_to_string(&host).unwrap(), host.metadata().unwrap());
    assert_eq!((facts.mode() & 0o777, facts.uid()), (0o644, 0));
    for serial in report.serials.ppin.iter().chain(&report.serials.board).chain(&report.serials.uuid) {
        assert!(text.contains(&serial.hex()), "{text}");
    }
    for raw in ["cn7792", "CN7792", "abc0", "4c4c4544"] {
        assert!(!text.contains(raw), "{raw} in {text}");
    }
    // The same hash as anybody's with the key (openssl dgst -sha256 -hmac).
    let mut command = std::process::Command::new("python3");
    command.args([
        "-c",
        "import hmac;print(hmac.new(b\"a secret of the fleet's\",b'epicore:board_serial\\0cn7792','sha256').hexdigest()[:32])",
    ]);
    if let Ok(output) = command.output() {
        let expected = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert_eq!(report.serials.board.as_ref().map(|id| id.hex()), Some(expected));
    }

    // Later censuses of this boot read no serial again.
    std::fs::remove_dir_all(place.path("root/sys/class")).unwrap();
    assert_eq!(place.report(&["--root", &root]).serials, report.serials);
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let Some(place) = Place::new() else { return };
    let root = machine(&place);
    let refused = |mode: u32, text: &str, why: &str| {
        key(&place, mode, text);
        let report = place.report(&["--root", &root]);
        assert_eq!(report.serials, Default::default());
        assert!(gap(&report, why), "{:?}", report.gaps);
        assert!(!place.path("run/host").exists());
    };
    refused(0o644, "a secret of the fleet's", "chmod 0600");
    refused(0o620, "a secret of the fleet's", "chmod 0600");
    refused(0o600, "short", "fewer than 16");
    std::fs::remove_file(place.path("fleet.key")).unwrap();
    let report = place.report(&["--root", &root]);
    assert!(gap(&report, "could not be opened"), "{:?}", report.gaps);
}

#[test]
fn without_a_key_there_are_no_serials_and_no_gap() {
    let Some(place) = Place::new() else { return };
    let root = machine(&place);
    let report = place.report(&["--root", &root]);
    assert_eq!(report.serials, Default::default());
    assert!(!gap(&report, "serial"), "{:?}", report.gaps);
    assert!(!place.path("run/host").exists());
}

#[test]
fn a_crash_record_has_the_serials_of_this_boot_and_believes_only_root() {
    let Some(observatory) = Observatory::open() else { return };
    let file = Path::new(HOST_FILE);
    if file.exists() {
        return println!("skipped: {HOST_FILE} is this machine's own");
    }
    let made = !file.parent().unwrap().exists();
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim().replace('-', "");
    let boot = u128::from_str_radix(&boot, 16).unwrap().to_be_bytes();
    let serials = Serials { board: Some([0xb0; 16]), ppin: vec![[1; 16]], ..Serials::default() };
    let hwid = |name: &str, text: &str, mode: u32| {
        std::fs::write(file, text).unwrap();
        std::fs::set_permissions(file, PermissionsExt::from_mode(mode)).unwrap();
        let spool = observatory.spool(name);
        observatory.crash(Watch::Usage, &spool, &mut victim(&support::workshop::helper("crash")));
        std::fs::remove_file(file).unwrap();
        records(&spool).pop().expect("a record").serials
    };
    let found = hwid("s1", &serials.file(&boot), 0o644);
    let (other_boot, writable) =
        (hwid("s2", &serials.file(&[0; 16]), 0o644), hwid("s3", &serials.file(&boot), 0o666));
    if made {
        let _ = std::fs::remove_dir(file.parent().unwrap());
    }
    assert_eq!(found.board.map(|id| id.0), Some(vec![0xb0; 16]));
    assert_eq!(found.ppin.len(), 1);
    assert_eq!((other_boot, writable), (Default::default(), Default::default()));
}
