//! docs/data-leaving-the-host.md names every key that the formats have, and
//! says of no key that it leaves which does not.
//!
//! The formats' own documents are held against the schema by
//! `record_documented`.

use std::collections::BTreeMap;

use epicore::config::{Forward, ForwardRegisters};
use epicore::forward::redact_crash;
use epicore::record::{Hex, Record, RegisterClass, RegisterClasses, Registers, SCHEMA, encode};

fn text(path: &str) -> String {
    std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).expect(path)
}

/// The tables of keys under each second heading: key → its row.
fn tables(document: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut tables = BTreeMap::new();
    for part in document.split("\n## ").skip(1) {
        let title = part.lines().next().unwrap_or("").to_owned();
        let rows = part.lines().filter_map(|line| line.strip_prefix("| `"));
        let keys: BTreeMap<String, String> =
            rows.filter_map(|row| row.split_once('`')).map(|(k, row)| (k.into(), row.into())).collect();
        if !keys.is_empty() {
            tables.insert(title, keys);
        }
    }
    tables
}

/// The part of the document for records, and the one for reports.
fn parts() -> [BTreeMap<String, BTreeMap<String, String>>; 2] {
    let document = text("docs/data-leaving-the-host.md");
    let (records, reports) = document.split_once("\n# An exposure report").expect("two parts");
    [tables(records), tables(reports)]
}

#[test]
fn every_key_is_listed_with_its_fate_and_kind() {
    for (ours, format) in parts().iter().zip(["docs/record-format.md", "docs/exposure-format.md"]) {
        let theirs = tables(&text(format));
        let named = |tables: &BTreeMap<String, BTreeMap<String, String>>| -> Vec<(String, Vec<String>)> {
            let known = tables.iter().filter(|(title, _)| ours.contains_key(*title));
            known.map(|(title, keys)| (title.clone(), keys.keys().cloned().collect())).collect()
        };
        assert_eq!(named(ours), named(&theirs));
        let forgotten: Vec<&String> = theirs.keys().filter(|title| !ours.contains_key(*title)).collect();
        let prose = ["Registers", "Keys", "rcls"];
        assert!(forgotten.iter().all(|title| prose.contains(&title.as_str())), "{forgotten:?}");
        for row in ours.values().flat_map(BTreeMap::values) {
            let fate = row.split('|').nth(1).unwrap_or("").trim();
            let kind = row.split('|').nth(2).unwrap_or("").trim();
            assert!(
                ["leaves", "classified", "stays", "hashed"].iter().any(|word| fate.starts_with(word)),
                "{row}"
            );
            assert!(["identity", "layout", "machine", "measure", "code"].contains(&kind), "{row}");
        }
    }
}

/// Keys of the record that is left of one that has everything about registers.
fn sent(registers: ForwardRegisters) -> Vec<String> {
    let record = Record {
        v: SCHEMA,
        registers: vec![Registers { tid: 1, values: vec![Hex(1)] }],
        register_classes: RegisterClasses { class: vec![RegisterClass::Stack], ..RegisterClasses::default() },
        ..Record::default()
    };
    let rules = Forward { registers, ..Forward::default() };
    let bytes = redact_crash(&encode(&record).unwrap(), &rules).unwrap().bytes;
    let value: BTreeMap<String, serde::de::IgnoredAny> = rmp_serde::from_slice(&bytes).unwrap();
    value.into_keys().collect()
}

#[test]
fn what_the_document_says_of_registers_is_true() {
    let [record, _] = parts();
    let fate = |key: &str| record["the record"][key].split('|').nth(1).unwrap_or("").trim().to_owned();
    assert!(fate("regs").starts_with("stays") && fate("rcls").starts_with("classified"));
    let has = |registers, key: &str| sent(registers).iter().any(|sent| sent == key);
    assert!(has(ForwardRegisters::Full, "regs") && has(ForwardRegisters::Full, "rcls"));
    assert!(!has(ForwardRegisters::Classified, "regs") && has(ForwardRegisters::Classified, "rcls"));
    assert!(!has(ForwardRegisters::None, "regs") && !has(ForwardRegisters::None, "rcls"));
}
