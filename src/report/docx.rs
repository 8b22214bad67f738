//! A document as Office Open XML (ECMA-376, WordprocessingML): what an office edits, stamps and sends on.
//!
//! Fonts are named, not embedded: every office has them. The chart is a table whose bars are block characters.

use std::fmt::Write as _;
use std::io;

use super::chart::{Axis, said};
use super::markup::escaped;
use super::zip::Archive;
use super::{Align, Bars, Block, Cell, Document, Grid, Kind, Paragraph, Row};

/// Twentieths of a point in a hundred millimetres.
const TWIPS_100MM: u32 = 5_669;
/// Width of the text in millimetres: A4 without its margins.
const MEASURE: u32 = 162;
/// Block characters of the longest bar.
const LONGEST: f32 = 34.0;

/// Renders a document.
///
/// # Errors
/// It is larger than 4 GiB.
pub(super) fn render(document: &Document) -> io::Result<Vec<u8>> {
    let mut archive = Archive::default();
    archive.add("[Content_Types].xml", CONTENT_TYPES.as_bytes())?;
    archive.add("_rels/.rels", RELATIONSHIPS.as_bytes())?;
    archive.add("docProps/core.xml", properties(document).as_bytes())?;
    archive.add("word/_rels/document.xml.rels", PARTS.as_bytes())?;
    archive.add("word/styles.xml", STYLES.as_bytes())?;
    archive.add("word/footer1.xml", footer(&document.author).as_bytes())?;
    archive.add("word/document.xml", body(document).as_bytes())?;
    archive.finish()
}

fn body(document: &Document) -> String {
    let mut xml = format!("{XML}<w:document {NAMESPACE}><w:body>");
    let mut begins_page = false;
    for block in &document.blocks {
        let before = if std::mem::take(&mut begins_page) { "<w:pageBreakBefore/>" } else { "" };
        match block {
            Block::Title { text } => {
                xml.push_str(&styled("Title", before, text));
            }
            Block::Heading { text } => xml.push_str(&styled("Heading1", before, text)),
            Block::Paragraph(text) => xml.push_str(&paragraph(text, before)),
            Block::Grid(cells) => {
                xml.push_str(&carrier(before));
                xml.push_str(&grid(cells));
                xml.push_str(GAP);
            }
            Block::Bars(chart) => {
                xml.push_str(&carrier(before));
                xml.push_str(&bars(chart));
                xml.push_str(GAP);
            }
            Block::PageBreak => begins_page = true,
        }
    }
    let (side, top, bottom) = (twips(24), twips(22), twips(20));
    let _ = write!(
        xml,
        "<w:sectPr><w:footerReference w:type=\"default\" r:id=\"rId2\"/><w:pgSz w:w=\"11906\" w:h=\"16838\"/>\
         <w:pgMar w:top=\"{top}\" w:right=\"{side}\" w:bottom=\"{bottom}\" w:left=\"{side}\" w:header=\"567\" \
         w:footer=\"567\" w:gutter=\"0\"/><w:titlePg/></w:sectPr></w:body></w:document>"
    );
    xml
}

/// A page break before a table needs a paragraph that carries it.
fn carrier(before: &str) -> String {
    if before.is_empty() { String::new() } else { GAP.replace("<w:pPr>", &format!("<w:pPr>{before}")) }
}

fn styled(style: &str, before: &str, text: &str) -> String {
    format!("<w:p><w:pPr><w:pStyle w:val=\"{style}\"/>{before}</w:pPr>{}</w:p>", run(text, ""))
}

fn paragraph(paragraph: &Paragraph, before: &str) -> String {
    let size = if paragraph.small { "<w:sz w:val=\"18\"/>" } else { "" };
    let mut runs = String::new();
    for piece in &paragraph.runs {
        let line = if piece.underline { "<w:u w:val=\"single\"/>" } else { "" };
        runs.push_str(&run(&piece.text, &format!("{size}{line}")));
    }
    let above = twips(paragraph.above.into());
    let leading = if paragraph.small { 300 } else { 460 };
    let indent = if paragraph.indent { "<w:ind w:firstLineChars=\"200\" w:firstLine=\"480\"/>" } else { "" };
    format!(
        "<w:p><w:pPr>{before}<w:spacing w:before=\"{above}\" w:line=\"{leading}\" w:lineRule=\"exact\"/>{indent}{}\
         </w:pPr>{runs}</w:p>",
        justified(paragraph.align)
    )
}

fn justified(align: Align) -> &'static str {
    match align {
        Align::Left => "<w:jc w:val=\"left\"/>",
        Align::Centre => "<w:jc w:val=\"center\"/>",
        Align::Right => "<w:jc w:val=\"right\"/>",
    }
}

/// A run; line feeds become breaks.
fn run(text: &str, properties: &str) -> String {
    let lines: Vec<String> =
        text.split('\n').map(|line| format!("<w:t xml:space=\"preserve\">{}</w:t>", escaped(line))).collect();
    format!("<w:r><w:rPr>{properties}</w:rPr>{}</w:r>", lines.join("<w:br/>"))
}

fn grid(grid: &Grid) -> String {
    let total: u32 = grid.columns.iter().map(|part| u32::from(*part)).sum::<u32>().max(1);
    let widths: Vec<u32> =
        grid.columns.iter().map(|part| twips(MEASURE).saturating_mul((*part).into()) / total).collect();
    let mut xml = table(if grid.small { 4 } else { 6 }, &widths);
    for (number, row) in grid.rows.iter().enumerate() {
        xml.push_str(&cells(row, &widths, number < grid.head, grid.small));
    }
    xml.push_str("</w:tbl>");
    xml
}

/// A table with borders of so many eighths of a point; none for 0.
fn table(line: u32, widths: &[u32]) -> String {
    let mut xml = format!(
        "<w:tbl><w:tblPr><w:tblW w:w=\"{}\" w:type=\"dxa\"/><w:tblBorders>",
        widths.iter().fold(0u32, |sum, width| sum.saturating_add(*width))
    );
    for side in ["top", "left", "bottom", "right", "insideH", "insideV"] {
        let kind = if line == 0 { "nil" } else { "single" };
        let wide = if side.starts_with("inside") { line } else { line.saturating_mul(2) };
        let _ = write!(xml, "<w:{side} w:val=\"{kind}\" w:sz=\"{wide}\" w:space=\"0\" w:color=\"1A1A1A\"/>");
    }
    xml.push_str("</w:tblBorders><w:tblLayout w:type=\"fixed\"/></w:tblPr><w:tblGrid>");
    for width in widths {
        let _ = write!(xml, "<w:gridCol w:w=\"{width}\"/>");
    }
    xml.push_str("</w:tblGrid>");
    xml
}

fn cells(row: &Row, widths: &[u32], head: bool, small: bool) -> String {
    let head = if head { "<w:tblHeader/>" } else { "" };
    let height = twips(row.height.into());
    let mut xml = format!("<w:tr><w:trPr><w:cantSplit/><w:trHeight w:val=\"{height}\"/>{head}</w:trPr>");
    let mut columns = widths.iter();
    for part in &row.cells {
        let span = part.span.max(1);
        let width: u32 = columns.by_ref().take(span).fold(0u32, |sum, width| sum.saturating_add(*width));
        xml.push_str(&cell(part, span, width, row.height, small));
    }
    xml.push_str("</w:tr>");
    xml
}

fn cell(cell: &Cell, span: usize, width: u32, height: u16, small: bool) -> String {
    let shade = small && cell.kind == Kind::Label;
    let fill = if shade { "<w:shd w:val=\"clear\" w:color=\"auto\" w:fill=\"EEF1F5\"/>" } else { "" };
    let top = cell.foot.is_some() || cell.kind == Kind::Top;
    let place = if top { "top" } else { "center" };
    let colour = match cell.kind {
        Kind::Good => "<w:color w:val=\"176E3A\"/>",
        Kind::Bad => "<w:color w:val=\"B42318\"/>",
        _ => "",
    };
    let bold = if small && matches!(cell.kind, Kind::Label | Kind::Bad) { "<w:b/>" } else { "" };
    let size = if small { 15 } else { 22 };
    let properties = format!("{bold}{colour}<w:sz w:val=\"{size}\"/>");
    let mut xml = format!(
        "<w:tc><w:tcPr><w:tcW w:w=\"{width}\" w:type=\"dxa\"/><w:gridSpan w:val=\"{span}\"/>{fill}\
         <w:vAlign w:val=\"{place}\"/></w:tcPr>{}",
        lines(cell.align, 0, &run(&cell.text, &properties))
    );
    if let Some(foot) = &cell.foot {
        // The date stands at the bottom of a box whose first line is above the stamp.
        let above = twips(u32::from(height).saturating_sub(16));
        xml.push_str(&lines(Align::Right, above, &run(foot, &properties)));
    }
    xml.push_str("</w:tc>");
    xml
}

fn lines(align: Align, above: u32, runs: &str) -> String {
    let spacing = format!("<w:spacing w:before=\"{above}\" w:after=\"0\" w:line=\"240\" w:lineRule=\"auto\"/>");
    format!("<w:p><w:pPr>{spacing}{}</w:pPr>{runs}</w:p>", justified(align))
}

fn bars(chart: &Bars) -> String {
    let axis = Axis::of(chart.bars.iter().map(|bar| bar.millis));
    let widths = [twips(50), twips(88), twips(24)];
    let mut xml = lines(Align::Centre, 0, &run(&chart.axis, "<w:color w:val=\"6B7280\"/><w:sz w:val=\"16\"/>"));
    xml.push_str(&table(0, &widths));
    for bar in &chart.bars {
        let mut blocks = String::from("█");
        let mut length = 1.0;
        while length < axis.along(bar.millis) * LONGEST {
            blocks.push('█');
            length += 1.0;
        }
        let colour = if bar.good { "3B6FB6" } else { "B42318" };
        let texts = [
            (Align::Right, bar.label.as_str(), "1A1A1A"),
            (Align::Left, blocks.as_str(), colour),
            (Align::Left, &said(bar.millis), "6B7280"),
        ];
        xml.push_str("<w:tr><w:trPr><w:cantSplit/></w:trPr>");
        for ((align, text, colour), width) in texts.into_iter().zip(widths) {
            let text = run(text, &format!("<w:color w:val=\"{colour}\"/><w:sz w:val=\"15\"/>"));
            let _ = write!(
                xml,
                "<w:tc><w:tcPr><w:tcW w:w=\"{width}\" w:type=\"dxa\"/></w:tcPr>{}</w:tc>",
                lines(align, 0, &text)
            );
        }
        xml.push_str("</w:tr>");
    }
    xml.push_str("</w:tbl>");
    xml
}

fn twips(millimetres: u32) -> u32 {
    millimetres.saturating_mul(TWIPS_100MM) / 100
}

fn properties(document: &Document) -> String {
    format!(
        "{XML}<cp:coreProperties xmlns:cp=\"http://schemas.openxmlformats.org/package/2006/metadata/core-properties\" \
         xmlns:dc=\"http://purl.org/dc/elements/1.1/\"><dc:title>{}</dc:title><dc:creator>{}</dc:creator>\
         <dc:language>zh-CN</dc:language></cp:coreProperties>",
        escaped(&document.title),
        escaped(&document.author)
    )
}

fn footer(author: &str) -> String {
    let field = |name: &str| format!("<w:fldSimple w:instr=\"{name}\"><w:r><w:t>1</w:t></w:r></w:fldSimple>");
    let small = "<w:color w:val=\"6B7280\"/><w:sz w:val=\"16\"/>";
    format!(
        "{XML}<w:ftr {NAMESPACE}><w:p><w:pPr><w:jc w:val=\"right\"/></w:pPr>{}{}{}{}{}</w:p></w:ftr>",
        run(&format!("{author}　第 "), small),
        field("PAGE"),
        run(" 页，共 ", small),
        field("NUMPAGES"),
        run(" 页", small)
    )
}

const XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
const NAMESPACE: &str = "xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\" \
     xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\"";
/// Two tables without a paragraph between them would be one.
const GAP: &str =
    "<w:p><w:pPr><w:spacing w:before=\"0\" w:after=\"0\" w:line=\"120\" w:lineRule=\"exact\"/></w:pPr></w:p>";

const CONTENT_TYPES: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n\
<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">\
<Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>\
<Default Extension=\"xml\" ContentType=\"application/xml\"/>\
<Override PartName=\"/word/document.xml\" \
ContentType=\"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml\"/>\
<Override PartName=\"/word/styles.xml\" \
ContentType=\"application/vnd.openxmlformats-officedocument.wordprocessingml.styles+xml\"/>\
<Override PartName=\"/word/footer1.xml\" \
ContentType=\"application/vnd.openxmlformats-officedocument.wordprocessingml.footer+xml\"/>\
<Override PartName=\"/docProps/core.xml\" \
ContentType=\"application/vnd.openxmlformats-package.core-properties+xml\"/></Types>";

const RELATIONSHIPS: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n\
<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
<Relationship Id=\"rId1\" \
Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument\" \
Target=\"word/document.xml\"/>\
<Relationship Id=\"rId2\" \
Type=\"http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties\" \
Target=\"docProps/core.xml\"/></Relationships>";

const PARTS: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n\
<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
<Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles\" \
Target=\"styles.xml\"/>\
<Relationship Id=\"rId2\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/footer\" \
Target=\"footer1.xml\"/></Relationships>";

const STYLES: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n\
<w:styles xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"><w:docDefaults><w:rPrDefault>\
<w:rPr><w:rFonts w:ascii=\"Times New Roman\" w:hAnsi=\"Times New Roman\" w:eastAsia=\"宋体\" w:cs=\"Times New Roman\"/>\
<w:sz w:val=\"24\"/><w:lang w:val=\"en-US\" w:eastAsia=\"zh-CN\"/></w:rPr></w:rPrDefault></w:docDefaults>\
<w:style w:type=\"paragraph\" w:default=\"1\" w:styleId=\"Normal\"><w:name w:val=\"Normal\"/></w:style>\
<w:style w:type=\"paragraph\" w:styleId=\"Title\"><w:name w:val=\"Title\"/><w:basedOn w:val=\"Normal\"/><w:pPr>\
<w:spacing w:after=\"240\"/><w:jc w:val=\"center\"/></w:pPr><w:rPr><w:b/><w:sz w:val=\"34\"/></w:rPr></w:style>\
<w:style w:type=\"paragraph\" w:styleId=\"Heading1\"><w:name w:val=\"heading 1\"/><w:basedOn w:val=\"Normal\"/><w:pPr>\
<w:keepNext/><w:spacing w:before=\"240\" w:after=\"80\"/><w:outlineLvl w:val=\"0\"/></w:pPr><w:rPr><w:b/></w:rPr></w:style>\
</w:styles>";
