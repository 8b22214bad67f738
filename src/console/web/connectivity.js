// The place of the connectivity test (联通测试).

import { h, show } from "./dom.js";
import { t } from "./text.js";

export async function connectivityPage(context) {
  show(context.place, h("h1", {}, t("page.connectivity")), h("p", { class: "notice" }, t("connectivity.none")));
}
