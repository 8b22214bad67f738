//! Help texts in Chinese; the English ones stand with the arguments.

use clap::Command;

use crate::ground::text::Language;

/// What each command does, by its path.
const ABOUT: &[(&[&str], &str)] = &[
    (&[], "连接海关数据交换平台（DXP）及任何 AS2 合作方的网关"),
    (&["init"], "创建可运行的目录：配置、密钥、文件夹"),
    (&["serve"], "运行网关"),
    (&["demo"], "在本机同时运行网关和测试端，并交换示例申报"),
    (&["testbed"], "单独运行海关测试端"),
    (&["connectivity"], "联通测试：执行测试计划，查看测试记录"),
    (&["connectivity", "run"], "对测试环境执行联通测试计划"),
    (&["connectivity", "rehearse"], "在本机启动测试端并对其演练测试计划"),
    (&["connectivity", "report"], "按官方格式生成测试报告，并归入档案"),
    (&["connectivity", "list"], "列出测试记录，新的在前"),
    (&["connectivity", "show"], "显示一次测试：用例、现象、原因、应询问的事项"),
    (&["precheck"], "检查申报文件、信封或文件夹"),
    (&["form"], "数据交换接口服务申请表"),
    (&["form", "check"], "填入网上系统之前检查申请表及其附件"),
    (&["onboarding"], "从申请到正式接入：档案、下一步和附件文书"),
    (&["onboarding", "status"], "显示进度：已完成、下一步、所缺和咨询电话"),
    (&["onboarding", "set"], "登记企业资料；值为空则删除"),
    (&["onboarding", "material"], "检查并登记要提交的文件"),
    (&["onboarding", "advance"], "登记网上系统显示的申请状态"),
    (&["onboarding", "issue"], "登记下发的 DXPID"),
    (&["onboarding", "calendar"], "查看或修改工作日：放假和调休"),
    (&["onboarding", "file"], "把日志中的一次联通测试归入档案"),
    (&["onboarding", "document"], "生成附件：授权书、安全承诺书、测试报告"),
    (&["onboarding", "waive"], "档案不全时例外进入正式环境，原因记入日志"),
    (&["send"], "把文件交给运行中的网关"),
    (&["messages"], "查看和处理报文"),
    (&["messages", "list"], "列出报文，新的在前"),
    (&["messages", "show"], "显示一个报文及其经过"),
    (&["messages", "retry"], "立即重发，内容不变"),
    (&["messages", "hold"], "挂起，直到放行"),
    (&["messages", "release"], "放行已挂起的报文，或恢复后挂起的全部报文"),
    (&["messages", "cancel"], "取消发送"),
    (&["messages", "legal-hold"], "法定保留：不论保存期限，全部保留"),
    (&["messages", "legal-release"], "解除法定保留"),
    (&["messages", "export"], "把报文的证据写入文件夹，供任何人验证"),
    (&["messages", "verify"], "验证报文、导出的证据或整个日志"),
    (&["messages", "resend"], "以新的 Message-ID 作为新报文重发"),
    (&["declarations"], "已申报单证的海关业务状态"),
    (&["declarations", "list"], "列出单证，新的在前"),
    (&["declarations", "show"], "按订单号、企业内部编号、清单编号、运单号等查单证"),
    (&["alerts"], "告警：查看和确认"),
    (&["alerts", "list"], "列出未确认的告警"),
    (&["alerts", "acknowledge"], "确认告警，并说明原因"),
    (&["alerts", "silence"], "在一段时间内不通知某些告警；列表和日志中仍可见"),
    (&["alerts", "silences"], "列出生效中的静默"),
    (&["alerts", "unsilence"], "提前结束静默"),
    (&["alerts", "test"], "通过 [alerts] 的各渠道发送测试告警"),
    (&["partner"], "已配置的合作方"),
    (&["partner", "list"], "列出合作方"),
    (&["partner", "check"], "检查合作方的配置和证书"),
    (&["partner", "status"], "运行中网关的合作方状态"),
    (&["partner", "pause"], "暂停向合作方发送，重启后仍然有效"),
    (&["partner", "resume"], "恢复向合作方发送"),
    (&["partner", "reload"], "立即重新读取合作方配置"),
    (&["queue"], "等待发送的报文"),
    (&["audit"], "审计记录：查看和验证"),
    (&["audit", "list"], "列出变更，新的在前"),
    (&["audit", "verify"], "验证整个日志链和全部内容"),
    (&["user"], "控制台用户"),
    (&["user", "list"], "列出用户"),
    (&["user", "add"], "添加用户；不指定密码文件时生成密码并显示一次"),
    (&["user", "change"], "修改角色、密码或停用动态码；其会话随即结束"),
    (&["user", "remove"], "删除用户；其会话随即结束"),
    (&["token"], "供程序使用的 API 令牌"),
    (&["token", "list"], "列出令牌"),
    (&["token", "create"], "创建令牌，仅显示一次"),
    (&["token", "revoke"], "吊销令牌"),
    (&["completions"], "输出 shell 自动补全脚本"),
    (&["man"], "把手册页写入文件夹"),
    (&["cert"], "密钥和证书"),
    (&["cert", "list"], "列出已配置的密钥和证书及其有效期"),
    (&["cert", "status"], "运行中网关所用的证书"),
    (&["cert", "generate"], "生成密钥和自签名证书"),
    (&["cert", "import"], "把伙伴的证书，或本方的证书及私钥，放入目录并写入配置"),
    (&["cert", "rotate"], "生成接替当前签名密钥的新密钥，并写入配置"),
    (&["cert", "exchanges"], "双方请求对方信任的证书（CEM）及其指纹"),
    (&["cert", "request"], "请求伙伴信任本方证书（CEM）；对方接受前仍以旧密钥为其签名"),
    (&["cert", "accept"], "信任伙伴所请求的证书（原有证书继续有效），并答复对方"),
    (&["cert", "reject"], "答复伙伴：不信任其请求的证书，并说明原因"),
    (&["doctor"], "检查配置、密钥和文件夹"),
    (&["backup"], "备份运行中的网关"),
    (&["restore"], "从备份恢复目录；未完结的报文等待人工放行"),
];

/// The command tree in the reader's language.
pub(super) fn localised(command: Command, language: Language) -> Command {
    match language {
        Language::English => command,
        Language::Chinese => ABOUT
            .iter()
            .fold(command, |command, (path, about)| described(command, path, about))
            .after_help("退出码：0 完成；1 结果为否；2 用法或配置错误；3 网关或文件无法访问"),
    }
}

fn described(command: Command, path: &[&str], about: &'static str) -> Command {
    match path.split_first() {
        None => command.about(about),
        Some((first, rest)) => command.mut_subcommand(first, |command| described(command, rest, about)),
    }
}
