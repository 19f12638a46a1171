import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import { encodeMessage, onMessages } from "../../../src/base/line.ts";

describe("a line of messages", () => {
  const messages = [{ kind: "ready", text: "a\nb" }, { kind: "sync" }, { kind: "ü€😀" }];

  it.each([1, 2, 3, 5, 1000])("gives each as it was sent, in pieces of %i bytes", async (size) => {
    const line = new PassThrough();
    const got: unknown[] = [];
    onMessages(line, (message) => got.push(message));
    const bytes = Buffer.from(messages.map(encodeMessage).join(""));
    for (let at = 0; at < bytes.length; at += size) line.write(bytes.subarray(at, at + size));
    line.end();
    await new Promise((resolve) => line.once("end", resolve));
    expect(got).toEqual(messages);
  });

  it("lives with the end of the other side", () => {
    const line = new PassThrough();
    onMessages(line, () => {});
    expect(() => line.emit("error", new Error("EPIPE"))).not.toThrow();
  });
});
