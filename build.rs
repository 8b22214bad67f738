//! Lists the schema tables under `src/declaration/schema/EDITION/*.csv` for compilation into the binary, so that a new
//! edition of the specification is a new folder of tables and no new code.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

#[expect(clippy::disallowed_methods, reason = "a build product needs no durable publication")]
fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("src/declaration/schema");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut code = String::from("&[\n");
    for edition in sorted(&root)?.into_iter().filter(|path| path.is_dir()) {
        let _ = writeln!(code, "    ({:?}, &[", name(&edition));
        println!("cargo::rerun-if-changed={}", edition.display());
        for table in sorted(&edition)?.into_iter().filter(|path| path.extension().is_some_and(|it| it == "csv")) {
            let _ = writeln!(code, "        ({:?}, include_str!({:?})),", name(&table), table);
        }
        code.push_str("    ]),\n");
    }
    code.push_str("]\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("schema_tables.rs"), code)
}

fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn name(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}
