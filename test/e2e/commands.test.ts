// `restore`, `snapshots` and `verify` of the real executable, on replicas that Litestream itself wrote.

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { cpSync, existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { RestorePoint } from "../../src/commands/snapshots.ts";
import { createBox, ROOT, until } from "../support/box.ts";
import { BUCKET, KEY, startS3Server } from "../support/s3-server.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { treeOf } from "../support/tree.ts";

const FIXTURES = join(ROOT, "test/fixtures/litestream/generated");
const VERSIONS = ["v0.3.13", "v0.5.0", "v0.5.15", "v0.5.16"];
const LTX_VERSIONS = VERSIONS.slice(1);

type Answer = { readonly status: number; readonly stdout: string; readonly stderr: string };
type Expected = {
  readonly latest: { readonly sha256: string };
  readonly by_txid: Readonly<Record<string, { readonly sha256?: string; readonly error?: string }>>;
};

function run(words: readonly string[]): Promise<Answer> {
  return new Promise((resolve) => {
    const child = execFile(join(ROOT, "dist/flysqlite"), words, { env: {} }, (_, stdout, stderr) => {
      resolve({ status: child.exitCode ?? -1, stdout, stderr });
    });
  });
}

/** A copy of a fixture's replica, with the times that its objects had when they were written. */
function copyReplica(version: string, directory: string): string {
  const replica = join(directory, "replica");
  cpSync(join(FIXTURES, version, "replica"), replica, { recursive: true });
  const times = JSON.parse(readFileSync(join(FIXTURES, version, "mtimes_ms.json"), "utf8")) as Record<string, number>;
  for (const [path, ms] of Object.entries(times)) {
    const file = [join(replica, path), join(directory, path)].find((candidate) => existsSync(candidate));
    if (file !== undefined) utimesSync(file, ms / 1000, ms / 1000);
  }
  return replica;
}

const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");

const expectedOf = (version: string) =>
  JSON.parse(readFileSync(join(FIXTURES, version, "expected.json"), "utf8")) as Expected;

describe("flysqlite restore", () => {
  it.each(VERSIONS)("gives what Litestream gives of a replica by Litestream %s", async (version) => {
    using directory = temporaryDirectory();
    const replica = copyReplica(version, directory.path);
    const output = join(directory.path, "app.db");
    const { status, stderr } = await run(["restore", "--replica", replica, "-o", output]);
    expect(stderr).toMatch(/restore +\S+app\.db: .* verified/);
    expect(status).toBe(0);
    expect(sha256(output)).toBe(expectedOf(version).latest.sha256);
    expect(readdirSync(directory.path).sort()).toEqual(["app.db", "replica"]);
  });

  it.each(LTX_VERSIONS)("goes back to each transaction that a replica by Litestream %s still has", async (version) => {
    using directory = temporaryDirectory();
    const replica = copyReplica(version, directory.path);
    const wanted = Object.entries(expectedOf(version).by_txid);
    const sample = wanted.filter((_, index) => index % Math.ceil(wanted.length / 5) === 0);
    for (const [txid, { sha256: expected }] of sample) {
      const output = join(directory.path, `${txid}.db`);
      const { status } = await run(["restore", "--replica", replica, "-o", output, "--txid", txid]);
      expect(status, txid).toBe(expected === undefined ? 65 : 0);
      if (expected !== undefined) expect(sha256(output), txid).toBe(expected);
      else expect(existsSync(output)).toBe(false);
    }
  });

  it("goes back to a time", async () => {
    using directory = temporaryDirectory();
    const replica = copyReplica("v0.5.16", directory.path);
    const { stdout } = await run(["snapshots", "--replica", replica, "--all", "--json"]);
    const { points } = JSON.parse(stdout) as { points: readonly RestorePoint[] };
    const point = points.find(({ key, position }) => key.startsWith("ltx/0/") && position === "0000000000000007");
    const time = new Date(Date.parse(point?.time ?? "") + 1).toISOString();
    const output = join(directory.path, "app.db");
    expect((await run(["restore", "--replica", replica, "-o", output, "--timestamp", time])).status).toBe(0);
    expect(sha256(output)).toBe(expectedOf("v0.5.16").by_txid["0000000000000007"]?.sha256);
  });

  it("never writes over a file, unless forced; then the old one is moved aside", async () => {
    using directory = temporaryDirectory();
    const replica = copyReplica("v0.5.16", directory.path);
    const output = join(directory.path, "app.db");
    writeFileSync(output, "precious");
    const refused = await run(["restore", "--replica", replica, "-o", output]);
    expect(refused.status).toBe(64);
    expect(refused.stderr).toContain("a file is there");
    expect(readFileSync(output, "utf8")).toBe("precious");
    expect((await run(["restore", "--replica", replica, "-o", output, "--force"])).status).toBe(0);
    expect(sha256(output)).toBe(expectedOf("v0.5.16").latest.sha256);
    const [aside = ""] = readdirSync(directory.path).filter((name) => name.startsWith("app.db."));
    expect(readFileSync(join(directory.path, aside), "utf8")).toBe("precious");
  });

  it("prints the objects with --dry, and writes nothing", async () => {
    using directory = temporaryDirectory();
    const replica = copyReplica("v0.5.16", directory.path);
    const { status, stdout } = await run([
      "restore",
      "--replica",
      replica,
      "-o",
      join(directory.path, "a.db"),
      "--dry",
    ]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/ltx\/9\/.*\n.*ltx\/0\/.*\n.*in 2 objects\n$/);
    expect(readdirSync(directory.path)).toEqual(["replica"]);
  });

  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("leaves nothing behind when %s stops it", async (signal, status) => {
    using directory = temporaryDirectory();
    await using server = await startS3Server();
    const replica = join(FIXTURES, "v0.5.16/replica/ltx");
    for (const level of readdirSync(replica)) {
      for (const name of readdirSync(join(replica, level)))
        server.put(`db/000${level}/${name}`, readFileSync(join(replica, level, name)));
    }
    server.fail("Get", { kind: "hang", when: "mid-body" }, 100);
    const url = `s3://${BUCKET}/db?endpoint=${server.origin}&region=${server.region}`;
    const child = execFile(
      join(ROOT, "dist/flysqlite"),
      ["restore", "--replica", url, "-o", join(directory.path, "app.db")],
      { env: { AWS_ACCESS_KEY_ID: KEY.accessKeyId, AWS_SECRET_ACCESS_KEY: KEY.secretAccessKey } },
    );
    await until(() => readdirSync(directory.path).length > 0 && server.count("Get") > 0, { what: () => "a restore" });
    child.kill(signal);
    const [code] = await once(child, "close");
    expect(code).toBe(status);
    expect(readdirSync(directory.path)).toEqual([]);
  });

  it("takes an empty replica for a failure, or not, as it is told", async () => {
    using directory = temporaryDirectory();
    const words = ["restore", "--replica", join(directory.path, "nothing"), "-o", join(directory.path, "a.db")];
    expect((await run(words)).status).toBe(65);
    expect((await run([...words, "--if-replica-exists"])).status).toBe(0);
    expect(readdirSync(directory.path)).toEqual([]);
  });
});

describe("flysqlite verify", () => {
  it.each(VERSIONS)("finds a replica by Litestream %s sound", async (version) => {
    using directory = temporaryDirectory();
    const replica = copyReplica(version, directory.path);
    const { status, stdout } = await run(["verify", "--deep", "--replica", replica]);
    expect(stdout).toMatch(/all sound\n/);
    expect(status).toBe(0);
  });

  it("compares with the live database, while the app writes to it and when it is stopped, and touches nothing", async () => {
    using box = createBox();
    const running = await box.start();
    await running.listening();
    await running.line(/copied the whole database/);
    const add = (text: string) => running.request("POST", "/entries", { author: "ann", text });
    for (let row = 0; row < 20; row += 1) await add(`row ${row}`);
    const comparison =
      /all sound\ncompared with \/data\/dev\.db as of transaction [0-9a-f]{16}: [1-9]\d* pages are the same/;

    let isVerified = false;
    const verified = box.run({ words: ["verify", "--deep"] }).finally(() => {
      isVerified = true;
    });
    while (!isVerified) await add("meanwhile");
    const meanwhile = await verified;
    expect(meanwhile.exitStatus, meanwhile.output).toBe(0);
    expect(meanwhile.standardOutput).toMatch(comparison);

    expect(await running.stop(), running.output()).toBe(0);
    // Beside them, SQLite's shared memory: with nobody there it is made anew.
    const files = () => ({ ...treeOf(box.volume), "dev.db-shm": "", replica: JSON.stringify(treeOf(box.replica)) });
    const before = files();
    const afterwards = await box.run({ words: ["verify", "--deep"] });
    expect(afterwards.exitStatus, afterwards.output).toBe(0);
    expect(afterwards.standardOutput).toMatch(comparison);
    expect(afterwards.standardOutput).not.toContain("were changed since");
    expect(files()).toEqual(before);
  });

  it("says why it compares with no live database", async () => {
    using directory = temporaryDirectory();
    const replica = copyReplica("v0.5.16", directory.path);
    const { status, stdout } = await run([
      "verify",
      "--deep",
      "--replica",
      replica,
      "--volume",
      join(directory.path, "none"),
    ]);
    expect(stdout).toMatch(/all sound\nnot compared with a live database: Cannot find the volume/);
    expect(status).toBe(0);
  });

  it("names the object in which a byte changed", async () => {
    using directory = temporaryDirectory();
    const replica = copyReplica("v0.5.15", directory.path);
    const key = "ltx/0/0000000000000004-0000000000000004.ltx";
    const bytes = readFileSync(join(replica, key));
    bytes[60] = (bytes[60] ?? 0) ^ 1;
    writeFileSync(join(replica, key), bytes);
    const { status, stderr } = await run(["verify", "--replica", replica]);
    expect(status).toBe(65);
    expect(stderr).toContain(key);
  });
});

describe("flysqlite snapshots", () => {
  it("lists the points of both formats, oldest first", async () => {
    using directory = temporaryDirectory();
    const replica = copyReplica("v0.5.16", directory.path);
    cpSync(join(FIXTURES, "v0.3.13/replica"), replica, { recursive: true });
    const { stdout } = await run(["snapshots", "--replica", replica, "--json"]);
    const { points } = JSON.parse(stdout) as { points: readonly RestorePoint[] };
    expect(new Set(points.map(({ format }) => format))).toEqual(new Set(["ltx", "v03"]));
    expect(points.map(({ time }) => time)).toEqual(points.map(({ time }) => time).sort());
    for (const { format, level, generation } of points) {
      expect([typeof level, typeof generation]).toEqual(
        format === "ltx" ? ["number", "undefined"] : ["undefined", "string"],
      );
    }
    const table = (await run(["snapshots", "--replica", replica])).stdout.trimEnd().split("\n");
    expect(table[0]).toMatch(/^TIME +POSITION +LEVEL +KIND +SIZE +OBJECT$/);
    expect(table.length).toBe(points.length + 1);
    expect(table.join("\n")).toMatch(/Z {2}[0-9a-f]{16} +9 +snapshot +\S+ \S+ +ltx\/9\//);
    expect(table.join("\n")).toMatch(/Z {2}[0-9a-f]{16}\/[0-9a-f]{8} +0\.3 +snapshot +\S+ \S+ +generations\//);
  });
});
