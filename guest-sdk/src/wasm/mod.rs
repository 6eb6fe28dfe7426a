//! The processor as a component: generated bindings, the exports on top of a [`Processor`](crate::Processor), the imports below
//! the SDK's types. Nothing here is for guests to name; [`export!`](crate::export) does.

pub mod bindings;
mod component;
pub(crate) mod imports;

pub use component::Component;
