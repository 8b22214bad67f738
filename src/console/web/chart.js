// The traffic of the last 24 hours as bars: what went well upwards, what failed in red on top.

import { h, svg } from "./dom.js";
import { hour, number, when } from "./format.js";
import { t } from "./text.js";

const WIDTH = 720;
const HEIGHT = 180;
const BOTTOM = 22;
const LEFT = 44;
const SERIES = ["delivered", "received", "failed", "rejected"];

// A round number not below `value`, so that the axis can be read.
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, value)));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value) ?? 10 * power;
}

export function trafficChart(hours) {
  const total = (each) => SERIES.reduce((sum, name) => sum + (each[name] ?? 0), 0);
  const top = Math.max(4, ceiling(Math.max(0, ...hours.map(total))));
  const slot = (WIDTH - LEFT) / Math.max(1, hours.length);
  const y = (value) => (HEIGHT - BOTTOM) * (1 - value / top) + 4;
  const bars = hours.map((each, index) => {
    let below = 0;
    const x = LEFT + index * slot + slot * 0.15;
    const segments = SERIES.map((name) => {
      const value = each[name] ?? 0;
      if (!value) return null;
      const bar = svg("rect", { class: `bar ${name}`, x, width: slot * 0.7, y: y(below + value), height: y(below) - y(below + value) });
      below += value;
      return bar;
    });
    const words = SERIES.map((name) => `${t(`figure.${name}`)} ${number(each[name])}`).join(", ");
    const label = index % 4 === 0 ? svg("text", { class: "tick", x: LEFT + index * slot + slot / 2, y: HEIGHT - 4, "text-anchor": "middle" }, hour(each.hour)) : null;
    return svg("g", {}, svg("title", {}, `${when(each.hour)}: ${words}`), svg("rect", { class: "hit", x: LEFT + index * slot, width: slot, y: 0, height: HEIGHT - BOTTOM }), segments, label);
  });
  const lines = [0, top / 2, top].map((value) => [
    svg("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y(value), y2: y(value) }),
    svg("text", { class: "tick", x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, number(value)),
  ]);
  const sums = SERIES.map((name) => [name, hours.reduce((sum, each) => sum + (each[name] ?? 0), 0)]);
  return h("figure", { class: "chart" },
    svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT + 4}`, role: "img", "aria-label": sums.map(([name, sum]) => `${t(`figure.${name}`)} ${sum}`).join(", ") }, lines, bars),
    h("figcaption", {}, sums.map(([name, sum]) => h("span", { class: "legend" }, h("i", { class: `swatch ${name}` }), `${t(`figure.${name}`)} ${number(sum)}`))));
}
