//! The judge is judged: `tests/checker/check.py` calls a clean account clean and sees each kind of error.

use dxgate::as2::mdn::{self, MdnPlan};
use dxgate::as2::{As2Name, As2Version, Disposition, MessageId, MicalgStyle};
use jiff::Timestamp;
use tempfile::TempDir;

use crate::proof::account::{Account, Judgement, Shelf, judge};
use crate::support::correspondent::signing;
use crate::support::keys::{self, Party};

const POSITIVE: &str = "automatic-action/MDN-sent-automatically; processed";
const NEGATIVE: &str = "automatic-action/MDN-sent-automatically; processed/error: decryption-failed";
const EVERYTHING: &[&str] = &["--all-offers", "--receipts"];

#[test]
fn an_account_in_which_everything_arrived_once_is_clean() {
    let case = Case::new();
    case.exchanged("a.xml");
    case.exchanged("b.xml");
    let judgement = case.judge(EVERYTHING);
    assert!(judgement.clean, "{}", judgement.text());
    let figures = ["offered", "acknowledged", "taken", "mdns", "mdns_verified"].map(|figure| judgement.sum(figure));
    assert_eq!(figures, [2; 5], "{judgement:?}");
}

#[test]
fn a_file_that_was_acknowledged_and_never_taken_is_lost() {
    let case = Case::new();
    case.offered("a.xml");
    case.account.acknowledged("a.xml", "dropped");
    assert_eq!(case.finds(&[], &["acknowledged_lost"]).count("acknowledged_lost"), 1);
}

#[test]
fn a_file_that_was_only_offered_is_lost_if_all_offers_count() {
    let case = Case::new();
    case.offered("a.xml");
    case.finds(&[], &[]);
    case.finds(&["--all-offers"], &["lost"]);
}

#[test]
fn a_file_that_comes_again_after_its_removal_is_doubled() {
    let case = Case::new();
    case.exchanged("a.xml");
    case.took(Shelf::Inbox, "a.xml", b"content of a.xml");
    case.finds(EVERYTHING, &["doubled"]);
}

#[test]
fn a_file_that_comes_under_a_second_name_is_doubled() {
    let case = Case::new();
    case.exchanged("a.xml");
    case.took(Shelf::Inbox, "a.01234.xml", b"content of a.xml");
    case.finds(EVERYTHING, &["doubled"]);
}

#[test]
fn a_file_whose_removal_was_undone_by_the_power_cut_is_read_again_but_not_doubled() {
    let case = Case::new();
    case.offered("a.xml");
    case.account.acknowledged("a.xml", "dropped");
    case.account.taken(Shelf::Inbox, "a.xml", b"content of a.xml");
    case.took(Shelf::Inbox, "a.xml", b"content of a.xml");
    let judgement = case.finds(&["--all-offers"], &[]);
    assert_eq!(judgement.sum("reread"), 1);
}

#[test]
fn half_a_file_is_torn() {
    let case = Case::new();
    case.offered("a.xml");
    case.took(Shelf::Inbox, "a.xml", b"content of");
    case.finds(&[], &["torn"]);
    case.finds(&["--all-offers"], &["lost", "torn"]);
}

#[test]
fn a_positive_receipt_for_a_file_that_nobody_has_is_found() {
    let case = Case::new();
    case.offered("a.xml");
    case.receipt("a.xml", POSITIVE, keys::theirs());
    case.finds(&[], &["mdn_without_file"]);
}

#[test]
fn a_receipt_that_somebody_else_signed_or_that_was_changed_does_not_count() {
    let case = Case::new();
    case.exchanged("a.xml");
    case.receipt("a.xml", POSITIVE, keys::stranger());
    case.finds(EVERYTHING, &["mdn_missing", "mdn_unverified"]);
    let changed = String::from_utf8_lossy(&receipt(NEGATIVE, keys::theirs())).replace("decryption", "decrypted!");
    case.account.mdn("a.xml.mdn", changed.as_bytes());
    case.finds(EVERYTHING, &["mdn_missing", "mdn_unverified"]);
}

#[test]
fn a_negative_receipt_a_missing_one_and_one_about_nothing_are_told_apart() {
    let case = Case::new();
    case.exchanged("a.xml");
    case.receipt("a.xml", NEGATIVE, keys::theirs());
    case.finds(EVERYTHING, &["mdn_missing", "mdn_negative"]);
    case.receipt("a.xml", POSITIVE, keys::theirs());
    case.receipt("never.xml", POSITIVE, keys::theirs());
    case.finds(EVERYTHING, &["mdn_stray"]);
}

#[test]
fn an_original_that_is_missing_doubled_or_torn_in_the_senders_folder_is_found() {
    let case = Case::new();
    case.offered("a.xml");
    case.took(Shelf::Inbox, "a.xml", b"content of a.xml");
    case.receipt("a.xml", POSITIVE, keys::theirs());
    case.finds(EVERYTHING, &["original_lost"]);
    case.took(Shelf::Originals, "a.xml", b"content of a.xml");
    case.took(Shelf::Originals, "a.xml", b"content of a.xml");
    case.took(Shelf::Originals, "b.xml", b"content");
    case.finds(EVERYTHING, &["original_doubled", "original_torn"]);
}

/// One account and what is written into it.
struct Case {
    account: Account,
    _folder: TempDir,
}

impl Case {
    fn new() -> Case {
        let folder = tempfile::tempdir().unwrap();
        Case { account: Account::begin(folder.path().join("account"), keys::theirs()), _folder: folder }
    }

    fn offered(&self, name: &str) {
        self.account.offered(name, format!("content of {name}").as_bytes());
    }

    /// A file that went all the way.
    fn exchanged(&self, name: &str) {
        let content = format!("content of {name}");
        self.offered(name);
        self.account.acknowledged(name, "dropped");
        self.took(Shelf::Inbox, name, content.as_bytes());
        self.took(Shelf::Originals, name, content.as_bytes());
        self.receipt(name, POSITIVE, keys::theirs());
    }

    fn took(&self, shelf: Shelf, name: &str, content: &[u8]) {
        self.account.taken(shelf, name, content);
        self.account.removed(shelf, name);
    }

    fn receipt(&self, name: &str, disposition: &str, signer: &'static Party) {
        self.account.mdn(&format!("{name}.mdn"), &receipt(disposition, signer));
    }

    fn judge(&self, options: &[&str]) -> Judgement {
        judge([&self.account], options)
    }

    /// Exactly these kinds of problems, one of each.
    fn finds(&self, options: &[&str], kinds: &[&str]) -> Judgement {
        let judgement = self.judge(options);
        let problems = judgement.reports[0]["problems"].as_object().unwrap();
        let found: Vec<(&str, u64)> =
            problems.iter().map(|(kind, count)| (kind.as_str(), count.as_u64().unwrap())).collect();
        assert_eq!(found, kinds.iter().map(|kind| (*kind, 1)).collect::<Vec<_>>(), "{judgement:?}");
        assert_eq!(judgement.clean, kinds.is_empty());
        judgement
    }
}

/// An MDN as it travels.
fn receipt(disposition: &str, signer: &'static Party) -> Vec<u8> {
    let id = |text| MessageId::parse(text).unwrap();
    let built = mdn::build(&MdnPlan {
        from: &As2Name::parse("theirs").unwrap(),
        to: &As2Name::parse("ours").unwrap(),
        original_message_id: Some("<message@ours>"),
        disposition: &Disposition::parse_received(disposition).unwrap(),
        mic: None,
        explanation: "A receipt.",
        signing: Some(&signing(signer)),
        micalg_style: MicalgStyle::Hyphenated,
        version: As2Version::default(),
        message_id: &id("<receipt@theirs>"),
        date: Timestamp::now(),
    })
    .unwrap();
    [built.headers.to_bytes().as_slice(), b"\r\n", &built.body].concat()
}
