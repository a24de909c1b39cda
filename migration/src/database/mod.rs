//! From settings to a pool of connections, apart from the migrations. The server and the migration
//! runner both open their pools here, so that they can't disagree about the database they mean.

pub mod bounds;
pub mod connection;
mod environment;
pub mod hooks;
mod host;
mod hosts;
pub mod limits;
mod postgres_parameters;
mod postgres_target;
mod postgres_tls;
mod postgres_url;
pub mod settings;
mod sqlite_url;
mod target;
