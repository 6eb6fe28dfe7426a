//! From a request's path to what it means.

use http::Method;
use percent_encoding::percent_decode_str;

use super::window::{ReadIndex, WriteIndex};
use crate::seq::Seq;

/// Longest channel name, in bytes after decoding.
const MAX_NAME: usize = 8 * 1024;

/// What a path addresses.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Channel {
        name: String,
    },
    Next {
        name: String,
    },
    /// The index as written; the channel's existence is checked before its form.
    Segment {
        name: String,
        index: String,
    },
}

/// Why a path addresses nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RouteError {
    NotFound,
    BadName,
}

impl Route {
    /// `base` starts and ends with `/`. Path segments are split before they are decoded, once.
    pub(crate) fn parse(base: &str, path: &str, method: &Method) -> Result<Self, RouteError> {
        let rest = path.strip_prefix(base).ok_or(RouteError::NotFound)?;
        let mut parts = rest.split('/');
        let raw_name = parts.next().unwrap_or_default();
        let raw_index = parts.next();
        if matches!(raw_name, "" | "." | "..") || raw_index == Some("") || parts.next().is_some() {
            return Err(RouteError::NotFound);
        }
        let name = decode(raw_name).filter(|name| is_name(name)).ok_or(RouteError::BadName)?;
        let Some(raw_index) = raw_index else {
            return Ok(Self::Channel { name });
        };
        let index = decode(raw_index).ok_or(RouteError::BadName)?;
        // Posting or deleting "next" is posting or deleting an index, and a bad one.
        let reads = matches!(*method, Method::GET | Method::HEAD);
        Ok(if reads && index == "next" { Self::Next { name } } else { Self::Segment { name, index } })
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME && !name.chars().any(char::is_control)
}

/// `None` for escapes that are none, and for what is not UTF-8.
fn decode(raw: &str) -> Option<String> {
    let mut escapes = raw.split('%').skip(1);
    let escape = |tail: &str| tail.as_bytes().get(..2).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
    if !escapes.all(escape) {
        return None;
    }
    Some(percent_decode_str(raw).decode_utf8().ok()?.into_owned())
}

/// `-1`, `-2` or a number.
pub(crate) fn read_index(text: &str) -> Option<ReadIndex> {
    match text.parse::<i64>().ok()? {
        -1 => Some(ReadIndex::Next),
        -2 => Some(ReadIndex::Current),
        number => u64::try_from(number).ok().map(ReadIndex::At),
    }
}

/// `-1` or a number that can be published.
pub(crate) fn write_index(text: &str) -> Option<WriteIndex> {
    match text.parse::<i64>().ok()? {
        -1 => Some(WriteIndex::Next),
        number => u64::try_from(number).ok().and_then(Seq::new).map(WriteIndex::At),
    }
}

/// A number.
pub(crate) fn seq(text: &str) -> Option<u64> {
    text.parse::<i64>().ok().and_then(|number| u64::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(base: &str, path: &str) -> Result<Route, RouteError> {
        Route::parse(base, path, &Method::GET)
    }

    fn channel(name: &str) -> Result<Route, RouteError> {
        Ok(Route::Channel { name: name.into() })
    }

    #[test]
    fn paths_are_split_before_they_are_decoded() {
        assert_eq!(parse("/", "/a%2Fb"), channel("a/b"));
        assert_eq!(parse("/", "/%2e%2e"), channel(".."));
        assert_eq!(parse("/", "/a+b;c"), channel("a+b;c"));
        assert_eq!(parse("/", "/%E2%98%83"), channel("☃"));
        assert_eq!(parse("/ai/trickle/", "/ai/trickle/c/nex%74"), Ok(Route::Next { name: "c".into() }));
        assert_eq!(parse("/", "/c/%30"), Ok(Route::Segment { name: "c".into(), index: "0".into() }));
    }

    #[test]
    fn other_paths_are_not_found() {
        for path in ["/", "/c/", "/c/0/", "/c/0/x", "/c/next/", "//c/0", "/.", "/../c"] {
            assert_eq!(parse("/", path), Err(RouteError::NotFound), "{path}");
        }
        assert_eq!(parse("/ai/", "/c"), Err(RouteError::NotFound));
    }

    #[test]
    fn names_that_could_forge_a_log_line_are_refused() {
        for path in ["/a%zz", "/a%", "/a%4", "/a%0Ab", "/%00", "/%ff", "/a%é"] {
            assert_eq!(parse("/", path), Err(RouteError::BadName), "{path}");
        }
        assert_eq!(parse("/", &format!("/{}", "n".repeat(5000))), channel(&"n".repeat(5000)));
        assert_eq!(parse("/", &format!("/{}", "n".repeat(9000))), Err(RouteError::BadName));
    }

    #[test]
    fn indices_are_signed_decimals_within_bounds() {
        for (text, number) in [("+0", 0), ("-0", 0), ("007", 7), ("9223372036854775807", i64::MAX as u64)] {
            assert_eq!(read_index(text), Some(ReadIndex::At(number)), "{text}");
        }
        for text in ["abc", "1.5", "1e3", "0x1", "1_0", "٣", " 1", "", "-3", "9223372036854775808"] {
            assert_eq!(read_index(text), None, "{text}");
        }
        assert_eq!(write_index("-1"), Some(WriteIndex::Next));
        assert_eq!(write_index("-2"), None);
        assert_eq!(write_index("9223372036854775807"), None);
        assert_eq!(seq("-1"), None);
    }
}
