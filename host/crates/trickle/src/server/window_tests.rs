//! Rules of the window.
use super::*;
