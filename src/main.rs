//! The binary. All of it is in the library, where tests can reach it.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A roster is thousands of small strings, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    circle_registry::cli::run().await
}
