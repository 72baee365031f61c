//! CHAIN: what truly happened, innermost first, and whether a list of frames
//! tells it. Every token must be met, in order, with nothing in between:
//!
//! `name` that function · `name*` it, once or more · `...` any frames, or
//! none · `?` one frame in no object (a jump to nowhere) · `??` one such, or
//! none · `_` one frame of any kind, or none (one whose pc the crash has
//! destroyed: it may be inferred, or not). Frames after the last token (libc's, below main) are free.

use super::symbols::Place;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Name(String),
    Repeated(String),
    Any,
    Nowhere,
    MaybeNowhere,
    MaybeOne,
}

/// A parsed CHAIN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Token>);

impl Pattern {
    pub(crate) fn parse(text: &str) -> Pattern {
        let token = |word: &str| match word {
            "..." => Token::Any,
            "?" => Token::Nowhere,
            "??" => Token::MaybeNowhere,
            "_" => Token::MaybeOne,
            name => name.strip_suffix('*').map_or(Token::Name(name.into()), |n| Token::Repeated(n.into())),
        };
        Pattern(text.split(',').map(|word| token(word.trim())).collect())
    }

    /// Names of all functions in it.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.0
            .iter()
            .filter_map(|t| match t {
                Token::Name(n) | Token::Repeated(n) => Some(n.as_str()),
                _ => None,
            })
            .collect()
    }

    /// Whether the frames meet it, wholly.
    pub(crate) fn is_met_by(&self, frames: &[Place]) -> bool {
        // The set of positions that can be reached after each token.
        let mut reached = vec![false; frames.len() + 1];
        reached[0] = true;
        for token in &self.0 {
            let mut next = vec![false; frames.len() + 1];
            for at in 0..=frames.len() {
                let before = at.checked_sub(1);
                let step = |wanted: &dyn Fn(&Place) -> bool| before.is_some_and(|b| wanted(&frames[b]));
                let named = |n: &str| step(&|p| matches!(p, Place::Named(name) if name == n));
                let nowhere = step(&|p| *p == Place::Nowhere);
                let came = before.is_some_and(|b| reached[b]);
                let stayed = before.is_some_and(|b| next[b]);
                next[at] = match token {
                    Token::Name(n) => came && named(n),
                    Token::Repeated(n) => (came || stayed) && named(n),
                    Token::Any => reached[at] || stayed,
                    Token::Nowhere => came && nowhere,
                    Token::MaybeNowhere => reached[at] || (came && nowhere),
                    Token::MaybeOne => reached[at] || came,
                };
            }
            reached = next;
        }
        reached.contains(&true)
    }
}

/// Frames for people: repeated ones folded, long ones cut.
pub(crate) fn shown(frames: &[Place]) -> String {
    let mut text: Vec<String> = Vec::new();
    let mut i = 0;
    while i < frames.len() && text.len() < 16 {
        let run = frames[i..].iter().take_while(|f| **f == frames[i]).count();
        text.push(if run > 1 { format!("{}×{run}", frames[i]) } else { frames[i].to_string() });
        i += run;
    }
    if i < frames.len() {
        text.push(format!("… {} more", frames.len() - i));
    }
    text.join(" ")
}
