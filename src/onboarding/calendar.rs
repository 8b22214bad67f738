//! Working days: every Monday to Friday but the holidays, and the weekend days that are worked instead (调休).
//!
//! The State Council announces them year by year, so they are data of the dossier. Without them every Monday to Friday
//! counts.

use std::collections::BTreeSet;

use jiff::civil::{Date, Weekday};
use serde::{Deserialize, Serialize};

/// Days looked at for one due date, at most: no holiday is that long.
const FAR: usize = 400;

/// What differs from the plain week.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calendar {
    /// Not worked.
    #[serde(default)]
    pub holidays: BTreeSet<Date>,
    /// Weekend days that are worked.
    #[serde(default)]
    pub workdays: BTreeSet<Date>,
}

impl Calendar {
    /// Whether offices work on a day.
    pub fn is_worked(&self, day: Date) -> bool {
        let weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
        self.workdays.contains(&day) || (!weekend && !self.holidays.contains(&day))
    }

    /// The `days`-th working day after a day: when something handed in on that day is due.
    pub fn after(&self, day: Date, days: u8) -> Date {
        let Ok(tomorrow) = day.tomorrow() else { return day };
        self.window(tomorrow, days)
    }

    /// The `days`-th working day from a day on, which itself counts: the last day of a window that opens then.
    pub fn window(&self, from: Date, days: u8) -> Date {
        let mut left = days;
        let mut last = from;
        for day in from.series(jiff::Span::new().days(1)).take(FAR) {
            last = day;
            if self.is_worked(day) {
                left = left.saturating_sub(1);
            }
            if left == 0 {
                break;
            }
        }
        last
    }

    /// Working days after `from` up to `to`; negative when `to` is before.
    pub fn between(&self, from: Date, to: Date) -> i32 {
        let (early, late, sign) = if from <= to { (from, to, 1) } else { (to, from, -1) };
        let days = early.series(jiff::Span::new().days(1)).skip(1).take_while(|day| *day <= late).take(FAR);
        let worked = days.filter(|day| self.is_worked(*day)).count();
        i32::try_from(worked).unwrap_or(i32::MAX).saturating_mul(sign)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn weekends_do_not_count() {
        let plain = Calendar::default();
        // 2026-11-27 is a Friday.
        assert_eq!(plain.after(date(2026, 11, 27), 3), date(2026, 12, 2));
        assert_eq!(plain.after(date(2026, 11, 28), 1), date(2026, 11, 30));
        assert_eq!(plain.window(date(2026, 11, 23), 5), date(2026, 11, 27));
        assert_eq!(plain.window(date(2026, 11, 28), 1), date(2026, 11, 30));
        assert_eq!(plain.between(date(2026, 11, 27), date(2026, 12, 2)), 3);
        assert_eq!(plain.between(date(2026, 12, 2), date(2026, 11, 27)), -3);
        assert_eq!(plain.between(date(2026, 11, 27), date(2026, 11, 29)), 0);
    }

    #[test]
    fn holidays_do_not_count_and_worked_weekends_do() {
        let calendar = Calendar {
            // The National Day of 2026, and a Saturday worked instead.
            holidays: (1..=7).map(|day| date(2026, 10, day)).collect(),
            workdays: BTreeSet::from([date(2026, 10, 10)]),
        };
        assert_eq!(calendar.after(date(2026, 9, 30), 1), date(2026, 10, 8));
        assert_eq!(calendar.after(date(2026, 9, 30), 3), date(2026, 10, 10));
        assert_eq!(calendar.window(date(2026, 9, 28), 5), date(2026, 10, 9));
    }

    #[test]
    fn a_calendar_without_working_days_still_ends() {
        let from = date(2026, 1, 1);
        let holidays = from.series(jiff::Span::new().days(1)).take(3_000).collect();
        let calendar = Calendar { holidays, workdays: BTreeSet::new() };
        assert!(calendar.after(from, 3) > from);
        assert_eq!(calendar.window(Date::MAX, 7), Date::MAX);
        assert_eq!(calendar.after(Date::MAX, 7), Date::MAX);
    }
}
