//! `epicore config check` and `epicore config show` — what was written, and
//! what holds.
//!
//! ```console
//! $ epicore config check
//! epicore: /etc/epicore/epicore.toml: line 7: unknown key limits.spool_byte: is limits.spool_bytes meant?
//!          Correct it: epicored does not start like this, or sends nothing; the handler goes on without it.
//! $ epicore config show
//! spool                      "/var/spool/epicore"                    default
//! limits.spool_bytes         1073741824                              /etc/epicore/epicore.toml
//! collector.url              "https://collector.example:7464"        /etc/epicore/epicore.toml.d/50-site.toml
//! collector.proxy            (not set: the environment's)            default
//! …
//! ```
//!
//! `check` reads the file and its drop-ins as the programs do, and looks at
//! what they refer to: that files of credentials can be read, also by the
//! spool's owner, as whom epicored runs, and that the address is one. What is
//! allowed and seldom meant (a limit that limits nothing) is a remark. Exit
//! status: 0 nothing is wrong, 2 something is.
//!
//! `--json`: check: `ok`, `files`, `wrong` and `remarks` (lists of texts). show: one object
//! a line, `key`, `value` (null = not set), `from` (null = default).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::arguments::Common;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::readable::Reader;
use crate::config::{self, Config, Loaded, Setting};
use crate::forward::Transport;
use crate::report::escape::{clean, columns};

/// A spool that holds less is seldom meant.
const SMALL_BYTES: u64 = 4 << 20;
/// See [`SMALL_BYTES`].
const SMALL_RECORDS: u64 = 100;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Look for mistakes
    Check,
    /// Print what holds for each key, and which file says so
    Show,
}

/// Does it.
pub(super) fn run(arguments: &Arguments, common: &Common, out: &mut Output) -> Outcome {
    let file = common.config.clone().unwrap_or_else(|| PathBuf::from(config::DEFAULT_FILE));
    if common.config.is_some() && !file.exists() {
        return Err(Failure::usage(format!("{}: no such file", file.display()), "Check --config."));
    }
    let loaded = config::load_whole(&file);
    match arguments.verb {
        Verb::Check => {
            let spool = common.spool.as_deref().unwrap_or(loaded.config.spool_directory());
            check(&loaded, &file, Reader::of_spool(spool), out)
        }
        Verb::Show => show(&loaded, out),
    }
}

fn check(loaded: &Loaded, file: &Path, daemon: Option<Reader>, out: &mut Output) -> Outcome {
    let mut wrong: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    wrong.extend(unusable(loaded));
    wrong.extend(daemon.into_iter().flat_map(|daemon| closed(loaded, daemon)));
    let remarks = remarks(&loaded.config);
    if out.json {
        let ok = wrong.is_empty();
        out.json_pretty(&json!({ "ok": ok, "files": loaded.files, "wrong": wrong, "remarks": remarks }))?;
        out.flush()?;
        return if wrong.is_empty() { Ok(()) } else { Err(Failure::Misconfigured) };
    }
    let told: Vec<String> = remarks.iter().map(|remark| format!("Remark: {}.", clean(remark))).collect();
    if !wrong.is_empty() {
        told.iter().try_for_each(|remark| out.line(remark))?;
        out.flush()?;
        let next = "Correct it: epicored does not start like this, or sends nothing; the handler goes on without it.";
        return Err(Failure::usage(wrong.join("\n"), next));
    }
    if loaded.files.is_empty() {
        return out.line(&format!("{} does not exist: every key has its default.", file.display()));
    }
    let files: Vec<String> = loaded.files.iter().map(|file| clean(&file.display().to_string())).collect();
    out.line(&format!("Nothing is wrong with {}.", files.join(", ")))?;
    told.iter().try_for_each(|remark| out.line(remark))
}

/// What may be meant, and is told in case it is not.
fn remarks(config: &Config) -> Vec<String> {
    let throttle = &config.throttle;
    let mut remarks = Vec::new();
    if !throttle.enabled {
        remarks.push(
            "throttle.enabled is false: a crash loop leaves as many records as it crashes, until the spool's quota; \
             without a limit of its own it can keep all slots and the disk busy"
                .to_owned(),
        );
    }
    for (own, all, key, of) in [
        (throttle.executable_burst, throttle.burst, "executable_burst", "burst"),
        (throttle.executable_per_minute, throttle.per_minute, "executable_per_minute", "per_minute"),
    ] {
        if throttle.enabled && own > all {
            remarks.push(format!(
                "throttle.{key} ({own}) is above throttle.{of} ({all}), which all executables share: one of them can use it up"
            ));
        }
    }
    if config.spool_bytes < SMALL_BYTES || config.spool_records < SMALL_RECORDS {
        remarks.push(format!(
            "limits: {} bytes, {} records: what the spool holds beyond is removed, sent or not (a record has a few \
             thousand bytes, and can have 256 KiB)",
            config.spool_bytes, config.spool_records
        ));
    }
    let files = [
        ("daemon.socket", Some(&config.daemon.socket)),
        ("daemon.metrics_file", config.daemon.metrics_file.as_ref()),
    ];
    for (key, file) in files {
        // What systemd makes for the unit is not there before it runs.
        let own = |parent: &&Path| *parent != Path::new("/run/epicored");
        if let Some(parent) = file.and_then(|file| file.parent()).filter(own)
            && std::fs::metadata(parent).is_err_and(|error| error.kind() == ErrorKind::NotFound)
        {
            remarks.push(format!("{key}: the directory {} is not there", parent.display()));
        }
    }
    if let Some(cgroup) = &config.analysis_cgroup {
        let there = std::fs::symlink_metadata(cgroup.join("cgroup.procs"));
        if let Err(error) = there.map_err(|error| error.kind())
            && error != ErrorKind::PermissionDenied
        {
            remarks.push(format!(
                "analysis.cgroup: {} is no cgroup now: until it is one, analyses go on in the root, and their records say so",
                cgroup.display()
            ));
        }
    }
    remarks
}

/// What whoever asks can read, root say, and epicored cannot. The fleet's key
/// is the census's, which reads it as root.
fn closed(loaded: &Loaded, daemon: Reader) -> Vec<String> {
    let collector = &loaded.config.collector;
    let keys = [
        ("collector.ca_file: ", &collector.ca_file),
        ("collector.cert_file: ", &collector.cert_file),
        ("collector.key_file: ", &collector.key_file),
        ("collector.token_file: ", &collector.token_file),
    ];
    let named = keys.into_iter().filter_map(|(key, file)| Some((key, file.as_ref()?)));
    let read = loaded.files.iter().map(|file| ("", file));
    let all = read.chain(named).filter_map(|(key, file)| {
        let why = daemon.hindrance(file)?;
        Some(format!("{key}{}: {why}", file.display()))
    });
    all.collect()
}

/// What can be read and is no use: files that are not there, an address that
/// is none.
fn unusable(loaded: &Loaded) -> Vec<String> {
    let collector = &loaded.config.collector;
    let files = [
        ("collector.ca_file", &collector.ca_file),
        ("collector.cert_file", &collector.cert_file),
        ("collector.key_file", &collector.key_file),
        ("collector.token_file", &collector.token_file),
        ("fleet.key_file", &loaded.config.fleet_key_file),
    ];
    let missing = files.into_iter().filter_map(|(key, path)| {
        let path = path.as_ref()?;
        let error = std::fs::metadata(path).err()?;
        // Whoever may not look says nothing about whether it is there.
        let denied = error.kind() == ErrorKind::PermissionDenied;
        (!denied).then(|| format!("{key}: {}: {error}", path.display()))
    });
    let mut wrong: Vec<String> = missing.collect();
    if collector.url.is_some()
        && let Err(error) = Transport::new(collector, Duration::from_secs(1))
    {
        wrong.push(error.to_string());
    }
    wrong
}

fn show(loaded: &Loaded, out: &mut Output) -> Outcome {
    let entries = loaded.config.entries();
    let from = |key: &str| loaded.origins.get(key);
    if out.json {
        return entries.iter().try_for_each(|entry| {
            let value = value(&entry.value);
            out.json_line(&json!({ "key": entry.key, "value": value, "from": from(&entry.key) }))
        });
    }
    let rows: Vec<(String, String, String)> = entries
        .iter()
        .map(|entry| {
            let origin = from(&entry.key).map_or("default".to_owned(), |file| file.display().to_string());
            (clean(&entry.key), words(&entry.value), clean(&origin))
        })
        .collect();
    let widest = |of: fn(&(String, String, String)) -> &str| rows.iter().map(|row| columns(of(row))).max();
    let (keys, values) = (widest(|row| &row.0).unwrap_or(0), widest(|row| &row.1).unwrap_or(0));
    for (key, value, origin) in &rows {
        let origin = if origin == "default" { out.paint.dim(origin) } else { origin.clone() };
        out.line(&format!("{key:<keys$}  {value:<values$}  {origin}"))?;
    }
    loaded.warnings.iter().for_each(|warning| super::failure::warn(&warning.to_string()));
    Ok(())
}

fn value(setting: &Setting) -> Value {
    match setting {
        Setting::Text(text) => json!(text),
        Setting::Number(n) => json!(n),
        Setting::Flag(flag) => json!(flag),
        Setting::Unset(_) => Value::Null,
    }
}

fn words(setting: &Setting) -> String {
    match setting {
        Setting::Text(text) => format!("\"{}\"", clean(text)),
        Setting::Number(n) => n.to_string(),
        Setting::Flag(flag) => flag.to_string(),
        Setting::Unset(without) => format!("(not set: {without})"),
    }
}
