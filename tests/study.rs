//! A study of simulated fleets: what was planted is found, nobody else is accused,
//! and whatever records say, it ends in words.

use std::path::Path;

use epicore::epidemiology::population::Control;
use epicore::record::{Exposure, Hex, Host, Id, Keys, Process, Record, Running, decode, decode_exposure};
use epicore::simulate::{Bug, Kind, Level, Plant, Scenario, Simulation};
use epicore::study::{Directory, Gather, Heard, Study, Verdict, With, study};
use epicore::wire::ItemKind;

const UNTIL: u64 = 1_795_356_309_000_000_000;
const DAY: u64 = 86_400_000_000_000;

fn of(scenario: &Scenario, hosts: u32, seed: u64) -> (Simulation, Study) {
    let simulation = Simulation::new(scenario, hosts, seed);
    let (population, signatures) = simulation.population(scenario.days);
    let directory = Directory { since: UNTIL - 28 * DAY, signatures, builds: Vec::new() };
    let found = study(&population, &directory, Heard::default(), UNTIL);
    (simulation, found)
}

fn bad_cores(hosts: u32, crashes: u32) -> Scenario {
    Scenario {
        plant: vec![Plant { hosts, crashes, evidence: Level::Strong, ..Plant::default() }],
        ..Scenario::default()
    }
}

fn planted(simulation: &Simulation, kind: Kind) -> Vec<String> {
    let ours = simulation.planted().into_iter().filter(|planted| planted.kind == kind);
    ours.map(|planted| Simulation::host_name(planted.host)).collect()
}

#[test]
fn a_core_that_computes_wrongly_is_named_and_nobody_else_is() {
    for seed in 0..4 {
        let (simulation, found) = of(&bad_cores(2, 10), 2000, seed);
        let bad = planted(&simulation, Kind::BadCore);
        let accused: Vec<&str> = found
            .machines
            .iter()
            .filter(|machine| machine.verdict == Verdict::Accuse)
            .map(|machine| machine.host.as_str())
            .collect();
        assert_eq!(accused.len(), 2, "seed {seed}: {accused:?}");
        assert!(accused.iter().all(|host| bad.iter().any(|bad| bad == host)), "{accused:?} {bad:?}");
        assert!(found.machines.iter().take(2).all(|machine| machine.core.is_some()), "{:?}", found.machines);
    }
}

#[test]
fn records_on_the_wire_tell_a_study_what_the_simulation_knew() {
    let scenario = Scenario { skewed: 0.0, ..bad_cores(1, 10) };
    let (simulation, direct) = of(&scenario, 400, 5);
    let by_host = simulation.by_host();
    let mut gather = Gather::new(UNTIL - 28 * DAY, UNTIL);
    for host in 0..simulation.hosts() {
        let batch = simulation.batch(host, by_host.get(&host).map_or(&[][..], Vec::as_slice), UNTIL);
        assert_eq!(batch, simulation.batch(host, by_host.get(&host).map_or(&[][..], Vec::as_slice), UNTIL));
        for item in batch.items {
            match item.kind {
                ItemKind::Crash => gather.crash(&decode(&item.body).expect("a record")),
                ItemKind::Exposure => gather.census(&decode_exposure(&item.body).expect("a census")),
            }
        }
    }
    let (population, directory, heard) = gather.done();
    assert!(heard.twice > 0 && heard.unobserved == 0 && heard.outside == 0, "{heard:?}");
    let found = study(&population, &directory, heard, UNTIL);
    assert_eq!((found.crashes, found.episodes), (population.crashes.len() as u64, direct.episodes));
    let (mine, theirs) = (&found.machines[0], &direct.machines[0]);
    assert_eq!((&mine.host, mine.core, mine.verdict), (&theirs.host, theirs.core, theirs.verdict));
    assert!((mine.posterior - theirs.posterior).abs() < 0.01, "{} {}", mine.posterior, theirs.posterior);
    assert_eq!(mine.evidence, theirs.evidence);
    let kernels = population.attributes.iter().find(|attribute| attribute.name == "kernel");
    assert_eq!(kernels.map(|kernels| kernels.values.len()), Some(2));
    assert!(population.attributes.iter().any(|attribute| attribute.name == "region"));
}

#[test]
fn a_kind_of_machines_is_an_erratum_and_no_host_of_it_is_accused() {
    let plant = Plant { kind: Kind::Erratum, mean: 0.15, ..Plant::default() };
    let (simulation, found) = of(&Scenario { plant: vec![plant], ..Scenario::default() }, 6000, 2);
    assert!(planted(&simulation, Kind::Erratum).len() > 500);
    assert_eq!(found.errata.len(), 1, "{:?}", found.errata);
    let what: Vec<&str> = found.errata[0].what.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(what, ["Simulated processor, model 143", "0xd0003e7 of model 143"]);
    assert!(found.machines.iter().all(|machine| machine.verdict != Verdict::Accuse), "{:?}", found.machines);
}

#[test]
fn innocents_of_every_kind_stay_innocent() {
    for kind in [
        Kind::CrashLoop,
        Kind::Spray,
        Kind::PinnedSpray,
        Kind::Ci,
        Kind::CiWild,
        Kind::SingleTenant,
        Kind::Canary,
        Kind::NoisyEcc,
    ] {
        let plant = Plant { kind, hosts: 20, ..Plant::default() };
        let (_, found) = of(&Scenario { plant: vec![plant], ..Scenario::default() }, 3000, 9);
        let accused: Vec<_> = found.machines.iter().filter(|m| m.verdict == Verdict::Accuse).collect();
        assert!(accused.is_empty(), "{kind:?}: {accused:?}");
    }
}

#[test]
fn without_a_census_a_study_says_what_is_missing_and_still_names_the_core() {
    let scenario = Scenario { census: false, ..bad_cores(1, 12) };
    let (simulation, found) = of(&scenario, 2000, 1);
    assert!(found.limits.iter().any(|limit| limit.contains("no census")), "{:?}", found.limits);
    assert_eq!(found.machines[0].host, planted(&simulation, Kind::BadCore)[0]);
    for bug in &found.bugs {
        assert!(bug.triggers.iter().all(|trigger| trigger.expected.is_finite()));
    }
}

const KERNEL: &str = "kernel=6.12.48+deb13-amd64";

/// A bug of 20 hosts that one kernel has 20 times as often, and no hours of anything;
/// with controls one living process of each host.
fn without_hours(seed: u64, controls: bool) -> Study {
    let bug = Bug { unit: 1, crashes: 20, trigger: vec![KERNEL.into()], ratio: 20.0, ..Bug::default() };
    let scenario = Scenario { bug: vec![bug], lost: 0.0, ..Scenario::default() };
    let simulation = Simulation::new(&scenario, 5000, seed);
    let (mut population, signatures) = simulation.population(28.0);
    for (host, facts) in (0u32..).zip(&mut population.hosts) {
        let runs = std::mem::take(&mut facts.runs);
        facts.hours = 0.0;
        let drawn = runs.get(host as usize % runs.len().max(1));
        if let Some(run) = drawn.filter(|_| controls) {
            population.controls.push(Control { host, unit: run.unit, build: run.build });
        }
    }
    study(&population, &Directory { signatures, ..Directory::default() }, Heard::default(), UNTIL)
}

#[test]
fn without_hours_a_trigger_is_found_among_controls_or_other_crashes_and_the_words_say_which() {
    for (controls, with, words) in [
        (true, With::Controls, "controls of its unit"),
        (false, With::Crashes, "other crashes of its unit, not with what ran"),
    ] {
        for seed in 0..3 {
            let found = without_hours(seed, controls);
            let key = format!("{:016x}", Simulation::bug_signature(1));
            let bug = found.bugs.iter().find(|bug| bug.signature == key).expect("the bug");
            let compared = bug.compared.as_ref().expect("a contrast");
            assert!(
                compared.with == with && compared.of == "unit" && compared.controls > 100,
                "{compared:?}"
            );
            let first = &bug.triggers[0];
            // Named first, with odds of more than 100 beyond what naming it costs.
            assert!(first.what == KERNEL && first.score > 4.6 && first.ratio.1 > 1.0, "{:?}", bug.triggers);
            let others = bug.triggers.iter().filter(|trigger| trigger.declared && trigger.what != KERNEL);
            assert_eq!(others.count(), 0, "{:?}", bug.triggers);
            let text = epicore::report::study::study(
                &found,
                true,
                epicore::report::Paint::Plain,
                &jiff::tz::TimeZone::UTC,
            );
            assert!(text.contains("odds ratio") && text.contains(words), "{text}");
        }
    }
}

/// Bugs without any cause, no hours, and 28 censuses' living processes of each host.
fn nothing_wrong(seed: u64, hosts: u32, lies: u32) -> Study {
    let bug = (1..6).map(|unit| Bug { unit, crashes: 25, ..Bug::default() }).collect();
    let scenario = Scenario { bug, rate: 0.3, innocents: false, lost: 0.0, ..Scenario::default() };
    let (mut population, signatures) = Simulation::new(&scenario, hosts, seed).population(28.0);
    let kernel = population.attributes.iter().position(|one| one.name == "kernel").expect("kernels");
    for (host, facts) in (0u32..).zip(&mut population.hosts) {
        let runs = std::mem::take(&mut facts.runs);
        facts.hours = 0.0;
        let lying = host == 0 && lies > 0;
        for n in 0..if lying { lies } else { 28 } {
            let run = runs[(n as usize * 7 + host as usize * 3) % runs.len()];
            population.controls.push(Control { host, unit: run.unit, build: run.build });
        }
        if lying {
            facts.values[kernel] = population.attributes[kernel].values.len() as u32;
            population.attributes[kernel].values.push("evil".into());
        }
    }
    study(&population, &Directory { signatures, ..Directory::default() }, Heard::default(), UNTIL)
}

#[test]
fn many_censuses_of_few_hosts_invent_no_trigger_and_neither_does_one_that_lies() {
    for lies in [0, 3000] {
        let (mut mined, mut wrong) = (0, 0);
        for seed in 0..10 {
            let found = nothing_wrong(seed, 200, lies);
            let compared = |bug: &&epicore::study::Bug| {
                bug.compared.as_ref().is_some_and(|one| one.with == With::Controls)
            };
            mined += found.bugs.iter().filter(compared).count();
            let told = found.bugs.iter().flat_map(|bug| &bug.triggers).filter(|trigger| trigger.declared);
            wrong += told.count();
        }
        assert!(mined > 40 && wrong == 0, "{lies}: {wrong} of {mined}");
    }
}

#[test]
fn a_host_that_does_not_say_how_many_cores_it_has_is_as_suspect_as_one_that_does() {
    let plant = Plant { hosts: 6, crashes: 5, evidence: Level::Weak, ..Plant::default() };
    let scenario = Scenario { plant: vec![plant], ..Scenario::default() };
    let (mut population, signatures) = Simulation::new(&scenario, 2000, 4).population(28.0);
    let directory = Directory { since: UNTIL - 28 * DAY, signatures, builds: Vec::new() };
    let with = study(&population, &directory, Heard::default(), UNTIL);
    population.hosts.iter_mut().for_each(|host| host.cores = 0);
    let without = study(&population, &directory, Heard::default(), UNTIL);
    assert!(!with.machines.is_empty());
    for known in &with.machines {
        let unknown = without.machines.iter().find(|machine| machine.host == known.host).expect("it");
        assert!((unknown.posterior - known.posterior).abs() < 0.02, "{known:?} {unknown:?}");
    }
}

#[test]
fn a_host_of_hundreds_of_crashes_is_told_in_numbers() {
    let (_, found) = of(&bad_cores(1, 390), 1000, 3);
    let (usual, spray, own) = found.machines[0].against;
    // e to the power of it is beyond what a number holds.
    assert!(usual > 709.0 && spray.is_finite() && own.is_finite(), "{:?}", found.machines[0]);
    let text =
        epicore::report::study::study(&found, true, epicore::report::Paint::Plain, &jiff::tz::TimeZone::UTC);
    assert!(text.contains("times as likely") && !text.contains("inf") && !text.contains("NaN"), "{text}");
}

#[test]
fn other_crashes_as_controls_invent_no_trigger() {
    let (mut mined, mut wrong) = (0, 0);
    for seed in 0..3 {
        let (_, found) = of(&Scenario { census: false, ..Scenario::default() }, 5000, 40 + seed);
        mined += found.bugs.iter().filter(|bug| bug.compared.is_some()).count();
        wrong += found.bugs.iter().filter(|bug| bug.triggers.iter().any(|trigger| trigger.declared)).count();
    }
    assert!(mined > 40 && wrong == 0, "{wrong} of {mined}");
}

#[test]
fn where_nothing_can_be_compared_a_bug_says_why() {
    let bug = Bug { unit: 1, crashes: 9, ..Bug::default() };
    let scenario =
        Scenario { bug: vec![bug], census: false, rate: 0.0, innocents: false, ..Scenario::default() };
    let (_, found) = of(&scenario, 300, 1);
    let why = found.bugs[0].no_trigger.as_deref().expect("a reason");
    assert!(why.contains("no census tells where it ran") && found.bugs[0].compared.is_none(), "{why}");
}

#[test]
fn a_census_without_hours_still_brings_its_living_process() {
    let mut gather = Gather::new(UNTIL - 28 * DAY, UNTIL);
    let process = Process { container: Some("c1".into()), exe: Some("/bin/x".into()), ..Process::default() };
    gather.census(&Exposure {
        realtime_ns: Some(UNTIL - 5),
        host: Host { name: Some("one".into()), ..Host::default() },
        images: vec![("c1".into(), "shop:7".into())],
        control: Some(epicore::record::Control { process, ..Default::default() }),
        ..Exposure::default()
    });
    let (population, ..) = gather.done();
    assert_eq!((population.controls.len(), population.units[0].as_str()), (1, "shop:7"));
}

#[test]
fn forms_of_a_bug_come_together_whichever_way_records_came() {
    let bug = Bug { unit: 1, crashes: 60, variants: 0.5, ..Bug::default() };
    let scenario = Scenario { bug: vec![bug], ..Scenario::default() };
    let (simulation, found) = of(&scenario, 1000, 3);
    let key = format!("{:016x}", Simulation::bug_signature(1));
    let known = |bug: &&epicore::study::Bug| {
        bug.signature == key || bug.variants.iter().any(|variant| variant.signature == key)
    };
    let own = found.bugs.iter().find(known).expect("the bug");
    assert!(!own.variants.is_empty() && found.merged > 0 && own.hosts > 40, "{own:?}");
    let forms = simulation.variants();
    assert!(forms.len() >= 3, "{forms:?}");
    let mut gather = Gather::new(UNTIL - 28 * DAY, UNTIL);

    for host in 0..simulation.hosts() {
        let events: Vec<_> = simulation.events.iter().filter(|event| event.host == host).copied().collect();
        for item in simulation.batch(host, &events, UNTIL).items {
            if item.kind == ItemKind::Crash {
                gather.crash(&epicore::record::slim(decode(&item.body).expect("a record")));
            }
        }
    }
    let (population, directory, heard) = gather.done();
    let sent = study(&population, &directory, heard, UNTIL);
    let right = |variant: &&epicore::study::Variant| forms.contains_key(&variant.signature);
    let variants: Vec<_> = sent.bugs.iter().flat_map(|bug| &bug.variants).collect();
    assert!(variants.iter().copied().filter(right).count() >= 2, "{variants:?} {forms:?}");
}

#[test]
fn one_signature_of_two_causes_is_split_and_the_host_is_named() {
    for name in ["merged", "merged-alike"] {
        let text = std::fs::read_to_string(scenarios().join(format!("{name}.toml"))).expect("a scenario");
        let scenario: Scenario = toml::from_str(&text).expect("a scenario");
        let (simulation, found) = of(&scenario, 10_000, 3);
        let signature = format!("{:016x}", Simulation::bug_signature(1));
        let bug = found.bugs.iter().find(|bug| bug.signature == signature).expect("the bug");
        let split = bug.split.as_ref().unwrap_or_else(|| panic!("{name}: no split"));
        assert_eq!((&split.host, split.cases), (&planted(&simulation, Kind::BadCore)[0], 3), "{name}");
    }
}

fn scenarios() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scenarios")
}

#[test]
fn every_scenario_of_the_documentation_makes_sense() {
    let mut seen = 0;
    for entry in std::fs::read_dir(scenarios()).expect("docs/scenarios").flatten() {
        let text = std::fs::read_to_string(entry.path()).expect("a scenario");
        let scenario: Scenario =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{:?}: {error}", entry.path()));
        scenario.check().unwrap_or_else(|error| panic!("{:?}: {error}", entry.path()));
        assert!(!scenario.about.is_empty(), "{:?} says what it is about", entry.path());
        seen += 1;
    }
    assert!(seen >= 15, "{seen}");
}

#[test]
fn every_key_of_the_json_is_documented() {
    fn keys(value: &serde_json::Value, into: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(map) => map.iter().for_each(|(key, value)| {
                into.push(key.clone());
                keys(value, into);
            }),
            serde_json::Value::Array(list) => list.iter().for_each(|value| keys(value, into)),
            _ => {}
        }
    }
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/statistics.md"));
    let page = text.expect("docs/statistics.md");
    let scenario =
        toml::from_str(&std::fs::read_to_string(scenarios().join("bad-rollout.toml")).expect("a scenario"))
            .expect("a scenario");
    let (_, mut found) = of(&scenario, 3000, 1);
    found.machines = of(&bad_cores(1, 8), 2000, 1).1.machines;
    found.machines[0].needed = Some(Default::default());
    found.errata.push(Default::default());
    if let Some(bug) = found.bugs.first_mut() {
        bug.split = Some(Default::default());
        bug.onset = Some(Default::default());
        bug.rollout = Some(Default::default());
        bug.triggers.push(Default::default());
        bug.variants.push(Default::default());
        bug.compared = Some(Default::default());
    }
    let mut all = Vec::new();
    keys(&serde_json::to_value(&found).expect("JSON"), &mut all);
    assert!(all.len() > 40);
    for key in all {
        let told = page.contains(&format!("`{key}`")) || page.contains(&format!("`{key}[]`"));
        assert!(told, "docs/statistics.md says nothing of {key}");
    }
}

/// Records that nobody would send.
fn hostile() -> Vec<Record> {
    let one = |n: u64| Record {
        id: Id(n.to_be_bytes().to_vec()),
        realtime_ns: Some(UNTIL - n % (20 * DAY)),
        host: Host { name: Some("one".into()), ..Host::default() },
        keys: Keys { leaf: Some(Hex(n % 7)), ..Keys::default() },
        process: Process { allowed_cores: Some(u32::MAX), ..Process::default() },
        ..Record::default()
    };
    let mut all: Vec<Record> = (0..50_000).map(one).collect();
    for (n, name) in ["", "\u{1b}[2J", "a\nb", "\u{202e}evil", "x"].into_iter().enumerate() {
        let mut record = one(100_000 + n as u64);
        record.host.name = Some(name.repeat(300));
        record.host.kernel = Some(name.repeat(1000));
        record.process.unit = Some(name.to_owned());
        all.push(record);
    }
    all.push(Record { realtime_ns: Some(u64::MAX), ..one(200_000) });
    all.push(Record { realtime_ns: None, ..one(200_001) });
    all.push(Record::default());
    all
}

#[test]
fn whatever_records_say_a_study_ends_in_words_and_accuses_nobody_of_nothing() {
    let mut gather = Gather::new(UNTIL - 28 * DAY, UNTIL);
    for record in hostile() {
        gather.crash(&record);
    }
    let census = |since: u64, bt: u64, n: u32| Exposure {
        realtime_ns: Some(UNTIL - 5),
        since_ns: Some(since),
        boottime_ns: Some(bt),
        host: Host { name: Some("one".into()), ..Host::default() },
        running: vec![Running { unit: Some("u".into()), n, ..Running::default() }],
        ..Exposure::default()
    };
    for exposure in
        [census(5, 1, 1), census(0, u64::MAX, u32::MAX), census(u64::MAX, 0, 0), Exposure::default()]
    {
        gather.census(&exposure);
    }
    let (population, directory, heard) = gather.done();
    assert!(heard.outside >= 2 && heard.nameless >= 1, "{heard:?}");
    let found = study(&population, &directory, heard, UNTIL);
    let text = serde_json::to_string(&found).expect("JSON");
    assert!(!text.contains("NaN") && found.machines.iter().all(|machine| machine.posterior.is_finite()));
    assert!(found.machines.iter().all(|machine| machine.verdict == Verdict::Look), "{:?}", found.machines);
    assert!(found.limits.iter().any(|limit| limit.contains("too few")), "{:?}", found.limits);
    let shown =
        epicore::report::study::study(&found, true, epicore::report::Paint::Plain, &jiff::tz::TimeZone::UTC);
    assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'));
}

#[test]
fn nothing_at_all_is_studied_as_well() {
    let (population, directory, heard) = Gather::new(0, 0).done();
    let found = study(&population, &directory, heard, 0);
    assert!(found.machines.is_empty() && found.bugs.is_empty() && !found.limits.is_empty());
}
