// The npm package, from the tarball to an app that answers: installed beside a fresh app, without running any script.

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { completionScript } from "../../src/cli/completion.ts";
import { ROOT } from "../support/box.ts";
import { freePort } from "../support/free-port.ts";
import { type PackedPackage, packPackage, writeAppWithPackage } from "../support/package.ts";
import { temporaryDirectory } from "../support/temporary.ts";

/** What the seed of the test app makes. */
const SEEDED = 2;

/** How long npm may take, in milliseconds: what it needs is in its cache, or has to be fetched. */
const INSTALL_LIMIT_MS = 300_000;

const directory = temporaryDirectory();
const app = join(directory.path, "app");
let packed: PackedPackage;

const run = (file: string, ...words: readonly string[]) =>
  execFileSync(file, [...words], { cwd: app, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

beforeAll(() => {
  packed = packPackage(directory.path);
}, INSTALL_LIMIT_MS);

afterAll(() => directory[Symbol.dispose]());

describe("the package", () => {
  it("has the program, the documents that its README links to, and nothing of the tests and sources", () => {
    const { files } = packed;
    expect(files.filter((path) => path.startsWith("dist/")).sort()).toEqual([
      "dist/launch.cjs",
      "dist/main.cjs",
      "dist/main.cjs.map",
      "dist/npx.mjs",
      "dist/others.cjs",
      "dist/others.cjs.map",
    ]);
    const readme = readFileSync(join(ROOT, "README.md"), "utf8");
    const links = [...readme.matchAll(/\]\(([\w./-]+)\)/g)].map(([, path = ""]) => path);
    expect(links.filter((path) => !files.includes(path))).toEqual(["src/README.md"]); // for who works on it
    const others = files.filter((path) => !/^(?:dist|docs)\//.test(path));
    const known = ["CHANGELOG.md", "Dockerfile.example", "LICENSE", "README.md", "SECURITY.md", "package.json"];
    expect(others.sort()).toEqual(known);
  });

  it("runs no script where it is installed", () => {
    const { scripts = {} } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { scripts?: object };
    for (const name of ["preinstall", "install", "postinstall"]) expect(Object.keys(scripts)).not.toContain(name);
  });
});

describe("an app that installs the package", () => {
  beforeAll(() => {
    writeAppWithPackage(app, packed.path);
    cpSync(join(ROOT, "test/app/generated"), join(app, "generated"), { recursive: true });
    run("npm", "install", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund");
  }, INSTALL_LIMIT_MS);

  it("has the command, with its help", () => {
    expect(run("npx", "flysqlite", "--help")).toMatch(/^flysqlite \d+\.\d+\.\d+: runs a Prisma app on SQLite/);
    expect(run("npx", "flysqlite", "build", "--help")).toMatch(/^Usage: flysqlite build/);
    expect(run("npx", "flysqlite", "completion", "bash")).toBe(completionScript("bash"));
  });

  it("is told what a start would do", () => {
    mkdirSync(join(app, "volume"));
    const plan = run("npx", "flysqlite", "run", "--dry", "--volume", "./volume");
    expect(plan).toMatch(/migrate +apply 4 migrations/);
    expect(plan).toMatch(/seed +run node prisma\/seed\.ts/);
    expect(existsSync(join(app, "volume/dev.db"))).toBe(false);
  });

  it("takes from .env what is not set, and says so", () => {
    const dotenv = join(app, ".env");
    writeFileSync(dotenv, 'DATABASE_URL="file:./other.db"\nFLYSQLITE_VOLUME=./nowhere\n');
    const words = ["flysqlite", "run", "--dry"];
    const { stdout, stderr } = spawnSync("npx", words, {
      cwd: app,
      env: { ...process.env, FLYSQLITE_VOLUME: "./volume" },
    });
    expect(String(stderr)).toMatch(/config +from \.env, which an image does not get: DATABASE_URL$/m);
    expect(String(stdout)).toMatch(/link +the app opens .*other\.db \(DATABASE_URL\)/);
    rmSync(dotenv);
  });

  it("builds an executable that boots it, replicates it and ends with its status", async () => {
    run("npx", "flysqlite", "build");
    const port = await freePort();
    const child = spawn("./flysqlite", ["--volume", "./volume", "--replica", "./replica"], {
      cwd: app,
      env: { PATH: process.env["PATH"], PORT: String(port) },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    const listening = Promise.withResolvers<void>();
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (text) => {
        output += text;
        if (output.includes("listening on")) listening.resolve();
      });
    }
    const ended = once(child, "close");
    try {
      await Promise.race([listening.promise, ended]);
      const answer = await fetch(`http://127.0.0.1:${port}/count`);
      expect(await answer.json(), output).toEqual({ count: SEEDED });
      child.kill("SIGTERM");
      expect((await ended)[0], output).toBe(0);
      expect(output).toMatch(/everything is in the replica/);
    } finally {
      child.kill("SIGKILL");
    }
  });
});
