//! Params of a processor, checked against the schema that it came with.
//!
//! The schema is hostile input: `schema` says what it may be, and its patterns run in linear time.

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value};
use thiserror::Error;

use super::json::ValueBudget;
use super::schema::{MAX_SCHEMA, SchemaError, measure};

/// Parts of a schema times bytes of params that are checked against it: each part looks at each byte once at most.
const MAX_WORK: usize = 64 << 20;

/// Bytes of params at most, whatever their schema.
const MAX_PARAMS: usize = 1 << 20;

/// Bytes of a compiled pattern at most, and of what it keeps while it runs.
const PATTERN_SIZE: usize = 128 << 10;
const PATTERN_CACHE: usize = 256 << 10;

/// Bytes that a value counts besides its text.
const VALUE: usize = 8;

/// Parts of a schema times values that are checked against it for which it is said what is wrong: there may be as many errors.
const MAX_EXPLAINED: usize = 1 << 18;

/// Params of the host itself, taken out before a processor sees any.
pub const HOST_KEYS: [&str; 6] =
    ["width", "height", "max_framerate", "detect_out_resolution", "show_loading", "load_model"];

/// A value that does not fit.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("params{pointer}: {message}")]
pub struct ParamsError {
    /// JSON pointer to the value.
    pub pointer: String,
    /// What is wrong with it.
    pub message: String,
}

/// A compiled schema.
#[derive(Debug)]
pub struct ParamsSchema {
    validator: Validator,
    /// Keys that params may have; any, where the schema says so.
    known: Option<Vec<String>>,
    parts: usize,
}

impl ParamsSchema {
    /// Reads a schema as a guest gave it.
    pub fn parse(text: &str) -> Result<Value, SchemaError> {
        if text.len() > MAX_SCHEMA {
            return Err(SchemaError::TooLarge(text.len()));
        }
        serde_json::from_str(text).map_err(SchemaError::Json)
    }

    /// Compiles a schema.
    pub fn compile(schema: &Value) -> Result<Self, SchemaError> {
        let parts = measure(schema)?;
        let object = schema.as_object().ok_or(SchemaError::NotAnObject)?;
        let properties = object.get("properties").and_then(Value::as_object);
        let keys: Vec<String> = properties.into_iter().flatten().map(|(key, _)| key.clone()).collect();
        if let Some(taken) = keys.iter().find(|key| HOST_KEYS.contains(&key.as_str())) {
            return Err(SchemaError::HostKey(taken.clone()));
        }
        let open = object.get("additionalProperties").is_some_and(|value| value != &Value::Bool(false))
            || object.contains_key("patternProperties");
        let validator = jsonschema::options()
            // Before 2019-09 it reads texts as JSON, which may be far more in memory than the text.
            .without_content_media_type_support("application/json")
            .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_SIZE).dfa_size_limit(PATTERN_CACHE))
            .build(schema)
            .map_err(SchemaError::Invalid)?;
        Ok(Self { validator, known: (!open).then_some(keys), parts: parts.max(1) })
    }

    /// Checks whole params, after a merge.
    pub fn check(&self, params: &Map<String, Value>) -> Result<(), ParamsError> {
        if let Some(known) = &self.known
            && let Some(key) = params.keys().find(|key| !known.contains(key))
        {
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let message = format!("unknown; this processor's params are: {known}");
            return Err(ParamsError { pointer: format!("/{}", escape(key)), message });
        }
        let size: usize = params.iter().map(|(key, value)| key.len() + size(value)).sum();
        let most = MAX_PARAMS.min(MAX_WORK / self.parts);
        if size > most {
            let message = format!("{size} bytes of params are more than the {most} that there may be");
            return Err(ParamsError { pointer: String::new(), message });
        }
        let params = Value::Object(params.clone());
        ValueBudget::default()
            .keep(&params)
            .map_err(|error| ParamsError { pointer: String::new(), message: format!("there are {error}") })?;
        if self.validator.is_valid(&params) {
            return Ok(());
        }
        let first = match values(&params).saturating_mul(self.parts) {
            0..=MAX_EXPLAINED => self.validator.validate(&params).err(),
            _ => None,
        };
        Err(match first {
            Some(error) => ParamsError { pointer: error.instance_path().to_string(), message: error.to_string() },
            None => ParamsError { pointer: String::new(), message: "they do not fit the schema".to_owned() },
        })
    }
}

/// A key as a part of a JSON pointer (RFC 6901).
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Bytes of a value, about as many as its text has.
fn size(value: &Value) -> usize {
    VALUE
        + match value {
            Value::String(text) => text.len(),
            Value::Array(values) => values.iter().map(size).sum(),
            Value::Object(members) => members.iter().map(|(key, value)| key.len() + size(value)).sum(),
            _ => 0,
        }
}

fn values(value: &Value) -> usize {
    1 + match value {
        Value::Array(members) => members.iter().map(values).sum(),
        Value::Object(members) => members.values().map(values).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> ParamsSchema {
        ParamsSchema::compile(&json!({
            "type": "object",
            "properties": { "intensity": { "type": "number", "minimum": 0.0, "maximum": 1.0 } }
        }))
        .unwrap()
    }

    fn check_params(params: Value) -> Result<(), ParamsError> {
        schema().check(params.as_object().unwrap())
    }

    #[test]
    fn a_value_out_of_range_is_named_by_its_pointer() {
        assert_eq!(check_params(json!({ "intensity": 0.5 })), Ok(()));
        assert_eq!(check_params(json!({ "intensity": 7 })).unwrap_err().pointer, "/intensity");
        assert_eq!(check_params(json!({ "intensity": "0.5" })).unwrap_err().pointer, "/intensity");
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_known_ones() {
        let error = check_params(json!({ "in/tensity": 1 })).unwrap_err();
        assert_eq!(error.pointer, "/in~1tensity");
        assert!(error.message.contains("intensity"));
    }

    #[test]
    fn schemas_that_reach_out_or_take_host_keys_are_refused() {
        for (schema, word) in [
            (json!({ "properties": { "a": { "$ref": "http://localhost/x" } } }), "$ref"),
            (json!({ "properties": { "width": {} } }), "width"),
            (json!(["not", "a", "schema"]), "object"),
            (json!({ "type": 7 }), "hold"),
        ] {
            let refusal = ParamsSchema::compile(&schema).unwrap_err().to_string();
            assert!(refusal.contains(word), "{schema}: {refusal}");
        }
    }

    #[test]
    fn a_pattern_that_backtracks_for_ever_is_refused_or_quick() {
        let schema = json!({ "type": "object", "properties": { "a": { "type": "string", "pattern": "^(a+)+$" } } });
        let schema = ParamsSchema::compile(&schema).unwrap();
        let params = json!({ "a": format!("{}!", "a".repeat(10_000)) });
        assert!(schema.check(params.as_object().unwrap()).is_err());
    }

    #[test]
    fn params_that_are_too_much_for_their_schema_are_refused() {
        let parts: Vec<Value> = (0..2_000).map(|_| json!({ "type": "object" })).collect();
        let schema = ParamsSchema::compile(&json!({ "additionalProperties": true, "allOf": parts })).unwrap();
        assert!(schema.check(json!({ "a": "x".repeat(1_000) }).as_object().unwrap()).is_ok());
        let error = schema.check(json!({ "a": "x".repeat(1_000_000) }).as_object().unwrap()).unwrap_err();
        assert!(error.message.contains("bytes"), "{error}");
    }

    /// Catches params that are small as text, one after the other, and take a hundred times as much in memory.
    #[test]
    fn params_that_would_take_much_memory_are_refused() {
        let schema = ParamsSchema::compile(&json!({ "additionalProperties": true })).unwrap();
        let params = |count: usize| json!({ "a": vec![json!({ "": 0 }); count] });
        assert_eq!(schema.check(params(4_000).as_object().unwrap()), Ok(()));
        let error = schema.check(params(5_000).as_object().unwrap()).unwrap_err();
        assert!(error.message.contains("values"), "{error}");
    }

    /// Catches a text that is read as JSON, which takes a hundred times its memory.
    #[test]
    fn texts_are_not_read_as_json() {
        let content = json!({ "contentMediaType": "application/json" });
        let schema = json!({ "$schema": "http://json-schema.org/draft-07/schema#", "properties": { "a": content } });
        let schema = ParamsSchema::compile(&schema).unwrap();
        assert_eq!(schema.check(json!({ "a": "{" }).as_object().unwrap()), Ok(()));
    }

    /// Catches an error for each name that is missing in each of many objects, which is memory without end.
    #[test]
    fn params_that_are_wrong_in_many_places_are_refused_all_the_same() {
        let names: Vec<String> = (0..2_000).map(|name| name.to_string()).collect();
        let schema = json!({ "properties": { "a": { "items": { "required": names } } } });
        let schema = ParamsSchema::compile(&schema).unwrap();
        let check = |count| schema.check(json!({ "a": vec![json!({}); count] }).as_object().unwrap()).unwrap_err();
        assert!(check(1).message.contains("required"), "{}", check(1));
        assert!(check(2_000).message.contains("fit the schema"), "{}", check(2_000));
        assert!(check(20_000).message.contains("bytes"), "{}", check(20_000));
    }
}
