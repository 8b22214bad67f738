use super::super::family;
use super::*;

fn current() -> &'static Edition {
    edition(CURRENT).expect("the edition in force")
}

#[test]
fn every_table_is_read() {
    for (name, tables) in TABLES {
        let messages = read::edition(tables).unwrap_or_else(|what| panic!("{name}: {what}"));
        assert!(messages.len() > 40, "{name}");
    }
    assert_eq!(editions().count(), EDITIONS.len());
    assert!(edition("nonesuch").is_none());
}

#[test]
fn every_message_type_has_a_table_that_agrees_with_it() {
    for row in family::all() {
        let message = current().find(Ns::Ceb, row.name).unwrap_or_else(|| panic!("{} has no table", row.name));
        let node = message.at(row.node).unwrap_or_else(|| panic!("{} {}", row.name, row.node));
        assert_eq!((node.min, node.max), (1, row.max_documents), "{}", row.name);
        let head = match row.head {
            Some(head) => format!("{}/{head}/", row.node),
            None => format!("{}/", row.node),
        };
        for key in row.keys {
            assert!(message.at(&format!("{head}{key}")).is_some(), "{} {head}{key}", row.name);
        }
        for (field, _) in row.fields {
            assert!(message.at(&format!("{head}{field}")).is_some(), "{} {head}{field}", row.name);
        }
    }
    assert_eq!(current().messages().filter(|message| message.namespace() == Ns::Ceb).count(), family::all().count());
    for name in ["DxpMsg", "DxpRep", "DxpMsgSv"] {
        assert!(current().find(Ns::Dxp, name).is_some());
    }
}

#[test]
fn the_tables_are_consistent() {
    for message in current().messages() {
        for (id, node) in message.nodes().enumerate() {
            let place = format!("{} {}", message.name(), node.name);
            let parent = matches!(node.content, Content::Sequence | Content::Choice { .. });
            assert!(parent || node.children.is_empty(), "{place} has a value and children");
            assert!(node.children.len() < 128, "{place} has too many children for one set of bits");
            assert!(node.children.iter().all(|child| *child > id), "{place}");
            let mut names: Vec<_> = node.children.iter().filter_map(|child| message.node(*child)).collect();
            names.sort_by_key(|child| (child.name.as_str(), child.namespace as u8));
            assert!(names.windows(2).all(|pair| pair[0].name != pair[1].name), "{place} has two children of one name");
            if let Content::Value(kind, Given::Default(value) | Given::Fixed(value)) = &node.content {
                assert_eq!(kind.fault(value), None, "{place}");
            }
            if let (Content::Value(kind, _), Format::OneOf(values)) = (&node.content, &node.notes.format) {
                assert!(values.iter().all(|(value, _)| kind.fault(value).is_none()), "{place} lists impossible values");
            }
            if node.min > 0 && matches!(node.content, Content::Value(..)) && node.namespace == Ns::Ceb {
                assert_ne!(node.notes.must, Must::Conditional, "{place}");
            }
        }
    }
}

#[test]
fn a_wrong_table_names_its_line() {
    let head = "# namespace ceb\nelement,occurs,type,given,format,must,spec,personal,name_zh\n.,1,group,,,,,,根\n";
    let read = |row: &str| read::edition(&[("CEB1Message", &format!("{head}{row}"))]).map(|messages| messages.len());
    assert_eq!(read("a,1,\"N19,5\",,amount,Y,,,名称\n"), Ok(1));
    for (row, what) in [
        ("a,1,C1..x,,,Y,,,名称", "unknown type"),
        ("a,2..1,C1,,,Y,,,名称", "occurs"),
        ("a,1,C1,,laughs,Y,,,名称", "unknown format"),
        ("a,1,C1,,,Q,,,名称", "must is"),
        ("a,1,C1,,,Y", "6 cells"),
        ("a,1,=nowhere.x,,,Y,,,名称", "no table"),
        ("a,1,=CEB1Message.CEB1Message,,,,,,名称", "circle"),
    ] {
        let error = read(row).expect_err(row);
        assert!(error.contains("line 4") && error.contains(what), "{error}");
    }
}
