import { once } from "node:events";
import { existsSync, mkdirSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { wayToSocket } from "../../../src/base/unix-socket.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const NAME = "control.sock";

/** A path of so many bytes, in a directory that is there; some of its characters have two. */
function pathOf(bytes: number, directory: string): string {
  let path = directory;
  const missing = () => bytes - Buffer.byteLength(join(path, NAME)) - 1;
  while (missing() > 200) path = join(path, "ä".repeat(90));
  if (missing() > 0) path = join(path, missing() > 1 ? "ä".padEnd(missing() - 1, "d") : "d");
  mkdirSync(path, { recursive: true });
  return join(path, NAME);
}

describe("the way to a socket", () => {
  it.each([60, 107, 108, 109, 200, 900])(
    "leads a server and a caller to one whose path has %i bytes",
    async (bytes) => {
      using directory = temporaryDirectory();
      const path = pathOf(bytes, directory.path);
      expect(Buffer.byteLength(path)).toBe(bytes);
      const server = createServer((socket) => socket.end("here"));
      {
        using bound = wayToSocket(path);
        server.listen(bound.path);
        await once(server, "listening");
        expect(existsSync(path)).toBe(true);
        using way = wayToSocket(path);
        const socket = connect(way.path);
        const [text] = await once(socket, "data");
        expect(String(text)).toBe("here");
        await new Promise((resolve) => server.close(resolve));
      }
      expect(existsSync(path)).toBe(false);
    },
  );

  it("is the path itself where that is short enough", () => {
    using way = wayToSocket("/data/.app.db-flysqlite/control.sock");
    expect(way.path).toBe("/data/.app.db-flysqlite/control.sock");
  });

  it("fails where a long path's directory is missing", () => {
    using directory = temporaryDirectory();
    expect(() => wayToSocket(join(directory.path, "d".repeat(100), "control.sock"))).toThrow("ENOENT");
  });
});
