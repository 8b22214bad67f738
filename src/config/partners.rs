//! The folder of partner files: reading all of them, and reading them again while the gateway runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::document::Sheet;
use super::material::Reading;
use super::text::read_text;
use super::{Config, Problem, Severity, Stamps, partner_file};
use crate::bilingual;
use crate::declaration::precheck::Levels;
use crate::ground::text::Bilingual;
use crate::keys::RevocationLists;
use crate::partner::{Directory, Partner, Proxy, Station};

/// The longest partner id; it becomes a folder name.
const LONGEST_ID: usize = 64;

/// What partner files are judged by.
pub(super) struct Surroundings<'g> {
    /// Our side, when it could be read.
    pub(super) station: Option<&'g Station>,
    /// The AS2 listener can be reached from other machines.
    pub(super) exposed: bool,
    /// The payload limit of the gateway.
    pub(super) max_payload: u64,
    /// Levels of the pre-check that all partners begin with.
    pub(super) levels: &'g Levels,
    /// Some listener asks TLS clients for certificates.
    pub(super) asks_clients: bool,
    /// The gateway's way out.
    pub(super) proxy: Option<&'g Proxy>,
    /// The gateway's revocation lists.
    pub(super) revocation: Option<&'g Path>,
}

/// A partner whose file has no errors of its own.
struct Candidate {
    partner: Arc<Partner>,
    /// Line of `as2_name`; `None` when the partner is kept from before a reload.
    name_line: Option<usize>,
}

/// The folder's content.
#[derive(Default)]
pub(super) struct PartnersRead {
    /// Partners to work with.
    pub(super) partners: Vec<Arc<Partner>>,
    /// Errors and warnings of all files.
    pub(super) problems: Vec<Problem>,
    /// Files and folders that they name.
    pub(super) files: BTreeSet<PathBuf>,
    /// How those were before they were read.
    pub(super) stamps: Stamps,
    /// The folder itself could not be read.
    unreadable: bool,
}

/// Reads every `*.toml` of the folder in the order of names. A file with errors leaves the partner of `old` in place.
pub(super) fn read_all(
    folder: &Path,
    reading: &Reading<'_>,
    surroundings: &Surroundings<'_>,
    old: &Directory,
) -> PartnersRead {
    let files = match partner_files(folder) {
        Ok(files) => files,
        Err(problem) => return PartnersRead { problems: vec![*problem], unreadable: true, ..PartnersRead::default() },
    };
    let lists = match surroundings.revocation.map(RevocationLists::read).transpose() {
        Ok(lists) => lists.map(Arc::new),
        Err(error) => {
            // Without the lists revoked certificates would count again.
            let problem = whole_file(error.file(), Severity::Error, error.code(), error.text());
            return PartnersRead { problems: vec![problem], unreadable: true, ..PartnersRead::default() };
        }
    };
    let mut problems = Vec::new();
    if files.is_empty() {
        let text = bilingual!(
            "没有任何伙伴。请参照 config/partners/ 中的示例加入伙伴文件，文件名即伙伴编号。",
            "no partner is configured. Add a file after the examples in config/partners/; its name becomes the partner's id."
        );
        problems.push(whole_file(folder, Severity::Warning, "no-partner", text));
    }
    let (mut read, mut own, mut named, mut stamps) = (Vec::new(), BTreeMap::new(), BTreeSet::new(), Stamps::default());
    for (id, file) in files {
        let (candidate, its, found) =
            read_one(&id, &file, reading, (surroundings, lists.as_ref()), (&mut named, &mut stamps));
        problems.extend(found);
        own.extend(its.map(|its| (id.clone(), its)));
        read.push((id, candidate));
    }
    let old = &under(old, |id| lists.iter().chain(own.get(id)).cloned().collect());
    let kept = |id: &str| old.by_id(id).map(|partner| Candidate { partner: partner.clone(), name_line: None });
    let candidates = read.into_iter().filter_map(|(id, candidate)| candidate.or_else(|| kept(&id))).collect();
    let partners = refuse_shared_names(candidates, old, &mut problems);
    PartnersRead { partners, problems, files: named, stamps, unreadable: false }
}

/// The same partners under the revocation lists that each has now: whoever stays as it was, since its file has a mistake, gets nothing back
/// that was taken back since. Those of whom nothing is are the very same.
fn under(old: &Directory, lists: impl Fn(&str) -> Vec<Arc<RevocationLists>>) -> Directory {
    Directory::new(old.all().map(|partner| {
        lists(&partner.id).iter().fold(partner.clone(), |partner, lists| {
            match partner.certificates.also_revoked_by(lists) {
                Some(certificates) => Arc::new(Partner { certificates, ..Partner::clone(&partner) }),
                None => partner,
            }
        })
    }))
}

/// Reads the folder again, for a running gateway: a folder that cannot be read leaves the partners as they were.
pub(super) fn read_again(
    folder: &Path,
    reading: &Reading<'_>,
    surroundings: &Surroundings<'_>,
    old: &Directory,
) -> (Directory, PartnersRead) {
    let mut read = read_all(folder, reading, surroundings, old);
    let partners = if read.unreadable { old.clone() } else { Directory::new(std::mem::take(&mut read.partners)) };
    (partners, read)
}

/// What partner files are judged by while the gateway runs as `config` says.
pub(super) fn surroundings_of(config: &Config) -> Surroundings<'_> {
    Surroundings {
        station: Some(&config.station),
        exposed: config.as2.is_exposed(),
        max_payload: config.limits.payload,
        levels: &config.precheck.levels,
        asks_clients: config.as2.asks_clients(),
        proxy: config.proxy.as_ref(),
        revocation: config.revocation.as_deref(),
    }
}

/// The keys that a partner file knows, for the test of the examples.
#[cfg(test)]
pub(super) fn known_keys(
    file: &Path,
    text: &str,
    reading: &Reading<'_>,
    surroundings: &Surroundings<'_>,
) -> std::collections::BTreeSet<String> {
    let sheet = Sheet::new(file, text);
    if let Some(table) = sheet.parse(text) {
        let root = sheet.root(&table);
        partner_file::own_lists(&root, reading);
        partner_file::read(&root, "example", file, reading, (surroundings, &[]));
    }
    sheet.finish().1
}

/// The partner if its file has no errors, its own revocation lists, and what is wrong with the file.
fn read_one(
    id: &str,
    file: &Path,
    reading: &Reading<'_>,
    (surroundings, lists): (&Surroundings<'_>, Option<&Arc<RevocationLists>>),
    (named, stamps): (&mut BTreeSet<PathBuf>, &mut Stamps),
) -> (Option<Candidate>, Option<Arc<RevocationLists>>, Vec<Problem>) {
    if !is_folder_name(id) {
        let text = bilingual!(
            "文件名不能作为伙伴编号。请只用小写字母、数字、点、下划线和连字符，以字母或数字开头，最多 {LONGEST_ID} 个字符。",
            "the file's name cannot be a partner's id. Use lower-case letters, digits, dots, underscores and hyphens, begin with a letter or digit, at most {LONGEST_ID} characters."
        );
        return (None, None, vec![whole_file(file, Severity::Error, "partner-id-invalid", text)]);
    }
    let text = match read_text(file) {
        Ok(text) => text,
        Err(problem) => return (None, None, vec![*problem]),
    };
    let sheet = Sheet::new(file, &text);
    let Some(table) = sheet.parse(&text) else { return (None, None, sheet.finish().0) };
    let root = sheet.root(&table);
    let own = partner_file::own_lists(&root, reading);
    let lists: Vec<Arc<RevocationLists>> = lists.into_iter().chain(&own).cloned().collect();
    let partner = partner_file::read(&root, id, file, reading, (surroundings, &lists));
    let name_line = root.place("as2_name").line;
    drop(root);
    named.extend(sheet.files());
    stamps.join(sheet.stamps());
    let sound = !sheet.has_errors();
    let candidate = partner.filter(|_| sound).map(|partner| Candidate { partner: Arc::new(partner), name_line });
    (candidate, own, sheet.finish().0)
}

/// Two partners with one AS2 name cannot be told apart: the pair (AS2-From, AS2-To) names the agreement. The partner
/// that already had the name in `old` keeps it; else the first by id does. Whoever loses stays as it was, under its old name.
fn refuse_shared_names(
    mut candidates: Vec<Candidate>,
    old: &Directory,
    problems: &mut Vec<Problem>,
) -> Vec<Arc<Partner>> {
    let incumbent =
        |partner: &Partner| old.by_id(&partner.id).is_some_and(|before| before.as2_name == partner.as2_name);
    loop {
        candidates.sort_by_key(|one| (!incumbent(&one.partner), one.partner.id.clone()));
        let Some((place, owner)) = first_shared(&candidates) else {
            return candidates.into_iter().map(|one| one.partner).collect();
        };
        let Candidate { partner, name_line } = candidates.remove(place);
        let text = bilingual!(
            "AS2 名称与伙伴 {owner} 相同，收到的报文无法区分。请更改其一或删除重复的文件。",
            "the AS2 name is also that of the partner {owner}: their messages cannot be told apart. Change one or remove the second file."
        );
        let mut problem = whole_file(&partner.file, Severity::Error, "as2-name-taken", text);
        (problem.line, problem.key) = (name_line, "as2_name".to_owned());
        problems.push(problem);
        // Its name is in use still then, and nobody else's.
        let before = old.by_id(&partner.id).filter(|before| before.as2_name != partner.as2_name);
        candidates.extend(before.map(|before| Candidate { partner: before.clone(), name_line: None }));
    }
}

/// The first candidate whose AS2 name one before it has, and whose that is.
fn first_shared(candidates: &[Candidate]) -> Option<(usize, String)> {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    candidates.iter().enumerate().find_map(|(place, Candidate { partner, .. })| {
        let owner = owners.insert(partner.as2_name.as_str(), partner.id.as_str());
        owner.map(|owner| (place, owner.to_owned()))
    })
}

/// `(id, file)` of every partner file, in the order of ids.
fn partner_files(folder: &Path) -> Result<Vec<(String, PathBuf)>, Box<Problem>> {
    let unreadable = |error: std::io::Error| {
        let reason = error.kind();
        let text = bilingual!(
            "无法读取伙伴文件夹：{reason}。请创建该文件夹，或更正 gateway.toml 中的 folders.partners。",
            "the folder of partner files cannot be read: {reason}. Create it or correct folders.partners in gateway.toml."
        );
        Box::new(whole_file(folder, Severity::Error, "partners-unreadable", text))
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if let Some(id) = name.strip_suffix(".toml").filter(|id| !id.starts_with('.')) {
            files.push((id.to_owned(), file));
        }
    }
    files.sort();
    Ok(files)
}

/// Whether it can be a partner's id: `[a-z0-9][a-z0-9._-]*`, not longer than a folder name may comfortably be, and usable on
/// Windows as well.
pub fn is_folder_name(id: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let stem = id.split('.').next().unwrap_or_default();
    let device = matches!(stem, "con" | "prn" | "aux" | "nul")
        || (stem.len() == 4
            && (stem.starts_with("com") || stem.starts_with("lpt"))
            && stem.ends_with(|c: char| c.is_ascii_digit()));
    id.bytes().next().is_some_and(letter)
        && id.bytes().all(|byte| letter(byte) || b"._-".contains(&byte))
        && id.len() <= LONGEST_ID
        && !id.ends_with('.')
        && !device
}

fn whole_file(file: &Path, severity: Severity, code: &'static str, text: Bilingual) -> Problem {
    Problem { severity, code, file: file.to_owned(), line: None, key: String::new(), text }
}
