// `status` and `sync` of the real executable, beside an app under `run`, and the account that a stop gives of what is
// not in the replica.

import { execFileSync } from "node:child_process";
import { appendFileSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import type { OfflineStatus, Status } from "../../src/base/control.ts";
import { type Box, createBox, ROOT, type Running, type Start } from "../support/box.ts";
import { runFlysqlite } from "../support/flysqlite.ts";
import { BUCKET, KEY, type S3Server, startS3Server } from "../support/s3-server.ts";

const add = (running: Running, text: string) => running.request("POST", "/entries", { author: "ann", text });

async function started(box: Box, start: Start = {}): Promise<Running> {
  const running = await box.start(start);
  await running.listening();
  return running;
}

/** From the host, where volume and replica have other paths than in the container. */
const which = (box: Box) => ["--database", join(box.volume, "dev.db"), "--replica", join(box.replica, "db")];
const socketOf = (box: Box) => join(box.volume, ".dev.db-flysqlite/control.sock");

const statusOf = (box: Box, ...words: readonly string[]) => runFlysqlite(["status", ...which(box), ...words]);
const syncOf = (box: Box, ...words: readonly string[]) => runFlysqlite(["sync", ...which(box), ...words]);
const firstLine = (text: string) => text.split("\n")[0];

async function jsonOf<Answer>(box: Box): Promise<Answer> {
  return JSON.parse((await statusOf(box, "--json")).standardOutput);
}

/** The rows that a start on a new machine finds. */
async function textsAfterLoss(box: Box): Promise<readonly string[]> {
  box.loseVolume();
  // The lost machine's lease would be waited for.
  const running = await started(box, { environment: { FLYSQLITE_FENCE: "off" } });
  const entries = (await running.request("GET", "/entries")) as readonly { readonly text: string }[];
  await running.stop();
  return entries.map(({ text }) => text);
}

const fly = (server: Pick<S3Server, "origin" | "region">) => ({
  FLYSQLITE_REPLICA: undefined,
  BUCKET_NAME: BUCKET,
  AWS_ENDPOINT_URL_S3: server.origin,
  AWS_REGION: server.region,
  AWS_ACCESS_KEY_ID: KEY.accessKeyId,
  AWS_SECRET_ACCESS_KEY: KEY.secretAccessKey,
});

describe("flysqlite sync", () => {
  it("comes back when what was committed before is in the replica, also where the volume is lost at that moment", async () => {
    using box = createBox();
    const running = await started(box, { environment: { FLYSQLITE_SYNC_INTERVAL: "1h" } }); // nothing follows by itself
    await running.line(/copied the whole database/);
    await add(running, "a promise");
    const { exitStatus, output } = await syncOf(box, "--timeout", "30s");
    expect(output).toMatch(
      /^everything is in file:\/\/\/replica\/db, up to transaction [0-9a-f]{16}, after [\d.]+ m?s\n$/,
    );
    expect(exitStatus).toBe(0);
    await running.kill();
    expect(await textsAfterLoss(box)).toContain("a promise");
  });

  it("fails with 75 where the bucket is away, and says how much is missing and why", async () => {
    await using server = await startS3Server();
    using box = createBox();
    const running = await started(box, { environment: fly(server) });
    await running.line(/copied the whole database/);
    expect((await syncOf(box)).exitStatus).toBe(0);
    server.fail("Put", { kind: "reset", when: "before" }, 10_000);
    await add(running, "away");
    const { exitStatus, output } = await syncOf(box, "--timeout", "1s");
    expect(output).toMatch(
      /E_SYNC: Cannot bring everything of "\/data\/dev\.db" to "s3:\S+": it lacks \d+ transactions? /,
    );
    expect(output).toMatch(/Cannot write|no whole answer within 1\.0 s/);
    expect(output).not.toContain(KEY.secretAccessKey);
    expect(exitStatus).toBe(75);
    server.heal();
    expect((await syncOf(box)).exitStatus).toBe(0);
    expect(await running.stop()).toBe(0);
  });

  it("fails with 69 where no flysqlite runs, and with 64 where it is asked wrongly", async () => {
    using box = createBox();
    const nobody = await syncOf(box);
    expect(nobody.output).toMatch(/E_NO_KEEPER: Cannot ask at "\S+control\.sock": no flysqlite runs there/);
    expect(nobody.exitStatus).toBe(69);
    const running = await started(box);
    const wrong = await syncOf(box, "--timeout", "5");
    expect(wrong.output).toMatch(/E_USAGE: Cannot sync: --timeout "5" is no duration/);
    expect(wrong.exitStatus).toBe(64);
    expect((await syncOf(box, "--timeout", "1h")).exitStatus).toBe(64);
    const asJson = await syncOf(box, "--timeout", "1h", "--json");
    expect(JSON.parse(asJson.standardOutput)).toMatchObject({ code: "E_USAGE" });
    await running.stop();
  });
});

describe("the app", () => {
  it("is told the socket, and whatever it starts can sync by it without any setting", async () => {
    using box = createBox();
    const running = await started(box);
    const environment = (await running.request("GET", "/env")) as Record<string, string>;
    expect(environment["FLYSQLITE_SOCKET"]).toBe("/data/.dev.db-flysqlite/control.sock");
    // As the app's child, which has its environment; the host sees the socket at another path.
    const own = { FLYSQLITE_SOCKET: socketOf(box), FLYSQLITE_SYNC_INTERVAL: "nonsense that nobody reads" };
    const { exitStatus, output } = await runFlysqlite(["sync"], { environment: own });
    expect(output).toMatch(/^everything is in/);
    expect(exitStatus).toBe(0);
    const status = await runFlysqlite(["status"], { environment: own });
    expect(firstLine(status.output)).toMatch(/^safe: /);
    expect(await running.stop()).toBe(0);
  });

  it("can wait for the replica as the documentation shows it, in Node and in a shell", async () => {
    using box = createBox();
    const running = await started(box, { environment: { FLYSQLITE_SYNC_INTERVAL: "1h" } });
    const document = readFileSync(join(ROOT, "docs/control.md"), "utf8");
    const [, shell = ""] = /```sh\n(curl .*)\n```/.exec(document) ?? [];
    const [, script = ""] = /```js\n([\s\S]*?)```/.exec(document) ?? [];
    const env = { PATH: "/usr/bin:/bin", FLYSQLITE_SOCKET: socketOf(box) };
    await running.line(/copied the whole database/);
    await add(running, "by curl");
    expect(JSON.parse(execFileSync("sh", ["-c", shell], { env, encoding: "utf8" }))).toHaveProperty("replicated");
    await add(running, "by Node");
    const words = ["--input-type=module", "--eval", `${script}\nawait sync(); console.log("replicated");`];
    expect(execFileSync(process.execPath, words, { env, encoding: "utf8" })).toBe("replicated\n");
    await running.kill();
    expect(await textsAfterLoss(box)).toEqual(expect.arrayContaining(["by curl", "by Node"]));
  });

  it("may start another flysqlite, which does not take the socket for a misspelt setting", async () => {
    using box = createBox();
    const { exitStatus, output } = await box.run({
      words: ["--dry", "node", "server.js"],
      environment: { FLYSQLITE_SOCKET: "/data/.dev.db-flysqlite/control.sock" },
    });
    expect(exitStatus, output).toBe(0);
  });

  it("is told no socket where nothing is replicated", async () => {
    using box = createBox();
    const running = await started(box, {
      environment: { FLYSQLITE_REPLICA: "none", FLYSQLITE_SOCKET: "/somewhere/else.sock" },
    });
    expect(await running.request("GET", "/env")).not.toHaveProperty("FLYSQLITE_SOCKET");
    expect(await running.stop()).toBe(0);
  });
});

describe("flysqlite status", () => {
  it("says that the data is safe, and is", async () => {
    using box = createBox();
    const running = await started(box);
    await add(running, "safe");
    expect((await syncOf(box)).exitStatus).toBe(0);
    const { exitStatus, standardOutput } = await statusOf(box);
    expect(firstLine(standardOutput)).toMatch(
      /^safe: everything committed is in file:\/\/\/replica\/db, up to transaction [0-9a-f]{16}$/,
    );
    expect(exitStatus).toBe(0);
    const json = await jsonOf<Status>(box);
    expect(json).toMatchObject({
      answer: "safe",
      keeper: "running",
      database: "/data/dev.db",
      lagMs: 0,
      lease: { epoch: 1, state: "held" },
    });
    await running.kill();
    expect(await textsAfterLoss(box)).toContain("safe");
  });

  it("says that it is not before the first copy has arrived", async () => {
    await using server = await startS3Server();
    using box = createBox();
    server.fail("Put", { kind: "reset", when: "before" }, 10_000);
    const running = await started(box, { environment: { ...fly(server), FLYSQLITE_FENCE: "off" } });
    await running.line(/not replicated, next try/);
    const { exitStatus, standardOutput } = await statusOf(box);
    expect(firstLine(standardOutput)).toMatch(
      /^not safe: s3:\S+ lacks 1 transaction \(.*\), the oldest commit at least .* old: /,
    );
    expect(exitStatus).toBe(75);
    expect(await jsonOf<Status>(box)).toMatchObject({ answer: "not safe", waiting: { transactions: 1 } });
    server.heal();
    expect((await syncOf(box)).exitStatus).toBe(0);
    expect((await statusOf(box)).exitStatus).toBe(0);
    expect(await running.stop()).toBe(0);
  });

  it("answers again after a keeper that died, over the socket that it left", async () => {
    using box = createBox();
    const running = await started(box, { environment: { FLYSQLITE_LOG: "debug" } });
    await running.line(/control socket at/);
    running.killOnly(/@keeper/);
    await running.line(/the keeper ended with status 137/);
    expect(existsSync(socketOf(box))).toBe(true);
    await running.line(/control socket at[\s\S]*control socket at/);
    expect((await syncOf(box)).exitStatus).toBe(0);
    expect((await statusOf(box)).exitStatus).toBe(0);
    expect(await running.stop()).toBe(0);
  });
});

describe("flysqlite status, where no flysqlite runs", () => {
  it("says after a clean stop that the replica has all of it", async () => {
    using box = createBox();
    const running = await started(box);
    await add(running, "last");
    expect(await running.stop()).toBe(0);
    const { exitStatus, standardOutput } = await statusOf(box);
    expect(firstLine(standardOutput)).toMatch(
      /^not replicated: \S+dev\.db: no flysqlite runs for it, and all that it holds is in file:\S+, up to transaction [0-9a-f]{16}$/,
    );
    expect(exitStatus).toBe(69);
    expect(existsSync(socketOf(box))).toBe(false);
  });

  it("counts the commits that the replica lacks after a crash", async () => {
    await using server = await startS3Server();
    using box = createBox();
    const running = await started(box, { environment: fly(server) });
    await running.line(/copied the whole database/);
    await add(running, "there");
    const there = await syncOf(box);
    expect(there.exitStatus, there.output).toBe(0);
    server.fail("Put", { kind: "reset", when: "before" }, 10_000);
    for (const text of ["one", "two", "three"]) await add(running, text);
    await running.kill();
    server.heal();
    const words = ["status", "--json", "--database", join(box.volume, "dev.db")];
    const { exitStatus, standardOutput } = await runFlysqlite(words, { environment: fly(server) });
    const status = JSON.parse(standardOutput) as OfflineStatus;
    expect(status).toMatchObject({ answer: "not replicated", keeper: "none" });
    expect(status.missingCommits).toBeGreaterThanOrEqual(3);
    expect(status.summary).toMatch(/lacks its last \d+ commits$/);
    expect(exitStatus).toBe(69);
    // It looked on, and changed nothing: the next start goes on as it would have.
    const next = await started(box, { environment: fly(server) });
    expect(next.output()).not.toContain("copied the whole database");
    expect(await next.stop(), next.output()).toBe(0);
  });

  it.each([
    ["without a database and a replica", () => {}, /there is no database, nor anything in file:/],
    [
      "with a database that was never replicated",
      (box: Box) => void new DatabaseSync(join(box.volume, "dev.db")).exec("CREATE TABLE t (x)"),
      /nothing of it is in file:/,
    ],
  ])("says so %s", async (_, prepare, text) => {
    using box = createBox();
    prepare(box);
    const before = readdirSync(box.volume);
    const { exitStatus, standardOutput } = await statusOf(box);
    expect(firstLine(standardOutput)).toMatch(text);
    expect(exitStatus).toBe(69);
    expect(readdirSync(box.volume)).toEqual(before);
  });

  it("can't be sure where somebody else wrote, and says that", async () => {
    using box = createBox();
    const running = await started(box);
    expect(await running.stop()).toBe(0);
    {
      using database = new DatabaseSync(join(box.volume, "dev.db"));
      database.exec("CREATE TABLE more (x); PRAGMA wal_checkpoint(TRUNCATE)");
    }
    const { standardOutput } = await statusOf(box);
    expect(firstLine(standardOutput)).toMatch(
      /whether file:\S+, up to transaction [0-9a-f]{16}, has all of it can't be told/,
    );
  });

  it("tells of a replica that does not answer, or is not configured", async () => {
    using box = createBox();
    const database = ["--database", join(box.volume, "dev.db")];
    const none = await runFlysqlite(["status", ...database]);
    expect(firstLine(none.standardOutput)).toMatch(/no flysqlite runs for it, and no replica is configured$/);
    expect(none.exitStatus).toBe(69);
    appendFileSync(join(box.replica, "file"), "x");
    const away = await runFlysqlite(["status", ...database, "--replica", join(box.replica, "file/db")]);
    expect(firstLine(away.standardOutput)).toMatch(/its replica can't be asked: Cannot list/);
    expect(away.exitStatus).toBe(69);
  });

  it("knows a flysqlite that is there and does not answer from none", async () => {
    using box = createBox();
    const running = await started(box);
    const second = await runFlysqlite(["status", ...which(box)], {
      environment: { FLYSQLITE_SOCKET: join(box.volume, "no.sock") },
    });
    expect(second.exitStatus).toBe(0); // what is told goes before what the app was told
    const other = await runFlysqlite(["status", "--replica", join(box.replica, "db")], {
      environment: { FLYSQLITE_SOCKET: join(box.volume, "no.sock"), FLYSQLITE_DATABASE: join(box.volume, "dev.db") },
    });
    expect(firstLine(other.standardOutput)).toMatch(/the flysqlite that has it does not answer, and /);
    expect(other.exitStatus).toBe(69);
    expect(await running.stop()).toBe(0);
  });
});

describe("SIGTERM while the bucket is away", () => {
  it("ends with 75 in its time, and says how much the replica lacks; the next start ships it", async () => {
    await using server = await startS3Server();
    using box = createBox();
    const running = await started(box, { environment: { ...fly(server), FLYSQLITE_STOP_TIMEOUT: "3s" } });
    await running.line(/copied the whole database/);
    expect((await syncOf(box)).exitStatus).toBe(0);
    server.fail("Put", { kind: "reset", when: "before" }, 10_000);
    for (const text of ["one", "two"]) await add(running, text);
    expect(await running.stop()).toBe(75);
    expect(running.output()).toMatch(
      /E_FINAL_SYNC: Cannot replicate the last commits: "s3:\S+" lacks \d transactions? \(.*\), the oldest commit .* old: /,
    );
    expect(running.output()).not.toContain("the last sync did not end in time"); // it told by itself, before it was killed

    server.heal();
    const next = await started(box, { environment: fly(server) });
    expect(await next.stop(), next.output()).toBe(0);
    box.loseVolume();
    const last = await started(box, { environment: fly(server) });
    const entries = (await last.request("GET", "/entries")) as readonly { readonly text: string }[];
    expect(entries.map(({ text }) => text)).toEqual(expect.arrayContaining(["one", "two"]));
    expect(await last.stop()).toBe(0);
  });

  it("breaks off an upload that hangs", async () => {
    await using server = await startS3Server();
    using box = createBox();
    const running = await started(box, { environment: { ...fly(server), FLYSQLITE_STOP_TIMEOUT: "3s" } });
    await running.line(/copied the whole database/);
    expect((await syncOf(box)).exitStatus).toBe(0);
    server.fail("Put", { kind: "hang", when: "before" }, 10_000);
    await add(running, "stuck");
    expect(await running.stop()).toBe(75);
    expect(running.output()).toMatch(/E_FINAL_SYNC: .* lacks \d transactions? .*: the time for the stop was over/);
  });
});
