//! The binary. All of it is in the library, where tests can reach it.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    circle_registry::cli::run().await
}
