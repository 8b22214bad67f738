//! `[[waivers]]` of a partner file: outdated algorithms, until when, and why.

use jiff::{Timestamp, civil, tz};

use super::document::Section;
use super::station::one_of;
use crate::bilingual;
use crate::ground::text::Bilingual;
use crate::partner::{Waived, Waiver, Waivers};

/// Reads them and reports those that have ended or soon will.
pub(super) fn read(root: &Section<'_>, now: Timestamp) -> Waivers {
    let mut waivers = Vec::new();
    for section in root.sections("waivers") {
        let names = Waived::ALL.map(Waived::name);
        let algorithm = section.required("algorithm", |text| one_of(text, &names));
        let until = section.required("until", last_day);
        let reason = section.required("reason", |text| Ok(text.trim().to_owned()));
        let algorithm = algorithm.and_then(|name| Waived::ALL.into_iter().find(|one| one.name() == name));
        let (Some(algorithm), Some(until), Some(reason)) = (algorithm, until, reason) else { continue };
        let waiver = Waiver { algorithm, until, reason };
        if let Some((code, text)) = waiver.notice(now) {
            section.warning("until", code, text);
        }
        waivers.push(waiver);
    }
    Waivers(waivers)
}

/// The end of a day in the time zone of the customs (UTC+8).
fn last_day(text: &str) -> Result<Timestamp, Bilingual> {
    let end = || {
        let next = text.trim().parse::<civil::Date>().ok()?.tomorrow().ok()?;
        Some(next.to_zoned(tz::TimeZone::fixed(tz::offset(8))).ok()?.timestamp())
    };
    end().ok_or_else(|| {
        bilingual!(
            "不是日期。请写成豁免有效的最后一天，例如 \"2027-06-30\"。",
            "not a date. Write the last day of the waiver, such as \"2027-06-30\"."
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_day_ends_at_midnight_in_the_customs_time_zone() {
        assert_eq!(last_day("2027-06-30").ok(), "2027-06-30T16:00:00Z".parse().ok());
        assert!(last_day("next year").is_err() && last_day("2027-06-31").is_err());
    }
}
