//! The catalogue import, a command: providers and models from a price list, or the well-known providers that
//! come with the program.
//!
//! An import goes through the inputs of the API and their bounds, so that nothing gets in that the API would
//! reject. Start with `import`.

mod bounds;
mod builtin;
mod check;
mod compare;
mod entry;
mod import;
mod litellm;
mod models;
mod models_dev;
mod names;
mod price_list;
mod prices;
mod providers;
mod summary;
mod upsert;
mod values;

pub(crate) use builtin::{KnownProvider, known_provider};
pub use check::{Comparison, check};
pub use import::{ImportError, ImportOptions, import};
pub use price_list::ListFormat;
pub use summary::Summary;
