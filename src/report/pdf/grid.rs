//! Ruled cells: heights by what stands in them, the first rows again on each page.

use super::super::font::ASCENT;
use super::super::lines::{Inked, broken, inked};
use super::super::{Align, Cell, Grid, Kind, Row};
use super::flow::{Flow, Ink, LEFT, MEASURE, MM, Mark, Style, TOP};

/// A row with its lines broken.
struct Set<'g> {
    cells: Vec<(f32, f32, &'g Cell, Vec<Vec<Inked>>)>,
    height: f32,
}

/// Sizes of a grid.
#[derive(Clone, Copy)]
struct Scale {
    size: f32,
    leading: f32,
    /// Room between a cell's text and its border.
    padding: f32,
    /// Width of the lines inside.
    line: f32,
    small: bool,
}

const FORM: Scale = Scale { size: 11.0, leading: 15.5, padding: 5.0, line: 0.6, small: false };
const TABLE: Scale = Scale { size: 7.5, leading: 10.6, padding: 2.8, line: 0.35, small: true };

impl Flow<'_> {
    pub(super) fn grid(&mut self, grid: &Grid) {
        let scale = if grid.small { TABLE } else { FORM };
        let rows: Vec<Set<'_>> = grid.rows.iter().map(|row| self.set(grid, row, scale)).collect();
        let (head, body) = rows.split_at(grid.head.min(rows.len()));
        let head_height: f32 = head.iter().map(|row| row.height).sum();
        self.room(head_height + body.first().map_or(0.0, |row| row.height));
        let mut start = self.y;
        head.iter().for_each(|row| self.row(row, scale));
        for row in body {
            if self.y + row.height > super::flow::BOTTOM && self.y > TOP + head_height {
                self.border(start, scale);
                self.page();
                start = self.y;
                head.iter().for_each(|row| self.row(row, scale));
            }
            self.row(row, scale);
        }
        self.border(start, scale);
        self.y += 3.0 * MM;
    }

    /// Around the rows of one page.
    fn border(&mut self, start: f32, scale: Scale) {
        let line = if scale.small { 0.8 } else { 1.2 };
        self.put(Mark::Frame { x: LEFT, y: start, width: MEASURE, height: self.y - start, line });
    }

    fn set<'g>(&self, grid: &Grid, row: &'g Row, scale: Scale) -> Set<'g> {
        let total: f32 = grid.columns.iter().map(|part| f32::from(*part)).sum();
        let mut columns = grid.columns.iter().map(|part| f32::from(*part) / total.max(1.0) * MEASURE);
        let (mut x, mut cells, mut height) = (LEFT, Vec::new(), f32::from(row.height) * MM);
        for cell in &row.cells {
            let width: f32 = columns.by_ref().take(cell.span.max(1)).sum();
            let text: Vec<Inked> = inked(&cell.text, false).collect();
            let lines = broken(self.face, &text, (width - 2.0 * scale.padding) / scale.size, 0.0);
            let count = u16::try_from(lines.len().saturating_add(usize::from(cell.foot.is_some()))).unwrap_or(u16::MAX);
            height = height.max(f32::from(count) * scale.leading + 2.0 * scale.padding);
            cells.push((x, width, cell, lines));
            x += width;
        }
        Set { cells, height }
    }

    fn row(&mut self, row: &Set<'_>, scale: Scale) {
        let top = self.y;
        for (x, width, cell, lines) in &row.cells {
            let (x, width, height) = (*x, *width, row.height);
            if scale.small && cell.kind == Kind::Label {
                self.put(Mark::Area { x, y: top, width, height, ink: Ink::Shade });
            }
            self.put(Mark::Frame { x, y: top, width, height, line: scale.line });
            let (x, room) = (x + scale.padding, width - 2.0 * scale.padding);
            let style = style(cell, scale);
            let used = f32::from(u16::try_from(lines.len()).unwrap_or(u16::MAX)) * scale.leading;
            let high = cell.foot.is_some() || cell.kind == Kind::Top;
            let mut y = if high { top + scale.padding } else { top + (height - used) / 2.0 };
            for line in lines {
                self.line(line.clone(), x, y + rise(scale), room, style);
                y += scale.leading;
            }
            if let Some(foot) = &cell.foot {
                let line = inked(foot, false).collect();
                let y = top + height - scale.padding - scale.leading;
                self.line(line, x, y + rise(scale), room, Style { align: Align::Right, ..style });
            }
        }
        self.y = top + row.height;
    }
}

/// From the top of a line to its base line.
fn rise(scale: Scale) -> f32 {
    (scale.leading - scale.size) / 2.0 + ASCENT * scale.size
}

fn style(cell: &Cell, scale: Scale) -> Style {
    let ink = match cell.kind {
        Kind::Good => Ink::Good,
        Kind::Bad => Ink::Bad,
        Kind::Value | Kind::Label | Kind::Top => Ink::Black,
    };
    let bold = scale.small && matches!(cell.kind, Kind::Label | Kind::Bad);
    Style { size: scale.size, leading: scale.leading, bold, ink, align: cell.align }
}
