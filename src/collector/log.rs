//! What the collector says: text on standard error, or the journal when
//! systemd connected it. Nothing from the network reaches it unescaped.

use std::io::IsTerminal;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::settings::Level;

/// Characters that are said of one text.
const LONGEST: usize = 300;

/// `text` without anything that a terminal would obey, or a line would break at.
pub(super) fn clean(text: &str) -> String {
    text.chars().take(LONGEST).flat_map(char::escape_debug).collect()
}

/// Begins to say things.
pub(super) fn begin(level: Level) {
    let level = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    };
    let registry = tracing_subscriber::registry().with(level);
    if std::env::var_os("JOURNAL_STREAM").is_some()
        && let Ok(journal) = tracing_journald::layer()
    {
        let _ = registry.with(journal).try_init();
        return;
    }
    let terminal = std::io::stderr().is_terminal();
    let text = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(terminal);
    let _ = registry.with(text.with_target(false)).try_init();
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_log_line_is_one_line_whatever_was_sent() {
        assert_eq!(super::clean("a\nb\x1b[2J\u{202e}"), "a\\nb\\u{1b}[2J\\u{202e}");
        assert!(super::clean(&"\n".repeat(10_000)).len() <= 2 * super::LONGEST);
    }
}
