// Draws a recording as a terminal that plays it: lines come at their times, and older ones scroll away. Pure.
//
// All rows stand one below the other. Two things move, both in steps: the rows go up once the terminal is full, and a
// cover over those that are still to come goes down. Without animation it shows the last screen.

import { isHeading, type Line, rowsOf } from "./recording.ts";
import { element, escapeXml, svgFile } from "./svg.ts";

export const COLUMNS = 126;
export const ROWS = 28;

/** The last screen stays for so long, then it begins anew. */
export const LAST_SCREEN_MS = 8000;

/** In pixels. A monospaced letter of 12 pixels is 7.2 wide, or a little more. */
const LETTER = 7.3;
const ROW = 17;
const BASELINE = 13;
const BAR = 30;
const MARGIN = 16;
const WIDTH = Math.ceil(COLUMNS * LETTER) + 2 * MARGIN;
const SCREEN = ROWS * ROW;
const HEIGHT = BAR + SCREEN + MARGIN;

const BACKGROUND = "#0d1117";
const STYLE = `
text { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 12px; fill: #c9d1d9; white-space: pre }
.panel { fill: ${BACKGROUND}; stroke: #6e7681 }
.cover { fill: ${BACKGROUND} }
.bar, .gutter { fill: #8b949e }
.heading { fill: #ffffff; font-weight: 600 }
.warning { fill: #e3b341 }
`.trim();

export function terminalPicture(lines: readonly Line[], { title, bar }: Record<"title" | "bar", string>): string {
  const rows = lines.flatMap((line) => rowsOf(line.text, COLUMNS).map((text) => ({ ...line, text })));
  const lengthMs = (rows.at(-1)?.atMs ?? 0) + LAST_SCREEN_MS;
  const frames = framesOf(rows.map(({ atMs }) => atMs));
  const style = [
    STYLE,
    `.rows { animation: rows ${lengthMs}ms step-end infinite }`,
    `.cover { animation: cover ${lengthMs}ms step-end infinite }`,
    "@media (prefers-reduced-motion: reduce) { .rows, .cover { animation: none } }",
    keyframes("rows", frames, { lengthMs, place: scrolled }),
    keyframes("cover", frames, { lengthMs, place: covered }),
  ].join("\n");
  return svgFile({ width: WIDTH, height: HEIGHT, title, style }, [
    element("rect", { class: "panel", x: 0.5, y: 0.5, width: WIDTH - 1, height: HEIGHT - 1, rx: 8 }),
    element("text", { class: "bar", x: MARGIN, y: 20 }, escapeXml(bar)),
    element(
      "svg", // one inside another shows nothing beyond its edges
      { x: MARGIN, y: BAR, width: WIDTH - 2 * MARGIN, height: SCREEN },
      element("g", { class: "rows", transform: `translate(0 ${scrolled(rows.length)})` }, "\n", ...rows.map(row)),
      element("rect", {
        class: "cover",
        width: WIDTH,
        height: SCREEN,
        transform: `translate(0 ${covered(rows.length)})`,
      }),
    ),
  ]);
}

/** How many rows have come, from when on. */
export type Frame = { readonly atMs: number; readonly count: number };

/** None at first, and then one for each time at which rows came. */
export function framesOf(times: readonly number[]): readonly Frame[] {
  const last = new Map([[0, 0], ...times.map((atMs, index) => [atMs, index + 1] as const)]);
  return [...last].map(([atMs, count]) => ({ atMs, count }));
}

function keyframes(
  name: string,
  frames: readonly Frame[],
  { lengthMs, place }: { readonly lengthMs: number; readonly place: (count: number) => number },
): string {
  const steps = frames.map(
    ({ atMs, count }) => `${percent(atMs / lengthMs)} { transform: translateY(${place(count)}px) }`,
  );
  return `@keyframes ${name} {\n${steps.join("\n")}\n}`;
}

function percent(part: number): string {
  return `${Number((part * 100).toFixed(3))}%`;
}

/** How far up the rows are when so many have come. */
function scrolled(count: number): number {
  return -Math.max(count - ROWS, 0) * ROW;
}

/** How far down the cover is then. */
function covered(count: number): number {
  return Math.min(count, ROWS) * ROW;
}

function row({ text }: Line, index: number): string {
  if (text === "") return "";
  const kind = isHeading(text) ? { class: "heading" } : {};
  return `${element("text", { ...kind, y: index * ROW + BASELINE, "xml:space": "preserve" }, coloured(text))}\n`;
}

/** What flysqlite and the app print stands behind a bar; a warning stands out, as in a terminal. */
function coloured(text: string): string {
  return escapeXml(text)
    .replace(/^( {3}\|)/, (gutter) => element("tspan", { class: "gutter" }, gutter))
    .replace(
      /( )(warning)(?=:)/,
      (_, space: string, word: string) => space + element("tspan", { class: "warning" }, word),
    );
}
