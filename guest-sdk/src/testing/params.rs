//! What the host checks before a processor sees its params: keys, required fields, ranges. Types are left to the
//! processor's own struct.

use serde_json::{Map, Value};

use crate::{Error, Result};

/// Keys that the host takes for itself, so that no schema may have them.
const HOST_KEYS: [&str; 6] =
    ["width", "height", "max_framerate", "detect_out_resolution", "show_loading", "load_model"];

/// Refuses a schema that claims one of the host's keys.
pub(super) fn check_schema(schema: &Map<String, Value>) -> Result<()> {
    if schema.get("type") != Some(&Value::from("object")) {
        return Err(Error::msg("params are not a struct with named fields"));
    }
    match properties(schema).and_then(|known| HOST_KEYS.iter().find(|&&key| known.contains_key(key))) {
        Some(key) => Err(Error::msg(format!("/{key}: the host keeps this key for itself"))),
        None => Ok(()),
    }
}

/// `current` with the keys of `update` put over it, checked as a whole.
pub(super) fn merge(
    schema: &Map<String, Value>,
    current: &Map<String, Value>,
    update: Value,
) -> Result<Map<String, Value>> {
    let Value::Object(update) = update else {
        return Err(Error::msg("params are a JSON object"));
    };
    let mut whole = current.clone();
    whole.extend(update);
    check(schema, &whole)?;
    Ok(whole)
}

fn check(schema: &Map<String, Value>, params: &Map<String, Value>) -> Result<()> {
    let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    for (key, value) in params {
        match properties(schema).and_then(|known| known.get(key)) {
            Some(property) => check_range(key, property, value)?,
            None if closed => return Err(Error::msg(format!("/{key}: unknown"))),
            None => {}
        }
    }
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    match required.filter_map(Value::as_str).find(|&key| !params.contains_key(key)) {
        Some(key) => Err(Error::msg(format!("/{key}: missing"))),
        None => Ok(()),
    }
}

fn check_range(key: &str, property: &Value, value: &Value) -> Result<()> {
    let Some(number) = value.as_f64() else {
        return Ok(());
    };
    let limit = |name| property.get(name).and_then(Value::as_f64);
    let refused = limit("minimum").is_some_and(|least| number < least)
        || limit("maximum").is_some_and(|most| number > most)
        || limit("exclusiveMinimum").is_some_and(|bound| number <= bound)
        || limit("exclusiveMaximum").is_some_and(|bound| number >= bound);
    if refused { Err(Error::msg(format!("/{key}: {number} is out of range"))) } else { Ok(()) }
}

fn properties(schema: &Map<String, Value>) -> Option<&Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object)
}
