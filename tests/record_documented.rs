//! docs/record-format.md, docs/exposure-format.md and the schema say the same.

use std::collections::BTreeSet;

fn text(path: &str) -> String {
    std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).expect(path)
}

/// (struct, key) of every public field of these sources, by its serde name.
fn keys_of_the_schema(sources: &[&str]) -> BTreeSet<(String, String)> {
    let mut keys = BTreeSet::new();
    let (mut owner, mut rename, mut serialised) = (String::new(), None::<String>, false);
    let sources: String = sources.iter().map(|path| text(path)).collect();
    for line in sources.lines() {
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
const SECTIONS: [(&str, &str); 22] = [
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
    ("Fault", "flt"),
    ("CodePage", "flt.cp"),
    ("Residue", "flt.res"),
    ("Window", "flt.win"),
    ("Hardware", "hw"),
    ("Topology", "hw.topo"),
    ("Edac", "hw.edac[]"),
    ("Storm", "storm"),
    ("Capture", "cap"),
    ("Gap", "gaps[]"),
];

fn keys_of_the_document(document: &str, section: &str) -> BTreeSet<String> {
    let document = text(document);
    let body = document.split("\n## ").find(|part| part.lines().next() == Some(section)).expect(section);
    let rows = body.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split('`').next()).map(str::to_owned).collect()
}

/// The same of an exposure report.
const EXPOSURE: [(&str, &str); 8] = [
    ("Exposure", "the report"),
    ("CpuTime", "cpus"),
    ("Running", "run[]"),
    ("Lost", "lost"),
    ("SuppressedBy", "lost.by[]"),
    ("Previous", "lost.prev"),
    ("Control", "ctl"),
    ("Cost", "cost"),
];

fn agree(sources: &[&str], document: &str, sections: &[(&str, &str)]) {
    let schema = keys_of_the_schema(sources);
    for (owner, section) in sections {
        let keys: BTreeSet<String> =
            schema.iter().filter(|(of, _)| of == owner).map(|(_, key)| key.clone()).collect();
        assert!(!keys.is_empty(), "{owner} has no keys: is this test still reading the schema?");
        assert_eq!(keys, keys_of_the_document(document, section), "{owner}, section {section}");
    }
    let described: BTreeSet<&str> = sections.iter().map(|(owner, _)| *owner).collect();
    let undescribed: Vec<_> =
        schema.iter().filter(|(owner, _)| !described.contains(owner.as_str())).collect();
    assert_eq!(undescribed, Vec::<&(String, String)>::new());
}

#[test]
fn every_key_of_a_record_is_documented_and_no_other() {
    agree(&["src/record/schema.rs", "src/record/fault.rs", "src/gap.rs"], "docs/record-format.md", &SECTIONS);
}

#[test]
fn every_key_of_an_exposure_report_is_documented_and_no_other() {
    agree(&["src/record/exposure.rs"], "docs/exposure-format.md", &EXPOSURE);
}
