//! A document as PDF: A4 pages, text that can be selected and searched, the bundled font as a subset, vectors for the
//! rest. [`flow`] decides what stands where, this file draws it.

use std::io;

use krilla::color::rgb;
use krilla::geom::{PathBuilder, Point, Rect};
use krilla::metadata::Metadata;
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::{Fill, Stroke};
use krilla::surface::Surface;
use krilla::text::{Font, GlyphId, KrillaGlyph};

use super::font::{self, Face};
use super::lines::Inked;
use super::{Document, Rendered};

mod bars;
mod flow;
mod grid;

use flow::{Flow, HEIGHT, Ink, Mark, Page, WIDTH};

/// Renders a document.
///
/// # Errors
/// The writer refused: the document is larger than the format allows.
pub(super) fn render(document: &Document) -> io::Result<Rendered> {
    let face = Face::bundled();
    let mut flow = Flow::new(&face);
    flow.document(document);
    let (pages, missing) = flow.finish(&document.author);
    let bytes = draw(document, &face, &pages)?;
    Ok(Rendered { bytes, missing: missing.into_iter().collect() })
}

fn draw(document: &Document, face: &Face, pages: &[Page]) -> io::Result<Vec<u8>> {
    let font = Font::new(font::BYTES.into(), 0).ok_or_else(|| io::Error::other("the bundled font was refused"))?;
    let mut pdf = krilla::Document::new();
    pdf.set_metadata(
        Metadata::new()
            .title(document.title.clone())
            .authors(vec![document.author.clone()])
            .creator(concat!("dxgate ", env!("CARGO_PKG_VERSION")).to_owned())
            .language("zh-CN".to_owned()),
    );
    for marks in pages {
        let size = PageSettings::from_wh(WIDTH, HEIGHT).ok_or_else(|| io::Error::other("A4 was refused"))?;
        let mut page = pdf.start_page_with(size);
        let mut surface = page.surface();
        marks.iter().for_each(|mark| draw_mark(&mut surface, face, &font, mark));
        surface.finish();
        page.finish();
    }
    pdf.finish().map_err(|error| io::Error::other(format!("{error:?}")))
}

fn draw_mark(surface: &mut Surface<'_>, face: &Face, font: &Font, mark: &Mark) {
    match mark {
        Mark::Text { x, y, size, bold, ink, line } => {
            surface.set_fill(Some(fill(*ink)));
            surface.set_stroke(bold.then(|| stroke(*ink, size * 0.04)));
            let (text, glyphs) = shaped(face, line);
            surface.draw_glyphs(Point::from_xy(*x, *y), &glyphs, font.clone(), &text, *size, false);
        }
        Mark::Area { x, y, width, height, ink } => {
            surface.set_fill(Some(fill(*ink)));
            surface.set_stroke(None);
            rectangle(surface, *x, *y, *width, *height);
        }
        Mark::Frame { x, y, width, height, line } => {
            surface.set_fill(None);
            surface.set_stroke(Some(stroke(Ink::Black, *line)));
            rectangle(surface, *x, *y, *width, *height);
        }
        Mark::Line { from, to, width, ink } => {
            surface.set_fill(None);
            surface.set_stroke(Some(stroke(*ink, *width)));
            let mut path = PathBuilder::new();
            path.move_to(from.0, from.1);
            path.line_to(to.0, to.1);
            if let Some(path) = path.finish() {
                surface.draw_path(&path);
            }
        }
    }
}

fn rectangle(surface: &mut Surface<'_>, x: f32, y: f32, width: f32, height: f32) {
    let mut path = PathBuilder::new();
    if let Some(rectangle) = Rect::from_xywh(x, y, width, height) {
        path.push_rect(rectangle);
    }
    if let Some(path) = path.finish() {
        surface.draw_path(&path);
    }
}

/// A line as the writer wants it: each glyph with the octets that it stands for, so that the text can be found.
fn shaped(face: &Face, line: &[Inked]) -> (String, Vec<KrillaGlyph>) {
    let mut text = String::new();
    let mut glyphs = Vec::with_capacity(line.len());
    for (at, inked) in line.iter().enumerate() {
        let start = text.len();
        text.push(inked.c);
        let next = line.get(at.saturating_add(1)).map(|next| next.c);
        let advance = face.advance(inked.c, next);
        let glyph = GlyphId::new(face.drawn(inked.c).id);
        glyphs.push(KrillaGlyph::new(glyph, advance, 0.0, 0.0, 0.0, start..text.len(), None));
    }
    (text, glyphs)
}

fn fill(ink: Ink) -> Fill {
    Fill { paint: colour(ink).into(), opacity: NormalizedF32::ONE, ..Fill::default() }
}

fn stroke(ink: Ink, width: f32) -> Stroke {
    Stroke { paint: colour(ink).into(), width, ..Stroke::default() }
}

fn colour(ink: Ink) -> rgb::Color {
    let [red, green, blue] = match ink {
        Ink::Black => [0x1A, 0x1A, 0x1A],
        Ink::Grey => [0x6B, 0x72, 0x80],
        Ink::Rule => [0xD5, 0xD9, 0xE0],
        Ink::Shade => [0xEE, 0xF1, 0xF5],
        Ink::Good => [0x17, 0x6E, 0x3A],
        Ink::Bad => [0xB4, 0x23, 0x18],
        Ink::Bar => [0x3B, 0x6F, 0xB6],
    };
    rgb::Color::new(red, green, blue)
}
