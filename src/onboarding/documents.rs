//! The annexes of 《DXPID 网上申请流程》, filled in: 企业法人授权书, 安全承诺书, 测试报告 ([`test_report`]).
//!
//! The words are the forms' own. What the profile does not know stays a blank to be written into by hand, and is told.

use jiff::civil::Date;

use super::chinese_date;
use super::profile::{Field, Profile};
use crate::report::{Align, Block, Document, Paragraph, Run};

pub mod test_report;

mod appendix;

/// A filled-in form and what is blank in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Filled {
    /// The form.
    pub document: Document,
    /// What the profile does not know; the blanks are in the form.
    pub blank: Vec<Field>,
}

/// Where a date is still to be written.
const NO_DATE: &str = "　　　　年　　月　　日";
/// A blank of a line.
const BLANK: &str = "　　　　　　　　";

/// Fills a form in, and remembers what it could not.
struct Filling<'p> {
    profile: &'p Profile,
    blank: Vec<Field>,
}

impl Filling<'_> {
    fn known(&mut self, field: Field) -> Option<String> {
        let value = self.profile.get(field).map(str::to_owned);
        if value.is_none() && !self.blank.contains(&field) {
            self.blank.push(field);
        }
        value
    }

    /// A value on its line, or the empty line.
    fn blank(&mut self, field: Field) -> Run {
        let text = self.known(field).map_or_else(|| BLANK.to_owned(), |value| format!(" {value} "));
        Run { text, underline: true }
    }

    fn done(self, title: &str, blocks: Vec<Block>) -> Filled {
        let author = self.profile.get(Field::Name).unwrap_or_default().to_owned();
        Filled { document: Document { title: title.to_owned(), author, blocks }, blank: self.blank }
    }
}

fn plain(text: &str) -> Run {
    Run { text: text.to_owned(), underline: false }
}

fn indented(runs: Vec<Run>) -> Block {
    Block::Paragraph(Paragraph { runs, indent: true, ..Paragraph::default() })
}

/// A line to be signed, with room for a stamp above it.
fn signature(name: &str, value: Run, above: u16) -> Block {
    Block::Paragraph(Paragraph { runs: vec![plain(name), value], above, ..Paragraph::default() })
}

fn date_line(on: Option<Date>, above: u16) -> Block {
    let text = format!("日期：{}", on.map_or_else(|| NO_DATE.to_owned(), chinese_date));
    Block::Paragraph(Paragraph { runs: vec![plain(&text)], above, align: Align::Left, ..Paragraph::default() })
}

/// 附件 1: 企业法人授权书, for the data exchange interface.
pub fn authorization(profile: &Profile, on: Option<Date>) -> Filled {
    let title = "企业法人授权书";
    let mut form = Filling { profile, blank: Vec::new() };
    // The agent is one of the enterprise's own people unless another employer is known.
    let employer = if profile.get(Field::AgentEmployer).is_some() { Field::AgentEmployer } else { Field::Name };
    let text = vec![
        plain("本授权委托书声明：我"),
        form.blank(Field::LegalRepresentative),
        plain("（姓名）系"),
        form.blank(Field::Name),
        plain("（单位名称）的法定代表人，现授权"),
        form.blank(employer),
        plain("（单位名称）（代理人姓名）"),
        form.blank(Field::Agent),
        plain("为我的合法代理人，办理□预录入系统客户端授权开通/☑预录入系统业务数据交换接口开通（不可复选）有关事宜。"),
        plain("代理人签署的一切文件和处理与之有关的一切事务，我均予以承认。本授权书的有效期自相关事宜办理完毕止。"),
    ];
    let blocks = vec![
        Block::Title { text: title.to_owned() },
        indented(text),
        indented(vec![plain("代理人无权转委托，特此委托。")]),
        signature("申请单位（企业签章）：", form.blank(Field::Name), 18),
        signature("法定代表人（签字或盖章）：", Run { text: BLANK.to_owned(), underline: true }, 14),
        signature("代理人（签字）：", Run { text: BLANK.to_owned(), underline: true }, 14),
        date_line(on, 14),
    ];
    form.done(title, blocks)
}

/// 附件 2: 海关预录入业务数据交换安全承诺书.
pub fn commitment(profile: &Profile, on: Option<Date>) -> Filled {
    let title = "海关预录入业务数据交换安全承诺书";
    let mut form = Filling { profile, blank: Vec::new() };
    let lines = [
        "根据海关总署相关规定，我方自愿申请开通海关预录入业务数据交换接口服务，特承诺如下：",
        "1、不对获取的海关预录入业务数据交换所包括的网络、系统等软硬件信息资料进行非授权披露，并采取措施进行防护。",
        "2、所获取的信息资料仅用于与海关预录入系统进行业务数据交换，不用于其他用途。",
        "3、不利用海关预录入业务数据接口对海关预录入系统进行恶意攻击、破坏。",
        "我方承诺如违反本安全承诺书，将承担相应法律责任及赔偿责任。",
    ];
    let mut blocks = vec![Block::Title { text: title.to_owned() }];
    blocks.extend(lines.map(|line| indented(vec![plain(line)])));
    blocks.push(signature("承诺方：", form.blank(Field::Name), 22));
    blocks.push(signature("（签字盖章）", plain(""), 2));
    blocks.push(date_line(on, 16));
    form.done(title, blocks)
}

#[cfg(test)]
#[path = "documents_tests.rs"]
mod tests;
