//! A document as one HTML page: styles inside, the chart as SVG, nothing loaded from anywhere, and printed on A4.

use std::fmt::Write as _;

use super::chart::{Axis, said};
use super::markup::escaped;
use super::{Align, Bars, Block, Cell, Document, Grid, Kind, Paragraph};

/// Renders a document.
pub(super) fn render(document: &Document) -> String {
    let title = escaped(&document.title);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"zh-CN\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         </head>\n<body>\n"
    );
    for block in &document.blocks {
        let part = match block {
            Block::Title { text } => format!("<h1>{}</h1>\n", lines(text)),
            Block::Heading { text } => format!("<h2>{}</h2>\n", lines(text)),
            Block::Paragraph(text) => paragraph(text),
            Block::Grid(cells) => grid(cells),
            Block::Bars(chart) => bars(chart),
            Block::PageBreak => "<div class=\"page\"></div>\n".to_owned(),
        };
        page.push_str(&part);
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn lines(text: &str) -> String {
    escaped(text).replace('\n', "<br>")
}

fn paragraph(paragraph: &Paragraph) -> String {
    let mut classes = vec![align(paragraph.align)];
    classes.extend(paragraph.indent.then_some("indent"));
    classes.extend(paragraph.small.then_some("small"));
    let mut text = String::new();
    for run in &paragraph.runs {
        let said = lines(&run.text);
        text.push_str(&if run.underline { format!("<u>{said}</u>") } else { said });
    }
    let above = paragraph.above;
    format!("<p class=\"{}\" style=\"margin-top:{above}mm\">{text}</p>\n", classes.join(" "))
}

fn align(align: Align) -> &'static str {
    match align {
        Align::Left => "left",
        Align::Centre => "centre",
        Align::Right => "right",
    }
}

fn grid(grid: &Grid) -> String {
    let mut table = format!("<table class=\"{}\">\n<colgroup>", if grid.small { "small" } else { "form" });
    let total: u32 = grid.columns.iter().map(|part| u32::from(*part)).sum::<u32>().max(1);
    for part in &grid.columns {
        let thousandths = u32::from(*part).saturating_mul(1_000) / total;
        let _ = write!(table, "<col style=\"width:{}.{}%\">", thousandths / 10, thousandths % 10);
    }
    table.push_str("</colgroup>\n");
    for (number, row) in grid.rows.iter().enumerate() {
        let tag = if number < grid.head { "th" } else { "td" };
        let _ = write!(table, "<tr style=\"height:{}mm\">", row.height);
        row.cells.iter().for_each(|part| table.push_str(&cell(part, tag)));
        table.push_str("</tr>\n");
    }
    table.push_str("</table>\n");
    table
}

fn cell(cell: &Cell, tag: &str) -> String {
    let kind = match cell.kind {
        Kind::Value => "value",
        Kind::Label => "label",
        Kind::Top => "top",
        Kind::Good => "good",
        Kind::Bad => "bad",
    };
    let top = if cell.foot.is_some() { " top" } else { "" };
    let foot = cell.foot.as_deref().map(|foot| format!("<div class=\"foot\">{}</div>", lines(foot)));
    let (align, span, text) = (align(cell.align), cell.span.max(1), lines(&cell.text));
    format!("<{tag} colspan=\"{span}\" class=\"{kind} {align}{top}\">{text}{}</{tag}>", foot.unwrap_or_default())
}

/// Pixels: names to 200, the axis from there to 560, figures behind it.
fn bars(chart: &Bars) -> String {
    let axis = Axis::of(chart.bars.iter().map(|bar| bar.millis));
    let height = chart.bars.len().saturating_mul(20);
    let mut svg = format!(
        "<svg viewBox=\"0 0 640 {}\" role=\"img\" aria-label=\"{}\">\n",
        height.saturating_add(44),
        escaped(&chart.axis)
    );
    for tick in &axis.ticks {
        let x = 200.0 + 360.0 * axis.along(*tick);
        let _ = writeln!(
            svg,
            "<path class=\"tick\" d=\"M{x:.1} 0V{}\"/><text class=\"figure\" text-anchor=\"middle\" x=\"{x:.1}\" \
             y=\"{}\">{}</text>",
            height.saturating_add(3),
            height.saturating_add(15),
            said(*tick)
        );
    }
    for (number, bar) in chart.bars.iter().enumerate() {
        let (y, long) = (number.saturating_mul(20), (360.0 * axis.along(bar.millis)).max(1.0));
        let (label, figure) = (escaped(&bar.label), said(bar.millis));
        let _ = writeln!(
            svg,
            "<text text-anchor=\"end\" x=\"192\" y=\"{0}\">{label}</text><rect class=\"{1}\" x=\"200\" y=\"{2}\" \
             width=\"{long:.1}\" height=\"12\"/><text class=\"figure\" x=\"{3:.1}\" y=\"{0}\">{figure}</text>",
            y.saturating_add(14),
            if bar.good { "bar" } else { "bar bad" },
            y.saturating_add(4),
            206.0 + long,
        );
    }
    let _ = writeln!(
        svg,
        "<text class=\"figure\" text-anchor=\"middle\" x=\"380\" y=\"{}\">{}</text>\n</svg>",
        height.saturating_add(34),
        escaped(&chart.axis)
    );
    svg
}

const STYLE: &str = "\
@page{size:A4;margin:22mm 24mm}\
body{font:15px/1.9 \"Noto Sans SC\",\"Source Han Sans SC\",\"PingFang SC\",\"Microsoft YaHei\",sans-serif;\
max-width:162mm;margin:22mm auto;color:#1a1a1a}\
h1{font-size:23px;text-align:center;line-height:1.5;margin:0 0 5mm}h2{font-size:16px;margin:8mm 0 2mm;break-after:avoid}\
p{margin:0}.indent{text-indent:2em}p.small{font-size:12px;line-height:1.6}.left{text-align:left}\
.centre{text-align:center}.right{text-align:right}\
table{border-collapse:collapse;width:100%;table-layout:fixed;border:1.5px solid #1a1a1a;margin-bottom:3mm}\
td,th{border:.5px solid #1a1a1a;padding:4px 6px;overflow-wrap:anywhere;vertical-align:middle;position:relative;\
font-weight:normal;line-height:1.5}table.small{font-size:10px;border-width:1px}table.small .label{background:#eef1f5;\
font-weight:bold}tr{break-inside:avoid}.top{vertical-align:top}.good{color:#176e3a}.bad{color:#b42318;font-weight:bold}\
.foot{position:absolute;right:6px;bottom:4px}.page{break-after:page}\
svg{width:100%;font-size:10px}svg .tick{stroke:#d5d9e0;stroke-width:.5}svg .figure{fill:#6b7280;font-size:9px}\
svg .bar{fill:#3b6fb6}svg .bar.bad{fill:#b42318}";
