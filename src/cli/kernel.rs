//! What the kernel told of crashes, and what no handler began for, in one line.

use super::output::Output;
use crate::daemon::{Dropped, Status};
use crate::report::escape::clean;
use crate::report::{amount, time};

/// The words, and what to do; nothing where epicored is not yet sure, and of an epicored
/// that does not count.
pub(super) fn told(status: &Status, out: &Output) -> Option<(String, &'static str)> {
    if let Some(why) = &status.uncounted {
        let next = "The kernel's log has some of what it drops: `epicore doctor`. docs/daemon.md says what it needs.";
        return Some((format!("crashes without a handler are not counted: {}", clean(why)), next));
    }
    let told = status.dropped.as_ref()?;
    let since = time::short(Some(told.since), &out.zone);
    let next = match (told.dropped, told.missed) {
        (0, false) => "",
        (0, true) => {
            "Something was missed: exact again when epicored starts again. docs/daemon.md has the causes."
        }
        (_, false) => "They left no record. `epicore doctor` looks for why.",
        (_, true) => {
            "They left no record: `epicore doctor`. Something was missed, too: exact when epicored starts again."
        }
    };
    Some((words(told, &since), next))
}

/// "412 crashes since …; no handler began for 3".
fn words(told: &Dropped, since: &str) -> String {
    let crashes = amount::of(told.crashes, "crash");
    let dropped = amount::count(told.dropped);
    match (told.exact, told.dropped) {
        (true, 0) => format!("{crashes} since {since}; a handler began for each"),
        (true, _) => format!("{crashes} since {since}; no handler began for {dropped}"),
        (false, 0) => {
            format!("at least {crashes} since {since}; whether a handler began for each is not known")
        }
        (false, _) => format!("at least {crashes} since {since}; no handler began for at least {dropped}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_never_told_as_the_number() {
        let told = |crashes, dropped, exact| {
            words(&Dropped { crashes, dropped, exact, ..Dropped::default() }, "noon")
        };
        assert_eq!(told(1, 0, true), "1 crash since noon; a handler began for each");
        assert_eq!(told(5, 4, true), "5 crashes since noon; no handler began for 4");
        assert_eq!(told(5, 4, false), "at least 5 crashes since noon; no handler began for at least 4");
        assert!(told(5, 0, false).ends_with("is not known"));
    }
}
