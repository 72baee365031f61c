//! Who judges the judge: the chain matcher, the declarations of the victims
//! and the guard of the kernel's settings keep their own promises.

mod support;

use support::chain::Pattern;
use support::symbols::Place;
use support::victims::Victim;

fn places(text: &str) -> Vec<Place> {
    let place = |word: &str| match word {
        "?" => Place::Nowhere,
        "libc" => Place::Module("/lib/libc.so.6".into()),
        name => Place::Named(name.into()),
    };
    text.split_whitespace().map(place).collect()
}

fn met(chain: &str, frames: &str) -> bool {
    Pattern::parse(chain).is_met_by(&places(frames))
}

#[test]
fn a_chain_is_met_by_its_functions_in_order_and_whatever_lies_below_main() {
    assert!(met("a,b,main", "a b main"));
    assert!(met("a,b,main", "a b main libc libc _start"));
}

#[test]
fn a_chain_is_not_met_when_a_frame_is_missing_invented_or_swapped() {
    for frames in ["a main", "b main", "a b", "a x b main", "a ? b main", "b a main", "a a b main", ""] {
        assert!(!met("a,b,main", frames), "{frames}");
    }
}

#[test]
fn dots_stand_for_any_frames_or_none() {
    for frames in ["a main", "libc libc a main", "? a main"] {
        assert!(met("...,a,main", frames), "{frames}");
    }
    assert!(met("a,...,b,main", "a libc libc b main"));
    assert!(!met("...,a,main", "libc a libc main"));
}

#[test]
fn a_star_stands_for_one_repetition_or_many() {
    assert!(met("f*,main", "f main") && met("f*,main", "f f f main"));
    assert!(!met("f*,main", "main") && !met("f*,main", "f g f main"));
}

#[test]
fn a_question_mark_is_one_frame_in_no_object() {
    assert!(met("?,a,main", "? a main"));
    for frames in ["a main", "? ? a main", "libc a main"] {
        assert!(!met("?,a,main", frames), "{frames}");
    }
    assert!(met("??,a,main", "? a main") && met("??,a,main", "a main"));
}

#[test]
fn an_underscore_is_one_frame_of_any_kind_or_none() {
    for frames in ["a main", "? a main", "libc a main", "b a main"] {
        assert!(met("_,a,main", frames), "{frames}");
    }
    assert!(!met("_,a,main", "? ? a main"));
}

#[test]
fn names_lose_their_namespaces_parameters_and_suffixes() {
    for (symbol, base) in [
        ("main", "main"),
        ("parse.part.0", "parse"),
        ("report.cold", "report"),
        ("_ZN5GuardD1Ev", "~Guard"),
        ("_ZN5ShapeC2Ev", "Shape"),
        ("_ZN2ns5applyIiEEvT_", "apply"),
        ("_ZN6victim5third17h0123456789abcdefE", "third"),
        ("_ZN6victim4main28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE", "{{closure}}"),
    ] {
        assert_eq!(support::symbols::base_name(symbol), base, "{symbol}");
    }
}

#[test]
fn every_victim_declares_its_chain_its_cause_and_its_signal() {
    let victims = Victim::all();
    for victim in &victims {
        assert!(!victim.chain.names().is_empty(), "{}: a chain without a name says nothing", victim.name);
        assert!(
            victim.cause.ends_with('.') || victim.cause.ends_with(')'),
            "{}: CAUSE is a sentence",
            victim.name
        );
    }
    assert!(victims.len() >= 44 || std::env::var_os("EPICORE_VICTIMS").is_some(), "{}", victims.len());
}

#[test]
fn every_function_that_a_chain_names_is_in_the_victims_symbols() {
    let victims = Victim::all();
    let built = support::workshop::build_all(&victims);
    for (victim, built) in victims.iter().zip(&built) {
        let files = [Some(&built.app_twin), built.plugin_twin.as_ref()];
        let mut known: Vec<String> = files
            .into_iter()
            .flatten()
            .flat_map(|f| support::elf::functions(&std::fs::read(f).expect("a twin")))
            .map(|(_, _, name)| support::symbols::base_name(&name))
            .collect();
        let source = std::fs::read_to_string(&victim.source).expect("a source");
        known.extend(source.split("RANGE(\"").skip(1).filter_map(|r| Some(r.split('"').next()?.to_owned())));
        for name in victim.chain.names() {
            assert!(known.iter().any(|k| k == name), "{}: no function {name}", victim.name);
        }
    }
}

#[test]
fn stripped_victims_have_no_symbols_but_the_build_id_of_their_twin() {
    for victim in Victim::all().into_iter().filter(|v| v.build.iter().any(|w| w == "strip")) {
        let built = support::workshop::build(&victim);
        let [app, twin] = [&built.app, &built.app_twin].map(|p| std::fs::read(p).expect("a file"));
        assert_eq!(support::elf::build_id(&app), support::elf::build_id(&twin), "{}", victim.name);
        let main = |file: &[u8]| support::elf::functions(file).iter().any(|f| f.2 == "main");
        assert!(main(&twin) && !main(&app), "{}", victim.name);
    }
}

#[test]
fn the_kernels_settings_return_when_the_test_that_changed_them_is_killed() {
    if let Err(why) = support::may_set_core_pattern() {
        println!("skipped: {why}");
        return;
    }
    const ASKED: &str = "EPICORE_TEST_HOLD_PATTERN";
    let pattern = || std::fs::read_to_string("/proc/sys/kernel/core_pattern").expect("core_pattern");
    if std::env::var_os(ASKED).is_some() {
        let guard = support::pattern_guard::PatternGuard::take();
        guard.set("kernel/core_pattern", "|/run/epi-none/h -P%P");
        println!("held");
        std::thread::sleep(std::time::Duration::from_secs(60));
        return;
    }
    let name = "the_kernels_settings_return_when_the_test_that_changed_them_is_killed";
    let mut other = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", name, "--nocapture"])
        .env(ASKED, "1")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("another of us");
    let mut said = std::io::BufReader::new(other.stdout.take().expect("its stdout"));
    let mut line = String::new();
    while !line.contains("held") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut said, &mut line).expect("a line") > 0, "it ended early");
    }
    assert_eq!(pattern(), "|/run/epi-none/h -P%P\n");
    other.kill().expect("SIGKILL");
    other.wait().expect("its end");
    // The watchdog holds the lock until the settings are back, so having it means they are.
    let lock = std::fs::File::create(support::pattern_guard::LOCK).expect("the lock file");
    lock.lock().expect("the lock");
    assert!(!pattern().starts_with("|/run/epi-none"), "{}", pattern());
}
