//! Who may import whom: the table of ARCHITECTURE.md, held.
//!
//! Every `crate::room` in a room's sources must be in that room's row; the
//! table in ARCHITECTURE.md and the one here must be the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

type Table = BTreeMap<String, BTreeSet<String>>;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Rows of the fenced block behind "Who may import whom" in ARCHITECTURE.md:
/// `room other → imports`.
fn table() -> Table {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let section = text.split("## Who may import whom").nth(1).expect("the section");
    let block = section.split("```").nth(1).expect("the fenced table");
    let mut table = Table::new();
    for line in block.lines().filter(|line| line.contains('→')) {
        let (rooms, imports) = line.split_once('→').expect("an arrow");
        let imports = imports.split('(').next().unwrap_or("");
        let imports: BTreeSet<String> =
            imports.split_whitespace().filter(|word| *word != "std").map(str::to_owned).collect();
        for room in rooms.split_whitespace() {
            table.insert(room.to_owned(), imports.clone());
        }
    }
    table
}

fn sources(path: &Path, into: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).expect("a directory").flatten() {
            sources(&entry.path(), into);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        into.push(path.to_owned());
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Rooms that a source file names through `crate::`, groups included; comments
/// and tests left out.
fn imports(source: &str) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]\nmod tests").next().unwrap_or("");
    let code: String = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect();
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    c if depth == 0 && is_word(c) => word.push(c),
                    ':' | ',' if depth == 0 && !word.is_empty() => {
                        found.insert(std::mem::take(&mut word));
                    }
                    ' ' | '\n' | ':' | ',' => {}
                    _ => word.clear(),
                }
                if depth > 0 {
                    word.clear();
                }
            }
            if !word.is_empty() {
                found.insert(word);
            }
        } else {
            found.insert(rest.chars().take_while(|c| is_word(*c)).collect());
        }
    }
    found
}

fn rooms() -> BTreeMap<String, Vec<PathBuf>> {
    let mut rooms: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    for file in files {
        let inside = file.strip_prefix(root().join("src")).expect("inside src");
        let room = inside.iter().next().and_then(|first| first.to_str()).expect("a name");
        let room = room.strip_suffix(".rs").unwrap_or(room).to_owned();
        if room != "lib" && room != "bin" {
            rooms.entry(room).or_default().push(file);
        }
    }
    rooms
}

#[test]
fn every_room_imports_only_what_its_row_allows() {
    let table = table();
    let rooms = rooms();
    let mut broken = Vec::new();
    for (room, files) in &rooms {
        let Some(allowed) = table.get(room) else {
            broken.push(format!("{room} has no row in ARCHITECTURE.md"));
            continue;
        };
        for file in files {
            let source = std::fs::read_to_string(file).expect("a source file");
            for import in imports(&source) {
                if import != *room && rooms.contains_key(&import) && !allowed.contains(&import) {
                    broken.push(format!("{}: {room} may not import {import}", file.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn the_table_names_no_room_that_does_not_exist() {
    let rooms = rooms();
    for (room, imports) in table() {
        assert!(rooms.contains_key(&room), "{room} is in the table but not in src/");
        for import in imports {
            assert!(rooms.contains_key(&import), "{room} → {import}: no such room");
        }
    }
}

#[test]
fn unsafe_code_stands_only_where_it_is_argued() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    let allowed = ["syscall.rs", "cli/demo/victim.rs"];
    for file in files {
        let source = std::fs::read_to_string(&file).expect("a source file");
        let inside =
            file.strip_prefix(root().join("src")).expect("inside src").to_string_lossy().into_owned();
        if source.contains("allow(unsafe_code)") {
            assert!(allowed.contains(&inside.as_str()), "{inside} allows unsafe code");
        }
    }
}

#[test]
fn a_door_is_at_most_sixty_lines() {
    let mut files = Vec::new();
    sources(&root().join("src/bin"), &mut files);
    assert!(files.len() >= 2);
    for file in files {
        let lines = std::fs::read_to_string(&file).expect("a source file").lines().count();
        assert!(lines <= 60, "{} has {lines} lines", file.display());
    }
}

#[test]
fn the_reader_of_imports_sees_groups_and_paths() {
    let source = "use crate::bytes::Bytes;\nuse crate::{limits, process::{self, Mapping}, unwind};\nlet x = crate::gap::Gap;\n// crate::spool\n";
    let names: Vec<String> = imports(source).into_iter().collect();
    assert_eq!(names, ["bytes", "gap", "limits", "process", "unwind"]);
}
