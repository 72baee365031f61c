//! What list and show promise to whoever reads them.
#![allow(missing_docs)]

#[path = "support/records.rs"]
mod records;

use records::{epicore, err, later, null_read, out, spool};

#[test]
fn look() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool");
    spool(&path, &[null_read(), later(152, "9b00d8e1"), later(7300, "9b00d8e2")]);
    let path = path.to_str().unwrap();
    for args in [vec!["list"], vec!["show"], vec!["show", "--full"], vec!["list", "--json", "-n1"]] {
        let all: Vec<&str> = args.into_iter().chain(["--spool", path]).collect();
        let output = epicore(&all);
        println!("{}\n{}", out(&output), err(&output));
    }
    println!("{}", out(&epicore(&["--help"])));
    println!("{}", err(&epicore(&["lits"])));
}
