//! A JSON Schema as it is kept for as long as its processor: as text, since a tree of values has many times as many bytes.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A JSON value as text. In JSON it is the value.
#[derive(Clone, Debug, PartialEq)]
pub struct SchemaText(String);

impl SchemaText {
    /// The text of a value.
    pub fn of(value: &Value) -> Self {
        Self(value.to_string())
    }

    /// The value.
    pub fn value(&self) -> Value {
        // It was made of one.
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

impl Serialize for SchemaText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SchemaText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(|value| Self::of(&value))
    }
}
