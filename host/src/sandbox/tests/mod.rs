//! What only shows within the process: what one instance leaves to the next, what a host that panics costs, who is to
//! blame for a call that ends late, and what the GPU does besides.

mod bleed;
mod component;
mod graphics;
mod panic;
mod starved;
