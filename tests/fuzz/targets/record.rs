//! A record or exposure report from a file or a network (`record::decode` and what
//! follows it: budget, slimming, stripping, redaction, the page for people).
//!
//! Input: MessagePack. Beside "no crash": what is decoded is encoded and decoded
//! to the same; fitted bytes are within the budget and read back; the page and the
//! texts in it hold nothing that a terminal obeys; stripping keeps what it is not
//! asked to leave out.
#![cfg_attr(fuzzing, no_main)]

use epicore::config::Forward;
use epicore::limits;
use epicore::record::{self, Record};
use epicore::report::{self, Names, Options};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

pub fn run(data: &[u8]) {
    if let Ok(record) = record::decode(data) {
        crash(record);
    }
    if let Ok(exposure) = record::decode_exposure(data) {
        let bytes = record::encode_exposure(&exposure).expect("encoded");
        if bytes.len() <= limits::RECORD_BYTES {
            let again = record::decode_exposure(&bytes).expect("decoded");
            assert_eq!(record::encode_exposure(&again).expect("encoded"), bytes);
        }
        let mut fitted = exposure;
        let bytes = record::fit_exposure(&mut fitted).expect("encoded");
        assert!(bytes.len() <= limits::RECORD_BYTES);
        assert!(record::decode_exposure(&bytes).is_ok());
        let slim = record::encode_exposure(&record::slim_exposure(fitted)).expect("encoded");
        assert!(slim.len() <= bytes.len() + 64 && record::decode_exposure(&slim).is_ok());
        let _ = epicore::forward::redact_exposure(data);
    }
    if let Ok(stripped) = record::strip(data, &["proc", "host"]) {
        assert!(stripped.bytes.len() <= data.len() + 3);
        assert_eq!(record::strip(&stripped.bytes, &[]).expect("whole").bytes, stripped.bytes);
    }
    let _ = epicore::forward::redact_crash(data, &Forward::default());
}

fn crash(record: Record) {
    let bytes = record::encode(&record).expect("encoded");
    if bytes.len() <= limits::RECORD_BYTES {
        let again = record::decode(&bytes).expect("decoded");
        assert_eq!(record::encode(&again).expect("encoded"), bytes);
    }
    let _ = record::group(&record);
    for full in [false, true] {
        let page = report::crash(&record, &Names::default(), &Options { full, ..Options::default() });
        let obeyed = page.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(obeyed, None, "{page:?}");
    }
    let mut fitted = record;
    let bytes = record::fit(&mut fitted).expect("encoded");
    assert!(bytes.len() <= limits::RECORD_BYTES, "{} bytes", bytes.len());
    assert!(fitted.gaps.len() <= limits::GAPS);
    let again = record::decode(&bytes).expect("decoded");
    assert_eq!(record::encode(&again).expect("encoded"), bytes);
    let slim = record::encode(&record::slim(again)).expect("encoded");
    assert!(slim.len() <= bytes.len() && record::decode(&slim).is_ok());
}
