//! What only shows within the process: what one instance leaves to the next, and what a host that panics costs.

mod bleed;
mod component;
mod panic;
