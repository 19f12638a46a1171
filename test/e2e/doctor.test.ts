// The doctor, and the dry run without a network, on the real executable as PID 1: what they find, that they change
// nothing, and how they end.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { BARE, type Box, CANARIES, createBox, ROOT, type Start, until } from "../support/box.ts";
import { prisma6 } from "../support/project.ts";
import { BUCKET, KEY, type S3Server, startS3Server } from "../support/s3-server.ts";
import { treeOf } from "../support/tree.ts";

const COMMAND = ["node", "server.js"];

const bucketOf = (server: Pick<S3Server, "origin" | "region">) => ({
  FLYSQLITE_REPLICA: undefined,
  BUCKET_NAME: BUCKET,
  AWS_ENDPOINT_URL_S3: server.origin,
  AWS_REGION: server.region,
  AWS_ACCESS_KEY_ID: KEY.accessKeyId,
  AWS_SECRET_ACCESS_KEY: KEY.secretAccessKey,
});

const outputs: string[] = [];

afterEach(() => {
  for (const output of outputs) expect(output).not.toContain(KEY.secretAccessKey);
});

async function run(box: Box, start: Start) {
  const ended = await box.run(start);
  outputs.push(ended.output);
  return ended;
}

/** Probes and their results, in the order in which they were told. */
function findingsOf(text: string): readonly (readonly string[])[] {
  return [...text.matchAll(/^(ok|warning|failed|skipped) {2,}(\S.*?) {2,}\S/gm)].map(([, result = "", probe = ""]) => [
    probe,
    result,
  ]);
}

describe("flysqlite doctor", () => {
  it("finds all well before the first start, and leaves nothing behind", async () => {
    await using server = await startS3Server();
    using box = createBox();
    const { exitStatus, output, standardOutput } = await run(box, {
      words: ["doctor", ...COMMAND],
      environment: bucketOf(server),
    });
    expect(exitStatus, output).toBe(0);
    expect(findingsOf(standardOutput)).toEqual([
      ["start", "ok"],
      ["replica", "ok"],
      ["clock", "ok"],
      ["lease", "ok"],
      ["room", "ok"],
      ["disk", expect.stringMatching(/^(ok|warning)$/)],
      ["notices", "ok"],
      ["WAL mode", "ok"],
      ["SQLite", "ok"],
      ["app's SQLite", expect.any(String)],
    ]);
    expect(standardOutput).toMatch(/^migrations +4 in the executable, 4 pending$/m);
    expect(standardOutput).toMatch(/^8\. launch /m);
    expect(server.objects.size).toBe(0);
    expect(server.requests.filter(({ path }) => path.includes("/0000/"))).toEqual([]);
    expect([treeOf(box.volume), treeOf(box.replica)]).toEqual([{}, {}]);
  });

  it("may run beside the app, without its command, and changes nothing of the database", async () => {
    await using server = await startS3Server();
    using box = createBox();
    const environment = bucketOf(server);
    const running = await box.start({ environment });
    await running.listening();
    await running.line(/copied the whole database/);
    await running.request("POST", "/entries", { author: "ann", text: "before" });
    const files = readdirSync(box.volume);
    const { exitStatus, output, standardOutput } = await run(box, { words: ["doctor", "--json"], environment });
    expect(exitStatus, output).toBe(0);
    const { start, findings } = JSON.parse(standardOutput);
    expect(start).toMatchObject({
      ok: true,
      database: {
        path: "/data/dev.db",
        state: "present",
        journalMode: "wal",
        lastMigration: { name: expect.stringMatching(/add_mood$/) },
      },
      replica: { state: "history", format: "ltx", lastTransaction: expect.stringMatching(/^[0-9a-f]{16}$/) },
      lease: { state: "own", epoch: 1 },
      migrations: { state: "up to date", pending: [] },
    });
    expect(findings.filter(({ result }: { result: string }) => result === "failed")).toEqual([]);
    expect(readdirSync(box.volume)).toEqual(files);
    await running.request("POST", "/entries", { author: "ann", text: "after" });
    expect(await running.stop()).toBe(0);
    const left = [...server.objects.keys()].filter((key) => key.includes("probe"));
    expect(left).toEqual([]);
  });

  it("needs no command of the app, whose start would", async () => {
    const app = prisma6('"file:./dev.db"', { "package.json": '{ "devDependencies": { "prisma": "6.19.3" } }' });
    using box = createBox({ executable: BARE, app });
    const { exitStatus, output, standardOutput } = await run(box, { words: ["doctor", "--json"] });
    expect(exitStatus, output).toBe(0);
    const { start } = JSON.parse(standardOutput);
    expect(start.notLookedAt).toEqual(["the app's command: none was given"]);
    expect(start).not.toHaveProperty("command");
    const steps = start.steps.map(({ step }: { step: string }) => step);
    expect(steps).toEqual(["volume", "lease", "link", "restore", "migrate", "seed", "replicate"]);
    expect(readdirSync(box.replica)).toEqual([]);
    const dry = await run(box, { words: ["run", "--dry"] });
    expect(dry.exitStatus).toBe(127);
    expect(dry.standardOutput).toMatch(/^migrations +1 in .*, 1 pending\n +2025/m);
    expect(dry.standardOutput).toMatch(/\nA start would be refused with status 127: 1 problem\n$/);
  });

  it("takes its probe back also where it is told to stop while the bucket hangs", async () => {
    await using server = await startS3Server();
    using box = createBox();
    server.fail("Get", { kind: "hang", when: "before" }, 1, /probe/);
    const running = await box.start({ words: ["doctor", ...COMMAND], environment: bucketOf(server) });
    await until(() => server.requests.some(({ operation, path }) => operation === "Get" && path.includes("probe")), {
      what: () => running.output(),
    });
    expect(server.objects.size).toBe(1);
    expect(await running.stop()).toBe(143);
    expect(server.objects.size).toBe(0);
    expect(readdirSync(box.volume)).toEqual([]);
  });

  it("tries out what it can where the project can't be read", async () => {
    using box = createBox({ executable: BARE, app: { "package.json": "{}" } });
    const { exitStatus, standardOutput } = await run(box, { words: ["doctor", ...COMMAND] });
    expect(exitStatus).toBe(70);
    expect(standardOutput).toMatch(/^failed +start +E_BUILD: /m);
    expect(findingsOf(standardOutput)).toEqual(
      expect.arrayContaining([
        ["replica", "ok"],
        ["WAL mode", "ok"],
      ]),
    );
  });

  it("answers in JSON also where a setting is wrong", async () => {
    using box = createBox();
    const { exitStatus, standardOutput } = await run(box, { words: ["doctor", "--json", "--fence", "maybe"] });
    expect(exitStatus).toBe(78);
    const finding = { probe: "start", result: "failed", code: "E_CONFIG", text: expect.stringContaining('"maybe"') };
    expect(JSON.parse(standardOutput)).toMatchObject({ ok: false, exitStatus: 78, findings: [finding] });
  });

  it("fails with the status of what is wrong, tells each way out, and leaves nothing behind", async () => {
    await using server = await startS3Server();
    using box = createBox();
    server.accept({ accessKeyId: KEY.accessKeyId, secretAccessKey: "another" });
    const { exitStatus, standardOutput } = await run(box, {
      words: ["doctor", ...COMMAND],
      environment: bucketOf(server),
    });
    expect(exitStatus).toBe(77);
    expect(findingsOf(standardOutput)).toEqual(
      expect.arrayContaining([
        ["start", "failed"],
        ["replica", "failed"],
        ["lease", "skipped"],
        ["WAL mode", "ok"],
      ]),
    );
    const failures = standardOutput.match(/^failed /gm)?.length ?? 0;
    expect(standardOutput.match(/^ +try {2}\S/gm)).toHaveLength(failures);
    expect(server.objects.size).toBe(0);
    expect(treeOf(box.volume)).toEqual({});
  });

  it("says what a volume that can't be written to is good for", async () => {
    using box = createBox({ readOnlyVolume: true });
    const { exitStatus, standardOutput } = await run(box, { words: ["doctor", "--json", ...COMMAND] });
    expect(exitStatus).toBe(72);
    const { ok, findings } = JSON.parse(standardOutput);
    expect(ok).toBe(false);
    expect(findings[0]).toMatchObject({ probe: "start", result: "failed", code: "E_VOLUME" });
    expect(treeOf(box.replica)).toEqual({});
  });

  it("tells everything that docs/plan.md describes, and nothing else", async () => {
    using box = createBox();
    const { standardOutput } = await run(box, { words: ["doctor", "--json", "no-such-program"] });
    const document = readFileSync(join(ROOT, "docs/plan.md"), "utf8");
    const [, section = ""] = /^## JSON of `doctor --json`$([\s\S]*)/m.exec(document) ?? [];
    const described = [...section.matchAll(/^\| `([^`]+)`/gm)].map(([, name = ""]) => name);
    const { start, findings, ...top } = JSON.parse(standardOutput);
    expect(start).toMatchObject({ ok: false, exitStatus: 127, problems: [{ code: "E_COMMAND_NOT_FOUND" }] });
    const fields = new Set(findings.flatMap((finding: object) => Object.keys(finding)));
    for (const name of Object.keys(top)) expect(described).toContain(name);
    for (const name of fields) expect(described).toContain(`findings[].${name}`);
    for (const { probe } of findings) expect(described).toContain(probe);
  });
});

describe("a dry run without a network", () => {
  it("asks no bucket, says so, and still tells what it can", async () => {
    await using server = await startS3Server();
    using box = createBox({ executable: BARE, app: prisma6('env("DATABASE_URL")') });
    const environment = { ...bucketOf(server), DATABASE_URL: "file:./dev.db" };
    const header = `authorization: Bearer ${CANARIES.SESSION_SECRET}`;
    const start = { words: ["run", "--dry", "--offline", "--json", ...COMMAND, header], environment };
    const { exitStatus, output, standardOutput } = await run(box, start);
    expect(exitStatus, output).toBe(0);
    expect(JSON.parse(standardOutput)).toMatchObject({
      ok: true,
      notLookedAt: [expect.stringContaining(BUCKET)],
      link: { variable: "DATABASE_URL", found: "nothing" },
      replica: { state: "not asked", source: "BUCKET_NAME" },
      command: { arguments: ["server.js", "authorization: ***"] },
      user: { name: "root", source: "FLYSQLITE_USER", isRoot: true },
    });
    expect(server.requests).toEqual([]);
    expect(treeOf(box.volume)).toEqual({});
  });

  it("is no way to start", async () => {
    using box = createBox();
    const { exitStatus, output } = await run(box, { words: ["run", "--offline", ...COMMAND] });
    expect(exitStatus).toBe(64);
    expect(output).toContain("E_USAGE: Cannot use --offline without --dry");
  });
});
