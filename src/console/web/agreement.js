// What was agreed with a partner, in the words of people; the keys are those of its file.

import { h } from "./dom.js";
import { language, t } from "./text.js";

const SETTINGS = {
  sign: ["发送时签名", "what we send is signed with"],
  encrypt: ["发送时加密", "what we send is encrypted with"],
  key_transport: ["会话密钥的传递", "the content key travels by"],
  compress: ["发送时压缩", "what we send is compressed"],
  mdn: ["请求的 MDN 回执", "the MDN that we ask for"],
  mdn_signed: ["MDN 须签名", "the MDN must be signed"],
  accept_signature: ["来文的签名", "signature of what comes"],
  accept_encryption: ["来文的加密", "encryption of what comes"],
  concurrency: ["同时连接数", "connections at a time"],
  give_up_after: ["放弃投递的时限", "delivery is given up after"],
};

const VALUES = {
  none: ["无", "none"],
  sync: ["同步（在 HTTP 应答中返回）", "synchronous, in the HTTP answer"],
  "before-signing": ["签名之前", "before it is signed"],
  "after-signing": ["签名之后", "after it is signed"],
  yes: ["是", "yes"],
  no: ["否", "no"],
  required: ["必须有", "required"],
  optional: ["可以没有", "optional"],
};

const PROFILES = { dxp: ["海关数据交换平台（DXP）", "customs (DXP)"], plain: ["通用", "any payload"] };

// Protection that was waived for this partner is shown as such.
const WEAK = { sign: "none", encrypt: "none", mdn: "none", mdn_signed: "no", accept_signature: "optional", accept_encryption: "optional" };

const UNITS = [[86_400, "天", "d"], [3_600, "小时", "h"], [60, "分钟", "min"], [1, "秒", "s"]];

const spoken = (pair, otherwise) => pair?.[language() === "zh" ? 0 : 1] ?? otherwise;

// `5400s` as 1 h 30 min.
function duration(text) {
  let left = Number.parseInt(text, 10);
  const parts = UNITS.map(([seconds, ...unit]) => {
    const count = Math.floor(left / seconds);
    left -= count * seconds;
    return count ? `${count} ${spoken(unit)}` : "";
  });
  return parts.filter(Boolean).join(" ") || text;
}

function valueOf(name, value) {
  if (name === "give_up_after") return duration(value);
  if (value.startsWith("async to ")) return t("mdn.async", value.slice("async to ".length));
  const words = spoken(VALUES[value], value);
  return WEAK[name] === value ? h("span", { class: "chip error" }, words) : words;
}

export const profileWord = (profile) => spoken(PROFILES[profile], profile);

// Names and values of an agreement, as `facts` takes them.
export const agreementFacts = (settings) => settings.map(({ name, value }) => [spoken(SETTINGS[name], name), valueOf(name, value)]);
