// Who each process is, what it can see of our secrets, and as whom and with which mode files are made.

import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { BARE, type Box, type BoxOptions, CANARIES, createBox, ROOT, type Running } from "../support/box.ts";
import { prisma6 } from "../support/project.ts";

const PROBE = { "probe.mjs": readFileSync(join(ROOT, "test/support/probe.mjs"), "utf8") };
const app = prisma6('env("DATABASE_URL")', PROBE);
const environment = { DATABASE_URL: "file:./dev.db" };

function boxOf(options: BoxOptions = {}): Box {
  const box = createBox({ executable: BARE, app, ...options });
  chmodSync(box.replica, 0o777);
  return box;
}

async function running(box: Box, user: string | undefined, words: readonly string[] = []): Promise<Running> {
  const started = await box.start({
    words: [...words, "node", "probe.mjs"],
    environment: { ...environment, FLYSQLITE_USER: user },
  });
  await started.line(/probe up/);
  return started;
}

/** Ids of a process, as the kernel has them: real, effective, saved and file system's. */
function ids(pid: number): { readonly uid: string; readonly gid: string; readonly groups: string } {
  const text = readFileSync(`/proc/${pid}/status`, "utf8");
  const field = (name: string) =>
    new RegExp(`^${name}:[ \\t]*(.*)$`, "m").exec(text)?.[1]?.trim().replaceAll("\t", " ") ?? "";
  return { uid: field("Uid"), gid: field("Gid"), groups: field("Groups") };
}

const NOBODY = 65534;
const of = (id: number) => `${id} ${id} ${id} ${id}`;

describe("--user", () => {
  it("makes every process of the container that user, and gives it its own volume", async () => {
    using box = boxOf();
    const started = await running(box, "nobody");
    const pids = started.pids();
    expect(pids.length).toBeGreaterThanOrEqual(3); // PID 1, the keeper, the app
    for (const pid of pids) expect(ids(pid)).toEqual({ uid: of(NOBODY), gid: of(NOBODY), groups: "" });
    for (const path of ["", "dev.db", "dev.db-wal", ".dev.db-flysqlite"])
      expect(statSync(join(box.volume, path)).uid, path).toBe(NOBODY);
    expect(await started.stop(), started.output()).toBe(7);
    expect(started.output()).not.toContain("warning");
  });

  it("takes numbers, for an image without that user", async () => {
    using box = boxOf();
    const started = await running(box, "1234:4321");
    expect(ids(started.pid())).toMatchObject({ uid: of(1234), gid: of(4321), groups: "" });
    expect(await started.stop(), started.output()).toBe(7);
  });

  it("takes over what an earlier start as root has left, file by file and through no link", async () => {
    using box = boxOf();
    const first = await running(box, "root");
    expect(await first.stop(), first.output()).toBe(7);
    execFileSync("chown", ["--recursive", "65534:65534", box.replica]); // whose owner is not for us to change
    const secret = join(box.app, "secret");
    writeFileSync(secret, "root's");
    // As a compromised app could have prepared the volume for the next start.
    writeFileSync(join(box.volume, "bystander"), "root's");
    symlinkSync("/app/secret", join(box.volume, "trap.db"));
    linkSync(join(box.volume, "bystander"), join(box.volume, "hard.db"));
    for (const name of ["trap.db", "hard.db"]) symlinkSync("/app", join(box.volume, `.${name}-flysqlite`));

    const second = await running(box, "nobody");
    expect(await second.stop(), second.output()).toBe(7);
    const state = join(box.volume, ".dev.db-flysqlite");
    const staged = readdirSync(state, { recursive: true, encoding: "utf8" }).map((name) => join(state, name));
    expect(staged).toContainEqual(expect.stringMatching(/ltx$/));
    for (const path of [join(box.volume, "dev.db"), ...staged]) expect(statSync(path).uid, path).toBe(NOBODY);
    for (const path of [secret, join(box.volume, "bystander"), box.app, join(box.app, "probe.mjs")])
      expect(lstatSync(path).uid, path).toBe(0);
  });

  it("leaves alone what belongs to another user already", async () => {
    using box = boxOf();
    chmodSync(box.volume, 0o777);
    chownSync(box.volume, 4242, 4242);
    const started = await running(box, "nobody");
    expect(statSync(box.volume).uid).toBe(4242);
    expect(await started.stop(), started.output()).toBe(7);
  });

  it.each([
    ["nobody-here", /E_CONFIG: Cannot run as "nobody-here": there is no user "nobody-here"/],
    ["1234", /E_CONFIG: .*its group has to be named too/],
  ])("is refused for %s, before anything is made", async (user, message) => {
    using box = boxOf();
    const { exitStatus, output } = await box.run({
      words: ["true"],
      environment: { ...environment, FLYSQLITE_USER: user },
    });
    expect(exitStatus).toBe(78);
    expect(output).toMatch(message);
    expect(existsSync(join(box.volume, "dev.db"))).toBe(false);
  });

  it("tells the way out where the volume can't be written to by that user", async () => {
    using box = boxOf();
    chownSync(box.volume, 4242, 4242);
    chmodSync(box.volume, 0o755);
    const { exitStatus, output } = await box.run({
      words: ["true"],
      environment: { ...environment, FLYSQLITE_USER: "nobody" },
    });
    expect(exitStatus).toBe(72);
    expect(output).toMatch(/E_VOLUME: Cannot write to the volume "\/data"/);
  });
});

describe("root", () => {
  it("is warned of where nobody chose it", async () => {
    using box = boxOf();
    const started = await running(box, undefined);
    expect(started.output()).toMatch(/launch +warning: the app runs as root: name a user of the image with --user/);
    expect(await started.stop()).toBe(7);
  });

  it("is not where it was chosen, nor where the volume is another user's", async () => {
    using box = boxOf();
    const chosen = await running(box, "root");
    expect(chosen.output()).not.toContain("runs as root");
    expect(await chosen.stop()).toBe(7);
    chownSync(box.volume, NOBODY, NOBODY);
    const others = await running(box, undefined);
    expect(others.output()).not.toContain("runs as root");
    expect(await others.stop()).toBe(7);
  });
});

describe("the app's environment", () => {
  const print = 'process.stdout.write("names " + Object.keys(process.env).sort().join(" ") + "\\n")';
  const names = (output: string) => /^names (.*)$/m.exec(output)?.[1]?.split(" ") ?? [];

  it("has what is the app's, and none of our own settings and keys", async () => {
    using box = boxOf();
    const litestream = {
      LITESTREAM_ACCESS_KEY_ID: "AKIALITESTREAM",
      LITESTREAM_SECRET_ACCESS_KEY: "canary-litestream",
    };
    const { output } = await box.run({ words: ["node", "-e", print], environment: { ...environment, ...litestream } });
    const found = names(output);
    expect(found).toEqual(expect.arrayContaining(["AWS_SECRET_ACCESS_KEY", "SESSION_SECRET", "DATABASE_URL", "PORT"]));
    // Where it can ask to have its commits in the replica; the rest is none of its business.
    expect(found.filter((name) => /^(FLYSQLITE|LITESTREAM)_/.test(name))).toEqual(["FLYSQLITE_SOCKET"]);
    expect(found.filter((name) => name.startsWith("MALLOC_"))).toEqual([]); // the keeper's
  });

  it("has no keys of the bucket's with --share-aws off", async () => {
    using box = boxOf();
    const { output } = await box.run({ words: ["--share-aws", "off", "node", "-e", print], environment });
    expect(names(output).filter((name) => name.startsWith("AWS_"))).toEqual([]);
    expect(names(output)).toContain("SESSION_SECRET");
  });
});

describe("file modes", () => {
  it("let nobody else in to what we make, and are the app's own for what the app makes", async () => {
    using box = boxOf();
    const make = 'require("node:fs").writeFileSync("/data/of-the-app", "")';
    const { exitStatus, output } = await box.run({ words: ["node", "-e", make], environment });
    expect(exitStatus, output).toBe(0);
    const mode = (path: string) => (statSync(join(box.volume, path)).mode & 0o777).toString(8);
    expect(mode("dev.db")).toBe("600");
    expect(mode(".dev.db-flysqlite")).toBe("700");
    expect(mode("of-the-app")).toBe("644");
  });
});

describe("secrets", () => {
  it("are in no line, also where a failure would quote them", async () => {
    using box = boxOf();
    const secret = CANARIES.AWS_SECRET_ACCESS_KEY;
    const { output, exitStatus } = await box.run({
      words: ["--log", "debug", "--sync-interval", secret, "--seed", `false ${secret}`, "true"],
      environment: { ...environment, FLYSQLITE_STOP_TIMEOUT: encodeURIComponent(secret) },
    });
    expect(exitStatus).toBe(78);
    expect(output).toContain("***");
    expect(output).not.toContain("canary-"); // as in every container of this suite
  });
});
