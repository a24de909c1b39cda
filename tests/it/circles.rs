//! circles
