//! Every row of every table, with a value that is right and one that is not.

use super::super::super::schema::specimen::{self, Fullness, Piece};
use super::super::super::schema::{Content, Format, Given, Message, Node};
use super::*;

/// Rules that look at one field alone.
const FIELD_RULES: [&str; 16] =
    ["R02", "R03", "R04", "R05", "R06", "R08", "R13", "R14", "R15", "R21", "R23", "R27", "R28", "R34", "R36", "R37"];

fn findings(piece: &Piece) -> Vec<Finding> {
    let expect = Expectations { to_be_signed: false, ..expect() };
    let report = check(&mut piece.write().as_bytes(), &expect, &Limits::default());
    report.findings.into_iter().filter(|finding| !finding.path.starts_with("DxpMsg/Data/")).collect()
}

/// Path below the root, node, for every element of the message.
fn paths(message: &Message) -> Vec<(String, &Node)> {
    fn walk<'m>(message: &'m Message, node: &'m Node, path: &str, out: &mut Vec<(String, &'m Node)>) {
        for child in node.children.iter().filter_map(|id| message.node(*id)).filter(|child| child.name != "*") {
            let path = if path.is_empty() { child.name.clone() } else { format!("{path}/{}", child.name) };
            out.push((path.clone(), child));
            walk(message, child, &path, out);
        }
    }
    let mut out = Vec::new();
    walk(message, message.root().expect("a root"), "", &mut out);
    out
}

/// A value that the schema refuses.
fn refused(node: &Node) -> Option<String> {
    let Content::Value(kind, given) = &node.content else { return None };
    let empty = if *given == Given::Nothing { "" } else { "9999999" };
    [empty, "!", "1.1234567", "#%zz"]
        .iter()
        .map(|text| (*text).to_owned())
        .chain([4, 40, 6000].map(|length| "y".repeat(length)))
        .find(|text| kind.fault(text).is_some())
}

/// A value that the schema takes and the form does not.
fn malformed(node: &Node) -> Option<String> {
    let Content::Value(kind, given) = &node.content else { return None };
    if matches!(given, Given::Fixed(_)) {
        return None;
    }
    let like = "z".repeat(specimen::value(*kind, &node.notes).chars().count());
    let bad = match node.notes.format {
        Format::Free | Format::Gnum => return None,
        Format::Port => "z!z!".to_owned(),
        Format::Amount => "-1".to_owned(),
        Format::Positive => "0".to_owned(),
        _ if kind.fault(&like).is_some() => "7".to_owned(),
        _ => like,
    };
    kind.fault(&bad).is_none().then_some(bad)
}

#[test]
fn a_full_and_a_least_example_of_every_message_are_without_fault() {
    for message in schema::current().messages() {
        for fullness in [Fullness::All, Fullness::Least] {
            let piece = specimen::of(message, fullness);
            let bad: Vec<_> =
                findings(&piece).into_iter().filter(|it| FIELD_RULES.contains(&it.rule.as_str())).collect();
            // The least example leaves out what only the specification's text demands, and no code has 64 characters.
            let bad: Vec<_> =
                bad.into_iter().filter(|it| it.code != "field-required" && it.code != "spec-length").collect();
            assert!(bad.is_empty(), "{} {fullness:?}: {bad:?}", message.name());
        }
    }
}

#[test]
fn every_row_refuses_what_it_must_and_takes_what_it_may() {
    let (mut values, mut places, mut forms) = (0, 0, 0);
    for message in schema::current().messages() {
        let whole = specimen::of(message, Fullness::All);
        for (path, node) in paths(message) {
            let shown = format!("{} {path}", message.name());
            if whole.clone().at(&path).is_none() || path == "Data" {
                continue;
            }
            let found_at = |piece: &Piece, rules: &dyn Fn(&str) -> bool| {
                findings(piece).iter().any(|it| rules(&it.rule) && it.path.ends_with(&format!("/{path}")))
            };
            if let Some(bad) = refused(node) {
                let mut piece = whole.clone();
                piece.at(&path).expect("the element").text.clone_from(&bad);
                assert!(found_at(&piece, &|rule| rule == "R03"), "{shown} takes {bad:?}");
                values += 1;
            }
            if let Some(bad) = malformed(node) {
                let mut piece = whole.clone();
                piece.at(&path).expect("the element").text.clone_from(&bad);
                assert!(found_at(&piece, &|rule| rule != "R03"), "{shown} takes {bad:?}");
                forms += 1;
            }
            let mut piece = whole.clone();
            let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
            let siblings = if parent.is_empty() { Some(&mut piece) } else { piece.at(parent) };
            siblings.expect("the parent").children.retain(|child| child.name != node.name);
            let choices = ["KeyInfo", "KeyValue", "X509Data", "Transform"];
            let in_choice = choices.iter().any(|choice| parent.ends_with(choice));
            let missing = findings(&piece).iter().any(|it| it.code == "element-missing");
            assert!(in_choice || missing == (node.min > 0), "{shown} is missing");
            places += 1;
        }
    }
    assert!(values > 900 && places > 1000 && forms > 300, "{values} {places} {forms}");
}
