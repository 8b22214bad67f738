//! Layer 7: documents for people and offices, as one model and several renderings.
//!
//! A [`Document`] says what stands where, in order: titles, paragraphs, grids, a chart. [`pdf`] sets it on A4 pages with
//! the bundled font ([`font`]), [`docx`] and [`html`] write it for whoever wants to edit or to look. Nothing is read from
//! the system, no clock and no file: the same document gives the same bytes.
//!
//! Lengths are millimetres in the model; what a rendering does with them is its own matter.

use std::io;

use serde::Serialize;

pub mod chart;
pub mod docx;
pub mod font;
pub mod html;
pub mod lines;
mod markup;
pub mod pdf;
mod zip;

#[cfg(test)]
mod tests;

/// A document.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Document {
    /// Its title, for the file's properties.
    pub title: String,
    /// Who made it, for the file's properties and the foot of its pages.
    pub author: String,
    /// What stands there, in order.
    pub blocks: Vec<Block>,
}

/// A part of a document.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "block", rename_all = "kebab-case")]
pub enum Block {
    /// The title, centred and large.
    Title {
        /// Its text.
        text: String,
    },
    /// A heading, never the last thing on a page.
    Heading {
        /// Its text.
        text: String,
    },
    /// A paragraph.
    Paragraph(Paragraph),
    /// Ruled cells.
    Grid(Grid),
    /// Horizontal bars on an axis of time.
    Bars(Bars),
    /// The next block begins a page.
    PageBreak,
}

/// A paragraph.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Paragraph {
    /// Its text in pieces.
    pub runs: Vec<Run>,
    /// Whether the first line is set in by two characters.
    pub indent: bool,
    /// Whether it is a remark in small type.
    pub small: bool,
    /// Where its lines stand.
    pub align: Align,
    /// Room above it, in millimetres.
    pub above: u16,
}

/// A piece of a paragraph.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Run {
    /// Its text.
    pub text: String,
    /// A line below it: what was filled into a blank.
    pub underline: bool,
}

impl Paragraph {
    /// A paragraph of plain text.
    pub fn plain(text: &str) -> Paragraph {
        Paragraph { runs: vec![Run { text: text.to_owned(), underline: false }], ..Paragraph::default() }
    }

    /// The same in small type.
    pub fn small(text: &str) -> Paragraph {
        Paragraph { small: true, ..Paragraph::plain(text) }
    }
}

/// Where the lines of a text stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Align {
    /// At the left.
    #[default]
    Left,
    /// In the middle.
    Centre,
    /// At the right.
    Right,
}

/// Ruled cells in columns.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Grid {
    /// Widths of the columns as parts of the text's width.
    pub columns: Vec<u16>,
    /// Its rows; a row is never broken over two pages.
    pub rows: Vec<Row>,
    /// How many of the first rows are repeated on each page.
    pub head: usize,
    /// Small type, for tables with much in them.
    pub small: bool,
}

/// A row of cells; the spans of all of them are the columns.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Row {
    /// Its cells.
    pub cells: Vec<Cell>,
    /// Least height in millimetres.
    pub height: u16,
}

/// A cell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// Its text; lines are broken where the cell ends, and at line feeds.
    pub text: String,
    /// A last line at the bottom right, such as the date below a stamp.
    pub foot: Option<String>,
    /// How many columns it takes.
    pub span: usize,
    /// Where its lines stand.
    pub align: Align,
    /// What it is.
    pub kind: Kind,
}

/// What a cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A value.
    #[default]
    Value,
    /// The name of a value.
    Label,
    /// A value that begins at the top of its cell, which leaves room for more.
    Top,
    /// A value that says "as it should be".
    Good,
    /// A value that says "not as it should be".
    Bad,
}

impl Cell {
    /// A value at the left, of one column.
    pub fn value(text: &str) -> Cell {
        Cell { text: text.to_owned(), span: 1, ..Cell::default() }
    }

    /// A name in the middle, of one column.
    pub fn label(text: &str) -> Cell {
        Cell { align: Align::Centre, kind: Kind::Label, ..Cell::value(text) }
    }

    /// The same over so many columns.
    #[must_use]
    pub fn over(self, span: usize) -> Cell {
        Cell { span, ..self }
    }

    /// The same as something else.
    #[must_use]
    pub fn of(self, kind: Kind) -> Cell {
        Cell { kind, ..self }
    }

    /// The same with its lines elsewhere.
    #[must_use]
    pub fn at(self, align: Align) -> Cell {
        Cell { align, ..self }
    }

    /// The same with a last line.
    #[must_use]
    pub fn with_foot(self, foot: &str) -> Cell {
        Cell { foot: Some(foot.to_owned()), ..self }
    }
}

/// A chart of durations, one bar below the other.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Bars {
    /// What the axis shows.
    pub axis: String,
    /// The bars, from top to bottom.
    pub bars: Vec<Bar>,
}

/// A duration in a chart.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Bar {
    /// Whose.
    pub label: String,
    /// Milliseconds.
    pub millis: u64,
    /// Whether all was well.
    pub good: bool,
}

/// A file format of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// PDF with embedded fonts.
    Pdf,
    /// Office Open XML of a word processor.
    Docx,
    /// One HTML page without anything beside it.
    Html,
    /// The facts alone, for programs.
    Json,
}

impl Format {
    /// What names of its files end with.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Pdf => "pdf",
            Format::Docx => "docx",
            Format::Html => "html",
            Format::Json => "json",
        }
    }

    /// The format that a file name asks for by its extension.
    pub fn of(name: &str) -> Option<Format> {
        let (_, extension) = name.rsplit_once('.')?;
        match extension.to_ascii_lowercase().as_str() {
            "pdf" => Some(Format::Pdf),
            "docx" => Some(Format::Docx),
            "html" | "htm" => Some(Format::Html),
            "json" => Some(Format::Json),
            _ => None,
        }
    }
}

/// A document as the bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The file.
    pub bytes: Vec<u8>,
    /// Characters that the bundled font lacks, each once: a box stands in their place. Of PDF only.
    pub missing: Vec<char>,
}

/// Renders a document; JSON is the model itself.
///
/// # Errors
/// The writer of the format refused: the document is larger than the format allows.
pub fn render(document: &Document, format: Format) -> io::Result<Rendered> {
    let whole = |bytes| Rendered { bytes, missing: Vec::new() };
    Ok(match format {
        Format::Pdf => pdf::render(document)?,
        Format::Docx => whole(docx::render(document)?),
        Format::Html => whole(html::render(document).into_bytes()),
        Format::Json => whole(serde_json::to_vec_pretty(document)?),
    })
}
