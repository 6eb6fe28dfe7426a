//! `log`.

use crate::log::Level;
use crate::wasm::bindings::rillbox::processor::log as wire;

pub(crate) fn write(level: Level, message: &str, fields: &[(&str, String)]) {
    let level = match level {
        Level::Trace => wire::Level::Trace,
        Level::Debug => wire::Level::Debug,
        Level::Info => wire::Level::Info,
        Level::Warn => wire::Level::Warn,
        Level::Error => wire::Level::Error,
    };
    let fields: Vec<_> = fields.iter().map(|(name, value)| (String::from(*name), value.clone())).collect();
    wire::log(level, message, &fields);
}
