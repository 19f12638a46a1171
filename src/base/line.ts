// The line between supervisor and keeper: each message a line of JSON, over a socket that the keeper finds at a fixed
// descriptor. Node's own channel does the same, but loads four to five milliseconds of modules into each process that
// has one, before its first line runs.

import type { Readable } from "node:stream";

/** The keeper's end of the line, right behind its standard streams. */
export const LINE_DESCRIPTOR = 3;

export function encodeMessage(message: object): string {
  return `${JSON.stringify(message)}\n`;
}

/** Calls back with each message that comes. A line that breaks is the other's end, which is told by other means. */
export function onMessages<Message>(line: Readable, listener: (message: Message) => void): void {
  let rest = "";
  line.setEncoding("utf8");
  line.on("error", () => {});
  line.on("data", (text: string) => {
    const messages = (rest + text).split("\n");
    rest = messages.pop() ?? "";
    for (const message of messages) listener(JSON.parse(message));
  });
}
