//! A chart of durations: bars on ruled ground with an axis below, over as many pages as it needs.

use super::super::chart::{Axis, said};
use super::super::font::ASCENT;
use super::super::lines::{Inked, inked};
use super::super::{Align, Bar, Bars};
use super::flow::{BOTTOM, Flow, Ink, LEFT, MEASURE, MM, Mark, Style};

/// Height of a bar with the room around it.
const STEP: f32 = 13.0;
/// Height of the bar alone.
const THICK: f32 = 7.5;
/// Width of the names at the left.
const NAMES: f32 = 50.0 * MM;
/// Width of the figures at the right.
const FIGURES: f32 = 20.0 * MM;
/// Height of the axis below.
const FEET: f32 = 26.0;
/// Bars that stand together on a page, at least.
const FEW: usize = 5;
const LABEL: Style = Style { size: 7.5, leading: STEP, bold: false, ink: Ink::Black, align: Align::Right };

impl Flow<'_> {
    pub(super) fn bars(&mut self, bars: &Bars) {
        let axis = Axis::of(bars.bars.iter().map(|bar| bar.millis));
        let mut rest = bars.bars.as_slice();
        while !rest.is_empty() {
            let few = f32::from(u16::try_from(rest.len().min(FEW)).unwrap_or(u16::MAX));
            self.room(few * STEP + FEET);
            let mut fit = 0usize;
            let mut room = BOTTOM - FEET - self.y;
            while fit < rest.len() && room >= STEP {
                fit = fit.saturating_add(1);
                room -= STEP;
            }
            // A few bars alone on a page would be no chart.
            let alone = rest.len().saturating_sub(fit);
            if (1..FEW).contains(&alone) {
                fit = rest.len().saturating_sub(FEW);
            }
            let (now, later) = rest.split_at(fit.clamp(1, rest.len()));
            self.part(now, &axis, &bars.axis);
            rest = later;
        }
        self.y += 3.0 * MM;
    }

    fn part(&mut self, bars: &[Bar], axis: &Axis, name: &str) {
        let (start, width) = (LEFT + NAMES, MEASURE - NAMES - FIGURES);
        let height = f32::from(u16::try_from(bars.len()).unwrap_or(u16::MAX)) * STEP;
        let bottom = self.y + height;
        for tick in &axis.ticks {
            let x = start + axis.along(*tick) * width;
            self.put(Mark::Line { from: (x, self.y), to: (x, bottom + 2.0), width: 0.35, ink: Ink::Rule });
            let style = Style { align: Align::Centre, size: 6.5, ink: Ink::Grey, ..LABEL };
            self.line(line(&said(*tick)), x - 40.0, bottom + 10.0, 80.0, style);
        }
        for bar in bars {
            let (middle, long) = (self.y + STEP / 2.0, (axis.along(bar.millis) * width).max(0.75));
            let ink = if bar.good { Ink::Bar } else { Ink::Bad };
            self.put(Mark::Area { x: start, y: middle - THICK / 2.0, width: long, height: THICK, ink });
            let baseline = middle + (ASCENT - 0.5) * LABEL.size;
            let label = self.shortened(&bar.label, (NAMES - 6.0) / LABEL.size);
            self.line(label, LEFT, baseline, NAMES - 6.0, LABEL);
            let figure = Style { align: Align::Left, ink: Ink::Grey, ..LABEL };
            self.line(line(&said(bar.millis)), start + long + 4.0, baseline, FIGURES, figure);
            self.y += STEP;
        }
        self.put(Mark::Line { from: (start, bottom), to: (start + width, bottom), width: 0.6, ink: Ink::Grey });
        let style = Style { align: Align::Centre, size: 7.0, ink: Ink::Grey, ..LABEL };
        self.line(line(name), start, bottom + 20.0, width, style);
        self.y = bottom + FEET;
    }

    /// As much of a name as fits, with dots when that is not all.
    fn shortened(&self, name: &str, room: f32) -> Vec<Inked> {
        let mut whole = line(name);
        let fits = |line: &[Inked], more: &str| {
            let said: String = line.iter().map(|inked| inked.c).chain(more.chars()).collect();
            self.face.width(&said) <= room
        };
        if fits(&whole, "") {
            return whole;
        }
        while !whole.is_empty() && !fits(&whole, "…") {
            whole.pop();
        }
        whole.extend(inked("…", false));
        whole
    }
}

fn line(text: &str) -> Vec<Inked> {
    inked(text, false).filter(|inked| inked.c != '\n').collect()
}
