//! Params of a stream: one flat JSON object, of which the host takes its own keys and the processor gets the rest.

use rillbox_media::Geometry;
use serde_json::{Map, Value};
use thiserror::Error;
use tokio::task::block_in_place;

use crate::registry::{HOST_KEYS, ParamsError, ParamsSchema};

/// Longest side of the output.
const MAX_SIDE: u64 = 8192;

/// Fastest output that may be asked for, in frames a second.
const MAX_FRAMERATE: u64 = 60;

/// Why params were not taken; nothing has changed.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ParamsRejected {
    /// A value does not fit the host or the processor's schema.
    #[error(transparent)]
    Value(#[from] ParamsError),
    /// Not an object at all.
    #[error("params must be a JSON object, not {0}")]
    NotAnObject(&'static str),
}

/// What params of a stream may be.
#[derive(Debug)]
pub struct Rules {
    /// The processor's part.
    pub schema: ParamsSchema,
    /// Pixels of the output at most.
    pub max_pixels: u64,
}

/// What the host itself was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostParams {
    /// Size of the output.
    pub geometry: Geometry,
    /// Frames a second at most.
    pub max_framerate: Option<u32>,
    /// The loading picture stands in for every picture.
    pub show_loading: bool,
}

/// The params of a stream as they stand: the host's and the processor's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params {
    all: Map<String, Value>,
}

impl Params {
    /// These params with `update` merged into them: its keys replace theirs. `null` stands for an empty object, and
    /// `load_model` for nothing.
    pub fn merged(&self, update: &Value) -> Result<Self, ParamsRejected> {
        let update = match update {
            Value::Object(update) => update,
            Value::Null => return Ok(self.clone()),
            Value::Array(_) => return Err(ParamsRejected::NotAnObject("an array")),
            Value::String(_) => return Err(ParamsRejected::NotAnObject("a string")),
            Value::Number(_) => return Err(ParamsRejected::NotAnObject("a number")),
            Value::Bool(_) => return Err(ParamsRejected::NotAnObject("a boolean")),
        };
        let mut all = self.all.clone();
        all.extend(update.iter().map(|(key, value)| (key.clone(), unquoted(key, value))));
        // `load` has run: there is nothing left to ask for.
        all.remove("load_model");
        // With `null` the host's own is as if it had never been given.
        all.retain(|key, value| !(value.is_null() && HOST_KEYS.contains(&key.as_str())));
        Ok(Self { all })
    }

    /// Checks everything, against what the host understands and the processor's schema.
    pub fn check(&self, rules: &Rules) -> Result<HostParams, ParamsRejected> {
        let host = self.host()?;
        if let Geometry::Fill { width, height } = host.geometry
            && u64::from(width) * u64::from(height) > rules.max_pixels
        {
            let message = format!("{width}×{height} are more than {} pixels (--max-pixels)", rules.max_pixels);
            return Err(error("width", &message).into());
        }
        // A schema may take a good part of a second for what it is given. Whoever else is on this thread goes on meanwhile.
        block_in_place(|| rules.schema.check(&self.guest()))?;
        Ok(host)
    }

    /// All of them.
    pub fn all(&self) -> &Map<String, Value> {
        &self.all
    }

    /// The host's part alone.
    pub fn of_host(&self) -> Self {
        let hosts = |key: &str| HOST_KEYS.contains(&key);
        let all = self.all.iter().filter(|(key, _)| hosts(key));
        Self { all: all.map(|(key, value)| (key.clone(), value.clone())).collect() }
    }

    /// The processor's part.
    pub fn guest(&self) -> Map<String, Value> {
        let own = |key: &str| !HOST_KEYS.contains(&key);
        self.all.iter().filter(|(key, _)| own(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// The processor's part as JSON text.
    pub fn guest_json(&self) -> String {
        Value::Object(self.guest()).to_string()
    }

    /// What the host is asked for.
    pub(super) fn host(&self) -> Result<HostParams, ParamsError> {
        let width = self.number("width", 2, MAX_SIDE)?;
        let height = self.number("height", 2, MAX_SIDE)?;
        for key in ["detect_out_resolution", "show_loading"] {
            if self.all.get(key).is_some_and(|value| !value.is_boolean() && !value.is_null()) {
                return Err(error(key, "must be true or false"));
            }
        }
        let geometry = match (width, height) {
            (None, None) if self.all.get("detect_out_resolution") == Some(&Value::Bool(false)) => Geometry::Pinned,
            (None, None) => Geometry::Source,
            (Some(width), Some(height)) => {
                for (key, side) in [("width", width), ("height", height)] {
                    if !side.is_multiple_of(2) {
                        return Err(error(key, "must be even"));
                    }
                }
                Geometry::Fill { width: width as u32, height: height as u32 }
            }
            (Some(_), None) => return Err(error("height", "is missing: width and height go together")),
            (None, Some(_)) => return Err(error("width", "is missing: width and height go together")),
        };
        let max_framerate = self.number("max_framerate", 1, MAX_FRAMERATE)?.map(|rate| rate as u32);
        let show_loading = self.all.get("show_loading").and_then(Value::as_bool).unwrap_or(false);
        Ok(HostParams { geometry, max_framerate, show_loading })
    }

    fn number(&self, key: &str, least: u64, most: u64) -> Result<Option<u64>, ParamsError> {
        match self.all.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number) if (least..=most).contains(&number) => Ok(Some(number)),
                _ => Err(error(key, &format!("must be a whole number from {least} to {most}"))),
            },
        }
    }
}

/// A value of the host's, where it is text or a number that stands for another, as PyTrickle takes them; else as it is.
fn unquoted(key: &str, value: &Value) -> Value {
    let meant = match (key, value) {
        ("width" | "height" | "max_framerate", Value::String(text)) => text.trim().parse().ok().map(u64::into),
        ("detect_out_resolution" | "show_loading", Value::String(text)) => truth(text.trim()).map(bool::into),
        ("detect_out_resolution" | "show_loading", Value::Number(number)) => truth(&number.to_string()).map(bool::into),
        _ => None,
    };
    meant.unwrap_or_else(|| value.clone())
}

fn truth(text: &str) -> Option<bool> {
    let is = |word: &&str| text.eq_ignore_ascii_case(word);
    match (["true", "yes", "1"].iter().any(is), ["false", "no", "0"].iter().any(is)) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

fn error(key: &str, message: &str) -> ParamsError {
    ParamsError { pointer: format!("/{key}"), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn host(params: Value) -> Result<HostParams, ParamsError> {
        Params::default().merged(&params).unwrap().host()
    }

    #[test]
    fn sizes_are_numbers_or_text_and_come_in_pairs() {
        let square = Geometry::Fill { width: 512, height: 512 };
        assert_eq!(host(json!({ "width": 512, "height": "512" })).unwrap().geometry, square);
        assert_eq!(host(json!({ "width": 512 })).unwrap_err().pointer, "/height");
        assert_eq!(host(json!({ "width": 511, "height": 512 })).unwrap_err().message, "must be even");
        for bad in [json!(0), json!(-2), json!(1.5), json!("x"), json!([]), json!(1e30)] {
            assert_eq!(host(json!({ "width": bad, "height": 2 })).unwrap_err().pointer, "/width");
        }
    }

    #[test]
    fn the_size_is_pinned_where_none_is_asked_for() {
        assert_eq!(host(json!({ "detect_out_resolution": false })).unwrap().geometry, Geometry::Pinned);
        assert_eq!(host(json!({ "detect_out_resolution": true })).unwrap().geometry, Geometry::Source);
        let sized = json!({ "detect_out_resolution": false, "width": 64, "height": 64 });
        assert_eq!(host(sized).unwrap().geometry, Geometry::Fill { width: 64, height: 64 });
        for (meant, given) in
            [(Geometry::Pinned, json!(0)), (Geometry::Pinned, json!("False")), (Geometry::Source, json!("yes"))]
        {
            assert_eq!(host(json!({ "detect_out_resolution": given })).unwrap().geometry, meant);
        }
        for bad in [json!(2), json!("maybe"), json!([])] {
            assert!(host(json!({ "detect_out_resolution": bad })).is_err());
        }
    }

    #[test]
    fn an_update_keeps_what_it_does_not_name_and_the_guest_never_sees_host_keys() {
        let first = Params::default().merged(&json!({ "intensity": 0.1, "width": 64, "height": 64 })).unwrap();
        let second = first.merged(&json!({ "intensity": 0.9 })).unwrap();
        assert_eq!(second.guest_json(), r#"{"intensity":0.9}"#);
        assert_eq!(second.all()["width"], 64);
    }

    #[test]
    fn what_asks_to_load_a_model_is_taken_and_changes_nothing() {
        let before = Params::default().merged(&json!({ "intensity": 0.1, "load_model": true })).unwrap();
        assert_eq!(before.all().keys().collect::<Vec<_>>(), ["intensity"]);
        assert_eq!(before.merged(&json!({ "load_model": { "name": "a" } })).unwrap(), before);
    }

    #[test]
    fn the_output_is_no_larger_than_pictures_may_be() {
        let schema = ParamsSchema::compile(&json!({ "type": "object" })).unwrap();
        let rules = Rules { schema, max_pixels: 640 * 360 };
        let check = |width, height| {
            Params::default().merged(&json!({ "width": width, "height": height })).unwrap().check(&rules)
        };
        assert!(check(640, 360).is_ok());
        let ParamsRejected::Value(error) = check(642, 360).unwrap_err() else { panic!("not a value") };
        assert!(error.pointer == "/width" && error.message.contains("--max-pixels"), "{error}");
    }

    /// Catches text that is told as text where it was taken for a number, and a processor's own values that are not left alone.
    #[test]
    fn values_of_the_host_are_kept_as_what_they_stand_for() {
        let given = json!({ "width": " 64 ", "height": "64", "show_loading": "true", "label": "1" });
        let params = Params::default().merged(&given).unwrap();
        let expected = json!({ "width": 64, "height": 64, "show_loading": true, "label": "1" });
        assert_eq!(Value::Object(params.all().clone()), expected);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        assert_eq!(Params::default().merged(&json!([1])), Err(ParamsRejected::NotAnObject("an array")));
    }
}
