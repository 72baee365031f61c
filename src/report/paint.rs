//! Weight and colour, or neither: decided once by whoever knows the terminal.
//!
//! Colour only repeats what the words say already; nothing is told by it.

/// Whether text may carry SGR sequences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paint {
    /// Text alone: a file, a pipe, NO_COLOR.
    #[default]
    Plain,
    /// A terminal.
    Colour,
}

impl Paint {
    fn sgr(self, code: &str, text: &str) -> String {
        match self {
            Paint::Plain => text.to_owned(),
            Paint::Colour => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }

    /// What is read first.
    pub fn bold(self, text: &str) -> String {
        self.sgr("1", text)
    }

    /// What is read last.
    pub fn dim(self, text: &str) -> String {
        self.sgr("2", text)
    }

    /// Something failed.
    pub fn red(self, text: &str) -> String {
        self.sgr("31", text)
    }

    /// Something deserves a look.
    pub fn yellow(self, text: &str) -> String {
        self.sgr("33", text)
    }

    /// Something is as it should be.
    pub fn green(self, text: &str) -> String {
        self.sgr("32", text)
    }
}
