//! Every row of every table, with a value that is right and one that is not.

use super::super::super::schema::specimen::{self, Fullness, Piece};
use super::super::super::schema::{Content, Format, Given, Message, Must, Node, Spec};
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
            let only_text = ["field-required", "receipt-key-missing", "spec-length"];
            let bad: Vec<_> = bad.into_iter().filter(|it| !only_text.contains(&it.code.as_str())).collect();
            assert!(bad.is_empty(), "{} {fullness:?}: {bad:?}", message.name());
        }
    }
}

/// Calls for every row with an example that has it; how many were passed over. Of elements of a signature that exclude
/// each other the first is in every example; the others, the same in every message, are looked at in one.
fn each(mut on_row: impl FnMut(&Piece, &str, &Node)) -> usize {
    let mut passed_over = 0;
    for message in schema::current().messages() {
        let whole = specimen::of(message, Fullness::All);
        for (path, node) in paths(message) {
            if whole.clone().at(&path).is_some() {
                on_row(&whole, &path, node);
            } else if message.name() == "CEB311Message" {
                let mut other = specimen::towards(message, Fullness::All, &path);
                assert!(other.at(&path).is_some(), "{path}");
                on_row(&other, &path, node);
            } else {
                assert!(path.contains("Signature/"), "{} {path}", message.name());
                passed_over += 1;
            }
        }
    }
    passed_over
}

/// The elements beside the one at `path`, itself included.
fn siblings<'p>(piece: &'p mut Piece, path: &str) -> &'p mut Vec<Piece> {
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    &mut if parent.is_empty() { piece } else { piece.at(parent).expect("the parent") }.children
}

fn in_choice(path: &str) -> bool {
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    ["KeyInfo", "KeyValue", "X509Data", "PGPData", "SPKIData", "Transform"]
        .iter()
        .any(|choice| parent.ends_with(choice))
}

/// Codes of the findings about the element at `path` once its text is `value`.
fn codes_with(whole: &Piece, path: &str, value: &str) -> Vec<(String, String)> {
    let mut piece = whole.clone();
    value.clone_into(&mut piece.at(path).expect("the element").text);
    let found = findings(&piece).into_iter().filter(|it| it.path.ends_with(&format!("/{path}")));
    found.map(|it| (it.rule, it.code)).collect()
}

#[test]
fn every_row_refuses_what_it_must_and_takes_what_it_may() {
    let (mut values, mut places, mut forms) = (0, 0, 0);
    let passed_over = each(|whole, path, node| {
        let shown = format!("{} {path}", whole.name);
        if let Some(bad) = refused(node) {
            let codes = codes_with(whole, path, &bad);
            assert!(codes.iter().any(|(rule, _)| rule == "R03"), "{shown} takes {bad:?}");
            values += 1;
        }
        if let Some(bad) = malformed(node).filter(|_| path != "Data") {
            let codes = codes_with(whole, path, &bad);
            assert!(codes.iter().any(|(rule, _)| rule != "R03"), "{shown} takes {bad:?}");
            forms += 1;
        }
        let mut piece = whole.clone();
        siblings(&mut piece, path).retain(|child| child.name != node.name);
        let codes: Vec<String> = findings(&piece).into_iter().map(|it| it.code).collect();
        let missing =
            ["element-missing", "element-required-by-xsd"].iter().any(|code| codes.iter().any(|it| it == code));
        assert!(in_choice(path) || missing == (node.min > 0), "{shown} is missing");
        let demanded = node.min == 0 && node.notes.must == Must::Yes;
        let group_is_there = path.contains('/');
        assert!(!group_is_there || codes.iter().any(|code| code == "field-required") == demanded, "{shown}: {codes:?}");
        places += 1;
    });
    assert!(values > 900 && places > 1000 && forms > 300, "{values} {places} {forms}");
    assert_eq!((passed_over, places), (660, 1492));
}

#[test]
fn every_row_allows_as_many_as_its_table_says_and_no_more() {
    let mut bounded = 0;
    each(|whole, path, node| {
        let told = |count: u32| {
            let mut piece = whole.clone();
            let all = siblings(&mut piece, path);
            let at = all.iter().position(|child| child.name == node.name).expect("the element");
            let one = all[at].clone();
            all.splice(at..=at, std::iter::repeat_n(one, usize::try_from(count).expect("small")));
            let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
            let found = findings(&piece).into_iter().filter(|it| it.path.contains(parent));
            found.filter(|it| it.code == "element-repeated" || it.code == "too-many-documents").count()
        };
        if in_choice(path) {
            return;
        }
        let shown = format!("{} {path}", whole.name);
        if node.max == u32::MAX {
            assert_eq!(told(3), 0, "{shown}");
        } else if node.max <= 100 {
            assert_eq!((told(node.max), told(node.max + 1)), (0, 1), "{shown} {}", node.max);
            bounded += 1;
        }
    });
    assert!(bounded > 1000, "{bounded}");
}

#[test]
fn every_length_in_which_text_and_schema_differ_is_told() {
    let (mut told, mut refused) = (0, 0);
    each(|whole, path, node| {
        let Content::Value(kind, _) = &node.content else { return };
        let shown = format!("{} {path}", whole.name);
        let says = |value: &str, code: &str| codes_with(whole, path, value).iter().any(|(_, it)| it == code);
        match node.notes.spec {
            Spec::Same | Spec::Absent => {}
            Spec::Digits(most) => {
                let most = usize::try_from(most).expect("small");
                assert!(
                    says(&"1".repeat(most + 1), "spec-length") && !says(&"1".repeat(most), "spec-length"),
                    "{shown}"
                );
                told += 1;
            }
            Spec::Characters(least, most) => {
                for length in [least.saturating_sub(1), least, most, most + 1].into_iter().filter(|length| *length > 0)
                {
                    let value = "7".repeat(usize::try_from(length).expect("small"));
                    let by_text = (least..=most).contains(&length);
                    let code = match (by_text, kind.fault(&value).is_none()) {
                        (true, true) => {
                            assert!(!says(&value, "spec-length") && !says(&value, "value-length-by-xsd"), "{shown}");
                            continue;
                        }
                        (true, false) => "value-length-by-xsd",
                        (false, true) => "spec-length",
                        (false, false) => continue,
                    };
                    assert!(says(&value, code), "{shown} {length}: {code}");
                    if by_text { refused += 1 } else { told += 1 }
                }
            }
        }
    });
    assert_eq!((told, refused), (26, 4));
}

#[test]
fn an_element_that_only_the_schema_demands_has_a_code_of_its_own() {
    let mut count = 0;
    each(|whole, path, node| {
        if node.min == 0 || !(node.notes.must == Must::No || node.notes.spec == Spec::Absent) {
            return;
        }
        let mut piece = whole.clone();
        siblings(&mut piece, path).retain(|child| child.name != node.name);
        let finding = findings(&piece).into_iter().find(|it| it.code == "element-required-by-xsd").expect(path);
        assert!(finding.message_zh.contains("规范正文"), "{}", finding.message_zh);
        count += 1;
    });
    assert!(count >= 9, "{count}");
}

type Attributes = Vec<(String, String)>;

#[test]
fn every_attribute_is_held_to_its_row() {
    let (mut required, mut values) = (0, 0);
    let mut check = |whole: &Piece, path: &str, node: &Node| {
        let with = |change: &dyn Fn(&mut Attributes)| {
            let mut piece = whole.clone();
            change(&mut if path.is_empty() { &mut piece } else { piece.at(path).expect("the element") }.attributes);
            findings(&piece).into_iter().filter(|it| it.rule == "R03").map(|it| it.code).collect::<Vec<_>>()
        };
        if matches!(node.content, Content::Anything) {
            return;
        }
        for attribute in &node.attributes {
            let shown = format!("{} {path} @{}", whole.name, attribute.name);
            let gone = with(&|all| all.retain(|(name, _)| *name != attribute.name));
            let wanted: &[&str] = if attribute.required { &["attribute-missing"] } else { &[] };
            assert_eq!(gone, wanted, "{shown} is missing");
            required += usize::from(attribute.required);
            let long = "y".repeat(6000);
            let wrong = |value: &&str| {
                attribute.kind.fault(value).is_some() || attribute.fixed.as_deref().is_some_and(|fixed| fixed != *value)
            };
            let Some(bad) = ["", "!", "1.1234567", "#%zz", &long].into_iter().find(wrong) else { continue };
            let set = |all: &mut Attributes| {
                let at = all.iter().position(|(name, _)| *name == attribute.name).expect("the attribute");
                bad.clone_into(&mut all[at].1);
            };
            assert!(!with(&set).is_empty(), "{shown} takes {bad:.20}");
            values += 1;
        }
        let other = with(&|all| all.push(("other".to_owned(), "1".to_owned())));
        assert_eq!(other, ["attribute-unexpected"], "{} {path}", whole.name);
    };
    each(|whole, path, node| check(whole, path, node));
    for message in schema::current().messages() {
        check(&specimen::of(message, Fullness::All), "", message.root().expect("a root"));
    }
    assert_eq!((required, values), (184, 283));
}
