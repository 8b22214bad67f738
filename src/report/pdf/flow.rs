//! Where everything stands on which page, in points from the top left corner.

use std::collections::BTreeSet;

use super::super::font::{ASCENT, Face};
use super::super::lines::{Inked, broken, inked};
use super::super::{Align, Block, Document, Paragraph};

/// Points of a millimetre.
pub(super) const MM: f32 = 72.0 / 25.4;
/// Width of A4.
pub(super) const WIDTH: f32 = 210.0 * MM;
/// Height of A4.
pub(super) const HEIGHT: f32 = 297.0 * MM;
/// Left edge of the text.
pub(super) const LEFT: f32 = 24.0 * MM;
/// Width of the text.
pub(super) const MEASURE: f32 = WIDTH - 2.0 * LEFT;
/// Upper edge of the text.
pub(super) const TOP: f32 = 22.0 * MM;
/// Lower edge of the text.
pub(super) const BOTTOM: f32 = HEIGHT - 20.0 * MM;

/// What is drawn on a page.
pub(super) type Page = Vec<Mark>;

/// A colour, by what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Black,
    Grey,
    Rule,
    Shade,
    Good,
    Bad,
    Bar,
}

/// Something drawn.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Mark {
    /// A line of text; `y` is its base line.
    Text { x: f32, y: f32, size: f32, bold: bool, ink: Ink, line: Vec<Inked> },
    /// A filled rectangle.
    Area { x: f32, y: f32, width: f32, height: f32, ink: Ink },
    /// The outline of a rectangle.
    Frame { x: f32, y: f32, width: f32, height: f32, line: f32 },
    /// A line.
    Line { from: (f32, f32), to: (f32, f32), width: f32, ink: Ink },
}

/// How a text looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) size: f32,
    /// Distance of base lines.
    pub(super) leading: f32,
    pub(super) bold: bool,
    pub(super) ink: Ink,
    pub(super) align: Align,
}

const BODY: Style = Style { size: 12.0, leading: 23.0, bold: false, ink: Ink::Black, align: Align::Left };
const SMALL: Style = Style { size: 9.0, leading: 14.0, ..BODY };
const TITLE: Style = Style { size: 17.0, leading: 27.0, bold: true, align: Align::Centre, ..BODY };
const HEADING: Style = Style { size: 12.0, leading: 20.0, bold: true, ..BODY };
const FOOT: Style = Style { size: 8.0, leading: 12.0, ink: Ink::Grey, ..BODY };

/// A document on its way onto pages.
pub(super) struct Flow<'f> {
    pub(super) face: &'f Face,
    pages: Vec<Page>,
    /// Where the next block begins.
    pub(super) y: f32,
    missing: BTreeSet<char>,
}

impl Flow<'_> {
    pub(super) fn new(face: &Face) -> Flow<'_> {
        Flow { face, pages: vec![Page::new()], y: TOP, missing: BTreeSet::new() }
    }

    pub(super) fn document(&mut self, document: &Document) {
        for block in &document.blocks {
            match block {
                Block::Title { text } => {
                    self.text(text, TITLE);
                    self.y += 4.0 * MM;
                }
                Block::Heading { text } => self.heading(text),
                Block::Paragraph(paragraph) => self.paragraph(paragraph),
                Block::Grid(grid) => self.grid(grid),
                Block::Bars(bars) => self.bars(bars),
                Block::PageBreak => self.page(),
            }
        }
    }

    /// The pages, each but the first with its number at the foot, and the characters that the font lacks.
    pub(super) fn finish(mut self, author: &str) -> (Vec<Page>, BTreeSet<char>) {
        let count = self.pages.len();
        let baseline = HEIGHT - 11.0 * MM;
        let mut pages = std::mem::take(&mut self.pages);
        for (number, page) in (1usize..).zip(&mut pages).skip(1) {
            let said = format!("第 {number} 页，共 {count} 页");
            page.push(Mark::Line {
                from: (LEFT, baseline - 9.0),
                to: (LEFT + MEASURE, baseline - 9.0),
                width: 0.4,
                ink: Ink::Rule,
            });
            page.push(self.one_line(author, LEFT, baseline, FOOT));
            let right = LEFT + MEASURE - self.face.width(&said) * FOOT.size;
            page.push(self.one_line(&said, right, baseline, FOOT));
        }
        (pages, self.missing)
    }

    /// Begins a page.
    pub(super) fn page(&mut self) {
        self.pages.push(Page::new());
        self.y = TOP;
    }

    /// Begins a page unless so much room is left on this one, or nothing stands on it.
    pub(super) fn room(&mut self, height: f32) {
        if self.y + height > BOTTOM && self.y > TOP {
            self.page();
        }
    }

    pub(super) fn put(&mut self, mark: Mark) {
        if let Mark::Text { line, .. } = &mark {
            let missing = line.iter().map(|inked| inked.c).filter(|c| self.face.glyph(*c).is_none());
            self.missing.extend(missing);
        }
        if let Some(page) = self.pages.last_mut() {
            page.push(mark);
        }
    }

    fn heading(&mut self, text: &str) {
        // With the first lines of what follows.
        self.room(HEADING.leading + 22.0 * MM);
        if self.y > TOP {
            self.y += 4.0 * MM;
        }
        self.text(text, HEADING);
        self.y += 1.0 * MM;
    }

    fn text(&mut self, text: &str, style: Style) {
        let text: Vec<Inked> = inked(text, false).collect();
        self.lines(&text, style, 0.0);
    }

    fn paragraph(&mut self, paragraph: &Paragraph) {
        self.y += f32::from(paragraph.above) * MM;
        let style = Style { align: paragraph.align, ..if paragraph.small { SMALL } else { BODY } };
        let text: Vec<Inked> = paragraph.runs.iter().flat_map(|run| inked(&run.text, run.underline)).collect();
        self.lines(&text, style, if paragraph.indent { 2.0 } else { 0.0 });
    }

    fn lines(&mut self, text: &[Inked], style: Style, indent: f32) {
        let mut indent = indent;
        for line in broken(self.face, text, MEASURE / style.size, indent) {
            self.room(style.leading);
            let (x, width) = (LEFT + indent * style.size, MEASURE - indent * style.size);
            let baseline = self.y + (style.leading - style.size) / 2.0 + ASCENT * style.size;
            self.line(line, x, baseline, width, style);
            self.y += style.leading;
            indent = 0.0;
        }
    }

    /// One line, with what is drawn below its characters.
    pub(super) fn line(&mut self, line: Vec<Inked>, x: f32, baseline: f32, room: f32, style: Style) {
        let said: String = line.iter().map(|inked| inked.c).collect();
        let spare = (room - self.face.width(&said) * style.size).max(0.0);
        let x = match style.align {
            Align::Left => x,
            Align::Centre => x + spare / 2.0,
            Align::Right => x + spare,
        };
        self.underlines(&line, x, baseline, style);
        self.put(Mark::Text { x, y: baseline, size: style.size, bold: style.bold, ink: style.ink, line });
    }

    fn underlines(&mut self, line: &[Inked], x: f32, baseline: f32, style: Style) {
        let (mut at, mut start) = (x, None);
        let y = baseline + 0.2 * style.size;
        let drawn = |from: f32, to: f32| Mark::Line { from: (from, y), to: (to, y), width: 0.6, ink: style.ink };
        for (place, inked) in line.iter().enumerate() {
            match (inked.underline, start) {
                (true, None) => start = Some(at),
                (false, Some(from)) => {
                    self.put(drawn(from, at));
                    start = None;
                }
                _ => {}
            }
            let next = line.get(place.saturating_add(1)).map(|next| next.c);
            at += self.face.advance(inked.c, next) * style.size;
        }
        if let Some(from) = start {
            self.put(drawn(from, at));
        }
    }

    /// A line of plain text at a place.
    pub(super) fn one_line(&mut self, text: &str, x: f32, baseline: f32, style: Style) -> Mark {
        let line: Vec<Inked> = inked(text, false).filter(|inked| inked.c != '\n').collect();
        self.missing.extend(line.iter().map(|inked| inked.c).filter(|c| self.face.glyph(*c).is_none()));
        Mark::Text { x, y: baseline, size: style.size, bold: style.bold, ink: style.ink, line }
    }
}
