//! Every rule of the form speaks once and is silent once.

use super::*;

const PDF: &[u8] = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\nxref\n0 1\ntrailer\n<<>>\nstartxref\n29\n%%EOF\n";

/// The smallest that is whole: start, a frame of one by one, a scan, an end.
fn jpeg() -> Vec<u8> {
    let frame = [0xFF, 0xC0, 0, 11, 8, 0, 1, 0, 1, 1, 1, 0x11, 0];
    let scan = [0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 0x3F, 0, 0x55];
    [&[0xFF, 0xD8][..], &[0xFF, 0xE0, 0, 4, 0, 0], &frame, &scan, &[0xFF, 0xD9]].concat()
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

/// A form without fault.
fn form() -> Form {
    let mut form = Form::default();
    for (path, value) in [
        ("company.department", "石家庄分中心"),
        ("company.name", "示例贸易有限公司"),
        ("company.customs_code", "1301960001"),
        ("company.credit_code", "91350100M000100Y43"),
        ("company.organisation_code", "34801880X"),
        ("company.monthly_volume", "1000"),
        ("company.address", "河北省石家庄市示例路 1 号"),
        ("company.email", "it@example.com"),
        ("company.business_contact", "张三"),
        ("company.business_phone", "13800000000"),
        ("company.technical_contact", "李四"),
        ("company.technical_phone", "13900000000"),
        ("vendor.name", "河北省电子口岸发展股份有限公司"),
        ("vendor.organisation_code", "34801880X"),
        ("vendor.credit_code", "34801880X"),
        ("vendor.contact", "王天琦"),
        ("vendor.phone", "031186950230"),
        ("attachments.authorisation", "a.pdf"),
        ("attachments.identity", "i.jpg"),
        ("test.applicant", "张三"),
        ("test.phone", "13800000000"),
        ("test.ic_card", "2013000000001"),
        ("test.product_type", "其他客户端"),
        ("test.product_name", "安易通客户端"),
        ("test.product_version", "V1.0"),
        ("test.support_provider", "河北省电子口岸发展股份有限公司"),
    ] {
        form.put(path, Answer { value: text(value), line: 1, column: 1 });
    }
    let both = ["跨境电子商务进口统一版", "跨境电子商务出口统一版"].map(str::to_owned);
    form.put("test.categories", Answer { value: Value::List(both.to_vec()), line: 9, column: 2 });
    form
}

fn file(path: &'static str, name: &str, bytes: Vec<u8>) -> Attachment {
    let size = bytes.len() as u64;
    Attachment { path, name: name.to_owned(), content: Content::Bytes { bytes, size } }
}

fn files() -> Vec<Attachment> {
    vec![file("attachments.authorisation", "a.pdf", PDF.to_vec()), file("attachments.identity", "i.jpg", jpeg())]
}

/// Rule, code and path of every finding of the form with one answer changed.
fn with(path: &str, value: Option<Value>) -> Vec<(String, String, String)> {
    let mut form = form();
    match value {
        Some(value) => form.put(path, Answer { value, line: 7, column: 3 }),
        None => drop(form.answers.remove(path)),
    }
    said(&check(&form, &files()))
}

fn said(findings: &[Finding]) -> Vec<(String, String, String)> {
    findings.iter().map(|f| (f.rule.clone(), f.code.clone(), f.path.clone())).collect()
}

fn one(rule: &str, code: &str, path: &str) -> Vec<(String, String, String)> {
    vec![(rule.to_owned(), code.to_owned(), path.to_owned())]
}

#[test]
fn a_right_form_has_no_finding() {
    assert_eq!(check(&form(), &files()), []);
}

#[test]
fn every_required_field_is_missed_when_absent_or_blank_and_no_other() {
    for field in fields::ALL {
        let missing = if field.required { one("F01", "field-missing", field.path) } else { Vec::new() };
        assert_eq!(with(field.path, None), missing, "{}", field.path);
        let blank = with(field.path, Some(text("  ")));
        assert_eq!(blank, one("F01", "field-blank", field.path), "{}", field.path);
    }
    assert_eq!(with("test.categories", Some(Value::List(Vec::new()))), one("F01", "field-blank", "test.categories"));
}

#[test]
fn number_only_fields_take_digits_and_nothing_else() {
    let digits = fields::ALL.iter().filter(|field| matches!(field.kind, Kind::Digits | Kind::Volume));
    for field in digits.clone() {
        for bad in ["0311-8695", "+8613800000000", "１２３", "12a"] {
            assert_eq!(with(field.path, Some(text(bad))), one("F02", "not-a-number", field.path), "{bad}");
        }
        assert_eq!(with(field.path, Some(Value::Number("123".to_owned()))), [], "{}", field.path);
    }
    let paths: Vec<_> = digits.map(|field| field.path).collect();
    let wanted =
        ["company.monthly_volume", "company.phone", "company.business_phone", "company.technical_phone", "test.phone"];
    assert_eq!(paths, wanted);
    assert_eq!(
        with("company.monthly_volume", Some(Value::Number("0".to_owned()))),
        one("F02", "volume-zero", "company.monthly_volume")
    );
}

#[test]
fn fixed_values_are_those_of_the_instructions() {
    for field in fields::ALL {
        if let Kind::Fixed(wanted) = field.kind {
            assert_eq!(with(field.path, Some(text("x"))), one("F03", "fixed-value", field.path));
            assert_eq!(with(field.path, Some(text(wanted))), []);
        }
    }
    let half = Value::List(vec!["跨境电子商务进口统一版".to_owned()]);
    assert_eq!(with("test.categories", Some(half)), one("F03", "fixed-value", "test.categories"));
    assert_eq!(with("vendor.phone", Some(text("0311-86950230"))), one("F02", "number-hyphen", "vendor.phone"));
    assert_eq!(with("vendor.phone", Some(text("0311-1"))), one("F03", "fixed-value", "vendor.phone"));
}

#[test]
fn codes_are_checked_with_their_check_characters() {
    for (path, code, bad) in [
        ("company.credit_code", "credit-code-check", "91350100M000100Y44"),
        ("company.organisation_code", "organisation-code-check", "348018801"),
        ("company.customs_code", "customs-code-form", "13019600"),
    ] {
        assert_eq!(with(path, Some(text(bad))), one("F04", code, path));
    }
}

#[test]
fn kinds_blanks_addresses_and_unknown_keys_are_told() {
    assert_eq!(with("company.address", Some(Value::Other)), one("F01", "value-type", "company.address"));
    assert_eq!(with("company.address", Some(Value::Number("1".into()))), one("F01", "value-type", "company.address"));
    assert_eq!(with("company.address", Some(text(" x"))), one("F01", "value-blanks", "company.address"));
    assert_eq!(with("company.email", Some(text("it.example.com"))), one("F01", "email-form", "company.email"));
    assert_eq!(with("company.adress", Some(text("x"))), one("F01", "key-unknown", "company.adress"));
}

#[test]
fn personal_data_is_masked_and_the_place_is_told() {
    let mut form = form();
    form.put("test.phone", Answer { value: text("138 0000 0000"), line: 31, column: 9 });
    let findings = check(&form, &files());
    let finding = findings.first().expect("a finding");
    assert_eq!((finding.line, finding.column, finding.personal), (31, 9, true));
    assert!(finding.value.as_deref().is_some_and(|value| value.starts_with("13***")), "{finding:?}");
}

fn judged(path: &'static str, name: &str, bytes: Vec<u8>) -> Vec<(String, String, String)> {
    let mut files: Vec<_> = files().into_iter().filter(|file| file.path != path).collect();
    files.push(file(path, name, bytes));
    said(&check(&form(), &files))
}

#[test]
fn a_pdf_is_known_by_its_content() {
    let path = "attachments.authorisation";
    assert_eq!(judged(path, "a.pdf", PDF.to_vec()), []);
    assert_eq!(judged(path, "a.pdf", [b"junk\n", PDF].concat()), [], "some bytes may stand before it");
    assert_eq!(judged(path, "a.doc", PDF.to_vec()), one("F05", "attachment-name", path));
    assert_eq!(judged(path, "a.pdf", jpeg()), one("F05", "not-a-pdf", path));
    assert_eq!(judged(path, "a.pdf", Vec::new()), one("F05", "attachment-empty", path));
    for (from, to) in [("%%EOF", "%%EO_"), ("startxref", "startyref"), ("29", "27"), ("29", "99999"), ("1.4", "x.4")] {
        let bad = String::from_utf8(PDF.to_vec()).expect("text").replace(from, to);
        assert_eq!(judged(path, "a.pdf", bad.into_bytes()), one("F05", "pdf-damaged", path), "{to}");
    }
    let stream = String::from_utf8(PDF.to_vec()).expect("text").replace("29\n%%EOF", "9\n%%EOF");
    assert_eq!(judged(path, "a.pdf", stream.into_bytes()), [], "a cross-reference stream is an object");
}

#[test]
fn a_jpeg_is_known_by_its_content() {
    let path = "attachments.identity";
    assert_eq!(judged(path, "i.jpg", jpeg()), []);
    assert_eq!(judged(path, "i.jpeg", jpeg()), one("F05", "attachment-name", path));
    assert_eq!(judged(path, "i.jpg", PDF.to_vec()), one("F05", "not-a-jpeg", path));
    assert_eq!(judged(path, "i.jpg", b"\x89PNG\r\n\x1a\n".to_vec()), one("F05", "not-a-jpeg", path));
    for length in 3..jpeg().len() {
        let cut = jpeg().get(..length).expect("shorter").to_vec();
        assert_eq!(judged(path, "i.jpg", cut), one("F05", "jpeg-damaged", path), "{length}");
    }
    let mut flat = jpeg();
    *flat.get_mut(14).expect("the height") = 0;
    assert_eq!(judged(path, "i.jpg", flat), one("F05", "jpeg-damaged", path));
}

#[test]
fn files_are_at_most_4_mb_and_readable() {
    let path = "attachments.identity";
    let of = |size: u64| {
        let mut files = files();
        if let Some(Attachment { content: Content::Bytes { size: of, bytes }, .. }) = files.last_mut() {
            bytes.splice(jpeg().len() - 2..jpeg().len() - 2, vec![0; size as usize - jpeg().len()]);
            *of = size;
        }
        said(&check(&form(), &files))
    };
    assert_eq!(of(4_000_000), []);
    assert_eq!(of(4_000_001), one("F06", "attachment-near-limit", path));
    assert_eq!(of(LARGEST), one("F06", "attachment-near-limit", path));
    assert_eq!(of(LARGEST + 1), one("F06", "attachment-too-large", path));
    let gone = Attachment { path, name: "i.jpg".into(), content: Content::Unreadable("not found".into()) };
    let files: Vec<_> = files().into_iter().take(1).chain([gone]).collect();
    assert_eq!(said(&check(&form(), &files)), one("F05", "attachment-unreadable", path));
}

#[test]
fn the_form_names_its_files() {
    let mut form = form();
    let both = vec!["front.jpg".to_owned(), "back.jpg".to_owned()];
    form.put("attachments.identity", Answer { value: Value::List(both), line: 1, column: 1 });
    let names = [
        ("attachments.authorisation", "a.pdf"),
        ("attachments.identity", "front.jpg"),
        ("attachments.identity", "back.jpg"),
    ];
    assert_eq!(form.files(), names.map(|(path, name)| (path, name.to_owned())));
}
