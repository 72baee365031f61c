//! The SELinux module compiles: what the handler learnt to do must be allowed there in
//! words that the language has.
//!
//! Needs checkmodule (checkpolicy); says so and passes without.

use std::process::Command;

#[test]
fn the_policy_compiles() {
    if Command::new("checkmodule").arg("-V").output().is_err() {
        return println!("skipped: checkmodule is not installed (Debian: checkpolicy)");
    }
    let place = tempfile::tempdir().expect("a directory");
    // A module is named after its file.
    let module = place.path().join("epicore.mod");
    let policy = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/selinux/epicore.te");
    let done = Command::new("checkmodule").args(["-M", "-m", "-o"]).arg(&module).arg(policy).output();
    let done = done.expect("checkmodule");
    assert!(done.status.success() && module.exists(), "{}", String::from_utf8_lossy(&done.stderr));
}
