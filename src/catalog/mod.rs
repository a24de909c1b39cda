//! The catalogue import, a command: providers and models from a price list, or the well-known providers that
//! come with the program.
//!
//! An import goes through the inputs of the API and their bounds, so that nothing gets in that the API would
//! reject. Start with `import`.

mod bounds;
mod builtin;
mod entry;
mod import;
mod models;
mod names;
mod price_list;
mod providers;
mod summary;
mod upsert;

pub use import::{ImportError, ImportOptions, import};
pub use summary::Summary;
