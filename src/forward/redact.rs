//! What of a record may leave the host: docs/data-leaving-the-host.md.
//!
//! What it gives: the bytes to send and whose they are, or why they stay here.
//! Only keys that this version knows leave; a record of a later schema is held,
//! because nobody here can tell what is in it; so is one of another host's name,
//! which a collector would refuse for good.
//! What it trusts: nothing; a payload that is no record is held too.
//! Limits: limits::RECORD_BYTES, by [`record::strip`](crate::record::strip).

use super::trouble::{WHY, plain};
use crate::config::{Forward, ForwardRegisters};
use crate::record::{EXPOSURE_SCHEMA, EncodeError, SCHEMA, decode_exposure, encode_exposure, strip};

/// Why something stays on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// Of a privileged process, and `forward.private` is not set.
    Private,
    /// Its schema is later than this version's; its number.
    Newer(u16),
    /// It is not a record or report; what was wrong.
    Malformed(String),
    /// It names another host than the one that speaks: this host was renamed.
    OtherName {
        /// The name in it: bounded and printable.
        of: String,
        /// The name under which this host speaks now.
        now: String,
    },
}

/// What may leave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redacted {
    /// MessagePack.
    pub bytes: Vec<u8>,
    /// The host that it names.
    pub host: Option<String>,
}

impl Redacted {
    /// The bytes, when a host of this name may send them. What names no host is
    /// the sender's.
    pub fn under(self, name: &str) -> Result<Vec<u8>, Held> {
        match self.host {
            Some(of) if of != name => Err(Held::OtherName { of: plain(&of, WHY), now: name.to_owned() }),
            _ => Ok(self.bytes),
        }
    }
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Held::Private => f.write_str("of a privileged process, and forward.private is not set"),
            Held::Newer(v) => write!(
                f,
                "schema {v} is later than the {SCHEMA} that this epicored can redact; upgrade it to the handler's version"
            ),
            Held::Malformed(why) => f.write_str(why),
            Held::OtherName { of, now } => write!(
                f,
                "of host {of}; this host is called {now} now: a collector takes a record from the host that it names only, so it leaves when this host is called {of} again"
            ),
        }
    }
}

/// A crash record as it may leave.
pub fn redact_crash(payload: &[u8], rules: &Forward) -> Result<Redacted, Held> {
    let without: &[&str] = match rules.registers {
        ForwardRegisters::Full => &[],
        ForwardRegisters::Classified => &["regs"],
        ForwardRegisters::None => &["regs", "rcls"],
    };
    let stripped = strip(payload, without).map_err(|error| Held::Malformed(error.to_string()))?;
    match u16::try_from(stripped.v) {
        Ok(v) if v <= SCHEMA => {}
        v => return Err(Held::Newer(v.unwrap_or(u16::MAX))),
    }
    if stripped.private && !rules.private {
        return Err(Held::Private);
    }
    Ok(Redacted { bytes: stripped.bytes, host: stripped.host })
}

/// An exposure report as it may leave.
pub fn redact_exposure(payload: &[u8]) -> Result<Redacted, Held> {
    let exposure = decode_exposure(payload).map_err(|error| Held::Malformed(error.to_string()))?;
    if exposure.v > EXPOSURE_SCHEMA {
        return Err(Held::Newer(exposure.v));
    }
    let bytes = encode_exposure(&exposure).map_err(unencodable)?;
    Ok(Redacted { bytes, host: exposure.host.name })
}

fn unencodable(error: EncodeError) -> Held {
    Held::Malformed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Exposure, Hex, Record, RegisterClasses, Registers, decode, encode};

    fn crash() -> Record {
        let values = vec![Hex(0xdead_beef_0bad_cafe); 27];
        let register_classes = RegisterClasses { low: vec![0xafe; 27], ..RegisterClasses::default() };
        Record {
            v: SCHEMA,
            registers: vec![Registers { tid: 7, values }],
            register_classes,
            ..Record::default()
        }
    }

    fn sent(record: &Record, registers: ForwardRegisters) -> Record {
        let rules = Forward { registers, ..Forward::default() };
        decode(&redact_crash(&encode(record).unwrap(), &rules).unwrap().bytes).unwrap()
    }

    #[test]
    fn register_values_leave_only_when_that_is_configured() {
        assert_eq!(sent(&crash(), ForwardRegisters::Full), crash());
        let classified = Record { registers: Vec::new(), ..crash() };
        assert_eq!(sent(&crash(), ForwardRegisters::Classified), classified);
        let none = Record { register_classes: RegisterClasses::default(), ..classified };
        assert_eq!(sent(&crash(), ForwardRegisters::None), none);
    }

    #[test]
    fn a_private_record_in_the_wrong_place_stays_too() {
        let bytes = encode(&Record { private: true, ..crash() }).unwrap();
        assert_eq!(redact_crash(&bytes, &Forward::default()), Err(Held::Private));
        assert!(redact_crash(&bytes, &Forward { private: true, ..Forward::default() }).is_ok());
    }

    #[test]
    fn what_names_another_host_stays() {
        let mut record = crash();
        let redacted = |record: &Record| redact_crash(&encode(record).unwrap(), &Forward::default()).unwrap();
        assert!(redacted(&record).under("new").is_ok(), "nobody's is the sender's");
        record.host.name = Some("old".into());
        assert!(redacted(&record).under("old").is_ok());
        let held = redacted(&record).under("new").unwrap_err();
        assert!(held.to_string().starts_with("of host old; this host is called new now"), "{held}");
        let report = Exposure { host: record.host, ..Exposure::default() };
        let redacted = redact_exposure(&encode_exposure(&report).unwrap()).unwrap();
        assert_eq!(redacted.under("new"), Err(held));
    }

    #[test]
    fn what_cannot_be_understood_cannot_leave() {
        let rules = Forward::default();
        let later = encode(&Record { v: SCHEMA + 1, ..crash() }).unwrap();
        assert_eq!(redact_crash(&later, &rules), Err(Held::Newer(SCHEMA + 1)));
        let later = encode_exposure(&Exposure { v: EXPOSURE_SCHEMA + 1, ..Exposure::default() }).unwrap();
        assert_eq!(redact_exposure(&later), Err(Held::Newer(EXPOSURE_SCHEMA + 1)));
        for bytes in [&b""[..], b"\xc1", b"hello", &[0xff; 300]] {
            assert!(matches!(redact_crash(bytes, &rules), Err(Held::Malformed(_))));
            assert!(matches!(redact_exposure(bytes), Err(Held::Malformed(_))));
        }
    }
}
