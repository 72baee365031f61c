//! docs/record-format.md and the schema say the same.

use std::collections::BTreeSet;

fn text(path: &str) -> String {
    std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).expect(path)
}

/// (struct, key) of every public field of the schema, by its serde name.
fn keys_of_the_schema() -> BTreeSet<(String, String)> {
    let mut keys = BTreeSet::new();
    let (mut owner, mut rename, mut serialised) = (String::new(), None::<String>, false);
    let schema = text("src/record/schema.rs");
    for line in schema.lines().chain(text("src/gap.rs").lines()) {
        let line = line.trim();
        serialised |= line.starts_with("#[derive(") && line.contains("Serialize");
        if let Some(rest) = line.strip_prefix("pub struct ") {
            owner = rest.split(|c: char| !c.is_alphanumeric()).next().unwrap_or("").to_owned();
            if !std::mem::take(&mut serialised) {
                owner.clear();
            }
        } else if line.starts_with("pub enum ") || line.starts_with("impl ") {
            serialised = false;
            owner.clear();
        } else if line.starts_with("#[serde(") {
            rename =
                line.split("rename = \"").nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned);
        } else if let Some(field) = line.strip_prefix("pub ").and_then(|rest| rest.split_once(": ")) {
            if !owner.is_empty() {
                keys.insert((owner.clone(), rename.take().unwrap_or_else(|| field.0.to_owned())));
            }
            rename = None;
        }
    }
    keys
}

/// The section of the document that describes each structure.
const SECTIONS: [(&str, &str); 17] = [
    ("Record", "the record"),
    ("Host", "host"),
    ("Crash", "crash"),
    ("Process", "proc"),
    ("Threads", "th"),
    ("Registers", "regs[]"),
    ("RegisterClasses", "rcls"),
    ("Serials", "hwid"),
    ("Module", "mod[]"),
    ("Stack", "st[]"),
    ("Frame", "st[].f[]"),
    ("Keys", "keys"),
    ("Hardware", "hw"),
    ("Topology", "hw.topo"),
    ("Edac", "hw.edac[]"),
    ("Capture", "cap"),
    ("Gap", "gaps[]"),
];

fn keys_of_the_document(section: &str) -> BTreeSet<String> {
    let document = text("docs/record-format.md");
    let body = document.split("\n## ").find(|part| part.lines().next() == Some(section)).expect(section);
    let rows = body.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split('`').next()).map(str::to_owned).collect()
}

#[test]
fn every_key_of_a_record_is_documented_and_no_other() {
    let schema = keys_of_the_schema();
    for (owner, section) in SECTIONS {
        let keys: BTreeSet<String> =
            schema.iter().filter(|(of, _)| of == owner).map(|(_, key)| key.clone()).collect();
        assert!(!keys.is_empty(), "{owner} has no keys: is this test still reading the schema?");
        assert_eq!(keys, keys_of_the_document(section), "{owner}, section {section}");
    }
    let described: BTreeSet<&str> = SECTIONS.iter().map(|(owner, _)| *owner).collect();
    let undescribed: Vec<_> =
        schema.iter().filter(|(owner, _)| !described.contains(owner.as_str())).collect();
    assert_eq!(undescribed, Vec::<&(String, String)>::new());
}
