//! What of a record may leave the host: docs/data-leaving-the-host.md.
//!
//! What it gives: the bytes to send, or why they stay here. Only keys that this
//! version knows leave; a record of a later schema is held, because nobody here
//! can tell what is in it.
//! What it trusts: nothing; a payload that is no record is held too.
//! Limits: limits::RECORD_BYTES, by [`record::strip`](crate::record::strip).

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
        }
    }
}

/// A crash record as it may leave.
pub fn redact_crash(payload: &[u8], rules: &Forward) -> Result<Vec<u8>, Held> {
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
    Ok(stripped.bytes)
}

/// An exposure report as it may leave.
pub fn redact_exposure(payload: &[u8]) -> Result<Vec<u8>, Held> {
    let exposure = decode_exposure(payload).map_err(|error| Held::Malformed(error.to_string()))?;
    if exposure.v > EXPOSURE_SCHEMA {
        return Err(Held::Newer(exposure.v));
    }
    encode_exposure(&exposure).map_err(unencodable)
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
        decode(&redact_crash(&encode(record).unwrap(), &rules).unwrap()).unwrap()
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
