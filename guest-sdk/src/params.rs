//! From JSON to a processor's params, and from their type to its JSON Schema.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_path_to_error::{Path, Segment};

use crate::{Error, Result};

/// The params of a processor that has nothing to set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoParams {}

/// The JSON Schema of `P`: self-contained, without the Rust name of the type, closed to unknown keys unless `P` says otherwise.
pub(crate) fn schema<P: JsonSchema>() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = std::mem::take(settings.into_generator().into_root_schema_for::<P>().ensure_object());
    schema.remove("title");
    schema.entry("properties").or_insert_with(|| Value::Object(Map::new()));
    schema.entry("additionalProperties").or_insert(Value::Bool(false));
    schema
}

/// Reads the whole params object. An error starts with the JSON pointer of the field that is wrong.
pub(crate) fn parse<P: DeserializeOwned>(json: &str) -> Result<P> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = pointer(error.path());
        let reason = error.into_inner();
        Error::msg(if pointer.is_empty() { reason.to_string() } else { format!("{pointer}: {reason}") })
    })
}

fn pointer(path: &Path) -> String {
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Map { key } => Some(format!("/{}", key.replace('~', "~0").replace('/', "~1"))),
            Segment::Seq { index } => Some(format!("/{index}")),
            // Neither is a step in the JSON text.
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(default)]
    struct Params {
        /// How much.
        #[schemars(range(min = 0.0, max = 1.0))]
        amount: f32,
        mode: Mode,
    }

    #[derive(Debug, Deserialize, serde::Serialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        Soft,
        Hard,
    }

    impl Default for Params {
        fn default() -> Self {
            Self { amount: 0.5, mode: Mode::Soft }
        }
    }

    #[test]
    fn schema_is_one_flat_object_with_ranges_and_defaults() {
        assert_eq!(
            Value::Object(schema::<Params>()),
            json!({
                "type": "object",
                "properties": {
                    "amount": {
                        "description": "How much.",
                        "type": "number", "format": "float", "minimum": 0.0, "maximum": 1.0, "default": 0.5
                    },
                    "mode": { "type": "string", "enum": ["soft", "hard"], "default": "soft" }
                },
                "additionalProperties": false
            })
        );
    }

    #[test]
    fn no_params_is_an_empty_closed_object() {
        let schema = Value::Object(schema::<NoParams>());
        assert_eq!(schema["properties"], json!({}));
        assert_eq!(schema["additionalProperties"], false);
        assert!(parse::<NoParams>(r#"{"x": 1}"#).is_err());
    }

    #[test]
    fn a_bad_value_is_named_by_its_pointer() {
        let error = parse::<Params>(r#"{"amount": "much"}"#).unwrap_err().to_string();
        assert!(error.starts_with("/amount: invalid type: string \"much\""), "{error}");
    }
}
