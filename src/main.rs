//! The binary. All of it is in the library, where tests can reach it.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A roster is thousands of small strings, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    do_without_huge_pages();
    run()
}

#[tokio::main]
async fn run() -> ExitCode {
    circle_registry::cli::run().await
}

/// The allocator asks for pages of 2 MiB, which the kernel clears whole. Without them the service
/// starts in two thirds of the time, takes two thirds of the memory, and answers as fast. A kernel that
/// refuses goes on as it is.
fn do_without_huge_pages() {
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}
