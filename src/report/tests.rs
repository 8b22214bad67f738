//! Documents are read back by others: a PDF by poppler (pages, text, fonts, pixels), a DOCX by Python (archive, XML).

#![expect(clippy::disallowed_methods, reason = "files of a test need not survive a power cut")]

use std::path::Path;
use std::process::Command;

use super::*;

fn grid(rows: usize) -> Grid {
    let head = Row { cells: vec![Cell::label("序号"), Cell::label("测试项"), Cell::label("结果")], height: 6 };
    let row = |n: usize| Row {
        cells: vec![
            Cell::value(&n.to_string()),
            Cell::value(&format!("第{n}项测试")),
            Cell::value("通过").of(Kind::Good),
        ],
        height: 6,
    };
    let rows = std::iter::once(head).chain((1..=rows).map(row)).collect();
    Grid { columns: vec![1, 5, 2], rows, head: 1, small: true }
}

fn document() -> Document {
    let runs = ["本授权委托书声明：我", "张三", "（姓名）系", "示例贸易有限公司", "（单位名称）的法定代表人。"];
    let runs = runs.iter().enumerate().map(|(n, text)| Run { text: (*text).to_owned(), underline: n % 2 == 1 });
    let stamp = |name: &str| Cell::value(name).with_foot("日期：    年  月  日");
    let form = Grid {
        columns: vec![1, 1],
        rows: vec![Row { cells: vec![stamp("企业签章"), stamp("分中心签章")], height: 50 }],
        ..Grid::default()
    };
    let bar = |n: u64| Bar { label: format!("用例 {n}"), millis: n * 97, good: !n.is_multiple_of(7) };
    Document {
        title: "海关预录入系统测试".to_owned(),
        author: "示例贸易有限公司".to_owned(),
        blocks: vec![
            Block::Title { text: "海关预录入系统测试".to_owned() },
            Block::Paragraph(Paragraph { runs: runs.collect(), indent: true, ..Paragraph::default() }),
            Block::Grid(form),
            Block::Paragraph(Paragraph::small("说明：<不是标记> & \"引号\"")),
            Block::PageBreak,
            Block::Heading { text: "附录".to_owned() },
            Block::Grid(grid(120)),
            Block::Bars(Bars { axis: "往返时间".to_owned(), bars: (1..=70).map(bar).collect() }),
        ],
    }
}

/// What a program prints about a file.
fn said(program: &str, words: &[&str], file: &Path) -> String {
    let output = Command::new(program).args(words).arg(file).arg("-").output();
    let output = output.unwrap_or_else(|error| panic!("{program} (Debian: poppler-utils): {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn saved(name: &str, bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("written");
    (folder, path)
}

#[test]
fn the_text_of_a_pdf_is_found_on_its_pages_and_every_row_is_there_once() {
    let rendered = render(&document(), Format::Pdf).expect("a PDF");
    assert!(rendered.missing.is_empty(), "{:?}", rendered.missing);
    let (_folder, path) = saved("a.pdf", &rendered.bytes);
    let text = said("pdftotext", &["-layout"], &path);
    let pages: Vec<&str> = text.split('\u{c}').filter(|page| !page.trim().is_empty()).collect();
    assert!(pages.len() >= 4, "{text}");
    assert!(
        pages[0].contains("海关预录入系统测试") && pages[0].contains("企业签章") && pages[0].contains("分中心签章")
    );
    assert!(pages[0].contains("说明：<不是标记> & \"引号\"") && !pages[0].contains("第 1 页"), "{}", pages[0]);
    assert!(!pages[0].contains("附录") && pages[1].contains("附录"), "{}", pages[1]);
    let all = said("pdftotext", &["-raw"], &path).replace(['\n', '\u{c}'], "");
    for n in 1..=120 {
        assert_eq!(all.matches(&format!("第{n}项测试")).count(), 1, "row {n}");
    }
    for n in 1..=70 {
        assert!(all.contains(&format!("用例 {n}")), "bar {n}");
    }
    for (page, text) in pages.iter().enumerate().skip(1) {
        assert!(text.contains(&format!("第 {} 页，共 {} 页", page + 1, pages.len())), "{text}");
        assert_eq!(text.contains("项测试"), text.contains("测试项"), "the head is on each page of the table: {text}");
    }
    assert_eq!(render(&document(), Format::Pdf).expect("a PDF").bytes, rendered.bytes, "the same bytes again");
}

#[test]
fn the_font_is_embedded_as_a_subset_and_the_file_is_small() {
    let rendered = render(&document(), Format::Pdf).expect("a PDF");
    assert!(rendered.bytes.len() < 120_000, "{} bytes", rendered.bytes.len());
    let (_folder, path) = saved("a.pdf", &rendered.bytes);
    let output = Command::new("pdffonts").arg(&path).output().expect("pdffonts (Debian: poppler-utils)");
    let fonts = String::from_utf8(output.stdout).expect("UTF-8");
    let rows: Vec<&str> = fonts.lines().skip(2).collect();
    assert!(!rows.is_empty(), "{fonts}");
    for row in rows {
        assert!(row.contains("+NotoSansSC") && row.contains("yes yes yes"), "embedded, subset, with Unicode: {fonts}");
    }
}

/// Grey values of a page at 50 dpi: width, height, one octet per pixel.
fn pixels(path: &Path) -> (usize, usize, Vec<u8>) {
    let output = Command::new("pdftoppm").args(["-r", "50", "-gray", "-f", "1", "-l", "1"]).arg(path).output();
    let image = output.expect("pdftoppm (Debian: poppler-utils)").stdout;
    let mut words = image.splitn(5, |byte| byte.is_ascii_whitespace());
    let mut number = || std::str::from_utf8(words.next().expect("a header")).expect("text").parse().unwrap_or(0);
    let (_, width, height, _) = (number(), number(), number(), number());
    let body = image.get(image.len() - width * height..).expect("the pixels").to_vec();
    (width, height, body)
}

#[test]
fn a_page_looks_the_same_on_a_machine_without_any_font() {
    let (folder, path) = saved("a.pdf", &render(&document(), Format::Pdf).expect("a PDF").bytes);
    let nothing = folder.path().join("fonts.conf");
    std::fs::write(&nothing, "<?xml version=\"1.0\"?><!DOCTYPE fontconfig SYSTEM \"fonts.dtd\"><fontconfig/>")
        .expect("written");
    let page = |fonts: Option<&Path>| {
        let mut command = Command::new("pdftoppm");
        command.args(["-r", "60", "-gray", "-f", "1", "-l", "1"]).arg(&path);
        if let Some(fonts) = fonts {
            command.env("FONTCONFIG_FILE", fonts).env("HOME", folder.path()).env_remove("XDG_DATA_HOME");
        }
        let output = command.output().expect("pdftoppm (Debian: poppler-utils)");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let bare = page(Some(&nothing));
    assert!(bare.iter().filter(|grey| **grey < 100).count() > 500, "there is text on it");
    assert!(bare == page(None), "the fonts of the machine play no part");
}

#[test]
fn a_stamp_has_an_empty_box_of_at_least_four_centimetres() {
    let (_folder, path) = saved("a.pdf", &render(&document(), Format::Pdf).expect("a PDF").bytes);
    let (width, height, grey) = pixels(&path);
    assert!((width, height) == (414, 585) || (width, height) == (413, 585), "{width}x{height}");
    let white = |x: usize, y: usize| grey.get(y * width + x).is_some_and(|grey| *grey > 250);
    // 40 mm at 50 dpi.
    let side = 78;
    let empty = |x: usize, y: usize| (y..y + side).all(|y| (x..x + side).all(|x| white(x, y)));
    let half = width / 2;
    for (from, to) in [(48, half - side), (half + 2, width - 48 - side)] {
        let framed = |x: usize| (0..height).filter(|y| !white(x, *y)).count() > 80;
        let found = (from..to).any(|x| (100..300).any(|y| empty(x, y)));
        assert!(found, "a blank square between {from} and {to}");
        assert!((from - 4..from + 4).any(framed) || (half - 3..half + 3).any(framed), "its border");
    }
}

#[test]
fn what_the_font_lacks_is_a_box_and_is_reported_and_names_are_not() {
    let mut document = document();
    document.blocks.push(Block::Paragraph(Paragraph::plain("喆堃珺玥淼昇祎☑□ 𠮷 ไทย 😀")));
    let rendered = render(&document, Format::Pdf).expect("a PDF");
    assert_eq!(rendered.missing, ['ท', 'ย', 'ไ', '😀', '𠮷']);
    let (_folder, path) = saved("a.pdf", &rendered.bytes);
    let text = said("pdftotext", &[], &path);
    assert!(text.contains("喆堃珺玥淼昇祎☑□"), "{text}");
    let nothing = font::Face::bundled().drawn('😀');
    assert!(nothing.id == 0 && nothing.advance > 0.5);
}

/// The parts of an archive as `python3 -m zipfile` unpacks them: not by our own code.
fn unpacked(bytes: &[u8]) -> tempfile::TempDir {
    let (folder, path) = saved("a.docx", bytes);
    let done = Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&path).arg(folder.path()).status();
    assert!(done.expect("python3").success());
    folder
}

#[test]
fn a_docx_is_an_archive_of_well_formed_parts_with_the_same_text() {
    let folder = unpacked(&render(&document(), Format::Docx).expect("a DOCX").bytes);
    let part = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("a part");
    for name in ["[Content_Types].xml", "_rels/.rels", "word/styles.xml", "word/footer1.xml", "word/document.xml"] {
        let path = folder.path().join(name);
        let check = "import sys, xml.etree.ElementTree as t; t.parse(sys.argv[1])";
        assert!(Command::new("python3").args(["-c", check]).arg(&path).status().expect("python3").success(), "{name}");
    }
    let body = part("word/document.xml");
    for text in [
        "本授权委托书声明：我",
        "&lt;不是标记&gt; &amp; &quot;引号&quot;",
        "第120项测试",
        "用例 70",
        "分中心签章",
        "日期：",
    ] {
        assert!(body.contains(text), "{text}");
    }
    assert_eq!(body.matches("<w:pageBreakBefore/>").count(), 1);
    assert_eq!(body.matches("<w:u w:val=\"single\"/>").count(), 2);
    assert_eq!(body.matches("<w:tblHeader/>").count(), 1);
    assert!(part("docProps/core.xml").contains("<dc:title>海关预录入系统测试</dc:title>"));
}

#[test]
fn an_html_page_stands_alone() {
    let html = String::from_utf8(render(&document(), Format::Html).expect("HTML").bytes).expect("UTF-8");
    assert!(!html.contains("http") && !html.contains("<script") && html.contains("<svg "), "nothing is loaded");
    assert!(html.contains("&lt;不是标记&gt; &amp; &quot;引号&quot;") && html.contains("<u>张三</u>"));
    assert_eq!(html.matches("<rect ").count(), 70);
}

#[test]
fn a_format_is_known_by_its_extension() {
    assert_eq!(Format::of("a/报告.PDF"), Some(Format::Pdf));
    assert_eq!(Format::of("a.docx"), Some(Format::Docx));
    assert_eq!((Format::of("a.htm"), Format::of("a.json")), (Some(Format::Html), Some(Format::Json)));
    assert_eq!((Format::of("a.doc"), Format::of("pdf")), (None, None));
}
