//! JSON that others send: how much it would be in memory, asked before it is read.

use thiserror::Error;

/// Values that one text may have.
const MAX_VALUES: usize = 100_000;

/// Values that an object counts as: the least that it takes is about 640 bytes, where a value takes 32.
const OBJECT: usize = 20;

/// A text would become too much.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("more than {MAX_VALUES} values, each object counted as {OBJECT}")]
pub struct TooManyValues;

/// Refuses a text with more values than one may have. Whether it is JSON at all shows when it is read.
pub fn check_values(text: &[u8]) -> Result<(), TooManyValues> {
    let (mut values, mut quoted, mut escaped) = (1_usize, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' if !quoted => values += OBJECT,
            b'[' | b',' if !quoted => values += 1,
            _ => {}
        }
    }
    if values <= MAX_VALUES { Ok(()) } else { Err(TooManyValues) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches small objects that take a hundred times their text in memory, and text that is taken for values.
    #[test]
    fn values_are_counted_before_they_are_made() {
        let list = |member: &str, count: usize| format!("[{}]", vec![member; count].join(","));
        assert_eq!(check_values(list("1", MAX_VALUES - 2).as_bytes()), Ok(()));
        assert_eq!(check_values(list("1", MAX_VALUES).as_bytes()), Err(TooManyValues));
        assert_eq!(check_values(list("{}", MAX_VALUES / OBJECT).as_bytes()), Err(TooManyValues));
        let text = format!(r#"{{"a\",{{":"{}\\"}}"#, "[,{".repeat(MAX_VALUES));
        assert_eq!(check_values(text.as_bytes()), Ok(()));
    }
}
