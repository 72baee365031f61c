//! What `epicore config` promises.
#![allow(missing_docs)]

#[path = "support/records.rs"]
mod records;

use std::path::Path;

use records::{epicore, err, out};

fn config(file: &Path, words: &[&str]) -> std::process::Output {
    let file = file.to_str().unwrap();
    epicore(&[&["config"], words, &["--config", file]].concat())
}

#[test]
fn what_holds_is_shown_with_the_file_that_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("epicore.toml");
    std::fs::create_dir(dir.path().join("epicore.toml.d")).unwrap();
    let drop_in = dir.path().join("epicore.toml.d/50-site.toml");
    std::fs::write(&file, "[limits]\nspool_bytes = 7\nspool_records = 8\n").unwrap();
    std::fs::write(&drop_in, "[limits]\nspool_records = 9\n[labels]\nrack = \"b\\u001b[31m17\"\n").unwrap();
    let text = out(&config(&file, &["show"]));
    let row = |key: &str| text.lines().find(|line| line.starts_with(key)).unwrap().to_owned();
    assert!(row("limits.spool_bytes").contains(" 7 ") && row("limits.spool_bytes").ends_with("epicore.toml"));
    assert!(
        row("limits.spool_records").contains(" 9 ") && row("limits.spool_records").ends_with("50-site.toml")
    );
    assert!(row("retention.days").ends_with("default"), "{text}");
    assert!(row("labels.rack").contains("b\\x1b[31m17") && !text.contains('\x1b'), "{text}");

    let json = out(&config(&file, &["show", "--json"]));
    let rows: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |key: &str| rows.iter().find(|row| row["key"] == key).unwrap();
    assert_eq!(of("limits.spool_records")["value"], 9);
    assert_eq!(of("limits.spool_records")["from"], drop_in.to_str().unwrap());
    assert!(of("collector.url")["value"].is_null() && of("collector.url")["from"].is_null());
}

#[test]
fn a_mistake_is_an_error_with_what_was_probably_meant() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("epicore.toml");
    std::fs::write(&file, "[limits]\nspool_byte = 7\n[retention]\ndays = -1\n").unwrap();
    let said = config(&file, &["check"]);
    assert_eq!(said.status.code(), Some(2));
    assert!(
        err(&said).contains("line 2: unknown key limits.spool_byte: is limits.spool_bytes meant?"),
        "{}",
        err(&said)
    );
    assert!(err(&said).contains("retention.days must be days, 0 to 36500"), "{}", err(&said));
    let json = config(&file, &["check", "--json"]);
    assert_eq!(json.status.code(), Some(2));
    let value: serde_json::Value = serde_json::from_str(&out(&json)).unwrap();
    assert_eq!((&value["ok"], value["wrong"].as_array().unwrap().len()), (&serde_json::json!(false), 2));
}

#[test]
fn what_is_allowed_and_seldom_meant_is_a_remark() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("epicore.toml");
    for (text, remark) in [
        ("[throttle]\nenabled = false\n", Some("throttle.enabled is false")),
        (
            "[throttle]\nexecutable_burst = 300\n",
            Some("throttle.executable_burst (300) is above throttle.burst (200)"),
        ),
        (
            "[throttle]\nper_minute = 9\n",
            Some("throttle.executable_per_minute (120) is above throttle.per_minute (9)"),
        ),
        ("[analysis]\ncgroup = \"/tmp\"\n", Some("/tmp is no cgroup now")),
        (
            "[limits]\nspool_bytes = 10\n",
            Some("10 bytes, 10000 records: what the spool holds beyond is removed"),
        ),
        (
            "[daemon]\nsocket = \"/nowhere/x.sock\"\n",
            Some("daemon.socket: the directory /nowhere is not there"),
        ),
        ("[throttle]\nburst = 60\n", None),
    ] {
        std::fs::write(&file, text).unwrap();
        let said = config(&file, &["check"]);
        assert_eq!(said.status.code(), Some(0), "{text}");
        assert_eq!(out(&said).contains("Remark: "), remark.is_some(), "{text}: {}", out(&said));
        assert!(remark.is_none_or(|remark| out(&said).contains(remark)), "{text}: {}", out(&said));
    }
}

#[test]
fn what_a_key_refers_to_is_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("epicore.toml");
    std::fs::write(&file, "[collector]\nurl = \"https://c.example\"\ntoken_file = \"/nonexistent/token\"\n")
        .unwrap();
    let said = config(&file, &["check"]);
    assert_eq!(said.status.code(), Some(2));
    assert!(err(&said).contains("collector.token_file: /nonexistent/token: No such file"), "{}", err(&said));
    let own = format!("spool = \"{}\"\n", dir.path().display());
    std::fs::write(&file, own + "[collector]\nurl = \"https://c.example\"\n").unwrap();
    let said = config(&file, &["check"]);
    assert_eq!((said.status.code(), out(&said).starts_with("Nothing is wrong with ")), (Some(0), true));
    let missing = config(&dir.path().join("other.toml"), &["check"]);
    assert_eq!(missing.status.code(), Some(2));
}

/// A token file of root's, 0600, passed the check of root and stopped epicored,
/// which runs as the spool's owner.
#[test]
fn a_file_that_the_spools_owner_cannot_read_is_wrong_for_root_too() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    use std::os::unix::fs::{PermissionsExt, chown};
    let dir = tempfile::tempdir().unwrap();
    let open = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(dir.path(), 0o755);
    let (file, spool) = (dir.path().join("epicore.toml"), dir.path().join("spool"));
    let token = dir.path().join("token");
    std::fs::create_dir(&spool).unwrap();
    chown(&spool, Some(54321), Some(54322)).unwrap();
    std::fs::write(&token, "secret\n").unwrap();
    open(&token, 0o600);
    let (spool, shown) = (spool.display(), token.display());
    let text =
        format!("spool = \"{spool}\"\n[collector]\nurl = \"https://c.example\"\ntoken_file = \"{shown}\"\n");
    std::fs::write(&file, text).unwrap();
    open(&file, 0o644);
    let said = config(&file, &["check"]);
    assert_eq!(said.status.code(), Some(2));
    let what = format!(
        "collector.token_file: {shown}: 54321, as whom epicored runs, cannot read it (root:root, 0600)"
    );
    let remedy = format!("chgrp 54322 {shown}; chmod 0640 {shown}");
    assert!(err(&said).contains(&what) && err(&said).contains(&remedy), "{}", err(&said));
    chown(&token, None, Some(54322)).unwrap();
    open(&token, 0o640);
    assert_eq!(config(&file, &["check"]).status.code(), Some(0), "as the remedy says, it is well");
    open(&file, 0o600);
    assert!(err(&config(&file, &["check"])).contains("epicore.toml: 54321, as whom epicored runs"));
}
