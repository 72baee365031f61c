//! Serial numbers of the machine, so that a bad part is recognised after its
//! host was renamed or installed anew.
//!
//! What it gives: [`serials`], read as root (the files are 0400) and at once
//! put under HMAC-SHA-256 with the fleet's key; a raw serial leaves this file
//! never. And the file of one boot, /run/epicore/host, by which the census
//! tells them to the crash handler, which may not read serials itself. What it
//! trusts: firmware's texts not at all; those that vendors forgot to fill in
//! are absent, or a thousand hosts would be one.
//!
//! ```text
//! boot=<32 hexadecimal digits>      of another boot: nothing in it counts
//! ppin=<32 hexadecimal digits>      one line for each package
//! board= product= uuid=             the same
//! ```

use std::fmt::Write;
use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use nix::fcntl::OFlag;
use nix::sys::stat::{SFlag, fstat};

use super::roots::{Roots, text};
use super::{identity, value};
use crate::limits;

/// Where the census leaves them and the handler finds them.
pub const HOST_FILE: &str = "/run/epicore/host";

const DMI: &str = "class/dmi/id";
const CPU: &str = "devices/system/cpu";
/// Packages of one machine: the largest have 32.
const PACKAGES: usize = 64;
/// The longest serial that is one.
const SERIAL: usize = 128;

/// What vendors leave where a serial belongs, in lower case.
const PLACEHOLDERS: [&str; 22] = [
    "none",
    "to be filled by o.e.m.",
    "to be filled by oem",
    "default string",
    "system serial number",
    "base board serial number",
    "board serial number",
    "chassis serial number",
    "serial number",
    "not specified",
    "not applicable",
    "not available",
    "n/a",
    "na",
    "unknown",
    "invalid",
    "empty",
    "o.e.m.",
    "oem",
    "0123456789",
    "123456789",
    "03000200-0400-0500-0006-000700080009",
];

/// One hashed serial.
pub type Hashed = [u8; 16];

/// Hashed serials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Serials {
    /// Protected processor identification number, by package.
    pub ppin: Vec<Hashed>,
    /// DMI board_serial.
    pub board: Option<Hashed>,
    /// DMI product_serial.
    pub product: Option<Hashed>,
    /// DMI product_uuid.
    pub uuid: Option<Hashed>,
}

/// Reads and hashes them. What cannot be read, or says nothing, is absent.
pub fn serials(roots: &Roots, key: &[u8]) -> Serials {
    let dmi = |name: &str| {
        let serial = roots.sys_text(&format!("{DMI}/{name}")).ok()?;
        hash(key, name, &meaning(&serial)?)
    };
    let number = |number: u64| hash(key, "ppin", &format!("{number:016x}"));
    Serials {
        ppin: ppins(roots).into_iter().filter_map(number).collect(),
        board: dmi("board_serial"),
        product: dmi("product_serial"),
        uuid: dmi("product_uuid"),
    }
}

/// One number for each package, by package.
fn ppins(roots: &Roots) -> Vec<u64> {
    let mut packages: Vec<u32> = Vec::new();
    let mut found = Vec::new();
    for cpu in roots.sys_numbered(CPU, "cpu") {
        let file = |name: &str| roots.sys_text(&format!("{CPU}/cpu{cpu}/topology/{name}")).ok();
        let Some(package) = file("physical_package_id").and_then(|text| value::number(&text)) else {
            continue;
        };
        if packages.contains(&package) || packages.len() >= PACKAGES {
            continue;
        }
        packages.push(package);
        found.extend(file("ppin").and_then(|text| value::either(&text)).filter(|number| *number != 0));
    }
    found
}

/// The serial, unless it is what a vendor forgot to fill in.
fn meaning(serial: &[u8]) -> Option<String> {
    let serial = value::words(serial, SERIAL)?.to_ascii_lowercase();
    let mut telling = serial.chars().filter(|c| !matches!(c, '-' | '.' | ' ' | '_' | ':'));
    let first = telling.next()?;
    let varied = telling.any(|c| c != first);
    (varied && !PLACEHOLDERS.contains(&serial.as_str())).then_some(serial)
}

/// HMAC-SHA-256(key, "epicore:" name NUL serial), its first 16 bytes. The name
/// keeps a board's serial from being equal to a product's.
fn hash(key: &[u8], name: &str, serial: &str) -> Option<Hashed> {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).ok()?;
    for part in [b"epicore:", name.as_bytes(), b"\0", serial.as_bytes()] {
        mac.update(part);
    }
    mac.finalize().into_bytes().first_chunk().copied()
}

impl Serials {
    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        *self == Serials::default()
    }

    /// The file of this boot.
    pub fn file(&self, boot: &[u8; 16]) -> String {
        let mut text =
            String::from("# Serial numbers under the fleet's key, of this boot: epicore --census.\n");
        let single = [("board", &self.board), ("product", &self.product), ("uuid", &self.uuid)];
        let single = single.into_iter().filter_map(|(name, hashed)| Some((name, hashed.as_ref()?)));
        let all = [("boot", boot)].into_iter().chain(self.ppin.iter().map(|ppin| ("ppin", ppin)));
        for (name, hashed) in all.chain(single) {
            let _ = write!(text, "{name}=");
            hashed.iter().for_each(|byte| {
                let _ = write!(text, "{byte:02x}");
            });
            text.push('\n');
        }
        text
    }

    /// Opens the file, while paths can still be opened; what is no file of its
    /// kind is for [`Serials::from_file`] to refuse.
    pub fn open(path: &Path) -> Option<File> {
        let flags = OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_NOCTTY;
        OpenOptions::new().read(true).custom_flags(flags.bits()).open(path).ok()
    }

    /// From the file of this boot: at most limits::SYSFS_TEXT bytes, and only
    /// when root alone can have written it.
    pub fn from_file(file: &File, boot: &[u8; 16]) -> Option<Serials> {
        let stat = fstat(file).ok()?;
        let regular = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG;
        if !regular || stat.st_uid != 0 || stat.st_mode & 0o022 != 0 {
            return None;
        }
        parse(&text(file.as_fd(), limits::SYSFS_TEXT).ok()?, boot)
    }
}

fn parse(text: &[u8], boot: &[u8; 16]) -> Option<Serials> {
    let mut serials = Serials::default();
    let mut of_this_boot = false;
    for line in text.split(|byte| *byte == b'\n') {
        let Some(equals) = line.iter().position(|byte| *byte == b'=') else { continue };
        let Some((name, rest)) = line.split_at_checked(equals) else { continue };
        let Some(hashed) = rest.get(1..).and_then(identity::id) else { continue };
        match name {
            b"boot" => of_this_boot = hashed == *boot,
            b"ppin" if serials.ppin.len() < PACKAGES => serials.ppin.push(hashed),
            b"board" => serials.board = Some(hashed),
            b"product" => serials.product = Some(hashed),
            b"uuid" => serials.uuid = Some(hashed),
            _ => {}
        }
    }
    of_this_boot.then_some(serials)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_vendor_forgot_to_fill_in_is_no_serial() {
        for text in [
            "",
            "0",
            "None\n",
            "To be filled by O.E.M.\n",
            "Default string",
            "00000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "........",
            "XXXXXXXX",
            "Not Specified",
            "\x00\x00",
            "  \n",
        ] {
            assert_eq!(meaning(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(meaning(b" CN7792\n").as_deref(), Some("cn7792"));
    }

    #[test]
    fn equal_serials_are_equal_only_under_the_same_key_and_name() {
        let one = hash(b"fleet", "board_serial", "cn7792");
        assert!(one.is_some());
        assert_eq!(one, hash(b"fleet", "board_serial", "cn7792"));
        assert_ne!(one, hash(b"other", "board_serial", "cn7792"));
        assert_ne!(one, hash(b"fleet", "product_serial", "cn7792"));
    }

    #[test]
    fn the_file_says_what_was_hashed_and_only_of_its_boot() {
        let serials = Serials {
            ppin: vec![[1; 16], [2; 16]],
            board: Some([3; 16]),
            product: None,
            uuid: Some([4; 16]),
        };
        let file = serials.file(&[9; 16]);
        assert_eq!(parse(file.as_bytes(), &[9; 16]), Some(serials));
        assert_eq!(parse(file.as_bytes(), &[8; 16]), None);
        assert_eq!(parse(b"board=0303", &[9; 16]), None);
        for length in 0..file.len() {
            let _ = parse(&file.as_bytes()[..length], &[9; 16]);
        }
    }
}
