//! What only shows within the process: what one instance leaves to the next, what a host that panics costs, who is to
//! blame for a call that ends late, what the GPU does besides, and how often pixels are copied.

mod bleed;
mod component;
mod copies;
mod graphics;
mod panic;
mod starved;
