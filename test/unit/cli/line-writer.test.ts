import { execFileSync, spawn } from "node:child_process";
import { closeSync, constants, openSync, readFileSync, readSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { createLineWriter, writeAll } from "../../../src/cli/line-writer.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const describeDropped = (count: number) => `${count} dropped`;

function open(path: string, flags: number): number {
  const fd = openSync(path, flags, 0o600);
  onTestFinished(() => {
    try {
      closeSync(fd);
    } catch {
      // the test has closed it
    }
  });
  return fd;
}

/** A pipe whose ends are both ours: what is written stays until `read` takes it. */
function pipe() {
  const directory = temporaryDirectory();
  onTestFinished(() => directory[Symbol.dispose]());
  const path = join(directory.path, "pipe");
  execFileSync("mkfifo", [path]);
  const reader = open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = open(path, constants.O_WRONLY);
  const read = (): string => {
    const bytes = Buffer.alloc(1 << 20);
    try {
      return bytes.toString("utf8", 0, readSync(reader, bytes));
    } catch {
      return ""; // nothing there
    }
  };
  return { reader, writer, read };
}

describe("a line writer", () => {
  it("writes lines at once, in their order", () => {
    const { writer, read } = pipe();
    const lines = createLineWriter({ fd: writer, describeDropped });
    lines.write("one");
    lines.write("two: ☃");
    expect(read()).toBe("one\ntwo: ☃\n");
  });

  it("leaves the stream as it was for the one that shares it: a write of the app's waits, and is not refused", () => {
    const { writer } = pipe();
    const flags = () =>
      Number.parseInt(/flags:\s+(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${writer}`, "utf8"))?.[1] ?? "", 8);
    const before = flags();
    createLineWriter({ fd: writer, describeDropped }).write("one");
    expect(flags()).toBe(before);
    expect(before & constants.O_NONBLOCK).toBe(0);
  });

  it("never waits for a reader that stalls: lines are kept up to a bound, and the rest is counted", () => {
    const { writer, read } = pipe();
    const lines = createLineWriter({ fd: writer, describeDropped });
    const WRITTEN = 20_000;
    for (let n = 0; n < WRITTEN; n++) lines.write(`line ${n}`);
    let text = "";
    for (let more = read(); more !== ""; more = read()) {
      text += more;
      lines.flush(0);
    }
    const found = text.trimEnd().split("\n");
    const dropped = Number(/^(\d+) dropped$/.exec(found.at(-1) ?? "")?.[1]);
    expect(found.slice(0, -1)).toEqual(Array.from({ length: found.length - 1 }, (_, n) => `line ${n}`));
    expect(found.length - 1 + dropped).toBe(WRITTEN);
    expect(found.length).toBeGreaterThan(5000);
    lines.write("and on");
    lines.flush(0);
    expect(read()).toBe("and on\n");
  });

  it("writes on by itself once there is room", async () => {
    const { writer, read } = pipe();
    const lines = createLineWriter({ fd: writer, describeDropped });
    const filler = "x".repeat(70_000); // more than a pipe holds
    lines.write(filler);
    let text = read();
    while (!text.endsWith("\n")) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      text += read();
    }
    expect(text).toBe(`${filler}\n`);
  });

  it("goes on without a word where the reader is gone", () => {
    const { reader, writer } = pipe();
    const lines = createLineWriter({ fd: writer, describeDropped });
    closeSync(reader);
    lines.write("one");
    lines.write("two");
    lines.flush(10);
  });

  it("goes on without a word where the stream is closed", () => {
    const { writer } = pipe();
    closeSync(writer);
    const lines = createLineWriter({ fd: writer, describeDropped });
    lines.write("one");
    lines.flush(10);
  });

  it("goes on in a file from where others have written", () => {
    const directory = temporaryDirectory();
    onTestFinished(() => directory[Symbol.dispose]());
    const path = join(directory.path, "log");
    writeFileSync(path, "");
    const fd = open(path, constants.O_WRONLY);
    writeSync(fd, "the app's\n");
    createLineWriter({ fd, describeDropped }).write("ours");
    expect(readFileSync(path, "utf8")).toBe("the app's\nours\n");
  });
});

describe("writeAll", () => {
  it("writes more than a pipe holds, for a reader that takes its time", async () => {
    const directory = temporaryDirectory();
    onTestFinished(() => directory[Symbol.dispose]());
    const path = join(directory.path, "pipe");
    execFileSync("mkfifo", [path]);
    const child = spawn("sh", ["-c", 'sleep 0.1; wc -c <"$1"', "sh", path], { stdio: ["ignore", "pipe", "inherit"] });
    const counted = (async () => {
      let text = "";
      for await (const part of child.stdout) text += part;
      return Number(text);
    })();
    const fd = open(path, constants.O_WRONLY);
    expect(writeAll(fd, "y".repeat(300_000))).toBe(true);
    closeSync(fd);
    expect(await counted).toBe(300_000);
  });

  it("says where its reader is gone", () => {
    const { reader, writer } = pipe();
    closeSync(reader);
    expect(writeAll(writer, "one")).toBe(false);
  });
});
