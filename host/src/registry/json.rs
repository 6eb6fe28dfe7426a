//! JSON that others send: how much it would be in memory, asked before it is read.

use serde_json::Value;
use thiserror::Error;

/// Values that texts may have which are in memory together.
const MAX_VALUES: usize = 100_000;

/// Values that an object counts as: the least that it takes is about 640 bytes, where a value takes 32.
const OBJECT: usize = 20;

/// Texts would become too much.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("more than {MAX_VALUES} values, each object counted as {OBJECT}")]
pub struct TooManyValues;

/// How many values more there may be.
#[derive(Debug)]
pub struct ValueBudget(usize);

impl Default for ValueBudget {
    fn default() -> Self {
        Self(MAX_VALUES)
    }
}

impl ValueBudget {
    /// Refuses a text with more values than are left. Whether it is JSON at all shows when it is read.
    pub fn read(&mut self, text: &[u8]) -> Result<(), TooManyValues> {
        self.spend(values_in(text))
    }

    /// Refuses what was read if it is more than is left.
    pub fn keep(&mut self, value: &Value) -> Result<(), TooManyValues> {
        self.spend(values_of(value))
    }

    fn spend(&mut self, values: usize) -> Result<(), TooManyValues> {
        self.0 = self.0.checked_sub(values).ok_or(TooManyValues)?;
        Ok(())
    }
}

fn values_of(value: &Value) -> usize {
    match value {
        Value::Array(members) => 1 + members.iter().map(values_of).sum::<usize>(),
        Value::Object(members) => OBJECT + members.values().map(values_of).sum::<usize>(),
        _ => 1,
    }
}

/// Never less than the values of a text that is one value of JSON.
fn values_in(text: &[u8]) -> usize {
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
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), TooManyValues> {
        ValueBudget::default().read(text.as_bytes())
    }

    fn list(member: &str, count: usize) -> String {
        format!("[{}]", vec![member; count].join(","))
    }

    /// Catches small objects that take a hundred times their text in memory, and text that is taken for values.
    #[test]
    fn values_are_counted_before_they_are_made() {
        assert_eq!(check(&list("1", MAX_VALUES - 2)), Ok(()));
        assert_eq!(check(&list("1", MAX_VALUES)), Err(TooManyValues));
        assert_eq!(check(&list("{}", MAX_VALUES / OBJECT)), Err(TooManyValues));
        assert_eq!(check(&format!(r#"{{"a\",{{":"{}\\"}}"#, "[,{".repeat(MAX_VALUES))), Ok(()));
    }

    /// Catches values that are counted for less once they are read, and texts that each take all that there is.
    #[test]
    fn what_was_read_is_no_more_than_its_text() {
        let text = format!(r#"{{ "a": {}, "b": [[], {{}}, "\"{{", 7] }}"#, list("{}", 3_000));
        let value: Value = serde_json::from_str(&text).unwrap();
        // An empty list or object counts for one more where it is not known yet that it is empty.
        assert_eq!(values_of(&value) + 3_002, values_in(text.as_bytes()));
        let mut budget = ValueBudget::default();
        assert_eq!(budget.read(text.as_bytes()), Ok(()));
        assert_eq!(budget.keep(&value), Err(TooManyValues));
    }
}
