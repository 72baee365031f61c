//! Bearer tokens: `epc1.ROLE.SUBJECT.MAC`.
//!
//! MAC is the unpadded base64url of HMAC-SHA256 over `epc1.ROLE.SUBJECT` under
//! a secret of the collector: a token is checked without a list of tokens. The
//! first secret signs, all verify, so that a secret can be replaced while both
//! generations of tokens are good. Comparison takes the same time whatever the
//! difference is.

use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{Failure, files};
use crate::record::Id;

/// Secrets that are looked at: two generations, and some.
const SECRETS: usize = 16;
/// Bytes of a new secret, and the least that an old one has.
const SECRET: usize = 32;
/// The longest token. A subject has at most 255 bytes.
const LONGEST: usize = 400;
/// The longest subject: a host name.
const SUBJECT: usize = 255;
/// The longest secret in a file.
const SECRET_LONGEST: usize = 1024;

/// What the bearer may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Hand in batches.
    Ingest,
    /// Ask.
    Read,
    /// Ask, see private records, purge, read the audit log.
    Admin,
}

impl Role {
    /// The word in the token.
    pub fn word(self) -> &'static str {
        match self {
            Role::Ingest => "ingest",
            Role::Read => "read",
            Role::Admin => "admin",
        }
    }

    /// The role of a word.
    pub fn of(word: &str) -> Option<Role> {
        [Role::Ingest, Role::Read, Role::Admin].into_iter().find(|role| role.word() == word)
    }
}

/// The secrets under which tokens are made and checked.
pub struct Secrets(Vec<Vec<u8>>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

impl Secrets {
    /// Reads a file of secrets: hexadecimal, one a line, `#` for comments.
    pub fn load(file: &Path) -> Result<Secrets, Failure> {
        let make = "`epicore-collector secret` prints a line for it";
        let text = files::secret(file).map_err(|why| Failure::new(format!("{why} ({make})")))?;
        Secrets::parse(&text).map_err(|why| Failure::new(format!("{}: {why}; {make}", file.display())))
    }

    fn parse(text: &str) -> Result<Secrets, &'static str> {
        let mut secrets = Vec::new();
        for line in files::lines(text).take(SECRETS) {
            let secret = Id::from_hex(line).ok_or("a line that is not hexadecimal")?;
            if !(SECRET..=SECRET_LONGEST).contains(&secret.0.len()) {
                return Err("a secret of less than 32 bytes, or more than 1024");
            }
            secrets.push(secret.0);
        }
        if secrets.is_empty() { Err("no secret in it") } else { Ok(Secrets(secrets)) }
    }

    /// A token for `subject`, signed with the first secret.
    pub fn token(&self, role: Role, subject: &str) -> Result<String, Failure> {
        if subject.is_empty() || subject.len() > SUBJECT || !subject.bytes().all(|b| b.is_ascii_graphic()) {
            let what = "a subject is a host's name (uname -n), `*`, or a person's name, without spaces";
            return Err(Failure::new(what));
        }
        if subject == "*" && role != Role::Ingest {
            return Err(Failure::new("`*` stands for hosts; a person has a name, which the audit log keeps"));
        }
        let signed = format!("epc1.{}.{subject}", role.word());
        let secret = self.0.first().ok_or_else(|| Failure::new("no secret"))?;
        let mac = keyed(secret, &signed).ok_or_else(|| Failure::new("no secret"))?;
        Ok(format!("{signed}.{}", encode(&mac.finalize().into_bytes())))
    }

    /// Role and subject of a token that one of the secrets signed.
    pub fn verify<'a>(&self, token: &'a str) -> Option<(Role, &'a str)> {
        if token.len() > LONGEST {
            return None;
        }
        let (signed, mac) = token.rsplit_once('.')?;
        let mac = decode(mac)?;
        let known = |secret: &Vec<u8>| keyed(secret, signed).is_some_and(|k| k.verify_slice(&mac).is_ok());
        self.0.iter().any(known).then_some(())?;
        let (role, subject) = signed.strip_prefix("epc1.")?.split_once('.')?;
        Some((Role::of(role)?, subject))
    }
}

fn keyed(secret: &[u8], signed: &str) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    mac.update(signed.as_bytes());
    Some(mac)
}

/// A line for the file of secrets: 32 random bytes in hexadecimal.
pub(super) fn new_secret() -> Result<String, Failure> {
    let mut secret = [0; SECRET];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut secret).map_err(|_| Failure::new("the kernel gave no random bytes"))?;
    Ok(Id(secret.to_vec()).hex())
}

/// The alphabet of RFC 4648 §5.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().enumerate().fold(0u32, |word, (i, byte)| word | shifted(*byte, i));
        for place in 0..=chunk.len() {
            text.push(letter(word, place));
        }
    }
    text
}

/// The byte at place `index` of three, in a word of 24 bits.
fn shifted(byte: u8, index: usize) -> u32 {
    u32::from(byte) << [16, 8, 0].get(index).copied().unwrap_or(0)
}

fn letter(word: u32, place: usize) -> char {
    let six = word >> [18, 12, 6, 0].get(place).copied().unwrap_or(0) & 63;
    char::from(ALPHABET.get(six as usize).copied().unwrap_or(b'A'))
}

/// The bytes, or `None` when the text is not the one spelling of any.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let (mut word, mut bits) = (0u32, 0u32);
    for letter in text.bytes() {
        let six = ALPHABET.iter().position(|known| *known == letter)?;
        word = word << 6 | u32::try_from(six).ok()?;
        bits = bits.saturating_add(6);
        if let Some(rest) = bits.checked_sub(8) {
            bytes.push(u8::try_from(word >> rest & 0xff).ok()?);
            bits = rest;
        }
        word &= 0xffff;
    }
    (encode(&bytes) == text).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(lines: &[&str]) -> Secrets {
        Secrets::parse(&lines.join("\n")).unwrap()
    }

    const ONE: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const TWO: &str = "f00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    #[test]
    fn base64url_is_the_one_of_the_rfc() {
        assert_eq!(encode(b"foobar"), "Zm9vYmFy");
        assert_eq!(encode(b"fooba"), "Zm9vYmE");
        assert_eq!(encode(b"foob"), "Zm9vYg");
        assert_eq!(encode(&[0xfb, 0xff]), "-_8");
        for length in 0..70u8 {
            let bytes: Vec<u8> = (0..length).map(|n| n.wrapping_mul(37)).collect();
            assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }
        assert_eq!(decode("Zm9vYh"), None, "a second spelling of the same bytes");
        assert_eq!(decode("Z+"), None);
    }

    #[test]
    fn a_token_says_who_it_is_and_nothing_else_may_be_changed() {
        let secrets = secrets(&[ONE]);
        let token = secrets.token(Role::Ingest, "web-17.example.net").unwrap();
        assert_eq!(secrets.verify(&token), Some((Role::Ingest, "web-17.example.net")));
        assert_eq!(secrets.verify(&token.replace("web-17", "web-18")), None);
        assert_eq!(secrets.verify(&token.replace("ingest", "admin")), None);
        assert_eq!(secrets.verify("epc1.admin.x."), None);
        assert_eq!(secrets.verify(""), None);
        assert_eq!(secrets.verify(&"x.".repeat(10_000)), None);
    }

    #[test]
    fn the_first_secret_signs_and_all_verify() {
        let old = secrets(&[ONE]).token(Role::Read, "mia").unwrap();
        let both = secrets(&["# newest first", TWO, ONE]);
        let new = both.token(Role::Read, "mia").unwrap();
        assert_ne!(old, new);
        assert!(both.verify(&old).is_some() && both.verify(&new).is_some());
        assert!(secrets(&[TWO]).verify(&old).is_none());
    }

    #[test]
    fn a_subject_is_one_word_and_a_person_is_not_everybody() {
        let secrets = secrets(&[ONE]);
        assert!(secrets.token(Role::Ingest, "").is_err());
        assert!(secrets.token(Role::Ingest, "a b").is_err());
        assert!(secrets.token(Role::Admin, "*").is_err());
        assert!(secrets.token(Role::Ingest, "*").is_ok());
    }
}
