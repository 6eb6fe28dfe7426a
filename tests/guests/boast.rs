//! Says 30 MiB of itself.

use std::borrow::Cow;

use rillbox_sdk::{Processor, Result};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

#[derive(Deserialize)]
struct Params {}

impl JsonSchema for Params {
    fn schema_name() -> Cow<'static, str> {
        "Params".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "description": "I am great. ".repeat(30 << 20 >> 4) })
    }
}

#[derive(Default)]
struct Boast;

impl Processor for Boast {
    type Params = Params;

    fn start(&mut self, _: Params) -> Result<()> {
        Ok(())
    }
}

rillbox_sdk::export!(Boast as "boast");
