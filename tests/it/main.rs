//! The integration tests, in one binary and by subject. The crate `test-support` starts the services and
//! databases that they use.

mod api;
mod architecture;
mod faults;
mod operations;
mod schema;
