//! The `dxgate` program: gives the process's arguments, environment and streams to [`dxgate::cli`].

use std::process::ExitCode;

use dxgate::ground::allocator;

#[global_allocator]
static ALLOCATOR: allocator::Allocator = allocator::ALLOCATOR;

fn main() -> ExitCode {
    let _armed = dxgate::ground::fault::arm();
    let arguments = std::env::args_os().collect();
    let environment = |name: &str| std::env::var_os(name).and_then(|value| value.into_string().ok());
    dxgate::cli::run(arguments, &environment, &mut std::io::stdout(), &mut std::io::stderr()).into()
}
