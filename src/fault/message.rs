//! The message of an abort, as far as it stands in a program's file.
//!
//! What glibc keeps for the debugger (`__abort_msg`) has one of three forms, and
//! only these are told; the words in them must be whole strings of read-only data
//! of the modules at hand, the rest becomes "…". So nothing that a user typed
//! leaves the host, but that it was the same as a string of the program.
//!
//! ```text
//! PROGRAM: FILE:LINE: FUNCTION: Assertion `EXPRESSION' failed.    assert/assert.c
//! *** REASON ***: terminated                                      debug/fortify_fail.c
//! REASON                                                          malloc/malloc.c
//! ```
//!
//! Trusts: nothing; messages of at most [`crate::limits::ABORT_MESSAGE`] bytes.

/// What stands for what is no string of a file.
const GAP: &str = "…";

/// The template; None for another form, and where no word is known.
pub(super) fn template(message: &[u8], data: &[Vec<u8>]) -> Option<String> {
    let message = message.trim_ascii();
    let known = |text: &[u8]| !text.is_empty() && data.iter().any(|bytes| has_string(bytes, text));
    let word = |text: &[u8]| match std::str::from_utf8(text) {
        Ok(text) if known(text.as_bytes()) && !text.chars().any(char::is_control) => text.to_owned(),
        _ => GAP.to_owned(),
    };
    if let Some(assertion) = assertion(message) {
        let [file, function, expression] = assertion.map(word);
        let any = [&file, &function, &expression].iter().any(|word| *word != GAP);
        return any.then(|| format!("{file}: {function}: Assertion `{expression}' failed"));
    }
    let ended = message.strip_prefix(b"*** ").and_then(|rest| rest.strip_suffix(b" ***: terminated"));
    let reason = word(ended.unwrap_or(message));
    (reason != GAP).then_some(reason)
}

/// File, function and expression.
fn assertion(message: &[u8]) -> Option<[&[u8]; 3]> {
    let rest = message.strip_suffix(b"' failed.")?;
    let (head, expression) = split(rest, b": Assertion `")?;
    // PROGRAM: FILE:LINE: FUNCTION; a program or function may have colons, a line
    // is digits between two.
    let line = (0..head.len()).find_map(|at| {
        let (before, after) = head.split_at_checked(at)?;
        let digits = after.strip_prefix(b":")?;
        let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let function = digits.get(count..)?.strip_prefix(b": ").filter(|_| count > 0)?;
        Some((before, function))
    })?;
    let (program, function) = line;
    let file = split(program, b": ").map_or(program, |(_, file)| file);
    Some([file, function, expression])
}

fn split<'a>(text: &'a [u8], by: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(by.len()).position(|window| window == by)?;
    let (before, rest) = text.split_at_checked(at)?;
    Some((before, rest.strip_prefix(by)?))
}

/// A string that begins and ends there, or ends with a newline.
fn has_string(data: &[u8], text: &[u8]) -> bool {
    data.split(|byte| *byte == 0).any(|string| string.trim_ascii_end() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(message: &str) -> Option<String> {
        let libc =
            b"\0free(): double free detected in tcache 2\0stack smashing detected\0digits 0123456789\0";
        let own = b"\0pool.c\0take\0count < limit\0password1\0a::b(int)\0";
        template(message.as_bytes(), &[libc.to_vec(), own.to_vec()])
    }

    #[test]
    fn of_a_message_only_strings_of_its_modules_are_kept() {
        let text = of("server: pool.c:81: take: Assertion `count < limit' failed.\n");
        assert_eq!(text.as_deref(), Some("pool.c: take: Assertion `count < limit' failed"));
        let text = of("my: server: pool.c:8: a::b(int): Assertion `other' failed.");
        assert_eq!(text.as_deref(), Some("…: a::b(int): Assertion `…' failed"));
        let text = of("free(): double free detected in tcache 2\n");
        assert_eq!(text.as_deref(), Some("free(): double free detected in tcache 2"));
        let text = of("*** stack smashing detected ***: terminated\n");
        assert_eq!(text.as_deref(), Some("stack smashing detected"));
    }

    #[test]
    fn what_a_user_typed_is_not_kept() {
        for message in
            ["", "hunter2", "login: bad password password1", "12345678", ").(,:", "detected in tcache 2"]
        {
            assert_eq!(of(message), None, "{message}");
        }
        let text = of("bad hunter2:9: alice: Assertion `count < limit' failed.").expect("a template");
        assert_eq!(text, "…: …: Assertion `count < limit' failed");
    }

    #[test]
    fn the_longest_message_of_one_byte_is_looked_at_in_one_pass() {
        let data = vec![vec![b'-'; 1 << 19]; 4];
        assert_eq!(template(&[b'-'; 1024], &data), None);
        assert_eq!(template(&[b':'; 1024], &data), None);
    }
}
