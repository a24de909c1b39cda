//! YAML and JSON as trees that keep what people wrote: the digits of numbers, the order of members, and lines.
//!
//! `node.rs` is the tree, `read.rs` makes it of YAML, of which JSON is a part, and `write.rs` writes YAML.

mod node;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use node::{Node, NodeMap, NodeValue, items_of, members_of, text_of};
pub(crate) use read::{SourceError, parse};
pub(crate) use write::to_yaml;
