//! The judge: every victim crashes on the real kernel, and what epicore says
//! about it is held against what truly happened, against the full core of the
//! same crash, and against gdb and eu-stack on that core.
//!
//! Needs root (core_pattern); says so and passes when it is not. Takes the
//! lock of tests/support/pattern_guard.rs. EPICORE_DIST names the directory of
//! the binaries (default target/dist). While developing: EPICORE_VICTIMS=a,b
//! picks victims, EPICORE_KEEP_CORES=1 keeps the crashes under target/victims/,
//! EPICORE_JUDGES_ONLY=1 measures gdb and eu-stack without epicore.

mod support;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::LazyLock;

use support::evidence::{Case, Direct, Teed, gather};
use support::record_json::RecordJson;
use support::{chain, replay_agreement, score_table, stack_agreement};

/// Everything, gathered once; empty when the kernel may not be asked.
static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| match support::may_set_core_pattern() {
    Ok(()) => gather(),
    Err(why) => {
        println!("skipped: {why}");
        Vec::new()
    }
});

/// Asks one question of every victim's crash under the tee; an answer is what is wrong.
fn of_every_crash(mut wrong: impl FnMut(&Case, &Teed, &RecordJson) -> Vec<String>) {
    if support::handler_place::judges_only() {
        return;
    }
    let mut all = String::new();
    for case in CASES.iter() {
        let name = &case.victim.name;
        let answers = match &case.teed {
            Err(why) => vec![why.clone()],
            Ok(teed) => match &teed.record {
                Err(why) => vec![format!("{why}; tee: {}", teed.tee.replace('\n', ", "))],
                Ok(record) => wrong(case, teed, record),
            },
        };
        for answer in answers.iter().take(4) {
            let _ = writeln!(all, "{name}: {answer}");
        }
    }
    assert!(all.is_empty(), "\n{all}");
}

/// The same for every crash with the handler alone.
fn of_every_direct_crash(mut wrong: impl FnMut(&Case, &Direct) -> Vec<String>) {
    let mut all = String::new();
    for case in CASES.iter() {
        for answer in case.direct.iter().flat_map(|direct| wrong(case, direct)) {
            let _ = writeln!(all, "{}: {answer}", case.victim.name);
        }
    }
    assert!(all.is_empty(), "\n{all}");
}

fn unless<T: PartialEq + std::fmt::Debug>(what: &str, is: T, should_be: T) -> Option<String> {
    (is != should_be).then(|| format!("{what}: {is:x?} should be {should_be:x?}"))
}

#[test]
fn every_victim_dies_of_the_signal_it_declares() {
    let mut all = String::new();
    for case in CASES.iter() {
        match &case.teed {
            Err(why) => writeln!(all, "{}: {why}", case.victim.name).unwrap(),
            Ok(teed) if teed.full.signal != case.victim.signal => {
                writeln!(all, "{}: signal {}", case.victim.name, teed.full.signal).unwrap();
            }
            Ok(teed) if teed.run.timed_out => writeln!(all, "{}: timed out", case.victim.name).unwrap(),
            Ok(_) => {}
        }
    }
    assert!(all.is_empty(), "\n{all}");
}

#[test]
fn more_chains_are_met_than_gdb_or_eu_stack_meet() {
    if CASES.is_empty() {
        return;
    }
    let (table, score) = score_table::table(&CASES);
    println!("{table}");
    let _ = std::fs::write(support::target_dir().join("victims/scores.txt"), &table);
    if support::handler_place::judges_only() || std::env::var_os("EPICORE_VICTIMS").is_some() {
        return;
    }
    assert!(score.victims >= 44, "{} victims", score.victims);
    assert!(score.epicore * 100 >= score.victims * 95, "{table}");
    assert!(score.epicore > score.gdb && score.epicore > score.eu_stack, "{table}");
}

#[test]
fn the_stacks_of_all_threads_are_gdbs_where_gdb_is_right() {
    if support::handler_place::judges_only() || CASES.is_empty() {
        return;
    }
    let all: Vec<_> = CASES.iter().filter_map(stack_agreement::of).collect();
    // Each victim weighs the same: two thousand threads are one case.
    let mean = all.iter().map(stack_agreement::Agreement::share).sum::<f64>() / all.len().max(1) as f64;
    let mut text = format!(
        "stacks of all threads equal to gdb's: {:.2} % of frames, {} victims\n",
        mean * 100.0,
        all.len()
    );
    for a in all.iter().filter(|a| a.same != a.of) {
        let _ = writeln!(text, "  {}: {} of {}", a.victim, a.same, a.of);
        if let Some((tid, gdb, epicore)) = &a.first_difference {
            let _ = writeln!(text, "    thread {tid}\n    gdb      {gdb}\n    epicore  {epicore}");
        }
    }
    println!("{text}");
    assert!(mean >= 0.97, "{text}");
}

#[test]
fn every_other_thread_is_found_where_it_waits() {
    of_every_crash(|case, teed, record| {
        let Some(each) = &case.victim.each else { return Vec::new() };
        let crashed = teed.full.threads.first().map_or(0, |t| t.tid);
        let others: Vec<_> = record.stacks().into_iter().filter(|(tid, _)| *tid != crashed).collect();
        let places = others.iter().map(|(tid, frames)| (tid, teed.space.places(frames)));
        // One thread of the victim may be something else (main, which also waits).
        let wrong: Vec<_> = places.filter(|(_, p)| !each.is_met_by(p)).collect();
        let allowed = usize::from(case.victim.threads - others.len() == 1);
        match wrong.get(allowed) {
            Some((tid, p)) => {
                vec![format!("{} of {}: thread {tid}: {}", wrong.len(), others.len(), chain::shown(p))]
            }
            None => Vec::new(),
        }
    });
}

#[test]
fn the_registers_are_the_full_cores() {
    of_every_crash(|_, teed, record| {
        let ours = record.registers();
        let mut wrong: Vec<String> = Vec::new();
        let crashed = &teed.full.threads[0];
        if !ours.contains_key(&u64::from(crashed.tid)) {
            wrong.push(format!("no registers of the crashing thread {}", crashed.tid));
        }
        for (tid, values) in &ours {
            match teed.full.threads.iter().find(|t| u64::from(t.tid) == *tid) {
                Some(thread) => wrong.extend(unless(&format!("thread {tid}"), values, &thread.registers)),
                None => wrong.push(format!("registers of a thread {tid} that the core does not have")),
            }
        }
        wrong
    });
}

#[test]
fn every_thread_of_the_core_is_in_the_record() {
    of_every_crash(|case, teed, record| {
        let theirs: Vec<u32> = teed.full.threads.iter().map(|t| t.tid).collect();
        let column = |key: &str| -> Vec<u64> {
            let list = record.0.pointer(&format!("/th/{key}")).and_then(serde_json::Value::as_array);
            list.into_iter().flatten().filter_map(support::record_json::hex).collect()
        };
        let of_core =
            |f: fn(&support::full_core::Thread) -> u64| teed.full.threads.iter().map(f).collect::<Vec<_>>();
        [
            unless("threads declared", theirs.len(), case.victim.threads),
            unless("threads", record.tids(), theirs.clone()),
            unless("number of threads", record.number("/proc/nth"), Some(theirs.len() as u64)),
            unless("ip", column("ip"), of_core(support::full_core::Thread::ip)),
            unless("sp", column("sp"), of_core(support::full_core::Thread::sp)),
        ]
        .into_iter()
        .flatten()
        .collect()
    });
}

#[test]
fn the_signal_its_address_and_its_sender_are_the_full_cores() {
    of_every_crash(|_, teed, record| {
        let code = record.0.pointer("/crash/code").and_then(serde_json::Value::as_i64);
        [
            unless("signal", record.number("/crash/sig"), Some(teed.full.signal as u64)),
            unless("si_code", code, Some(i64::from(teed.full.code))),
            unless("si_addr", record.number("/crash/addr"), teed.full.fault_address()),
            unless("si_pid", record.number("/crash/spid"), teed.full.sender().map(u64::from)),
        ]
        .into_iter()
        .flatten()
        .collect()
    });
}

#[test]
fn every_loaded_object_has_the_build_id_of_the_full_core() {
    of_every_crash(|_, teed, record| {
        unless("build-ids", record.build_ids(), teed.full.build_ids()).into_iter().collect()
    });
}

#[test]
fn a_replay_of_the_full_core_is_the_live_record() {
    of_every_crash(|case, teed, record| {
        let replay = match &teed.replay {
            Ok(replay) => replay,
            Err(why) => return vec![why.clone()],
        };
        if case.victim.files_gone {
            // Code and call frame information are gone with the files; the rest is not.
            let same = |what, a, b| unless(what, a, b);
            return [
                same("threads", format!("{:x?}", replay.tids()), format!("{:x?}", record.tids())),
                same("registers", format!("{:x?}", replay.registers()), format!("{:x?}", record.registers())),
                same("build-ids", format!("{:x?}", replay.build_ids()), format!("{:x?}", record.build_ids())),
            ]
            .into_iter()
            .flatten()
            .collect();
        }
        replay_agreement::differences(&record.0, &replay.0)
    });
}

#[test]
fn the_handler_alone_leaves_a_full_record_and_no_core() {
    of_every_direct_crash(|_, direct| match &direct.record {
        Err(why) => vec![format!("{why}; {:?}", direct.run)],
        Ok(record) => [
            record.number("/cap/held").is_none().then(|| "cap.held is missing".to_owned()),
            (!direct.litter.is_empty()).then(|| format!("left on disk: {:?}", direct.litter)),
            direct.run.timed_out.then(|| "timed out".to_owned()),
        ]
        .into_iter()
        .flatten()
        .collect(),
    });
}

#[test]
fn the_handler_alone_meets_as_many_chains_as_under_the_tee() {
    let tees = |case: &Case| {
        let teed = case.teed.as_ref().ok()?;
        let stacks = teed.record.as_ref().ok()?.stacks();
        Some(case.victim.chain.is_met_by(&score_table::crash_places(teed, &stacks)))
    };
    of_every_direct_crash(|case, direct| {
        let Ok(record) = &direct.record else { return vec!["no full record".into()] };
        let frames = record.stacks().into_iter().next().map(|(_, frames)| frames).unwrap_or_default();
        let places = direct.space.places(&frames);
        let met = case.victim.chain.is_met_by(&places);
        let lost = tees(case) == Some(true) && !met;
        lost.then(|| format!("met under the tee, but alone: {}", chain::shown(&places))).into_iter().collect()
    });
}

#[test]
fn a_crash_in_a_privileged_program_stays_private() {
    let victims: BTreeSet<&str> = CASES
        .iter()
        .filter(|c| c.direct.iter().any(|d| d.record.as_ref().is_ok_and(|r| r.0["priv"] == true)))
        .map(|c| c.victim.name.as_str())
        .collect();
    if CASES.iter().any(|c| c.victim.name == "setuid" && c.direct.is_some()) {
        assert_eq!(victims, BTreeSet::from(["setuid"]));
    }
}

#[test]
fn the_cause_in_words_is_what_the_source_declares() {
    let mut table = String::new();
    let mut missed = String::new();
    for case in CASES.iter() {
        let Ok(Ok(record)) = case.teed.as_ref().map(|teed| teed.record.as_ref()) else { continue };
        let fault = &record.0["flt"];
        let text = fault["lit"].as_str().map_or(String::new(), |text| format!(": {text}"));
        let why = format!("{}{text}", fault["why"].as_str().unwrap_or("-"));
        let codes: Vec<String> = fault["ev"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|pair| format!("{}: {}", pair[0].as_str().unwrap_or("?"), pair[1].as_str().unwrap_or("?")))
            .collect();
        let _ = writeln!(
            table,
            "{}\n  declared  {}\n  says      {why}\n  evidence  {}",
            case.victim.name,
            case.victim.cause,
            codes.join("; ")
        );
        // Every victim is a true bug of software.
        let told =
            ["E-RSP", "E-CODE", "E-REG", "E-BITFLIP", "E-ADDR", "E-PERMITTED", "E-ILL", "E-FPE", "E-DIV"];
        for code in codes.iter().filter(|code| told.iter().any(|told| code.starts_with(told))) {
            let _ = writeln!(missed, "{}: {code}", case.victim.name);
        }
        for says in &case.victim.says {
            if !why.contains(says.as_str()) {
                let _ = writeln!(missed, "{}: {why:?} lacks {says:?}", case.victim.name);
            }
        }
    }
    let _ = std::fs::write(support::target_dir().join("victims/causes.txt"), &table);
    println!("{table}");
    assert!(missed.is_empty(), "\n{missed}");
}
