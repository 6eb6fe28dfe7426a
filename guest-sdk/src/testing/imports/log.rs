//! `log`: lines are kept.

use crate::log::Level;
use crate::testing::{LogLine, stream};

pub(crate) fn write(level: Level, message: &str, fields: &[(&str, String)]) {
    let fields = fields.iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
    stream::current(|stream| stream.log.push(LogLine { level, message: message.into(), fields }));
}
