//! From settings to a pool of connections, apart from the migrations. The server and the migration
//! runner both open their pools here, so that they can't disagree about the database they mean.

pub mod bounds;
pub mod connection;
pub mod hooks;
pub mod settings;
mod target;
