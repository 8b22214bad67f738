//! Failpoints: places where a test can let an operation on the disk fail, stop the process, or be left out.
//!
//! Every durable step passes one. Its name is the operation and the folder it works in, `sync@tmp`, `rename@inbox`,
//! `dirsync@.claimed`; the journal's own are `journal-append`, `journal-room`, `journal-sync`, `journal-rewrite`,
//! `journal-resync`, `journal-resume` and `journal-cut`, those of the index `index-open`, `index-read`, `index-apply` and `index-flush`. The variable
//! `FAILPOINTS` of the `fail` crate arms them, in its grammar: `journal-sync=5*off->1*return(eio)` lets the sixth sync
//! fail. Arguments of `return`:
//!
//! | argument | the operation |
//! |---|---|
//! | `eio`, `enospc`, `edquot` | is not done and fails with this error |
//! | `short` | writes half of its bytes, then fails for want of space; other operations: as `enospc` |
//! | `abort` | is not done; the process ends at once, as after kill -9 |
//! | `skip` | is not done and succeeds: a disk that lies |
//! | `panic` | panics, as sled does now and then |
//!
//! With `log.level = "trace"` each point that is passed is a line, `passed`: so a test learns which there are.
//!
//! They are alive where the crate's feature `failpoints` is: in what `cargo test` builds, the program that the
//! integration tests run included. `cargo build` leaves nothing of them.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;

/// Points stay armed while this lives.
pub struct Armed(#[expect(dead_code, reason = "held for its Drop")] fail::FailScenario<'static>);

/// Arms what `FAILPOINTS` names; nothing where points are not compiled in.
///
/// # Panics
/// The variable cannot be understood: a test would pass in vain.
pub fn arm() -> Option<Armed> {
    fail::has_failpoints().then(|| Armed(fail::FailScenario::setup()))
}

/// What an armed point wants instead of its operation.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Fail with this error.
    Fails(io::Error),
    /// Do half of it, then fail.
    Short(io::Error),
    /// Leave it out and succeed.
    Skipped,
}

/// What `point` wants, if it is armed.
pub(crate) fn fault(point: &dyn Display) -> Option<Fault> {
    if !fail::has_failpoints() {
        return None;
    }
    let point = point.to_string();
    tracing::trace!(point, "passed");
    let wanted = armed(&point)?;
    tracing::warn!(point, wanted, "failpoint");
    let full = || io::Error::from(io::ErrorKind::StorageFull);
    Some(match wanted.as_str() {
        "enospc" => Fault::Fails(full()),
        "edquot" => Fault::Fails(io::ErrorKind::QuotaExceeded.into()),
        "short" => Fault::Short(full()),
        "skip" => Fault::Skipped,
        "abort" => std::process::abort(),
        #[expect(clippy::panic, reason = "this is what was asked for")]
        "panic" => panic!("failpoint {point}"),
        // EIO has no kind of its own in std.
        _ => Fault::Fails(io::Error::other(format!("Input/output error (failpoint {point})"))),
    })
}

/// Carries out an operation that happens wholly or not at all.
pub(crate) fn at<T: Default>(point: &dyn Display, operation: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    match fault(point) {
        None => operation(),
        Some(Fault::Fails(error) | Fault::Short(error)) => Err(error),
        Some(Fault::Skipped) => Ok(T::default()),
    }
}

/// Writes some of `bytes`, as [`Write::write`].
pub(crate) fn write(point: &dyn Display, out: &mut dyn Write, bytes: &[u8]) -> io::Result<usize> {
    match fault(point) {
        None => out.write(bytes),
        Some(Fault::Fails(error)) => Err(error),
        Some(Fault::Short(error)) => {
            let (half, _) = bytes.split_at(bytes.len() / 2);
            out.write_all(half).and(Err(error))
        }
        Some(Fault::Skipped) => Ok(bytes.len()),
    }
}

/// The point of an operation on a name in `dir`, or on `dir` itself.
pub(crate) fn within<'a>(operation: &'a str, dir: &'a Path) -> impl Display + 'a {
    std::fmt::from_fn(move |f| {
        let folder = dir.file_name().unwrap_or_default();
        write!(f, "{operation}@{}", folder.display())
    })
}

fn armed(point: &str) -> Option<String> {
    let _ = point;
    fail::fail_point!(point, |argument| Some(argument.unwrap_or_default()));
    None
}
