//! The arguments of `dxgate onboarding …`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};
use jiff::civil::Date;

use super::{RunName, kebab};
use crate::onboarding::materials::Material;
use crate::onboarding::portal::{Stage, State};
use crate::onboarding::profile::Field;

/// `onboarding …`.
#[derive(Debug, Subcommand)]
pub enum OnboardingCommand {
    /// Show the road: what is done, what is next, what is missing, who answers
    Status,
    /// Set fields of the enterprise's profile; an empty value removes one
    Set(SetArguments),
    /// Check a file that is handed in and take note of it
    Material {
        /// authorization, identity, commitment or stamped-report
        #[arg(value_parser = kebab::<Material>)]
        material: Material,
        /// The file: PDF, or jpg of the identity card; at most 4 MB
        file: PathBuf,
    },
    /// Record what the portal shows of an application
    Advance(AdvanceArguments),
    /// Record a DXPID that was issued
    Issue(IssueArguments),
    /// Show or change the working days: holidays, and weekend days worked instead
    Calendar(CalendarArguments),
    /// File a run of the connectivity test that is in the journal
    File {
        /// The run's id, or `last`
        run: RunName,
    },
    /// Write an annex, filled in: power of attorney, security commitment, test report
    Document(DocumentArguments),
    /// Let production begin without a whole dossier, for a reason that is kept and journalled
    Waive {
        /// Why
        #[arg(long, short, required_unless_present = "end")]
        reason: Option<String>,
        /// End the exception
        #[arg(long, conflicts_with = "reason")]
        end: bool,
    },
}

/// `onboarding set`.
#[derive(Debug, Args)]
pub struct SetArguments {
    /// Such as name=示例贸易有限公司; `onboarding status` names what is missing
    #[arg(value_name = "FIELD=VALUE", value_parser = assignment, required_unless_present = "form")]
    pub values: Vec<(Field, String)>,
    /// Take them from an application form (see config/form.example.toml)
    #[arg(long, value_name = "FILE")]
    pub form: Option<PathBuf>,
}

/// `onboarding advance`.
#[derive(Debug, Args)]
pub struct AdvanceArguments {
    /// opening, test, report or access
    #[arg(value_parser = kebab::<Stage>)]
    pub stage: Stage,
    /// As the portal shows it, such as 已申请, or its name, such as applied
    #[arg(value_parser = state)]
    pub state: State,
    /// Since this day [default: today]
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub on: Option<Date>,
    /// What was said with it
    #[arg(long)]
    pub note: Option<String>,
}

/// `onboarding issue`.
#[derive(Debug, Args)]
pub struct IssueArguments {
    /// test or production
    pub environment: Issuing,
    /// The DXPID
    pub dxpid: String,
    /// First day of the test window [default: today]; or the day on which the DXPID for production was issued
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub from: Option<Date>,
    /// Last day of the test window [default: the fifth working day]
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub to: Option<Date>,
}

/// For which environment a DXPID was issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Issuing {
    /// The public account of the test environment, for a window
    Test,
    /// Production
    Production,
}

/// `onboarding calendar`.
#[derive(Debug, Args)]
pub struct CalendarArguments {
    /// Not worked: a day, or two with .. between; several with commas
    #[arg(long, value_name = "DAYS", value_parser = days, value_delimiter = ',')]
    pub holiday: Vec<Days>,
    /// Worked although on a weekend
    #[arg(long, value_name = "DAYS", value_parser = days, value_delimiter = ',')]
    pub workday: Vec<Days>,
    /// Neither of them any longer
    #[arg(long, value_name = "DAYS", value_parser = days, value_delimiter = ',')]
    pub forget: Vec<Days>,
}

/// Days in a row, first and last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days(pub Date, pub Date);

/// `onboarding document`.
#[derive(Debug, Args)]
pub struct DocumentArguments {
    /// Which annex
    pub annex: Annex,
    /// The run that the report is of: its id, `last`, or a file written by `connectivity show --format json`
    #[arg(long, required_if_eq("annex", "report"))]
    pub run: Option<RunSource>,
    /// Where and how it is written.
    #[command(flatten)]
    pub target: Target,
}

/// Where a document goes.
#[derive(Debug, Args)]
pub struct Target {
    /// A new file: .pdf, .docx or .html; for a report .json too
    #[arg(long, short, value_name = "FILE")]
    pub out: PathBuf,
    /// The date on it [default: left blank for who signs]
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub date: Option<Date>,
    /// Write over a file that is there
    #[arg(long)]
    pub force: bool,
}

/// An annex of the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Annex {
    /// 附件 1: the power of attorney
    Authorization,
    /// 附件 2: the security commitment
    Commitment,
    /// 附件 3: the test report
    Report,
}

/// Where a run is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunSource {
    /// In the journal.
    Journal(RunName),
    /// In a file, as `connectivity show --format json` prints it.
    File(PathBuf),
}

impl FromStr for RunSource {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<RunSource, Self::Err> {
        Ok(text.parse().map_or_else(|_| RunSource::File(PathBuf::from(text)), RunSource::Journal))
    }
}

fn assignment(text: &str) -> Result<(Field, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| "FIELD=VALUE is expected".to_owned())?;
    let names = || Field::ALL.map(Field::name).join(", ");
    let field = Field::named(name).ok_or_else(|| format!("there is no field {name}, but {}", names()))?;
    Ok((field, value.to_owned()))
}

fn state(text: &str) -> Result<State, String> {
    let names = || State::ALL.map(|(_, name, portal)| format!("{portal} ({name})")).join(", ");
    State::named(text).ok_or_else(|| format!("the portal knows {}", names()))
}

fn days(text: &str) -> Result<Days, String> {
    let day = |text: &str| text.parse::<Date>().map_err(|error| error.to_string());
    let (from, to) = match text.split_once("..") {
        Some((from, to)) => (day(from)?, day(to)?),
        None => (day(text)?, day(text)?),
    };
    let close = from <= to && to.since(from).is_ok_and(|span| span.get_days() <= 60);
    close.then_some(Days(from, to)).ok_or_else(|| "the first day comes first, and at most 60 days follow".to_owned())
}
