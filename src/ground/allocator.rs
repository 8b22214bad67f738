//! The memory allocator of the program, for whatever runs the gateway: a message is thousands of small allocations on
//! several threads.

/// jemalloc, where the size of pages that it is built for is the machine's.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub type Allocator = tikv_jemallocator::Jemalloc;

/// mimalloc, where the size of pages is known to the machine alone.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
pub type Allocator = mimalloc::MiMalloc;

/// For a program's `#[global_allocator]`.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub const ALLOCATOR: Allocator = tikv_jemallocator::Jemalloc;

/// For a program's `#[global_allocator]`.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
pub const ALLOCATOR: Allocator = mimalloc::MiMalloc;
