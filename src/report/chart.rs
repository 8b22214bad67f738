//! The axis of a chart of durations: where its ticks are, how long a bar is, how a duration is said.

/// An axis from nothing to at least the longest duration.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// Milliseconds of each tick, ascending; the last one ends the axis.
    pub ticks: Vec<u64>,
    /// Whether each tick is ten times the one before, from 1 ms on: durations of very different size.
    pub logarithmic: bool,
}

/// Durations whose extremes are further apart are shown on a logarithmic axis.
const APART: u64 = 200;
/// Ticks of an even axis, at most.
const TICKS: u64 = 6;

impl Axis {
    /// The axis for these durations in milliseconds.
    pub fn of(durations: impl Iterator<Item = u64> + Clone) -> Axis {
        let longest = durations.clone().max().unwrap_or(0).max(1);
        let shortest = durations.min().unwrap_or(0).max(1);
        if longest / shortest > APART {
            let mut ticks = vec![1u64];
            let mut tick = 1u64;
            while tick < longest {
                tick = tick.saturating_mul(10);
                ticks.push(tick);
            }
            return Axis { ticks, logarithmic: true };
        }
        let step = step(longest);
        let last = longest.div_ceil(step);
        Axis { ticks: (0..=last).map(|n| n.saturating_mul(step)).collect(), logarithmic: false }
    }

    /// How far along the axis a duration is, from 0 to 1.
    pub fn along(&self, millis: u64) -> f32 {
        let end = self.ticks.last().copied().unwrap_or(1).max(1);
        let part =
            if self.logarithmic { real(millis.max(1)).log10() / real(end).log10() } else { real(millis) / real(end) };
        part.clamp(0.0, 1.0)
    }
}

/// The smallest of 1, 2, 5 times a power of ten that needs few ticks.
fn step(longest: u64) -> u64 {
    let mut power = 1u64;
    loop {
        for part in [1, 2, 5] {
            let step = power.saturating_mul(part);
            if longest.div_ceil(step) <= TICKS {
                return step;
            }
        }
        power = power.saturating_mul(10);
    }
}

/// Exact enough for a drawing.
fn real(millis: u64) -> f32 {
    let seconds = u32::try_from(millis / 1_000).unwrap_or(u32::MAX);
    let rest = u16::try_from(millis % 1_000).unwrap_or(0);
    std::time::Duration::new(seconds.into(), 0).as_secs_f32() * 1_000.0 + f32::from(rest)
}

/// A duration in Chinese: 毫秒 below ten seconds, then 秒.
pub fn said(millis: u64) -> String {
    if millis < 10_000 {
        return format!("{} 毫秒", grouped(millis));
    }
    let tenths = millis.saturating_add(50) / 100;
    if tenths.is_multiple_of(10) {
        format!("{} 秒", tenths / 10)
    } else {
        format!("{}.{} 秒", tenths / 10, tenths % 10)
    }
}

/// A number with its thousands apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut said = String::with_capacity(digits.len().saturating_mul(4) / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && digits.len().saturating_sub(place).is_multiple_of(3) {
            said.push(',');
        }
        said.push(digit);
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_or_after_the_longest_duration_and_has_few_ticks() {
        for longest in [0, 1, 7, 9, 10, 11, 99, 433, 607, 1_000, 59_999, 86_400_000, u64::MAX / 20] {
            for axis in [Axis::of([longest].into_iter()), Axis::of([1, longest].into_iter())] {
                assert!(axis.ticks.last().is_some_and(|last| *last >= longest), "{axis:?}");
                assert!((2..=21).contains(&axis.ticks.len()), "{axis:?}");
                assert!(axis.along(longest) > 0.0 || longest <= 1, "{axis:?}");
                assert!(axis.along(u64::MAX) <= 1.0 && axis.along(0) >= 0.0);
            }
        }
        let even = Axis::of([433, 607, 389].into_iter());
        assert_eq!((even.ticks, even.logarithmic), (vec![0, 200, 400, 600, 800], false));
        let wide = Axis::of([12, 4_000].into_iter());
        assert_eq!((wide.ticks.clone(), wide.logarithmic), (vec![1, 10, 100, 1_000, 10_000], true));
        assert!((wide.along(100) - 0.5).abs() < 0.001);
        assert!(Axis::of(std::iter::empty()).ticks.len() >= 2);
    }

    #[test]
    fn durations_are_said_in_chinese() {
        assert_eq!((said(433), said(9_999), said(10_000)), ("433 毫秒".into(), "9,999 毫秒".into(), "10 秒".into()));
        assert_eq!((said(12_345), said(600_000)), ("12.3 秒".to_owned(), "600 秒".to_owned()));
        assert_eq!((grouped(0), grouped(1_234_567)), ("0".to_owned(), "1,234,567".to_owned()));
    }
}
