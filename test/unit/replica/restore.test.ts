import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { formatLtxName } from "../../../src/replica/ltx/names.ts";
import { toTxid } from "../../../src/replica/ltx/txid.ts";
import type { RestoreToOptions } from "../../../src/replica/restore-to.ts";
import type { ObjectStore } from "../../../src/storage/store.ts";
import { installedDriver } from "../../support/driver.ts";
import { createMemoryStore, type MemoryObject } from "../../support/memory-store.ts";
import { restoreLatest } from "../../support/replica.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { judge } from "../../support/workload.ts";
import { encodeWal, pageOf } from "../sqlite/wal/support.ts";
import { encode, headerWith, pageOf as ltxPage, pageSizeOf } from "./ltx/support.ts";
import { never, replicated } from "./support.ts";

const driver = await installedDriver();

const nameOf = (min: number, max = min) => formatLtxName({ min: toTxid(BigInt(min)), max: toTxid(BigInt(max)) });
const level0 = (txid: number) => `ltx/0/${nameOf(txid)}`;

type Objects = Map<string, MemoryObject>;

/** A replica's objects, and what a restore gave after each transaction. */
type Sample = { readonly objects: Objects; readonly states: ReadonlyMap<number, Buffer> };

/** A database of pages of that size that grows, shrinks and grows, and ends with a transaction of few pages. */
async function makeSample(pageSize: number): Promise<Sample> {
  await using replica = await replicated(driver, { pageSize });
  const states = new Map<number, Buffer>();
  for (const [payloadBytes, keep] of [
    [300, 50],
    [4000, 50],
    [10, 0],
    [3000, 50],
    [5, 50],
  ] as const) {
    await replica.app.commit(2, { payloadBytes, keep });
    if (keep === 0) await replica.app.exec("VACUUM");
    await replica.sync();
    const target = join(replica.directory, `${states.size}.db`);
    const { position } = await restoreLatest({ store: replica.store, driver, target });
    if (position.format === "ltx") states.set(Number(position.txid), readFileSync(target));
  }
  const objects: Objects = new Map();
  for (const { key, modifiedMs } of await replica.store.list("", { signal: never })) {
    const chunks = (await replica.store.get(key, { signal: never })) ?? [];
    objects.set(key, { bytes: new Uint8Array(Buffer.concat(await Array.fromAsync(chunks))), modifiedMs });
  }
  return { objects, states };
}

const sample = await makeSample(512);
const otherSize = await makeSample(1024);
const LAST = 5;

/** The sample's objects, changed: undefined takes an object away. */
function altered(changes: Readonly<Record<string, Uint8Array | undefined>>, objects = sample.objects): ObjectStore {
  const copy = new Map(objects);
  for (const [key, bytes] of Object.entries(changes)) {
    if (bytes === undefined) copy.delete(key);
    else copy.set(key, { bytes, modifiedMs: 0 });
  }
  return createMemoryStore(copy);
}

function bytesOf(key: string, { objects } = sample): Uint8Array {
  const object = objects.get(key);
  if (object === undefined) throw new Error(`the sample has no "${key}"`);
  return object.bytes;
}

/** Restores into an empty directory: the database's bytes, or the failure. Whatever happens, nothing else is left there. */
async function attempt(store: ObjectStore, options: Partial<RestoreToOptions> = {}): Promise<Buffer | unknown> {
  using directory = temporaryDirectory();
  const target = join(directory.path, "app.db");
  try {
    await restoreLatest({ store, driver, target, ...options });
  } catch (error) {
    expect(readdirSync(directory.path)).toEqual([]);
    return error;
  }
  expect(readdirSync(directory.path)).toEqual(["app.db"]);
  return readFileSync(target);
}

const refusal = (code: string) => expect.objectContaining({ code });

// What a restore does to a directory, and to any replica of Litestream's, is in restore-to.test.ts.
describe("a restore of what the replicator wrote", () => {
  it("gives the state of the last transaction, byte for byte the same each time", async () => {
    expect(await attempt(altered({}))).toEqual(sample.states.get(LAST));
    expect([...sample.states.keys()]).toEqual([1, 2, 3, 4, 5]);
    using directory = temporaryDirectory();
    const target = join(directory.path, "app.db");
    await restoreLatest({ store: altered({}), driver, target });
    expect(judge(target)).toEqual({ n: 10 });
  });

  it("needs no full copy where the first files are there, and none of them where it is", async () => {
    expect(await attempt(altered({ [`ltx/9/${nameOf(1)}`]: undefined }))).toEqual(sample.states.get(LAST));
    expect(await attempt(altered({ [level0(1)]: undefined }))).toEqual(sample.states.get(LAST));
  });

  it("ends with the state before where the last file is missing: nothing tells that there was one", async () => {
    expect(await attempt(altered({ [level0(LAST)]: undefined }))).toEqual(sample.states.get(LAST - 1));
  });

  it.each([
    ["the first file, and the full copy", { [level0(1)]: undefined, [`ltx/9/${nameOf(1)}`]: undefined }],
    ["the file after the full copy", { [level0(2)]: undefined }],
    ["a file in the middle", { [level0(4)]: undefined }],
    ["two files in the middle", { [level0(3)]: undefined, [level0(4)]: undefined }],
  ])("refuses a replica without %s", async (_, changes) => {
    expect(await attempt(altered(changes))).toEqual(refusal("E_REPLICA_GAP"));
  });

  it("refuses files that were exchanged", async () => {
    for (const [a, b] of [
      [2, 3],
      [4, 5],
      [1, 5],
    ] as const) {
      const store = altered({
        [level0(a)]: bytesOf(level0(b)),
        [level0(b)]: bytesOf(level0(a)),
        [`ltx/9/${nameOf(1)}`]: undefined,
      });
      expect(await attempt(store)).toEqual(refusal("E_REPLICA_CORRUPT"));
    }
  });

  it("refuses a file under another's name", async () => {
    expect(await attempt(altered({ [level0(4)]: bytesOf(level0(3)) }))).toEqual(refusal("E_REPLICA_CORRUPT"));
    expect(await attempt(altered({ [`ltx/1/${nameOf(2, 5)}`]: bytesOf(level0(5)) }))).toEqual(
      refusal("E_REPLICA_CORRUPT"),
    );
  });

  it("refuses files of a database with another page size", async () => {
    const store = altered({ [level0(4)]: bytesOf(level0(4), otherSize) });
    expect(await attempt(store)).toEqual(refusal("E_REPLICA_CORRUPT"));
  });

  it("refuses a file that lets the database grow and lacks a new page, though nobody would miss it", async () => {
    const pageSize = pageSizeOf(512);
    const state = sample.states.get(LAST) ?? Buffer.alloc(0);
    const pageCount = state.byteLength / 512;
    const more = (...numbers: number[]) => {
      const first = Uint8Array.from(state.subarray(0, 512));
      new DataView(first.buffer).setUint32(28, pageCount + 2); // the database's header says so too
      const range = { min: toTxid(6n), max: toTxid(6n), pageSize, commit: pageCount + 2 };
      const pages = [{ ...ltxPage(1, 512), data: first }, ...numbers.map((number) => ltxPage(number, 512))];
      return altered({ [level0(6)]: encode(headerWith(range), pages) });
    };
    expect(await attempt(more(pageCount + 1, pageCount + 2), { integrity: "none" })).toBeInstanceOf(Buffer);
    expect(await attempt(more(pageCount + 2), { integrity: "none" })).toEqual(refusal("E_REPLICA_CORRUPT"));
  });

  it.each([2, LAST])("refuses file %d where it is cut off, wherever that is", async (txid) => {
    const bytes = bytesOf(level0(txid));
    for (let size = 0; size < bytes.byteLength; size += txid === LAST ? 7 : 97) {
      const found = await attempt(altered({ [level0(txid)]: bytes.subarray(0, size) }), { integrity: "none" });
      expect(found, `${size} bytes`).toEqual(refusal("E_REPLICA_CORRUPT"));
    }
  });

  it("refuses a file with any byte changed", async () => {
    const bytes = bytesOf(level0(LAST));
    for (let at = 0; at < bytes.byteLength; at += 1) {
      const damaged = bytes.slice();
      damaged[at] = (damaged[at] ?? 0) ^ (1 << (at & 7));
      const found = await attempt(altered({ [level0(LAST)]: damaged }), { integrity: "none" });
      expect(found, `byte ${at}`).toEqual(refusal("E_REPLICA_CORRUPT"));
    }
  });

  it("refuses where a file is gone that was listed", async () => {
    const store = altered({});
    const get: ObjectStore["get"] = async (key, options) => (key === level0(3) ? undefined : store.get(key, options));
    expect(await attempt({ ...store, get })).toEqual(refusal("E_REPLICA_GAP"));
  });

  it("passes on what the store says where it breaks off", async () => {
    const store = altered({});
    const broken = new Error("connection reset");
    const get: ObjectStore["get"] = async (key, options) => {
      if (key !== level0(3)) return store.get(key, options);
      return (async function* () {
        yield bytesOf(key).slice(0, 150);
        throw broken;
      })();
    };
    expect(await attempt({ ...store, get })).toBe(broken);
  });

  it("replays no log that a killed restore left", async () => {
    using directory = temporaryDirectory();
    const target = join(directory.path, "app.db");
    const alien = encodeWal({ pageSize: 512, frames: [{ page: 2, commitSize: 3, data: pageOf(512, 0xee) }] });
    for (const name of [".app.db.restoring", ".app.db.restoring-wal"]) writeFileSync(join(directory.path, name), alien);
    await restoreLatest({ store: altered({}), driver, target });
    expect(readFileSync(target)).toEqual(sample.states.get(LAST));
    expect(readdirSync(directory.path)).toEqual(["app.db"]);
  });
});

/** Restores a replica onto a disk of its own, and prints the failure's code and what is left there. */
const RESTORE_ON_SMALL_DISK = `
  import { readdirSync } from "node:fs";
  const [support, driver, storage, system] = await Promise.all(JSON.parse(process.env.MODULES).map((url) => import(url)));
  const { DISK, REPLICA } = process.env;
  const store = storage.openFileStore(REPLICA, { random: system.systemRandom });
  const failure = await support
    .restoreLatest({ store, driver: await driver.installedDriver(), target: DISK + "/app.db" })
    .then(() => "none", ({ code }) => code);
  console.log(JSON.stringify({ failure, left: readdirSync(DISK) }));
`;
const cannotMount = spawnSync("unshare", ["--mount", "true"]).status !== 0;

describe.skipIf(cannotMount)("a restore to a disk that is too small", () => {
  it.each(["2m", "18m"])("says so and leaves nothing: %s", (size) => {
    using directory = temporaryDirectory();
    const disk = join(directory.path, "disk");
    const replica = join(directory.path, "replica");
    mkdirSync(disk);
    const pageSize = pageSizeOf(65536);
    const header = headerWith({ min: toTxid(1n), max: toTxid(1n), pageSize, commit: 100 });
    const pages = Array.from({ length: 100 }, (_, i) => ltxPage(i + 1, 65536));
    mkdirSync(join(replica, "ltx/0"), { recursive: true });
    writeFileSync(join(replica, level0(1)), encode(header, pages));
    const modules = [
      "../../support/replica.ts",
      "../../support/driver.ts",
      "../../../src/storage/file.ts",
      "../../../src/base/system.ts",
    ];
    const { stdout, stderr } = spawnSync(
      "unshare",
      [
        "--mount",
        "bash",
        "-euc",
        'mount -t tmpfs -o size="$SIZE" tmpfs "$DISK"; exec "$NODE" --input-type=module --eval "$SCRIPT"',
      ],
      {
        encoding: "utf8",
        env: {
          ...process.env,
          SIZE: size,
          DISK: disk,
          REPLICA: replica,
          NODE: process.execPath,
          SCRIPT: RESTORE_ON_SMALL_DISK,
          MODULES: JSON.stringify(modules.map((path) => pathToFileURL(join(import.meta.dirname, path)).href)),
        },
      },
    );
    expect(stdout, stderr).toBe(`${JSON.stringify({ failure: "E_RESTORE_SPACE", left: [] })}\n`);
  });
});
