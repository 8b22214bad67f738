//! `[[waivers]]` of a partner file: outdated algorithms, until when, and why.

use jiff::{Timestamp, civil, tz};

use super::document::Section;
use super::station::one_of;
use crate::bilingual;
use crate::ground::text::Bilingual;
use crate::partner::{Waived, Waiver, Waivers};

/// Reads them and reports those that have ended or soon will.
pub(super) fn read(root: &Section<'_>, now: Timestamp) -> Waivers {
    let sections = root.sections("waivers");
    let read = sections.iter().filter_map(|section| Some((section, waiver(section)?)));
    let (places, waivers): (Vec<&Section<'_>>, Vec<Waiver>) = read.unzip();
    let waivers = Waivers(waivers);
    for (section, waiver) in places.into_iter().zip(&waivers.0) {
        if let Some((code, text)) = waivers.notice(waiver, now) {
            section.warning("until", code, text);
        }
    }
    waivers
}

fn waiver(section: &Section<'_>) -> Option<Waiver> {
    let names = Waived::ALL.map(Waived::name);
    let algorithm = section.required("algorithm", |text| one_of(text, &names));
    let until = section.required("until", last_day);
    let reason = section.required("reason", |text| Ok(text.trim().to_owned()));
    let algorithm = algorithm.and_then(|name| Waived::ALL.into_iter().find(|one| one.name() == name));
    Some(Waiver { algorithm: algorithm?, until: until?, reason: reason? })
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
