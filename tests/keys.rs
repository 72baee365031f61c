//! L2 names the same bug over rebuilds and over strip: judged on real builds,
//! crashing through the real kernel. Needs root and a C compiler.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use epicore::record::Keys;
use support::observe::{Observatory, Watch, records, victim};

/// `culprit` crashes; what stands before it, and what it does, can be changed.
fn source(before: &str, offset: &str) -> String {
    format!(
        "#include <stdlib.h>\n#include <stdio.h>\n\
         volatile int sink; int *where; int table[64];\n{before}\n\
         __attribute__((noinline, noipa)) void culprit(int n) {{\n\
             for (int i = 0; i < n; i++) sink += table[i & 63] * rand();\n\
             if (n > 2) printf(\"%d\\n\", sink);\n\
             where[{offset}] = sink;\n\
             sink++;\n\
         }}\n\
         __attribute__((noinline, noipa)) void caller(int n) {{ culprit(n); sink++; }}\n\
         int main(void) {{ caller(3); return sink; }}\n"
    )
}

fn build(dir: &Path, name: &str, text: &str) -> PathBuf {
    let (input, output) = (dir.join(format!("{name}.c")), dir.join(name).join("app"));
    std::fs::create_dir_all(dir.join(name)).expect("a directory");
    std::fs::write(&input, text).expect("the source");
    let mut cc = Command::new("cc");
    cc.args(["-O2", "-Wl,--build-id", "-o"]).arg(&output).arg(&input);
    assert!(cc.status().expect("cc").success());
    output
}

fn stripped_copy(dir: &Path, name: &str, of: &Path) -> PathBuf {
    let output = dir.join(name).join("app");
    std::fs::create_dir_all(dir.join(name)).expect("a directory");
    assert!(Command::new("strip").arg("-o").arg(&output).arg(of).status().expect("strip").success());
    output
}

fn keys(observatory: &Observatory, program: &Path) -> Keys {
    let spool = observatory.spool(&format!(
        "s{}",
        program.parent().and_then(Path::file_name).map_or("", |n| n.to_str().unwrap_or(""))
    ));
    observatory.crash(Watch::Usage, &spool, &mut victim(program));
    records(&spool).remove(0).keys
}

#[test]
fn the_portable_key_outlives_a_rebuild_and_strip_but_not_a_change_of_the_function() {
    let Some(observatory) = Observatory::open() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let more = "__attribute__((noinline)) int other(int n) { for (int i = 0; i < n; i++) sink ^= i * rand(); return sink; }\n\
                int unrelated[1000] = {1};\n";
    let program = build(dir.path(), "a", &source("", "0"));
    let first = keys(&observatory, &program);
    let rebuilt = keys(&observatory, &build(dir.path(), "b", &source(more, "0")));
    let stripped = keys(&observatory, &stripped_copy(dir.path(), "c", &program));
    let changed = keys(&observatory, &build(dir.path(), "d", &source("", "sink & 7")));
    assert!(first.portable.is_some());
    assert_eq!(first.portable, rebuilt.portable, "moved by other code");
    assert_eq!(first.portable, stripped.portable, "stripped");
    assert_ne!(first.portable, changed.portable, "the function itself was changed");
    // L1 is of one build; a stripped copy keeps its build-id.
    assert_ne!(first.functions, rebuilt.functions);
    assert_eq!((first.functions, first.leaf), (stripped.functions, stripped.leaf));
}
