//! The host's log: lines with the stream's id and the processor's name added, rate-limited.
//!
//! The macros take what `format!` takes, and before it, ended by `;`, fields for structured logs:
//!
//! ```
//! use rillbox_sdk::log;
//!
//! log::info!("ready");
//! log::warn!(scale = 2, mode = "fast"; "model {} is missing", "night");
//! ```

use crate::imports::log as host;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Every step.
    Trace,
    /// For whoever looks for a fault.
    Debug,
    /// Worth knowing.
    Info,
    /// Something is wrong and the processor copes.
    Warn,
    /// Something is wrong and shows.
    Error,
}

/// Writes one line. `fields` are names and values.
pub fn write(level: Level, message: &str, fields: &[(&str, String)]) {
    host::write(level, message, fields);
}

/// Writes one line at a level known only at run time: `log::log!(level, "…")`.
#[doc(inline)]
pub use crate::__log as log;
/// Writes one line at [`Level::Debug`].
#[doc(inline)]
pub use crate::__log_debug as debug;
/// Writes one line at [`Level::Error`].
#[doc(inline)]
pub use crate::__log_error as error;
/// Writes one line at [`Level::Info`].
#[doc(inline)]
pub use crate::__log_info as info;
/// Writes one line at [`Level::Trace`].
#[doc(inline)]
pub use crate::__log_trace as trace;
/// Writes one line at [`Level::Warn`].
#[doc(inline)]
pub use crate::__log_warn as warn;

#[doc(hidden)]
#[macro_export]
macro_rules! __log {
    ($level:expr, $($key:ident = $value:expr),+ ; $($message:tt)+) => {
        $crate::log::write(
            $level,
            &::std::format!($($message)+),
            &[$((::std::stringify!($key), ::std::string::ToString::to_string(&$value))),+],
        )
    };
    ($level:expr, $($message:tt)+) => {
        $crate::log::write($level, &::std::format!($($message)+), &[])
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log_trace {
    ($($line:tt)+) => { $crate::__log!($crate::log::Level::Trace, $($line)+) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log_debug {
    ($($line:tt)+) => { $crate::__log!($crate::log::Level::Debug, $($line)+) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log_info {
    ($($line:tt)+) => { $crate::__log!($crate::log::Level::Info, $($line)+) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log_warn {
    ($($line:tt)+) => { $crate::__log!($crate::log::Level::Warn, $($line)+) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log_error {
    ($($line:tt)+) => { $crate::__log!($crate::log::Level::Error, $($line)+) };
}
