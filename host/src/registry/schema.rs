//! What a params schema may be. It is hostile input that the host compiles and applies itself: it must be small, refer to
//! nothing outside itself, and mean a bounded amount of work.

use std::collections::HashMap;

use jsonschema::ValidationError;
use serde_json::Value;
use thiserror::Error;

/// Largest schema, in bytes.
pub const MAX_SCHEMA: usize = 64 << 10;

/// Deepest nesting of a schema, and of what it refers to within it.
const MAX_DEPTH: usize = 32;

/// Objects and members of lists that a schema may consist of, each counted as often as it is referred to.
const MAX_PARTS: usize = 4096;

/// Patterns that a schema may have, each counted as often as it is referred to.
const MAX_PATTERNS: usize = 16;

/// Parts that a pattern counts as: it may look at each byte that often.
const PATTERN: usize = 2000;

/// Keywords that evaluate the parts beside them once more: each within another multiplies the work.
const REPEATING: [&str; 2] = ["unevaluatedProperties", "unevaluatedItems"];

/// Keywords that refer, besides `$ref`. Their targets depend on the way that led to them.
const DYNAMIC: [&str; 2] = ["$dynamicRef", "$recursiveRef"];

/// Versions of JSON Schema in which a `$ref` to `#/…` is what it seems.
const DRAFTS: [&str; 4] = ["2020-12", "2019-09", "draft-07", "draft-06"];

/// Why a params schema is not taken.
#[derive(Debug, Error)]
pub enum SchemaError {
    /// More bytes than it may have.
    #[error("the params schema has {0} bytes, more than {MAX_SCHEMA}")]
    TooLarge(usize),
    /// Not JSON.
    #[error("the params schema is not JSON: {0}")]
    Json(#[source] serde_json::Error),
    /// JSON, but nothing that params could be told of by.
    #[error("the params schema is not a JSON object")]
    NotAnObject,
    /// It has a param of a name that the host has for its own.
    #[error("the params schema has `{0}`, which the host takes for itself")]
    HostKey(String),
    /// More levels than it may have.
    #[error("the params schema is nested deeper than {MAX_DEPTH}, with all that it refers to")]
    TooDeep,
    /// More parts than it may have.
    #[error("the params schema has more than {MAX_PARTS} parts, with all that it refers to")]
    TooManyParts,
    /// More patterns than it may have.
    #[error("the params schema has more than {MAX_PATTERNS} patterns, with all that it refers to")]
    TooManyPatterns,
    /// Keywords that multiply the work.
    #[error("the params schema has {} more than once, with all that it refers to", REPEATING.join(" or "))]
    Repeating,
    /// A part that is within itself.
    #[error("the params schema refers to itself in a circle, by {0:?}")]
    Circle(String),
    /// A reference to nothing.
    #[error("the params schema has a `$ref` to {0:?}, which is not in it")]
    Dangling(String),
    /// A reference that is not followed, or that others may follow elsewhere.
    #[error("the params schema has a `{key}` to {target}; {why}")]
    Reference {
        /// The keyword.
        key: String,
        /// What it has for a target.
        target: Value,
        /// What is taken instead.
        why: &'static str,
    },
    /// Not a JSON Schema.
    #[error("the params schema does not hold: {0}")]
    Invalid(#[source] ValidationError<'static>),
}

/// Checks a schema; gives the number of its parts, all references followed and patterns counted as what they cost.
pub fn measure(schema: &Value) -> Result<usize, SchemaError> {
    let mut survey = Survey { root: schema, targets: HashMap::new() };
    let extent = survey.of(schema, 0)?;
    Ok(extent.parts + PATTERN * extent.patterns)
}

/// How much a part of a schema is, what it refers to included.
#[derive(Clone, Copy, Default)]
struct Extent {
    parts: usize,
    patterns: usize,
    repeating: usize,
    depth: usize,
}

struct Survey<'a> {
    root: &'a Value,
    /// Extents of what was referred to; none while it is looked at.
    targets: HashMap<&'a str, Option<Extent>>,
}

impl<'a> Survey<'a> {
    fn of(&mut self, schema: &'a Value, depth: usize) -> Result<Extent, SchemaError> {
        if depth > MAX_DEPTH {
            return Err(SchemaError::TooDeep);
        }
        let mut whole = Extent::default();
        match schema {
            Value::Object(members) => {
                whole.parts = 1;
                for (key, value) in members {
                    whole.patterns += patterns(key, value);
                    whole.repeating += usize::from(REPEATING.contains(&key.as_str()));
                    if let Some(target) = reference(key, value, depth)? {
                        let extent = self.target(target)?;
                        include(&mut whole, extent)?;
                    }
                    let extent = self.of(value, depth + 1)?;
                    include(&mut whole, extent)?;
                }
            }
            Value::Array(values) => {
                whole.parts = values.len();
                for value in values {
                    let extent = self.of(value, depth + 1)?;
                    include(&mut whole, extent)?;
                }
            }
            _ => {}
        }
        Ok(whole)
    }

    fn target(&mut self, reference: &'a str) -> Result<Extent, SchemaError> {
        match self.targets.get(reference) {
            Some(Some(extent)) => return Ok(*extent),
            Some(None) => return Err(SchemaError::Circle(reference.to_owned())),
            None => {}
        }
        let target = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
        let target = target.ok_or_else(|| SchemaError::Dangling(reference.to_owned()))?;
        self.targets.insert(reference, None);
        let extent = self.of(target, 0)?;
        self.targets.insert(reference, Some(extent));
        Ok(extent)
    }
}

/// Adds a member of a whole, or what the whole refers to.
fn include(whole: &mut Extent, member: Extent) -> Result<(), SchemaError> {
    whole.parts += member.parts;
    whole.patterns += member.patterns;
    whole.repeating += member.repeating;
    whole.depth = whole.depth.max(member.depth + 1);
    if whole.parts > MAX_PARTS {
        return Err(SchemaError::TooManyParts);
    }
    if whole.patterns > MAX_PATTERNS {
        return Err(SchemaError::TooManyPatterns);
    }
    if whole.repeating > 1 {
        return Err(SchemaError::Repeating);
    }
    if whole.depth > MAX_DEPTH {
        return Err(SchemaError::TooDeep);
    }
    Ok(())
}

/// How many patterns a member of a schema has itself.
fn patterns(key: &str, value: &Value) -> usize {
    match (key, value) {
        ("pattern", Value::String(_)) => 1,
        ("patternProperties", Value::Object(members)) => members.len(),
        _ => 0,
    }
}

/// Whether a reference may lead to different places, depending on who reads it.
fn is_ambiguous(target: &str) -> bool {
    let escapes = target.split('~').skip(1);
    target.contains('%') || escapes.into_iter().any(|rest| !rest.starts_with(['0', '1']))
}

/// What a member of a schema refers to, if it does so.
fn reference<'a>(key: &str, value: &'a Value, depth: usize) -> Result<Option<&'a str>, SchemaError> {
    let refused = |why| Err(SchemaError::Reference { key: key.to_owned(), target: value.clone(), why });
    match (key, value) {
        // A member of this name that is no text is a param's.
        ("$ref", Value::String(target)) if is_ambiguous(target) => refused("only `~0` and `~1` stand for something"),
        ("$ref", Value::String(target)) if target.starts_with('#') => Ok(Some(target)),
        ("$ref", _) => refused("only `#/…` is allowed"),
        (key, Value::String(_)) if DYNAMIC.contains(&key) => refused("only `$ref` is allowed"),
        ("$schema", Value::String(draft)) if depth == 0 && DRAFTS.iter().any(|known| draft.contains(known)) => Ok(None),
        ("$schema", Value::String(_)) => refused("JSON Schema 2020-12 is understood, at the top alone"),
        ("$id", Value::String(_)) if depth > 0 => refused("only the whole may have one"),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Catches patterns without number, of which each takes memory and looks at every byte.
    #[test]
    fn patterns_are_few_and_count_as_what_they_cost() {
        let named = |count: usize| -> Value {
            let members = (0..count).map(|name| (name.to_string(), json!({ "type": "string", "pattern": "^a+$" })));
            json!({ "properties": Value::Object(members.collect()) })
        };
        assert!(measure(&named(MAX_PATTERNS)).unwrap() > MAX_PATTERNS * PATTERN);
        assert!(matches!(measure(&named(MAX_PATTERNS + 1)), Err(SchemaError::TooManyPatterns)));
        let keys = (0..=MAX_PATTERNS).map(|name| (format!("^{name}"), json!({})));
        let keyed = json!({ "patternProperties": Value::Object(keys.collect()) });
        assert!(matches!(measure(&keyed), Err(SchemaError::TooManyPatterns)));
    }

    /// Catches references that leave the schema or whose target the host cannot know, and those into nothing.
    #[test]
    fn only_references_into_the_schema_are_taken() {
        let fine = json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "urn:x",
            "properties": { "a": { "$ref": "#/$defs/a" } }, "$defs": { "a": { "type": "number" } } });
        assert!(measure(&fine).is_ok());
        for (schema, word) in [
            (json!({ "properties": { "a": { "$ref": "http://localhost/x" } } }), "$ref"),
            (json!({ "properties": { "a": { "$ref": "file:///etc/passwd" } } }), "$ref"),
            (json!({ "properties": { "a": { "$ref": "other.json#/a" } } }), "$ref"),
            (json!({ "properties": { "a": { "$ref": "#/$defs/none" } } }), "not in it"),
            (json!({ "properties": { "a": { "$ref": "#/$defs/%61" } }, "$defs": { "a": {}, "%61": {} } }), "~0"),
            (json!({ "properties": { "a": { "$ref": "#/$defs/~~1" } }, "$defs": { "~~1": {}, "~/": {} } }), "~0"),
            (json!({ "properties": { "a": { "$ref": "#name" }, "b": { "$anchor": "name" } } }), "not in it"),
            (json!({ "properties": { "a": { "$dynamicRef": "#a" } } }), "$dynamicRef"),
            (json!({ "properties": { "a": { "$id": "http://localhost/" } } }), "$id"),
            (json!({ "$schema": "http://json-schema.org/draft-04/schema#" }), "$schema"),
            (json!({ "$schema": "http://localhost/schema" }), "$schema"),
        ] {
            let refusal = measure(&schema).unwrap_err().to_string();
            assert!(refusal.contains(word), "{schema}: {refusal}");
        }
    }

    /// Catches schemas that are small to write and without end to apply.
    #[test]
    fn circles_and_doublings_are_refused() {
        for schema in [
            json!({ "allOf": [{ "$ref": "#" }] }),
            json!({ "$ref": "#/$defs/a", "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "not": { "$ref": "#/$defs/a" } } } }),
        ] {
            assert!(matches!(measure(&schema), Err(SchemaError::Circle(_))), "{schema}");
        }
        let mut doubling = json!({ "$ref": "#/$defs/0", "$defs": { "20": {} } });
        for level in 0..20 {
            let next = json!({ "$ref": format!("#/$defs/{}", level + 1) });
            doubling["$defs"][level.to_string()] = json!({ "allOf": [next, next] });
        }
        assert!(matches!(measure(&doubling), Err(SchemaError::TooManyParts)));
        let mut chain = json!({ "$ref": "#/$defs/0", "$defs": { "900": {} } });
        for level in 0..900 {
            chain["$defs"][level.to_string()] = json!({ "$ref": format!("#/$defs/{}", level + 1) });
        }
        assert!(matches!(measure(&chain), Err(SchemaError::TooDeep)));
        let repeating = json!({ "if": { "unevaluatedProperties": {} }, "unevaluatedProperties": {} });
        assert!(matches!(measure(&repeating), Err(SchemaError::Repeating)));
        let deep = (0..100).fold(json!({}), |inner, _| json!({ "not": inner }));
        assert!(matches!(measure(&deep), Err(SchemaError::TooDeep)));
    }
}
