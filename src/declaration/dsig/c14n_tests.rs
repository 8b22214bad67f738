use std::process::{Command, Stdio};

use super::*;

/// The canonical document and the canonical `SignedInfo` of its signature.
fn both(xml: &str, comments: bool) -> Result<(String, String), Fault> {
    let (mut document, mut signed_info) = (Vec::new(), Vec::new());
    let outputs =
        Outputs { document: &mut document, comments, signed_info: &mut signed_info, signed_info_comments: comments };
    canonicalise(xml, outputs).map_err(|error| error.fault)?;
    Ok((String::from_utf8(document).unwrap(), String::from_utf8(signed_info).unwrap()))
}

fn canonical(xml: &str) -> String {
    both(xml, false).unwrap().0
}

#[test]
fn declaration_line_ends_and_blanks_outside_the_root_go() {
    let xml = "<?xml version=\"1.0\"?>\r\n\r\n<a>\r\n b\rc</a>\n\n";
    assert_eq!(canonical(xml), "<a>\n b\nc</a>");
}

#[test]
fn instructions_and_comments_outside_the_root_have_lines_of_their_own() {
    let xml = "<?one   href=\"x\"?><!--c1--><a>t<!-- c2 --></a><!--c3--><?two?>";
    assert_eq!(canonical(xml), "<?one href=\"x\"?>\n<a>t</a>\n<?two?>");
    let with = both(xml, true).unwrap().0;
    assert_eq!(with, "<?one href=\"x\"?>\n<!--c1-->\n<a>t<!-- c2 --></a>\n<!--c3-->\n<?two?>");
}

#[test]
fn empty_elements_get_an_end_tag_and_blanks_in_tags_go() {
    assert_eq!(canonical("<a><b  c = 'd'\n/></a>"), "<a><b c=\"d\"></b></a>");
}

#[test]
fn namespaces_come_first_by_prefix_and_attributes_by_namespace_and_name() {
    let xml = "<e xmlns:b='http://b' xmlns:a='http://z' a:x='1' b:y='2' z='3' attr='4' xmlns='http://d'/>";
    let expected =
        "<e xmlns=\"http://d\" xmlns:a=\"http://z\" xmlns:b=\"http://b\" attr=\"4\" z=\"3\" b:y=\"2\" a:x=\"1\"></e>";
    assert_eq!(canonical(xml), expected);
}

#[test]
fn a_namespace_that_is_in_scope_already_is_not_shown_again() {
    let xml = "<a xmlns='u' xmlns:p='v'><b xmlns='u' xmlns:p='v'><c xmlns='' xmlns:p='w'><d xmlns=''/></c></b></a>";
    let expected = "<a xmlns=\"u\" xmlns:p=\"v\"><b><c xmlns=\"\" xmlns:p=\"w\"><d></d></c></b></a>";
    assert_eq!(canonical(xml), expected);
    assert_eq!(canonical("<a xmlns=''><b xmlns:xml='http://www.w3.org/XML/1998/namespace'/></a>"), "<a><b></b></a>");
}

#[test]
fn characters_are_escaped_in_one_way() {
    let xml = "<a b=\"x&#9;y&#10;&#13;'&quot;&lt;&gt;&amp; \n\tz\">&#13;&lt;&gt;&amp;\"'<![CDATA[<&>]]>&#x6d77;</a>";
    let expected = "<a b=\"x&#x9;y&#xA;&#xD;'&quot;&lt;>&amp;   z\">&#xD;&lt;&gt;&amp;\"'&lt;&amp;&gt;海</a>";
    assert_eq!(canonical(xml), expected);
}

const SIGNED: &str = "<c:m xmlns:c='urn:c' xmlns:xsi='urn:x' xml:lang='zh'><c:t>1</c:t>\
    <ds:Signature xmlns:ds='http://www.w3.org/2000/09/xmldsig#' Id='s'><ds:SignedInfo><ds:R URI=''/><!--x--></ds:SignedInfo>\
    <ds:SignatureValue>AA==</ds:SignatureValue></ds:Signature></c:m>";

#[test]
fn the_signature_is_left_out_and_its_signed_info_shows_what_it_inherits() {
    let (document, signed_info) = both(SIGNED, false).unwrap();
    assert_eq!(document, "<c:m xmlns:c=\"urn:c\" xmlns:xsi=\"urn:x\" xml:lang=\"zh\"><c:t>1</c:t></c:m>");
    let expected = "<ds:SignedInfo xmlns:c=\"urn:c\" xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" \
                    xmlns:xsi=\"urn:x\" xml:lang=\"zh\"><ds:R URI=\"\"></ds:R></ds:SignedInfo>";
    assert_eq!(signed_info, expected);
    assert!(both(SIGNED, true).unwrap().1.contains("<!--x-->"));
}

#[test]
fn only_a_signature_that_is_a_child_of_the_root_is_left_out() {
    let nested = "<a><b><Signature xmlns='http://www.w3.org/2000/09/xmldsig#'/></b><Signature/></a>";
    assert!(canonical(nested).contains("xmldsig") && canonical(nested).ends_with("<Signature></Signature></a>"));
}

#[test]
fn what_is_not_well_formed_has_no_canonical_form() {
    for xml in ["", "<a>", "<a/><b/>", "<a></b>", "<a b='1' b='2'/>", "<p:a/>", "<!DOCTYPE a><a/>", "<a>&x;</a>"] {
        assert!(both(xml, false).is_err(), "{xml}");
    }
    let twice = "<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'/>";
    assert!(both(twice, false).is_err(), "the same attribute under two prefixes");
}

#[test]
fn libxml2_makes_the_same_canonical_form() {
    let samples = [
        SIGNED.replace("Signature", "Signature0"),
        "<a xmlns='urn:u' b='2' a='1'>x &amp; y<!-- gone? --><b xmlns=''><c xmlns:z='urn:q' z:k='v' k='w'/></b></a>"
            .to_owned(),
        "<?pi  data ?>\n<a><![CDATA[x<y]]>&#x4e2d;\r\n<b xml:space='preserve' t=' a\tb '/></a>\n<?end?>".to_owned(),
        "<a xmlns:n='urn:1'><n:b xmlns:n='urn:2' n:x='y' x='z'><n:c xmlns:n='urn:1'/></n:b><n:d/></a>".to_owned(),
    ];
    for xml in samples {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("sample.xml");
        std::fs::write(&file, &xml).unwrap();
        let output = Command::new("xmllint")
            .arg("--c14n")
            .arg(&file)
            .stdin(Stdio::null())
            .output()
            .expect("xmllint is installed");
        assert!(output.status.success());
        assert_eq!(both(&xml, true).unwrap().0, String::from_utf8(output.stdout).unwrap(), "{xml}");
    }
}
