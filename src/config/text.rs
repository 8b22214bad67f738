//! The text of a configuration file.

use std::path::Path;

use super::problem::{Problem, Severity};
use crate::bilingual;

/// Bytes of the largest configuration file.
const MAX_FILE: u64 = 1024 * 1024;

/// Reads a configuration file as text.
///
/// # Errors
/// A problem with the file as a whole.
pub(crate) fn read_text(file: &Path) -> Result<String, Box<Problem>> {
    use std::io::Read as _;
    let problem = |code, text| {
        Box::new(Problem {
            severity: Severity::Error,
            code,
            file: file.to_owned(),
            line: None,
            key: String::new(),
            text,
        })
    };
    let mut bytes = Vec::new();
    let read = std::fs::File::open(file).and_then(|opened| opened.take(MAX_FILE + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        let reason = error.kind();
        return Err(problem(
            "file-unreadable",
            bilingual!(
                "无法读取：{reason}。请检查路径和运行用户的读取权限。",
                "cannot be read: {reason}. Check the path and that the gateway's user may read it."
            ),
        ));
    }
    if u64::try_from(bytes.len()).map_or(true, |length| length > MAX_FILE) {
        return Err(problem(
            "file-too-large",
            bilingual!("超过 1 MiB，不会是配置文件。", "larger than 1 MiB and cannot be a configuration."),
        ));
    }
    String::from_utf8(bytes).map_err(|_| {
        problem("file-not-utf8", bilingual!("不是 UTF-8 文本。请另存为 UTF-8。", "not UTF-8 text. Save it as UTF-8."))
    })
}
