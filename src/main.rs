//! The `dxgate` program: gives the process's arguments, environment and streams to [`dxgate::cli`].

use std::process::ExitCode;

/// A message is thousands of small allocations on several threads.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The same where the size of pages is not known before.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let _armed = dxgate::ground::fault::arm();
    let arguments = std::env::args_os().collect();
    let environment = |name: &str| std::env::var_os(name).and_then(|value| value.into_string().ok());
    dxgate::cli::run(arguments, &environment, &mut std::io::stdout(), &mut std::io::stderr()).into()
}
