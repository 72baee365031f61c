//! The shipped configuration files and their pages say which keys there are and
//! what holds without them.

#[path = "support/manual.rs"]
mod manual;

use std::collections::BTreeSet;

use epicore::collector::Settings;
use epicore::config::{self, Config};
use manual::{plain, root, source, written};

/// The keys that src/config.rs compares with, `table.key`.
fn keys_of_a_host() -> Vec<String> {
    let mut text = source("src/config.rs");
    for entry in std::fs::read_dir(root().join("src/config")).into_iter().flatten().flatten() {
        text.push_str(&std::fs::read_to_string(entry.path()).expect("a source"));
    }
    let arms = text.lines().filter_map(|line| line.trim().strip_prefix('"')?.split_once("\" =>"));
    let keys: Vec<String> = arms.map(|(key, _)| key.to_owned()).filter(|key| !key.is_empty()).collect();
    assert!(keys.len() >= 24, "src/config.rs is read by its text, and looks different now: {keys:?}");
    keys
}

/// The keys of the collector, as its parser names them when it meets another.
fn keys_of_the_collector() -> Vec<String> {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("c.toml");
    let known = |text: &str| -> Vec<String> {
        std::fs::write(&file, text).expect("written");
        let error = Settings::load(Some(&file)).expect_err("no such key").to_string();
        let expected = error.split("expected ").nth(1).unwrap_or_default();
        expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let mut keys = Vec::new();
    for name in known("nonsense = 1\n") {
        let inner = known(&format!("[{name}]\nnonsense = 1\n"));
        match inner.is_empty() {
            true => keys.push(name),
            false => keys.extend(inner.into_iter().map(|key| format!("{name}.{key}"))),
        }
    }
    assert!(keys.len() >= 20, "{keys:?}");
    keys
}

/// Assignments of a shipped file with its comment signs taken away, one by
/// one: the key, and the file that has only this one.
fn assignments(text: &str) -> Vec<(String, String)> {
    let mut table = String::new();
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.strip_prefix('#').unwrap_or(line);
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            table = name.to_owned();
        }
        let Some((key, value)) = line.split_once(" = ") else { continue };
        if !key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            continue;
        }
        match table.is_empty() {
            true => found.push((key.to_owned(), format!("{key} = {value}\n"))),
            false => found.push((format!("{table}.{key}"), format!("[{table}]\n{key} = {value}\n"))),
        }
    }
    found
}

fn load(text: &str) -> Config {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("epicore.toml");
    std::fs::write(&file, text).expect("written");
    let (config, warnings) = config::load(&file);
    assert!(warnings.is_empty(), "{warnings:?} of {text}");
    config
}

#[test]
fn the_shipped_configuration_of_a_host_is_the_defaults_key_by_key() {
    let place = written();
    let (text, page) = (source("packaging/epicore.toml"), plain(place.path(), "man5/epicore.toml.5"));
    assert_eq!(load(&text), Config::default());
    let assignments = assignments(&text);
    let said: BTreeSet<&str> = assignments.iter().map(|(key, _)| key.as_str()).collect();
    for key in keys_of_a_host() {
        assert!(page.contains(&key), "epicore.toml(5) does not name {key}");
        assert!(said.contains(key.as_str()), "packaging/epicore.toml does not name {key}");
    }
    for (key, alone) in &assignments {
        let config = load(alone);
        // Examples, because nothing holds without them.
        let examples = ["labels.", "fleet.key_file", "daemon.metrics_file", "analysis.cgroup"];
        let example = examples.iter().any(|k| key.starts_with(k));
        let example = example || key.starts_with("collector.") && key != "collector.plain_http";
        if key == "spool" {
            assert_eq!(config.spool_directory(), Config::default().spool_directory());
        } else {
            assert_eq!(config == Config::default(), !example, "{key}");
        }
    }
    let all: String = text.lines().map(|line| uncommented(line) + "\n").collect();
    load(&all);
}

/// A commented assignment, told from a sentence by its equals sign.
fn uncommented(line: &str) -> String {
    let assignment = line.strip_prefix('#').filter(|rest| !rest.starts_with(' ') && rest.contains(" = "));
    assignment.unwrap_or(line).to_owned()
}

#[test]
fn the_shipped_settings_of_the_collector_are_the_defaults_and_start_without_certificates() {
    let place = written();
    let (text, page) =
        (source("packaging/collector.toml"), plain(place.path(), "man5/epicore-collector.toml.5"));
    let file = place.path().join("collector.toml");
    let load = |text: &str| {
        std::fs::write(&file, text).expect("written");
        Settings::load(Some(&file)).unwrap_or_else(|failure| panic!("{failure} of {text}"))
    };
    let shipped = load(&text);
    assert!(shipped.listen.iter().all(|address| address.ip().is_loopback()));
    let defaults = Settings { listen: shipped.listen.clone(), ..Settings::default() };
    assert_eq!(format!("{shipped:?}"), format!("{defaults:?}"));
    let assignments = assignments(&text);
    let said: BTreeSet<&str> = assignments.iter().map(|(key, _)| key.as_str()).collect();
    for key in keys_of_the_collector() {
        assert!(page.contains(&key), "epicore-collector.toml(5) does not name {key}");
        assert!(said.contains(key.as_str()), "packaging/collector.toml does not name {key}");
    }
    for (key, alone) in &assignments {
        let example = ["tls.cert_file", "tls.key_file", "tls.client_ca_file", "auth.revoked_file", "listen"];
        if !example.contains(&key.as_str()) {
            let config = load(&format!("listen = \"127.0.0.1:7464\"\n{alone}"));
            assert_eq!(format!("{config:?}"), format!("{defaults:?}"), "{key}");
        }
    }
    let all: String = text.lines().map(|line| uncommented(line) + "\n").collect();
    load(&all.replace("off = false\n", ""));
}
