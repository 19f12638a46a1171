// The image of Dockerfile.example in real containers, and one with no Node in it: as docker or podman run them.

import { chownSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Engine, findEngine, runContainer } from "../support/engine.ts";
import { buildImages, DISTROLESS, EXAMPLE, INITIALISED } from "../support/example-image.ts";
import { freePort } from "../support/free-port.ts";

const SEEDED = 2;

/** User and group "node" in the image. */
const NODE = 1000;

const found = findEngine();
if (found === undefined && process.env["CI"] === "true") throw new Error("CI has neither docker nor podman");

/** A place for containers that follow each other: a volume and a replica on the host. */
function place(engine: Engine) {
  const directory = mkdtempSync(join(tmpdir(), "flysqlite-container-"));
  const inside = (name: string) => {
    mkdirSync(join(directory, name));
    return join(directory, name);
  };
  const volume = inside("volume");
  const replica = inside("replica");
  chownSync(replica, NODE, NODE); // which the image's FLYSQLITE_USER names
  return {
    volume,
    replica,
    async start({
      image = EXAMPLE,
      options = [],
      words = [],
    }: {
      readonly image?: string;
      readonly options?: readonly string[];
      readonly words?: readonly string[];
    } = {}) {
      const port = await freePort();
      const container = runContainer(engine, {
        image,
        words,
        options: [
          ...["--network=host", "--env", `PORT=${port}`, "--env", "FLYSQLITE_REPLICA=file:///replica/db"],
          ...["--volume", `${volume}:/data`, "--volume", `${replica}:/replica`, ...options],
        ],
      });
      return {
        ...container,
        [Symbol.dispose]: () => container[Symbol.dispose](),
        listening: () => container.line(/listening on/),
        async request(method: string, path: string, body?: unknown): Promise<unknown> {
          const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
            method,
            ...(body === undefined ? {} : { body: JSON.stringify(body) }),
          });
          return answer.json();
        },
      };
    },
    loseVolume(): void {
      rmSync(volume, { recursive: true });
      mkdirSync(volume);
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}

describe.skipIf(found === undefined)("in a container", () => {
  const engine = found as Engine;
  beforeAll(() => buildImages(engine));
  afterAll(() => engine[Symbol.dispose]());

  it("keeps secrets and the local database out of the image of what `init` writes", () => {
    const words = ["run", "--rm", "--network=host", "--entrypoint", "ls", INITIALISED, "-A", "/app"];
    const names = engine.call(words).trim().split("\n");
    expect(names).toContain("prisma");
    for (const name of [".env", "dev.db", "Dockerfile", "fly.toml"]) expect(names).not.toContain(name);
  });

  describe.each([
    ["the example's image", EXAMPLE],
    ["the image of what `init` writes", INITIALISED],
    ["an image without Node", DISTROLESS],
  ])("%s", (_, image) => {
    it("boots on an empty volume, stops with the app's status, and restores on another one what it had", async () => {
      using here = place(engine);
      using first = await here.start({ image });
      await first.listening();
      expect(first.output()).toMatch(/migrate +made .* with 4 migrations/);
      await first.request("POST", "/entries", { author: "ann", text: "hello" });
      expect(first.stop(), first.output()).toBe(0);
      here.loseVolume();
      using second = await here.start({ image });
      await second.listening();
      expect(second.output()).toMatch(/restore .* verified/);
      expect(await second.request("GET", "/count")).toEqual({ count: SEEDED + 1 });
      expect(second.stop(), second.output()).toBe(0);
    });

    it("has a read-only root, no capabilities, and no way to any", async () => {
      using here = place(engine);
      chownSync(here.volume, NODE, NODE);
      const hardened = ["--cap-drop=all", "--security-opt=no-new-privileges", `--user=${NODE}:${NODE}`];
      const options = ["--read-only", "--tmpfs", "/tmp", ...hardened];
      using running = await here.start({ image, options });
      await running.listening();
      expect(await running.request("GET", "/count")).toEqual({ count: SEEDED });
      expect(running.stop(), running.output()).toBe(0);
      expect(running.output()).toMatch(/everything is in the replica/);
    });

    it("runs as another user than root, by the engine or by --user", async () => {
      using here = place(engine);
      using first = await here.start({ image, options: ["--env", `FLYSQLITE_USER=${NODE}:${NODE}`] });
      await first.listening();
      expect(first.stop(), first.output()).toBe(0);
      expect(statSync(here.volume).uid).toBe(NODE);
      using second = await here.start({ image, options: [`--user=${NODE}:${NODE}`] });
      await second.listening();
      expect(await second.request("GET", "/count")).toEqual({ count: SEEDED });
      expect(second.stop(), second.output()).toBe(0);
      for (const running of [first, second]) expect(running.output()).not.toContain("warning: the app runs as root");
    });

    it("boots, restores and replicates within 256 MB", async () => {
      using here = place(engine);
      const options = ["--memory=256m"];
      using first = await here.start({ image, options });
      await first.listening();
      expect(first.stop(), first.output()).toBe(0);
      here.loseVolume();
      using second = await here.start({ image, options });
      await second.listening();
      expect(await second.request("GET", "/count")).toEqual({ count: SEEDED });
      expect(second.stop(), second.output()).toBe(0);
    });
  });

  it("an app that takes all memory is killed alone: its commits get into the replica, and its status out", async () => {
    using here = place(engine);
    const hog = "const all = []; for (;;) all.push(Buffer.alloc(10_000_000, 1));";
    using running = await here.start({ options: ["--memory=256m"], words: ["node", "-e", hog] });
    expect(await running.ended(), running.output()).toBe(137);
    expect(running.output()).toMatch(/everything is in the replica/);
  });

  it("under --init the signal reaches the app, and orphans come to us", async () => {
    using here = place(engine);
    using running = await here.start({ options: ["--init"] });
    await running.listening();
    await running.request("POST", "/orphan?seconds=0");
    running.signal("TERM");
    expect(await running.ended(), running.output()).toBe(0);
    expect(running.output()).toMatch(/SIGTERM: passed on to the app[\s\S]*everything is in the replica/);
  });

  it("npm start runs without npm, and a command that is not there ends with 127", async () => {
    using here = place(engine);
    using running = await here.start({ words: ["npm", "start"] });
    await running.listening();
    const list = "for file in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$file; echo; done";
    const processes = running.exec("sh", "-c", list).split("\n");
    expect(processes.filter((line) => /\/node server\.ts/.test(line))).toHaveLength(1);
    expect(processes.filter((line) => /^npm|npm-cli/.test(line))).toEqual([]);
    expect(running.stop(), running.output()).toBe(0);
    using missing = await here.start({ words: ["no-such-program"] });
    expect(await missing.ended(), missing.output()).toBe(127);
  });
});
