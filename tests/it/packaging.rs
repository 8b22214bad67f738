//! What is packaged with the program, by the tools that will read it.

use std::fs;
use std::path::Path;
use std::process::Command;

const UNIT: &str = "packaging/systemd/dxgate.service";

fn analyze(arguments: &[&str]) -> (bool, String) {
    let output = Command::new("systemd-analyze").args(arguments).output();
    let output = output.expect("systemd-analyze: apt-get install systemd (tests/run.sh does)");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn the_service_is_accepted_by_systemd_and_exposes_little() {
    let folder = tempfile::tempdir().unwrap();
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join(UNIT);
    let (good, said) = analyze(&["security", "--offline=true", "--no-pager", "--threshold=15", unit.to_str().unwrap()]);
    assert!(good, "more exposed than 1.5:\n{said}");
    // Where the program of this build is.
    let text = fs::read_to_string(&unit).unwrap();
    let here = text.replace("/usr/bin/dxgate ", &format!("{} ", env!("CARGO_BIN_EXE_dxgate")));
    assert_ne!(here, text);
    let copy = folder.path().join("dxgate.service");
    fs::write(&copy, here).unwrap();
    let (good, said) = analyze(&["verify", "--man=no", copy.to_str().unwrap()]);
    assert!(good && !said.contains("dxgate.service"), "{said}");
    assert!(text.contains("\nRestartPreventExitStatus=2\n"), "a wrong configuration is not tried again and again");
}
