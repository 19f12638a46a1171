// The keeper's end of the line to its supervisor.

import { writeFileSync } from "node:fs";
import { Socket } from "node:net";
import { systemCode } from "../base/errors.ts";
import { encodeMessage, LINE_DESCRIPTOR, onMessages } from "../base/line.ts";
import type { ToKeeper } from "../base/messages.ts";
import type { Channel } from "../keeper/keeper.ts";

/** How long a start goes on before it listens, in milliseconds. Most are done by then, and need no socket for it. */
const LISTEN_AFTER_MS = 500;

/** The supervisor's death is told as its last message is: ship what there is. */
export function createKeeperLine(): Channel {
  let deliver: ((message: ToKeeper) => void) | undefined;
  let line: Socket | undefined;
  let timer: NodeJS.Timeout | undefined;

  function listen(): void {
    clearTimeout(timer);
    if (line !== undefined) return;
    line = new Socket({ fd: LINE_DESCRIPTOR, readable: true, writable: false });
    onMessages(line, (message: ToKeeper) => deliver?.(message));
    line.on("close", () => deliver?.({ kind: "finish" }));
  }

  return {
    send(message) {
      try {
        writeFileSync(LINE_DESCRIPTOR, encodeMessage(message));
      } catch (error) {
        if (systemCode(error) !== "EPIPE") throw error; // the supervisor died, which listening tells
      }
      listen();
    },
    onMessage(listener) {
      deliver = listener;
      timer = setTimeout(listen, LISTEN_AFTER_MS);
    },
  };
}
