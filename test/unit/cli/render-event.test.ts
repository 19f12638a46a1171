import { describe, expect, it } from "vitest";
import { FlysqliteError } from "../../../src/base/errors.ts";
import { debug, type Event, info, warn } from "../../../src/base/events.ts";
import { createLog, renderEvent, renderFailure } from "../../../src/cli/render-event.ts";
import type { LogFormat } from "../../../src/config/settings.ts";

function lines(format: LogFormat, ...events: readonly Event[]): readonly string[] {
  const written: string[] = [];
  const log = createLog(format, (line) => written.push(line));
  for (const event of events) log(event);
  return written;
}

const HOSTILE = "a\nflysqlite  stop       b\r\u001b[2J\u0000\u0085\u009b\u2028\u2029\tc";
/** What ends a line, or begins a sequence for a terminal. JSON may have the ones from 0x7f on. */
const CONTROLS = /(?![\u007f-\u009f])\p{Cc}/u;
const TAMED = "a | flysqlite  stop       b??[2J??????c";

describe("createLog", () => {
  const events = [debug("keeper", "d"), info("seed", "i"), warn("volume", "w")];

  it.each([
    ["text", ["flysqlite  seed       i", "flysqlite  volume     warning: w"]],
    ["quiet", ["flysqlite  volume     warning: w"]],
    ["debug", ["flysqlite  keeper     d", "flysqlite  seed       i", "flysqlite  volume     warning: w"]],
    ["json", ['{"level":"info","step":"seed","text":"i"}', '{"level":"warn","step":"volume","text":"w"}']],
  ] as const)("writes, as %s, what belongs there", (format, expected) => {
    expect(lines(format, ...events)).toEqual(expected);
  });

  it("begins each line of a debug log with the time since its process began", () => {
    const written: string[] = [];
    const log = createLog("debug", (line) => written.push(line), { monotonic: () => 41.7 });
    log(debug("keeper", "ready"));
    expect(written).toEqual(["    42 ms  flysqlite  keeper     ready"]);
  });

  it.each(["text", "json", "debug"] as const)("writes one line an event as %s, whatever is in it", (format) => {
    const [line = "", ...rest] = lines(format, info("restore", HOSTILE));
    expect(rest).toEqual([]);
    expect(line).not.toMatch(CONTROLS);
  });

  it("keeps the text whole as JSON", () => {
    const [line = ""] = lines("json", info("restore", HOSTILE));
    expect(JSON.parse(line)).toEqual({ level: "info", step: "restore", text: HOSTILE });
  });
});

describe("renderEvent", () => {
  it("can't be made to fake a line, or to reach a terminal's controls", () => {
    expect(renderEvent(info("restore", HOSTILE))).toBe(`flysqlite  restore    ${TAMED}`);
  });

  it("leaves letters of all scripts alone", () => {
    expect(renderEvent(info("seed", "größe ✓ 数据库"))).toBe("flysqlite  seed       größe ✓ 数据库");
  });
});

describe("renderFailure", () => {
  const failure = new FlysqliteError("E_CONFIG", "Cannot start: 2 settings are wrong", {
    problems: ["--volume: it is empty", "--log: no"],
  });

  it("tells what failed, its parts, and the way out", () => {
    expect(renderFailure(failure, "text")).toEqual([
      "flysqlite  failed     E_CONFIG: Cannot start: 2 settings are wrong",
      "                      - --volume: it is empty",
      "                      - --log: no",
      `           try        ${failure.hint}`,
    ]);
  });

  it("is told in quiet and debug logs too", () => {
    expect(renderFailure(failure, "quiet")).toEqual(renderFailure(failure, "text"));
    expect(renderFailure(failure, "debug")).toEqual(renderFailure(failure, "text"));
  });

  it("is one line as JSON", () => {
    const [line = "", ...rest] = renderFailure(failure, "json");
    expect(rest).toEqual([]);
    expect(JSON.parse(line)).toEqual({
      level: "error",
      code: "E_CONFIG",
      text: failure.message,
      problems: failure.problems,
      try: failure.hint,
    });
  });

  it("can't be made to fake a line by its message, its parts or its hint", () => {
    const hostile = new FlysqliteError("E_DB_INVALID", HOSTILE, { problems: [HOSTILE], hint: HOSTILE });
    const rendered = renderFailure(hostile, "text");
    expect(rendered).toHaveLength(3);
    for (const line of rendered) expect(line).toContain(TAMED);
    expect(renderFailure(hostile, "json").join()).not.toMatch(CONTROLS);
  });
});
