//! The program. Everything but the allocator is in the library, where tests can reach it.

// The optimiser looks into the futures of all middleware at once, which are nested deeper than the default of 128.
#![recursion_limit = "256"]

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A roster is thousands of small strings, for which the system's allocator is slow.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    migration::database::keep_files_private();
    disable_huge_pages();
    run()
}

#[tokio::main]
async fn run() -> ExitCode {
    circle_registry::cli::run().await
}

/// Turns off transparent huge pages, which the kernel clears 2 MiB at a time. Without them the service
/// starts in two thirds of the time with two thirds of the memory, and responds as fast. If the kernel
/// refuses, nothing is lost.
fn disable_huge_pages() {
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}
