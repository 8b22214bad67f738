//! Plans at hand: those in the folder `connectivity` of the home, and the examples, which a file of the same name replaces.
//!
//! Blocking I/O. A plan is called by the stem of its file.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::plan::{MAX_PLAN, Plan, PlanError};
use crate::bilingual;
use crate::ground::text::printable;

/// The folder in the home.
pub const FOLDER: &str = "connectivity";
/// Files looked at.
const LOOKED_AT: usize = 500;
/// What a plan's file ends with.
const EXTENSION: &str = "toml";

/// A plan by its name: sound, or what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shelved {
    /// The stem of its file.
    pub name: String,
    /// What its file holds.
    pub plan: Result<Plan, PlanError>,
}

/// The plans of one home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shelf {
    folder: PathBuf,
}

impl Shelf {
    /// Of the home in this folder.
    pub fn of(home: &Path) -> Shelf {
        Shelf { folder: home.join(FOLDER) }
    }

    /// Where the files of its plans begin.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All of them, by name.
    pub fn plans(&self) -> Vec<Shelved> {
        let examples = EXAMPLES.iter().map(|(name, text)| ((*name).to_owned(), Plan::read(text, name)));
        let mut plans: BTreeMap<String, Result<Plan, PlanError>> = examples.collect();
        let files = fs::read_dir(&self.folder).into_iter().flatten().filter_map(Result::ok).take(LOOKED_AT);
        for path in files.map(|file| file.path()) {
            let toml = path.extension().is_some_and(|extension| extension == EXTENSION);
            if let Some(name) = path.file_stem().and_then(|stem| stem.to_str()).filter(|name| toml && is_name(name)) {
                plans.insert(name.to_owned(), self.read(name));
            }
        }
        plans.into_iter().map(|(name, plan)| Shelved { name, plan }).collect()
    }

    /// The plan with this name.
    ///
    /// # Errors
    /// There is none, or it is not sound.
    pub fn read(&self, name: &str) -> Result<Plan, PlanError> {
        if !is_name(name) {
            return Err(self.unknown(name));
        }
        let path = self.folder.join(format!("{name}.{EXTENSION}"));
        // One byte more than may be, so that the plan says that it is too large.
        let limit = u64::try_from(MAX_PLAN).unwrap_or(u64::MAX).saturating_add(1);
        let mut text = String::new();
        let read = fs::File::open(&path).and_then(|file| file.take(limit).read_to_string(&mut text));
        match read {
            Ok(_) => Plan::read(&text, &path.display().to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let example = EXAMPLES.iter().find(|(example, _)| *example == name);
                example.map_or_else(|| Err(self.unknown(name)), |(name, text)| Plan::read(text, name))
            }
            Err(error) => {
                let path = path.display();
                let text = bilingual!("无法读取测试计划 {path}：{error}", "the plan {path} cannot be read: {error}");
                Err(PlanError { code: "plan-unreadable", text })
            }
        }
    }

    fn unknown(&self, name: &str) -> PlanError {
        let (name, folder) = (printable(name), self.folder.display());
        let text = bilingual!(
            "没有测试计划 {name}。请把 {name}.toml 放入 {folder}，或选择已列出的计划。",
            "there is no plan {name}. Put {name}.toml into {folder}, or choose one that is listed."
        );
        PlanError { code: "plan-unknown", text }
    }
}

/// One file below the folder: no separator, no way up, nothing hidden.
fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (1..=100).contains(&name.len()) && !name.starts_with('.') && name.chars().all(fits)
}

/// The examples that come with the program.
const EXAMPLES: [(&str, &str); 3] = [
    ("transport", include_str!("../../config/connectivity/transport.toml")),
    ("inventory-import", include_str!("../../config/connectivity/inventory-import.toml")),
    ("inventory-export", include_str!("../../config/connectivity/inventory-export.toml")),
];

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "name = 'own'\npartner = 'customs'\ntitle = { zh = '测', en = 't' }\n[[case]]\nid = 'a'\n\
                       kind = 'interface'\ncheck = 'tcp'\n";

    #[test]
    fn a_file_of_the_home_stands_before_the_example_of_its_name_and_nothing_outside_is_reached() {
        let home = tempfile::tempdir().expect("a folder");
        let shelf = Shelf::of(home.path());
        let names = |shelf: &Shelf| shelf.plans().into_iter().map(|shelved| shelved.name).collect::<Vec<_>>();
        assert_eq!(names(&shelf), ["inventory-export", "inventory-import", "transport"]);
        assert!(shelf.plans().iter().all(|shelved| shelved.plan.is_ok()));
        let write =
            |name: &str, text: &str| crate::ground::durable::write_new(&home.path().join(name), text.as_bytes());
        crate::ground::durable::create_dir_all(shelf.folder()).expect("made");
        write("outside.toml", OWN).expect("written");
        write("connectivity/transport.toml", OWN).expect("written");
        write("connectivity/bad.toml", "name = 1").expect("written");
        assert_eq!(shelf.read("transport").map(|plan| plan.name), Ok("own".to_owned()));
        assert_eq!(names(&shelf), ["bad", "inventory-export", "inventory-import", "transport"]);
        assert_eq!(shelf.read("bad").map_err(|error| error.code), Err("plan-invalid"));
        for name in ["", "../outside", "..", "a/b", "/etc/passwd", "nothing"] {
            assert_eq!(shelf.read(name).map_err(|error| error.code), Err("plan-unknown"), "{name}");
        }
    }
}
