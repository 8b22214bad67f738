use proptest::prelude::ProptestConfig;

use super::*;

/// Everything the scanner says about a document: `+name` and `-name=text`.
fn scan_with(xml: &[u8], limits: &Limits) -> Result<Vec<String>, DeclarationError> {
    let mut input = xml;
    let mut scanner = Scanner::new(&mut input, 1 << 30, limits);
    let mut seen = Vec::new();
    loop {
        let event = scanner.next()?;
        let name = scanner.element().map(|element| element.local().to_owned()).unwrap_or_default();
        match event {
            Event::Start => seen.push(format!("+{name}")),
            Event::End => seen.push(format!("-{name}={}", scanner.text())),
            Event::Eof => return Ok(seen),
        }
    }
}

fn scan(xml: &str) -> Result<Vec<String>, DeclarationError> {
    scan_with(xml.as_bytes(), &Limits::default())
}

fn code(xml: &str) -> &'static str {
    scan(xml).expect_err("a faulty document").code()
}

#[test]
fn text_is_joined_over_references_cdata_and_comments() {
    let seen = scan("<?xml version=\"1.0\"?><!-- c --><a> x<!-- y -->&amp;<![CDATA[<z>]]>&#20013;</a>\n")
        .expect("well-formed");
    assert_eq!(seen, ["+a", "-a= x&<z>中"]);
}

#[test]
fn empty_elements_start_and_end() {
    assert_eq!(scan("<a><b/><b></b></a>").expect("well-formed"), ["+a", "+b", "-b=", "+b", "-b=", "-a="]);
}

#[test]
fn prefixes_and_default_namespaces_resolve_to_the_same() {
    for xml in [
        "<x:a xmlns:x='http://www.chinaport.gov.cn/ceb'/>",
        "<a xmlns='http://www.chinaport.gov.cn/ceb'/>",
        "\u{FEFF}<a xmlns='http://www.chinaport.gov.cn/ceb'></a>",
    ] {
        let mut input = xml.as_bytes();
        let mut scanner = Scanner::new(&mut input, 1000, &Limits::default());
        assert_eq!(scanner.next(), Ok(Event::Start));
        assert!(scanner.element().expect("open").is(&Namespace::Ceb, "a"));
    }
}

#[test]
fn what_is_not_well_formed_is_refused() {
    for xml in [
        "<a><b></a></b>",
        "<a>",
        "<a/><b/>",
        "text<a/>",
        "<a/>text",
        "<a b='1' b='2'/>",
        "<a b='<'/>",
        "<a>\u{1}</a>",
        "<a>&#0;</a>",
        "<a>]]></a>",
        "<1a/>",
        "<a/><?xml version='1.0'?>",
        " <?xml version='1.0'?><a/>",
        "<a",
        "<a b=1/>",
        "<a b='&nope;'/>",
        "<![CDATA[x]]><a/>",
    ] {
        assert_eq!(code(xml), "xml-malformed", "{xml}");
    }
    assert_eq!(code(""), "xml-empty");
    assert_eq!(code("<!-- nothing -->"), "xml-empty");
    assert_eq!(code("<p:a/>"), "xml-prefix-unbound");
}

#[test]
fn a_billion_laughs_are_refused_at_the_doctype() {
    let xml = "<!DOCTYPE l [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>]><l>&b;</l>";
    assert_eq!(code(xml), "xml-doctype");
    assert_eq!(code("<l>&b;</l>"), "xml-entity-unknown");
    assert_eq!(code("<!DOCTYPE l SYSTEM 'file:///etc/passwd'><l/>"), "xml-doctype");
}

#[test]
fn a_depth_bomb_is_refused_at_the_limit() {
    let error = scan(&"<a>".repeat(100_000)).expect_err("too deep");
    assert_eq!(error.fault, Fault::TooDeep { max: Limits::default().xml_depth });
}

#[test]
fn an_attribute_bomb_is_refused_at_the_limit() {
    let many: String = (0..1000).map(|n| format!(" a{n}='1'")).collect();
    assert_eq!(code(&format!("<a{many}/>")), "xml-too-many-attributes");
    let namespaces: String = (0..1000).map(|n| format!(" xmlns:a{n}='u{n}'")).collect();
    assert_eq!(code(&format!("<a{namespaces}/>")), "xml-too-many-attributes");
}

#[test]
fn one_endless_item_is_refused_without_being_held() {
    let long = "x".repeat(1 << 20);
    for xml in [
        format!("<a>{long}</a>"),
        format!("<a b='{long}'/>"),
        format!("<{long}/>"),
        format!("<!--{long}--><a/>"),
        format!("<a><![CDATA[{long}]]></a>"),
        format!("<!DOCTYPE a [<!ENTITY b '{long}'>]><a/>"),
        format!("<a>&{long};</a>"),
    ] {
        assert_eq!(code(&xml), "xml-item-too-long");
    }
    assert_eq!(code(&format!("<a>{}</a>", "x&amp;".repeat(60_000))), "xml-item-too-long");
}

#[test]
fn the_place_of_a_fault_is_its_line_column_and_path() {
    let error = scan("<a>\n  <b/>\n  <b>\n   <海/>&no;</b></a>").expect_err("unknown entity");
    assert_eq!((error.line, error.column, error.path.as_str()), (4, 8, "a/b[2]"));
}

#[test]
fn a_long_text_comes_in_pieces() {
    let long = "QUJD\r\n".repeat(50_000);
    let xml = format!("<a>{long}&#13;&#10;<!-- -->QQ==<![CDATA[RR]]></a>");
    let mut input = xml.as_bytes();
    let mut scanner = Scanner::new(&mut input, 1 << 30, &Limits::default());
    assert_eq!(scanner.next(), Ok(Event::Start));
    let (mut piece, mut all) = (Vec::new(), Vec::new());
    while scanner.next_piece(&mut piece).expect("well-formed").is_some() {
        assert!(piece.len() <= 64 * 1024);
        all.extend_from_slice(&piece);
    }
    assert_eq!(String::from_utf8(all).expect("ASCII"), format!("{long}\r\nQQ==RR"));
    assert_eq!(scanner.next(), Ok(Event::Eof));
}

/// Hears everything and says nothing: with it, all is read token by token.
pub(in crate::declaration) struct Hearer;

impl Listener for Hearer {
    fn start(&mut self, _: &Element, _: &[(String, String)]) {}
    fn end(&mut self, _: &Element) {}
    fn text(&mut self, _: &str) {}
    fn comment(&mut self, _: &str) {}
    fn instruction(&mut self, _: &str, _: &str) {}
}

/// Events with names, places and the texts of leaves, or how it ended; each place is counted again from the beginning.
fn walked(mut scanner: Scanner<'_>, xml: &str) -> Vec<String> {
    let mut walked = Vec::new();
    loop {
        let event = match scanner.next() {
            Ok(event) => event,
            Err(error) => {
                walked.push(format!("{error:?}"));
                return walked;
            }
        };
        let (at, offsets) = (scanner.element().map(|element| element.at), (scanner.tag_offset(), scanner.offset()));
        if let (Event::Start, Some(at), Ok(before)) = (event, at, usize::try_from(offsets.0)) {
            assert_eq!(at, Position::START.after(&xml.as_bytes()[..before]), "{xml}");
        }
        let leaf = scanner.element().is_some_and(|element| event == Event::End && !element.parent);
        let text = if leaf { scanner.text() } else { "" };
        walked.push(format!("{event:?} {} {at:?} {offsets:?} {text:?}", scanner.path()));
        if event == Event::Eof {
            return walked;
        }
    }
}

#[test]
fn what_is_read_quickly_is_read_the_same() {
    let long = "海关".repeat(9000);
    let values = [
        "",
        "1",
        "海",
        "12345678",
        "两\r\n行",
        "a\nb",
        "\n",
        " \t",
        "&lt;\n",
        "]]",
        "<![CDATA[x]]>",
        "<!--c-->",
        &long,
    ];
    let ends = ["</p:b>", "</p:b >", "\n</p:b>", "</p:c>", "</b>", ""];
    let gaps = ["", "\n", "\r\n    ", "\n\n\t", "<!--海\n-->", "text", "\n<?i?> \n"];
    for value in values {
        for end in ends {
            for gap in gaps {
                let one = format!("{gap}<p:b>{value}{end}{gap}");
                let xml = format!("<p:a xmlns:p=\"urn:1\">{one}<p:d\n q=\"1\">{one}{one}</p:d><p:b/>{one}</p:a>\n");
                is_read_the_same(&xml, &Limits::default());
                is_read_the_same(&xml, &Limits { xml_text: 8, xml_depth: 2, ..Limits::default() });
            }
        }
    }
}

/// Quickly, and token by token as a listener hears it.
fn is_read_the_same(xml: &str, limits: &Limits) {
    let (mut quick, mut whole, mut hearer) = (xml.as_bytes(), xml.as_bytes(), Hearer);
    let expected = walked(Scanner::new(&mut whole, 1 << 30, limits).heard_by(&mut hearer), xml);
    assert_eq!(walked(Scanner::new(&mut quick, 1 << 30, limits), xml), expected, "{xml}");
}

proptest::proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_of_markup_in_any_order_are_read_the_same_quickly(
        pieces in proptest::collection::vec(0..PIECES.len(), 0..40), closed in proptest::bool::ANY,
    ) {
        let (mut xml, mut open) = (String::from("<p:r xmlns:p='urn:1'>"), Vec::new());
        for piece in pieces {
            match PIECES[piece] {
                "/" => xml.extend(open.pop().into_iter().flat_map(|name| ["</", name, ">"])),
                piece => {
                    xml.push_str(piece);
                    open.extend(piece.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).filter(|name| is_name(name)));
                }
            }
        }
        if closed {
            xml.extend(open.into_iter().rev().flat_map(|name| ["</", name, ">"]));
            xml.push_str("</p:r>");
        }
        is_read_the_same(&xml, &Limits::default());
    }
}

fn is_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b':')
}

/// `/` ends the innermost element.
const PIECES: [&str; 24] = [
    "/",
    "/",
    "/",
    "/",
    "<p:a>",
    "<p:a>",
    "<b>",
    "<p:bcdefghijk>",
    "<p:c x='1\n2'/>",
    "<d />",
    "\n",
    "\r\n  ",
    "\t",
    "7",
    "海关",
    "12345678",
    "一\n二",
    "&amp;",
    "&x;",
    "<![CDATA[\n]]>",
    "<!-- \n -->",
    "]]>",
    "</p:a >",
    "<?i\n?>",
];
