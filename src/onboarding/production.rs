//! Whether production may begin: after a passed run, with a report of it, under a DXPID of its own.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Refused;
use super::dossier::{Dossier, checked_note};
use crate::bilingual;
use crate::ground::text::Bilingual;

/// What production waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// A run that passed in the test environment, and was no rehearsal.
    pub run: bool,
    /// A report of such a run.
    pub report: bool,
    /// A DXPID for production.
    pub dxpid: bool,
    /// The station's configuration has another DXPID than the one that was issued.
    pub foreign: bool,
}

impl Missing {
    /// What is missing, and what to do.
    pub fn text(&self) -> Bilingual {
        let parts = [
            (
                self.run,
                "在测试环境通过的联通测试（dxgate connectivity run，再 dxgate onboarding file RUN）",
                "a connectivity test that passed in the test environment (dxgate connectivity run, then dxgate onboarding file RUN)",
            ),
            (
                self.report,
                "该测试的报告（dxgate onboarding document report）",
                "a report of it (dxgate onboarding document report)",
            ),
            (
                self.dxpid,
                "正式 DXPID（dxgate onboarding issue production DXPID）",
                "a DXPID for production (dxgate onboarding issue production DXPID)",
            ),
            (
                self.foreign,
                "与下发的正式 DXPID 一致的配置（[station] dxpid）",
                "a configuration with the DXPID that was issued ([station] dxpid)",
            ),
        ];
        let of = |pick: fn(&(bool, &'static str, &'static str)) -> &'static str, between: &str| {
            parts.iter().filter(|part| part.0).map(pick).collect::<Vec<_>>().join(between)
        };
        let (zh, en) = (of(|part| part.1, "、"), of(|part| part.2, ", "));
        bilingual!(
            "尚不能进入正式环境，档案缺少：{zh}。确需例外时：dxgate onboarding waive --reason 原因",
            "production is not open yet; the dossier lacks {en}. For an exception: dxgate onboarding waive --reason WHY"
        )
    }
}

/// Whether the dossier holds all that production needs.
///
/// # Errors
/// What it lacks. A [`Waiver`] is not looked at: who goes on in spite of this says so in the journal.
pub fn may_go_to_production(dossier: &Dossier) -> Result<(), Missing> {
    let missing = Missing {
        run: dossier.passed_run().is_none(),
        report: dossier.report_of_passed_run().is_none(),
        dxpid: dossier.production.is_none(),
        foreign: false,
    };
    if missing == Missing::default() { Ok(()) } else { Err(missing) }
}

/// Whether a station with this DXPID may work in production.
///
/// # Errors
/// As [`may_go_to_production`], and that the station's DXPID is not the one that was issued.
pub fn may_work_as(dossier: &Dossier, dxpid: Option<&str>) -> Result<(), Missing> {
    let missing = may_go_to_production(dossier).err().unwrap_or_default();
    let issued = dossier.production.as_ref().map(|issued| issued.dxpid.as_str());
    let foreign = issued.is_some() && dxpid.is_some() && issued != dxpid;
    let missing = Missing { foreign, ..missing };
    if missing == Missing::default() { Ok(()) } else { Err(missing) }
}

/// A person's word that production may begin without a whole dossier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiver {
    /// Why.
    pub reason: String,
    /// When it was given.
    pub at: Timestamp,
}

impl Waiver {
    /// A waiver with its reason.
    ///
    /// # Errors
    /// The reason is no readable line.
    pub fn new(reason: &str, at: Timestamp) -> Result<Waiver, Refused> {
        checked_note(Some(reason))?;
        Ok(Waiver { reason: reason.trim().to_owned(), at })
    }
}
