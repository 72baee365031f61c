//! Canaries: random bytes that are planted in a process before it crashes,
//! and looked for wherever the handler lets bytes out.

use std::collections::HashMap;
use std::io::Read;

/// A window this long that matches is no accident: 47 bits of randomness.
const WINDOW: usize = 8;
/// Bytes of one canary.
const SIZE: usize = 32;

/// Planted at these places; the first two by exec, the others by canary.c.
pub(crate) const PLACES: [&str; 9] =
    ["argv", "environment", "heap", "thread stacks", "data", "bss", "vector registers", "assertion", "stack"];

/// One run's canaries.
pub(crate) struct Canaries {
    texts: Vec<String>,
    windows: HashMap<[u8; WINDOW], &'static str>,
}

impl Canaries {
    /// New ones: letters and digits, so that no escaping or UTF-8 conversion
    /// on the way could hide them.
    pub(crate) fn new() -> Canaries {
        let mut random = [0u8; SIZE * PLACES.len()];
        let source = std::fs::File::open("/dev/urandom");
        source.and_then(|mut file| file.read_exact(&mut random)).expect("/dev/urandom");
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let letter = |byte: &u8| char::from(letters[usize::from(*byte) % letters.len()]);
        let texts: Vec<String> = random.chunks(SIZE).map(|part| part.iter().map(letter).collect()).collect();
        let mut windows = HashMap::new();
        for (text, place) in texts.iter().zip(PLACES) {
            for window in text.as_bytes().windows(WINDOW) {
                let mut window: [u8; WINDOW] = window.try_into().expect("a window");
                windows.insert(window, place);
                // A number read from memory and written the other way round.
                window.reverse();
                windows.insert(window, place);
            }
        }
        Canaries { texts, windows }
    }

    pub(crate) fn argv(&self) -> &str {
        &self.texts[0]
    }

    pub(crate) fn environment(&self) -> &str {
        &self.texts[1]
    }

    /// What canary.c reads.
    pub(crate) fn input(&self) -> String {
        self.texts[2..].iter().map(|text| format!("{text}\n")).collect()
    }

    /// The places whose canary shows in these bytes: as they are, reversed,
    /// or in hexadecimal.
    pub(crate) fn in_bytes(&self, bytes: &[u8]) -> Vec<&'static str> {
        let direct = self.scan(bytes);
        let text: Vec<u8> = bytes.iter().map(u8::to_ascii_lowercase).collect();
        let even = unhex(&text);
        let odd = unhex(text.get(1..).unwrap_or_default());
        let mut found: Vec<_> = [direct, self.scan(&even), self.scan(&odd)].concat();
        found.sort_unstable();
        found.dedup();
        found
    }

    fn scan(&self, bytes: &[u8]) -> Vec<&'static str> {
        let hit = |window: &[u8]| self.windows.get(<&[u8; WINDOW]>::try_from(window).ok()?).copied();
        bytes.windows(WINDOW).filter_map(hit).collect()
    }
}

/// Pairs of hexadecimal digits as bytes; anything else as 0.
fn unhex(text: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    text.chunks(2)
        .map(|pair| match pair {
            [high, low] => digit(*high).zip(digit(*low)).map_or(0, |(high, low)| high << 4 | low),
            _ => 0,
        })
        .collect()
}
