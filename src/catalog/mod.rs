//! The catalogue import: providers and models from a price list, or the well-known providers that
//! come with the program.

mod builtin;
mod import;
mod price_list;
mod summary;
mod upsert;

pub use import::{ImportError, ImportOptions, import};
pub use summary::Summary;
