// Draws the boot: a row a step, a lane a role, a line from step to step. Pure. Everything is placed by its index.

import { type BootStep, ROLES, type Role } from "./boot.ts";
import { element, escapeXml, svgFile } from "./svg.ts";

/** In pixels. Texts are as wide as a system's usual font makes them, with some room. */
const WIDTH = 920;
const MARGIN = 24;
const HEAD = 76;
const ROW = 60;
const FOOT = 8;
const FIRST_LANE = 296;
const LANE = 78;
const BEFOREHAND = 576;
const MEANWHILE = 758;
const DOT = 11;
const TEXT_LINE = 15;

/** What fits between the margin and the first lane, in characters. */
const SENTENCE = 36;

// A panel of its own, so that it can be read on any page; a dark one for who wants it dark. The colours are written
// out: viewers that are no browsers know no variables, and would draw all of it black.
const LIGHT = { panel: "#fff", line: "#d0d7de", text: "#1f2328", soft: "#59636e", way: "#0969da", no: "#b42318" };
const DARK = { panel: "#151b23", line: "#3d444d", text: "#f0f6fc", soft: "#9198a1", way: "#58a6ff", no: "#ff8f85" };

const STYLE = `
text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; font-size: 12px }
.lane { stroke-dasharray: 2 4 }
.name { font-weight: 600; font-size: 14px }
.role, .number { font-weight: 600; text-anchor: middle }
.way { stroke-width: 2; fill: none }
.started { stroke-width: 2 }
.code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 10.5px }
${coloursOf(LIGHT)}
@media (prefers-color-scheme: dark) {
${coloursOf(DARK)}
}
`.trim();

function coloursOf({ panel, line, text, soft, way, no }: typeof LIGHT): string {
  return [
    `text { fill: ${text} } .soft { fill: ${soft} } .code { fill: ${no} } .number { fill: ${panel} }`,
    `.panel { fill: ${panel}; stroke: ${line} } .line, .lane { stroke: ${line} }`,
    `.way { stroke: ${way} } .dot { fill: ${way} } .started { fill: ${panel}; stroke: ${way} }`,
  ].join("\n");
}

type Point = { readonly x: number; readonly y: number };

export function bootPicture(steps: readonly BootStep[]): string {
  const height = HEAD + steps.length * ROW + FOOT;
  const bottom = height - FOOT - ROW / 2;
  const title = `The boot in order: ${steps.map(({ step, by }, index) => `${index + 1}. ${step} (${by})`).join(", ")}`;
  return svgFile({ width: WIDTH, height, title, style: STYLE }, [
    element("rect", { class: "panel", x: 0.5, y: 0.5, width: WIDTH - 1, height: height - 1, rx: 8 }),
    ...ROLES.flatMap((role) => lane(role, bottom)),
    text({ x: MARGIN, y: HEAD - 40 }, "name", "A start"),
    ...heading(BEFOREHAND, ["refused by the plan:", "nothing has been changed"]),
    ...heading(MEANWHILE, ["refused on the way:", "the app isn't started"]),
    ...way(steps),
    ...steps.flatMap(row),
  ]);
}

function lane(role: Role, bottom: number): readonly string[] {
  const x = laneOf(role);
  return [
    element("line", { class: "lane", x1: x, y1: HEAD - 26, x2: x, y2: bottom }),
    text({ x, y: HEAD - 40 }, "role", role),
  ];
}

function heading(x: number, lines: readonly string[]): readonly string[] {
  return lines.map((line, index) => text({ x, y: HEAD - 47 + index * TEXT_LINE }, "soft", line));
}

/** From who starts everything through each step to the last; down between two rows, where the lane changes. */
function way(steps: readonly BootStep[]): readonly string[] {
  const places = [
    { x: laneOf(ROLES[0]), y: HEAD - 30 },
    ...steps.map(({ by }, index) => ({ x: laneOf(by), y: rowOf(index) })),
  ];
  const [{ x, y } = { x: 0, y: 0 }, ...others] = places;
  const path = others.map((to, index) => {
    const middle = to.y - ROW / 2;
    return places[index]?.x === to.x ? `V${to.y}` : `V${middle}H${to.x}V${to.y}`;
  });
  return [element("path", { class: "way", d: `M${x} ${y}${path.join("")}` })];
}

function row({ step, does, by, starts, beforehand, meanwhile }: BootStep, index: number): readonly string[] {
  const y = rowOf(index);
  const at = { x: laneOf(by), y };
  const sentence = wrap(does, SENTENCE);
  const top = y - ROW / 2;
  return [
    element("line", { class: "line", x1: MARGIN, y1: top, x2: FIRST_LANE - LANE / 2, y2: top }),
    element("line", { class: "line", x1: BEFOREHAND, y1: top, x2: WIDTH - MARGIN, y2: top }),
    text({ x: MARGIN, y: y - 12 }, "name", step),
    ...sentence.map((line, place) => text({ x: MARGIN, y: y + 4 + place * TEXT_LINE }, "soft", line)),
    ...(starts === undefined ? [] : arrow(at, laneOf(starts))),
    element("circle", { class: "dot", cx: at.x, cy: y, r: DOT }),
    text({ x: at.x, y: y + 4 }, "number", String(index + 1)),
    ...codes(beforehand, { x: BEFOREHAND, y }),
    ...codes(meanwhile, { x: MEANWHILE, y }),
  ];
}

/** To the lane of the process that is started. */
function arrow({ x, y }: Point, to: number): readonly string[] {
  const tip = to - 7;
  return [
    element("path", { class: "way", d: `M${x} ${y}H${tip}m-6 -5l6 5l-6 5` }),
    element("circle", { class: "started", cx: to, cy: y, r: 6 }),
  ];
}

function codes(names: readonly string[], { x, y }: Point): readonly string[] {
  const first = y + 4 - ((names.length - 1) * TEXT_LINE) / 2;
  return names.map((name, index) => text({ x, y: first + index * TEXT_LINE }, "code", name));
}

function text({ x, y }: Point, kind: string, content: string): string {
  return element("text", { class: kind, x, y }, escapeXml(content));
}

function laneOf(role: Role): number {
  return FIRST_LANE + ROLES.indexOf(role) * LANE;
}

/** The middle of a row. */
function rowOf(index: number): number {
  return HEAD + index * ROW + ROW / 2;
}

/** Lines of so many characters at most, broken at spaces. */
function wrap(sentence: string, length: number): readonly string[] {
  return sentence.match(new RegExp(`\\S.{0,${length - 1}}(?=\\s|$)`, "g")) ?? [];
}
