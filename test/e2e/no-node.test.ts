// An image with no Node: the executable is the app's Node too. Here with nothing but the C and C++ libraries.

import { chmodSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { BARE, createBox } from "../support/box.ts";
import { type Files, prisma6 } from "../support/project.ts";

const SEEDED = 2;
const environment = { DATABASE_URL: "file:./dev.db" };

function boxOf(files: Files) {
  return createBox({ executable: BARE, app: prisma6('env("DATABASE_URL")', files), image: "none" });
}

async function outputOf(files: Files, words: readonly string[], more: NodeJS.ProcessEnv = {}) {
  using box = boxOf(files);
  const { exitStatus, standardOutput, output } = await box.run({ words, environment: { ...environment, ...more } });
  expect(exitStatus, output).toBe(0);
  return standardOutput;
}

describe("an image without Node", () => {
  it("runs a real app, in TypeScript, with Prisma's client and a native addon, and its seed", async () => {
    using box = createBox({ image: "none" });
    const running = await box.start({ words: ["node", "server.ts"] });
    await running.listening();
    expect(await running.request("GET", "/count")).toEqual({ count: SEEDED });
    await running.request("POST", "/entries", { author: "ann", text: "hello" });
    expect(await running.stop(), running.output()).toBe(0);
    box.loseVolume();
    const second = await box.start({ words: ["npm", "start"] });
    await second.listening();
    expect(await second.request("GET", "/count")).toEqual({ count: SEEDED + 1 });
    expect(await second.stop(), second.output()).toBe(0);
  });

  it("gives a CommonJS script what Node would: its arguments, its name, its modules", async () => {
    const main = `
      console.log(JSON.stringify([process.argv.slice(1), require.main === module, __filename, require("./other.cjs")]));
      console.log(process.versions.node.split(".")[0], typeof process.execPath, require("node:path").basename(process.execPath));`;
    const files = { "main.cjs": main, "other.cjs": "module.exports = 42;" };
    expect(await outputOf(files, ["node", "main.cjs", "--flag", "two words", "--node"])).toBe(
      '[["/app/main.cjs","--flag","two words","--node"],true,"/app/main.cjs",42]\n24 string node\n',
    );
  });

  it("gives an ES module what Node would, await at its top too", async () => {
    const main = `import { value } from "./other.mjs";
      await new Promise((resolve) => setTimeout(resolve, 1));
      console.log(value, import.meta.url, import.meta.main, process.argv[2]);`;
    const files = { "main.mjs": main, "other.mjs": "export const value = 42;" };
    expect(await outputOf(files, ["node", "main.mjs", "x"])).toBe("42 file:///app/main.mjs true x\n");
  });

  it("has the options of the command line and of NODE_OPTIONS, and none of flysqlite's limits", async () => {
    const main = `const { heap_size_limit } = require("node:v8").getHeapStatistics();
      console.log(globalThis.required, globalThis.imported, Math.round(heap_size_limit / 1e6));`;
    const files = {
      "main.cjs": main,
      "required.cjs": "globalThis.required = 1;",
      "imported.mjs": "globalThis.imported = 2;",
      "more.cjs": "globalThis.required = 3;",
    };
    const words = [
      "node",
      "-r",
      "./required.cjs",
      "--import",
      "./imported.mjs",
      "--max-old-space-size=1000",
      "main.cjs",
    ];
    const [required, imported, megabytes] = (await outputOf(files, words)).split(" ");
    expect([required, imported]).toEqual(["1", "2"]);
    expect(Number(megabytes)).toBeGreaterThan(1000);
    expect(await outputOf(files, ["node", "main.cjs"], { NODE_OPTIONS: "-r ./more.cjs" })).toMatch(/^3 undefined/);
  });

  it("forks, makes workers and a cluster, and finds node in PATH", async () => {
    const main = `
      const { fork, spawnSync } = require("node:child_process");
      const { Worker } = require("node:worker_threads");
      if (process.argv[2] === "child") {
        process.on("message", (text) => process.send("child got " + text, () => process.disconnect()));
      } else {
        const child = fork(__filename, ["child"]);
        child.on("message", (text) => console.log(text));
        child.on("exit", (status) => {
          console.log("child", status);
          console.log(spawnSync("node", ["-p", "6 * 7"], { encoding: "utf8" }).stdout.trim());
          console.log(spawnSync(process.execPath, ["other.mjs"], { encoding: "utf8" }).stdout.trim());
          new Worker(__dirname + "/worker.mjs").on("message", (text) => console.log(text));
        });
        child.send("hello");
      }`;
    const files = {
      "main.cjs": main,
      "other.mjs": 'console.log("other");',
      "worker.mjs": 'import { parentPort } from "node:worker_threads"; parentPort.postMessage("worker");',
    };
    expect(await outputOf(files, ["node", "main.cjs"])).toBe("child got hello\nchild 0\n42\nother\nworker\n");
  });

  it("lets an app be a cluster", async () => {
    const main = `
      const cluster = require("node:cluster");
      const http = require("node:http");
      if (cluster.isPrimary) {
        cluster.on("listening", (worker, { port }) => http.get({ port, host: "127.0.0.1" }, async (answer) => {
          for await (const text of answer) console.log(String(text));
          worker.kill();
        }));
        cluster.on("exit", () => console.log("worker gone"));
        cluster.fork();
      } else http.createServer((_, answer) => answer.end("from a worker")).listen(0, "127.0.0.1");`;
    expect(await outputOf({ "main.cjs": main }, ["node", "main.cjs"])).toBe("from a worker\nworker gone\n");
  });

  it("starts a package's tool, which asks for node by /usr/bin/env, that is not there", async () => {
    using box = boxOf({ "bin/serve": "#!/usr/bin/env node\nconsole.log('served', process.argv[2]);\n" });
    chmodSync(join(box.app, "bin/serve"), 0o755);
    const { exitStatus, standardOutput, output } = await box.run({ words: ["./bin/serve", "all"], environment });
    expect(exitStatus, output).toBe(0);
    expect(standardOutput).toBe("served all\n");
  });

  it("gives the script's own status, and Node's where it throws", async () => {
    using box = boxOf({ "main.js": "process.exit(Number(process.argv[2]) || undefined.boom);" });
    expect((await box.run({ words: ["node", "main.js", "9"], environment })).exitStatus).toBe(9);
    const { exitStatus, output } = await box.run({ words: ["node", "main.js"], environment });
    expect(exitStatus).toBe(1);
    expect(output).toContain("boom");
  });

  it("says what it does not offer", async () => {
    using box = boxOf({});
    const { exitStatus, output } = await box.run({ words: ["node", "--test"], environment });
    expect(output).toMatch(/this Node is flysqlite's, which does not offer the test runner/);
    expect(exitStatus).toBe(9);
  });

  it("catches SIGUSR1 for the app", async () => {
    using box = boxOf({
      "main.js": `process.on("SIGUSR1", () => { console.log("got SIGUSR1"); process.exit(0); });
        setInterval(() => {}, 1000); console.log("up");`,
    });
    const running = await box.start({ words: ["node", "main.js"], environment });
    await running.line(/^up$/m);
    running.signal("SIGUSR1");
    await running.line(/got SIGUSR1/);
    expect(await running.ended).toBe(0);
  });
});
