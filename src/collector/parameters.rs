//! What stands behind the `?` of a question.
//!
//! A parameter that a route does not have is an error: a misspelt filter would
//! answer another question than the one that was asked.

use axum::extract::Query;
use axum::http::Uri;

use super::answer::Trouble;
use crate::store::{Search, Window};

/// Parameters of one request.
const MOST: usize = 32;
/// The longest value.
const LONGEST: usize = 4096;
/// Rows of a list, at most.
const ROWS: u32 = 10_000;
/// Rows of a list, when the caller does not say.
const ROWS_DEFAULT: u32 = 1000;
/// Records of a page, at most.
const PAGE: u32 = 1000;

/// The parameters of one request, each once.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Those of `uri`, of which a route knows `known`.
    pub(super) fn of(uri: &Uri, known: &[&str]) -> Result<Parameters, Trouble> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|_| {
            Trouble::malformed("the parameters are not readable").next("NAME=VALUE, joined by &")
        })?;
        if pairs.len() > MOST || pairs.iter().any(|(_, value)| value.len() > LONGEST) {
            return Err(Trouble::malformed("too many parameters, or one that is too long"));
        }
        for (at, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(Trouble::malformed(format!("there is no parameter {name:?}"))
                    .next(format!("there are: {}", known.join(", "))));
            }
            if pairs.iter().skip(at.saturating_add(1)).any(|(other, _)| other == name) {
                return Err(Trouble::malformed(format!("{name} stands there twice")).next("give it once"));
            }
        }
        Ok(Parameters(pairs))
    }

    /// The text of a parameter, when it is given and not empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let pair = self.0.iter().find(|(known, _)| known == name);
        pair.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    /// A whole number.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Trouble> {
        let parse = |text: &str| {
            text.parse::<u64>().map_err(|_| Trouble::malformed(format!("{name} is not a whole number")))
        };
        self.text(name).map(parse).transpose()
    }

    /// A number of at most 32 bits.
    pub(super) fn small(&self, name: &str) -> Result<Option<u32>, Trouble> {
        let narrow = |n| u32::try_from(n).map_err(|_| Trouble::malformed(format!("{name} is too large")));
        self.number(name)?.map(narrow).transpose()
    }

    /// True or false, `1` or `0`; absent is false.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Trouble> {
        match self.text(name) {
            None | Some("0" | "false") => Ok(false),
            Some("1" | "true") => Ok(true),
            Some(_) => Err(Trouble::malformed(format!("{name} is neither true nor false"))),
        }
    }

    /// A moment: nanoseconds since the epoch, or RFC 3339.
    pub(super) fn time(&self, name: &str) -> Result<Option<u64>, Trouble> {
        self.text(name).map(|text| moment(name, text)).transpose()
    }

    /// A span of time and a number of rows.
    pub(super) fn window(&self) -> Result<Window, Trouble> {
        Ok(Window {
            since: self.time("since")?.unwrap_or(0),
            until: self.time("until")?.unwrap_or(u64::MAX),
            most: self.small("limit")?.unwrap_or(ROWS_DEFAULT).clamp(1, ROWS),
        })
    }

    /// A search. `oldest` = the order when none is given.
    pub(super) fn search(&self, oldest: bool) -> Result<Search, Trouble> {
        let newest_first = match self.text("order") {
            None => !oldest,
            Some("newest") => true,
            Some("oldest") => false,
            Some(_) => return Err(Trouble::malformed("order is neither newest nor oldest")),
        };
        Ok(Search {
            since: self.time("since")?,
            until: self.time("until")?,
            host: self.owned("host"),
            unit: self.owned("unit"),
            exe: self.owned("exe"),
            signal: self.small("signal")?,
            signature: self.digits("signature")?,
            build: self.digits("build")?,
            after: self.number("after")?,
            newest_first,
            private: self.flag("private")?,
            most: self.small("limit")?.unwrap_or(0).min(PAGE),
        })
    }

    /// Hexadecimal digits in lower case, `0x` taken off.
    pub(super) fn digits(&self, name: &str) -> Result<Option<String>, Trouble> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let digits = text.strip_prefix("0x").unwrap_or(text).to_ascii_lowercase();
        if digits.is_empty() || digits.len() > 128 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(Trouble::malformed(format!("{name} is not hexadecimal")));
        }
        Ok(Some(digits))
    }
}

fn moment(name: &str, text: &str) -> Result<u64, Trouble> {
    if let Ok(nanoseconds) = text.parse::<u64>() {
        return Ok(nanoseconds);
    }
    let wrong = || {
        Trouble::malformed(format!("{name} is not a time"))
            .next("nanoseconds since the epoch, or RFC 3339: 2026-11-23T08:00:00Z (`+` in a URL is %2B)")
    };
    let moment: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
    u64::try_from(moment.as_nanosecond()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> Result<Parameters, Trouble> {
        let uri: Uri = format!("/v1/records?{query}").parse().unwrap();
        Parameters::of(&uri, &["since", "until", "limit", "signature", "order", "host", "private"])
    }

    #[test]
    fn a_time_is_nanoseconds_or_rfc_3339() {
        let window = of("since=1&until=1970-01-01T01:00:01%2B01:00").unwrap().window().unwrap();
        assert_eq!((window.since, window.until), (1, 1_000_000_000));
        assert!(of("since=yesterday").unwrap().window().is_err());
        assert!(of("since=1930-01-01T00:00:00Z").unwrap().window().is_err());
    }

    #[test]
    fn a_misspelt_or_doubled_parameter_is_an_error_that_lists_the_right_ones() {
        assert!(of("hots=web").unwrap_err().respond(super::super::answer::Format::Json).status() == 400);
        assert!(of("host=a&host=b").is_err());
        assert!(of("private=maybe").unwrap().search(false).is_err());
        assert!(of("order=sideways").unwrap().search(false).is_err());
    }

    #[test]
    fn a_signature_is_hexadecimal_and_rows_are_bounded() {
        let parameters = of("signature=0xAB&limit=4000000").unwrap();
        assert_eq!(parameters.digits("signature").unwrap().as_deref(), Some("ab"));
        assert_eq!(parameters.window().unwrap().most, ROWS);
        assert_eq!(parameters.search(true).unwrap().most, PAGE);
        assert!(of("signature=xyz").unwrap().digits("signature").is_err());
    }
}
