//! The bundled font: which glyph a character has, and how wide it is.
//!
//! `font/noto-sans-sc.ttf` is Noto Sans SC Regular cut down to GB/T 2312, 《通用规范汉字表》 and the signs of the documents
//! (`font/make.sh` made it, `font/LICENSE` is its licence). Bold is drawn as the same outlines with a stroke.

use skrifa::instance::{LocationRef, Size};
use skrifa::metrics::GlyphMetrics;
use skrifa::{FontRef, MetadataProvider as _, charmap::Charmap};

/// The file.
pub const BYTES: &[u8] = include_bytes!("font/noto-sans-sc.ttf");
/// Height of ideographs above the base line, in ems: lines are placed by it.
pub const ASCENT: f32 = 0.88;
/// Room between an ideograph and a Latin letter or digit, in ems.
const BETWEEN_SCRIPTS: f32 = 0.14;

/// Reads the bundled font.
pub struct Face {
    charmap: Charmap<'static>,
    metrics: GlyphMetrics<'static>,
}

/// A character as it is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Glyph {
    /// Its number in the font; 0 is the box for what the font lacks.
    pub id: u32,
    /// Its width in ems.
    pub advance: f32,
}

impl Face {
    /// The bundled font.
    pub fn bundled() -> Face {
        let font = FontRef::new(BYTES).expect("the bundled font is a font; its tests read it");
        Face { charmap: font.charmap(), metrics: font.glyph_metrics(Size::new(1.0), LocationRef::default()) }
    }

    /// The glyph of a character, none when the font lacks it.
    pub fn glyph(&self, c: char) -> Option<Glyph> {
        let id = self.charmap.map(c)?;
        Some(Glyph { id: id.to_u32(), advance: self.metrics.advance_width(id).unwrap_or(1.0) })
    }

    /// The glyph of a character, or the box.
    pub fn drawn(&self, c: char) -> Glyph {
        self.glyph(c).unwrap_or(Glyph { id: 0, advance: 1.0 })
    }

    /// Width of a character before another, in ems.
    pub fn advance(&self, c: char, next: Option<char>) -> f32 {
        let gap = next.is_some_and(|next| (is_ideograph(c) && is_latin(next)) || (is_latin(c) && is_ideograph(next)));
        self.drawn(c).advance + if gap { BETWEEN_SCRIPTS } else { 0.0 }
    }

    /// Width of a line, in ems.
    pub fn width(&self, text: &str) -> f32 {
        let mut characters = text.chars().peekable();
        let mut width = 0.0;
        while let Some(c) = characters.next() {
            width += self.advance(c, characters.peek().copied());
        }
        width
    }
}

/// Whether a character is one of the ideographs, not a sign between them.
pub fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}' | '〇')
}

fn is_latin(c: char) -> bool {
    c.is_ascii_alphanumeric()
}
