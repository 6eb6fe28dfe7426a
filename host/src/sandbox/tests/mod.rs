//! What only shows within the process: what one instance leaves to the next, what a host that panics costs, and who is
//! to blame for a call that ends late.

mod bleed;
mod component;
mod panic;
mod starved;
