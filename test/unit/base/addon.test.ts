import { execFile, spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { addonPath, parseTarget } from "../../../build/target.ts";
import { addonDirectories, loadAddon } from "../../../src/base/addon.ts";

const root = join(import.meta.dirname, "../../..");
const addonFile = addonPath(parseTarget(readFileSync(process.execPath)));
const bytes = new Uint8Array(readFileSync(addonFile));

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "flysqlite-test-"));
});

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(directory, { recursive: true });
});

describe("loadAddon", () => {
  it("gives what the addon exports, and leaves nothing behind", () => {
    const { addon, failures } = loadAddon(bytes, [directory]);
    expect(failures).toEqual([]);
    expect(addon).toHaveProperty("Database");
    expect(readdirSync(directory)).toEqual([]);
  });

  it("loads from a fresh directory that only its owner can enter, and a file that nobody can write", () => {
    const seen: { readonly path: string; readonly modes: readonly number[]; readonly same: boolean }[] = [];
    const load = process.dlopen;
    vi.spyOn(process, "dlopen").mockImplementation((module: object, path: string) => {
      const modes = [dirname(path), path].map((name) => statSync(name).mode & 0o777);
      seen.push({ path, modes, same: readFileSync(path).equals(bytes) });
      load(module, path);
    });
    loadAddon(bytes, [directory]);
    loadAddon(bytes, [directory]);
    expect(seen.map(({ modes, same }) => ({ modes, same }))).toEqual([
      { modes: [0o700, 0o500], same: true },
      { modes: [0o700, 0o500], same: true },
    ]);
    const [first, second] = seen.map(({ path }) => dirname(path));
    expect(first).not.toBe(second);
    expect(basename(first ?? "")).toMatch(/^flysqlite-.{6}$/);
  });

  it("goes on to the next directory where one isn't there", () => {
    const missing = join(directory, "missing");
    const { addon, failures } = loadAddon(bytes, [missing, directory]);
    expect(addon).toBeDefined();
    expect(failures).toEqual([{ directory: missing, reason: expect.stringContaining("ENOENT") }]);
  });

  it("gives no addon and every reason where no directory will do, and leaves nothing behind", () => {
    const { addon, failures } = loadAddon(new Uint8Array([1, 2, 3]), [directory, "/proc"]);
    expect(addon).toBeUndefined();
    expect(failures).toEqual([
      { directory, reason: expect.stringContaining("file too short") },
      { directory: "/proc", reason: expect.stringContaining("ENOENT") },
    ]);
    expect(readdirSync(directory)).toEqual([]);
  });
});

type Report = {
  readonly driver: string;
  readonly rows: unknown;
  readonly events: readonly { readonly level: string; readonly text: string }[];
};

/** Loads a driver in a process of its own, with the addon as an asset, and opens a database with it. */
const SCRIPT = `
  const { readFileSync } = await import("node:fs");
  const { loadDriver } = await import(process.env.SOURCES + "/sqlite/load-driver.ts");
  const events = [];
  const bytes = process.env.ADDON ? new Uint8Array(readFileSync(process.env.ADDON)) : undefined;
  const driver = await loadDriver({
    assets: { read: () => bytes },
    temporaryDirectories: JSON.parse(process.env.DIRECTORIES),
    log: (event) => events.push(event),
  });
  using connection = driver.open(process.env.DATABASE, { busyTimeoutMs: 0 });
  const rows = connection.all("SELECT 1 AS one");
  console.log(JSON.stringify({ driver: driver.name, rows, events }));
`;

type Child = {
  readonly directories: readonly string[];
  readonly addon?: string;
  readonly sources?: string;
  /** Shell commands to run before, in a mount namespace of its own. */
  readonly mounts?: string;
};

async function loadInChild({ directories, addon, sources = join(root, "src"), mounts }: Child): Promise<Report> {
  const database = join(directory, "app.db");
  writeFileSync(database, "");
  const node = [process.execPath, "--input-type=module", "--disable-warning=ExperimentalWarning", "-e", SCRIPT];
  const [file = "", ...words] =
    mounts === undefined ? node : ["unshare", "--mount", "sh", "-ec", `${mounts}; exec "$@"`, "sh", ...node];
  const env = { SOURCES: sources, DIRECTORIES: JSON.stringify(directories), DATABASE: database, ADDON: addon ?? "" };
  const { stdout } = await promisify(execFile)(file, words, { env: { PATH: process.env["PATH"], ...env } });
  return JSON.parse(stdout);
}

const canMount = spawnSync("unshare", ["--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).status === 0;

describe("loadDriver with an addon in the executable", () => {
  it("uses better-sqlite3 with it", async () => {
    const { driver, rows } = await loadInChild({ directories: [directory], addon: addonFile });
    expect({ driver, rows }).toEqual({ driver: "better-sqlite3", rows: [{ one: 1 }] });
  });

  describe.skipIf(!canMount)("where directories can't be written to or don't execute", () => {
    let mounts: string;
    let noexec: string;
    let readOnly: string;
    let usable: string;

    beforeEach(() => {
      [noexec, readOnly, usable] = ["noexec", "read-only", "usable"].map((name) => join(directory, name)) as [
        string,
        string,
        string,
      ];
      for (const name of [noexec, readOnly, usable]) mkdirSync(name);
      mounts = `mount -t tmpfs -o noexec tmpfs ${noexec}; mount -t tmpfs -o ro tmpfs ${readOnly}`;
    });

    it("goes on to the next, and tells at level debug", async () => {
      const directories = [noexec, readOnly, usable];
      const { driver, events } = await loadInChild({ directories, addon: addonFile, mounts });
      expect(driver).toBe("better-sqlite3");
      expect(events[0]).toMatchObject({ level: "debug", text: expect.stringContaining("failed to map segment") });
      expect(events[0]?.text).toContain("EROFS");
    });

    it("uses Node's own SQLite where none is left, and tells at level warn what was tried", async () => {
      const { driver, rows, events } = await loadInChild({ directories: [noexec, readOnly], addon: addonFile, mounts });
      expect({ driver, rows }).toEqual({ driver: "node:sqlite", rows: [{ one: 1 }] });
      expect(events[0]?.level).toBe("warn");
      expect(events[0]?.text).toContain(`"${noexec}" (`);
      expect(events[0]?.text).toContain(`"${readOnly}" (EROFS`);
    });
  });

  it.skipIf(process.getuid?.() === 0)("goes on where it has no right to write", async () => {
    const closed = join(directory, "closed");
    mkdirSync(closed);
    chmodSync(closed, 0o500);
    const { driver, events } = await loadInChild({ directories: [closed, directory], addon: addonFile });
    expect(driver).toBe("better-sqlite3");
    expect(events[0]?.text).toContain("EACCES");
  });
});

describe("loadDriver without an executable around it", () => {
  it("uses Node's own SQLite where better-sqlite3 is not installed", async () => {
    const sources = join(directory, "src");
    for (const folder of ["base", "sqlite"])
      cpSync(join(root, "src", folder), join(sources, folder), { recursive: true });
    writeFileSync(join(directory, "package.json"), '{ "type": "module" }');
    const { driver, events } = await loadInChild({ directories: [], sources });
    expect(driver).toBe("node:sqlite");
    expect(events[0]).toMatchObject({ level: "warn", text: expect.stringContaining("Cannot find module") });
  });
});

it("has an addon in the installed package for every target", () => {
  const { resolve } = createRequire(import.meta.filename);
  expect(dirname(dirname(addonFile))).toBe(dirname(resolve("better-sqlite3/package.json")));
  for (const architecture of ["x64", "arm64"] as const) {
    for (const libc of ["glibc", "musl"] as const)
      expect(statSync(addonPath({ architecture, libc })).isFile()).toBe(true);
  }
});

it.each([
  [undefined, ["/tmp", "/run", "/data"]],
  ["", ["/tmp", "/run", "/data"]],
  ["/var/tmp", ["/var/tmp", "/tmp", "/run", "/data"]],
  ["/tmp/", ["/tmp", "/run", "/data"]],
  ["tmp", ["/tmp", "/run", "/data"]],
])("tries, with TMPDIR %j, %j for the addon", (directory, expected) => {
  expect(addonDirectories({ tmpdir: directory, databaseDirectory: "/data" })).toEqual(expected);
});
