//! `epicore study` and `epicore simulate`, as somebody types them.

use std::path::Path;
use std::process::{Command, Output};

fn epicore(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_epicore"));
    command.args(arguments).env("TZ", "UTC").output().expect("epicore runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn scenario(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scenarios").join(name);
    path.to_str().expect("a path").to_owned()
}

#[test]
fn a_simulated_fleet_in_a_file_is_studied_and_the_truth_stands_beside() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("fleet.batches");
    let file = file.to_str().expect("a path");
    let made = epicore(&[
        "simulate",
        "--scenario",
        &scenario("bad-core.toml"),
        "--hosts",
        "500",
        "--seed",
        "4",
        "--out",
        file,
    ]);
    assert!(made.status.success(), "{}", text(&made));
    let truth = std::fs::read_to_string(format!("{file}.truth.json")).expect("the truth");
    let truth: serde_json::Value = serde_json::from_str(&truth).expect("JSON");
    let bad: Vec<&str> = truth["planted"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|planted| planted["kind"] == "bad-core")
        .inspect(|planted| assert!(planted["signatures"][0].is_string(), "{planted}"))
        .filter_map(|planted| planted["host"].as_str())
        .collect();
    assert_eq!(bad.len(), 3);
    let found = epicore(&["study", file, "--json"]);
    let found: serde_json::Value = serde_json::from_slice(&found.stdout).expect("JSON");
    assert!(found["hosts"].as_u64() == Some(500) && found["heard"]["censuses"].as_u64() > Some(10_000));
    for machine in found["machines"].as_array().expect("machines") {
        if machine["verdict"] == "accuse" {
            assert!(bad.contains(&machine["host"].as_str().expect("a name")), "{machine}");
        }
    }
    let words = epicore(&["study", file]);
    let words = text(&words);
    assert!(words.contains("computes wrongly, P ") && words.contains("Next: drain sim-"), "{words}");
    assert!(!words.contains('\u{1b}'), "no colours in a pipe");
    // The same again is the same, byte by byte but for the time.
    let again = epicore(&["simulate", "--hosts", "20", "--seed", "4", "--out", file, "--json"]);
    let once = epicore(&["simulate", "--hosts", "20", "--seed", "4", "--out", file, "--json"]);
    assert_eq!(again.stdout, once.stdout);
}

#[test]
fn a_spool_of_simulated_hosts_is_studied_and_damage_is_told() {
    let place = tempfile::tempdir().expect("a directory");
    let spool = place.path().join("spool");
    epicore::spool::initialise(&spool, None).expect("a spool");
    let path = spool.to_str().expect("a path");
    let made = epicore(&["simulate", "--hosts", "40", "--days", "7", "--spool", path]);
    assert!(made.status.success(), "{}", text(&made));
    std::fs::write(spool.join("0123456789abcdef0123456789abcdef.rec"), b"no record").expect("a file");
    let found = epicore(&["study", path]);
    assert!(found.status.success(), "{}", text(&found));
    let words = text(&found);
    assert!(words.contains("40 hosts") && words.contains("1 file or record could not be read"), "{words}");
    let same = epicore(&["study", "--spool", path]);
    assert_eq!(same.stdout, found.stdout);
}

#[test]
fn what_cannot_be_studied_is_said_with_what_to_do() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().to_str().expect("a path");
    let nothing = epicore(&["study", path]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(text(&nothing).contains("no records in"), "{}", text(&nothing));
    let wrong = place.path().join("wrong.toml");
    std::fs::write(&wrong, "rate = -1\n").expect("a file");
    let wrong = epicore(&["study", "--scenario", wrong.to_str().expect("a path")]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong).contains("rate = -1: it is between 0 and 1000"), "{}", text(&wrong));
    let garbage = place.path().join("x.batches");
    std::fs::write(&garbage, b"not a batch").expect("a file");
    let garbage = epicore(&["study", garbage.to_str().expect("a path")]);
    assert_eq!(garbage.status.code(), Some(1), "{}", text(&garbage));
    let nowhere = epicore(&["simulate", "--hosts", "5"]);
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(text(&nowhere).contains("--out FILE, --spool DIR or --remote URL"), "{}", text(&nowhere));
}
