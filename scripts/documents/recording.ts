// What a program printed and when, made ready to be shown: the same whoever recorded it, and at a pace to be read. Pure.

import { stripVTControlCharacters } from "node:util";

export type Line = {
  /** Since the program was started. */
  readonly atMs: number;
  readonly text: string;
};

/** Nobody waits longer for the next line of a recording. */
export const MAX_PAUSE_MS = 1000;

/** Lines that came closer together come at once. Nobody sees the difference, and the picture is smaller. */
const FRAME_MS = 10;

/** Before each stage there is time to read the one before, a line in this time. The program itself doesn't wait. */
export const READING_MS = 120;

/** The text without colours, and with a folder and a port that are the same at each run. */
export function stable(text: string): string {
  return stripVTControlCharacters(text)
    .replace(/(?:\/[^\s/:]+)*\/flysqlite-demo-\w+/g, "/tmp/demo")
    .replace(/(127\.0\.0\.1:)\d+/g, "$18080");
}

/** When each line is shown: long pauses are shortened, and a stage waits until the one before can have been read. */
export function pace(lines: readonly Line[]): readonly Line[] {
  let shownMs = 0;
  let stageBegan = 0;
  return lines.map(({ atMs, text }, index) => {
    shownMs += Math.min(atMs - (lines[index - 1]?.atMs ?? atMs), MAX_PAUSE_MS);
    if (index > stageBegan && beginsStage(lines, index)) {
      shownMs += Math.max((index - stageBegan) * READING_MS, MAX_PAUSE_MS);
      stageBegan = index;
    }
    return { atMs: Math.round(shownMs / FRAME_MS) * FRAME_MS, text };
  });
}

/** True at the empty line before a heading such as "2. The first boot." */
function beginsStage(lines: readonly Line[], index: number): boolean {
  return lines[index]?.text === "" && isHeading(lines[index + 1]?.text ?? "");
}

export function isHeading(text: string): boolean {
  return /^\d+\. /.test(text);
}

/** As a terminal shows a line that is longer than it is wide. */
export function rowsOf(text: string, columns: number): readonly string[] {
  return text.match(new RegExp(`.{1,${columns}}`, "gu")) ?? [""];
}
