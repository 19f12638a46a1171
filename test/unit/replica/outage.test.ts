import { readdirSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { formatLtxName } from "../../../src/replica/ltx/names.ts";
import { planRestore } from "../../../src/replica/ltx/plan.ts";
import { toTxid } from "../../../src/replica/ltx/txid.ts";
import type { ObjectStore } from "../../../src/storage/store.ts";
import { commitMeanwhile } from "../../support/app.ts";
import { installedDriver } from "../../support/driver.ts";
import { judgeReplica, listFiles } from "../../support/replica.ts";
import { captureInVain, chain, full, holding, losePower, type Replicated, rangesAt, replicated } from "./support.ts";

const driver = await installedDriver();

/** Where an LTX file's header has its time, in bytes. */
const LTX_TIME_OFFSET = 32;

/** A store that can be switched off, and asked what it was told. */
function switchable() {
  const state = { away: false, puts: [] as string[] };
  const wrap = (store: ObjectStore): ObjectStore => {
    const refuse = () => Promise.reject(new Error("no route"));
    return {
      ...store,
      list: (prefix, options) => (state.away ? refuse() : store.list(prefix, options)),
      get: (key, options) => (state.away ? refuse() : store.get(key, options)),
      put(key, body, options) {
        if (state.away) return refuse();
        state.puts.push(key);
        return store.put(key, body, options);
      },
    };
  };
  return { state, wrap };
}

/** A store that takes so many objects, and then no more. */
function limited() {
  const state = { left: Number.POSITIVE_INFINITY };
  const wrap = (store: ObjectStore): ObjectStore => ({
    ...store,
    put(key, body, options) {
      state.left -= 1;
      return state.left < 0 ? Promise.reject(new Error("no route")) : store.put(key, body, options);
    },
  });
  return { state, wrap };
}

/** Leaves three commits on the volume, each in a file of its own. */
async function captureThree({ app, capture }: Replicated): Promise<void> {
  for (let n = 0; n < 3; n += 1) {
    await app.commit();
    await capture();
  }
}

describe("a replica that is away", () => {
  it("keeps nobody waiting: the log is captured and emptied, and uploads follow in order", async () => {
    const { state, wrap } = switchable();
    await using replica = await replicated(driver, { wrap, pageSize: 512 });
    await replica.sync();
    state.away = true;
    const salts = new Set<string>();
    for (let round = 0; round < 6; round += 1) {
      await replica.app.commit(10, { payloadBytes: 40_000, keep: 5 });
      await expect(replica.sync()).rejects.toThrow("no route");
      if (replica.attached.position?.kind === "log") salts.add(replica.attached.position.header.salts.join());
    }
    expect(salts.size).toBeGreaterThan(1); // the log began anew meanwhile
    expect(replica.replicator.lastTxid).toBe(1n);
    expect(replica.replicator.waitingBytes).toBeGreaterThan(0);
    state.away = false;
    const { captured } = replica.replicator;
    await replica.upload();
    expect(replica.replicator.lastTxid).toBe(captured);
    expect(await replica.judge()).toEqual({ n: 60 });
    expect(replica.fullCopies).toHaveLength(1);
    expect(await rangesAt(replica.store, 0)).toEqual(chain(Number(captured)));
  });

  it("is caught up by the next process, from what the last one left on the volume", async () => {
    const { state, wrap } = switchable();
    await using replica = await replicated(driver, { wrap });
    await replica.sync();
    state.away = true;
    for (let round = 0; round < 3; round += 1) {
      await replica.app.commit();
      await expect(replica.sync()).rejects.toThrow("no route");
    }
    state.away = false;
    await replica.restart(async () => void (await replica.app.commit()));
    await replica.sync();
    expect(await replica.judge()).toEqual({ n: 4 });
    expect(await rangesAt(replica.store, 0)).toEqual(chain(5));
    expect(replica.fullCopies).toHaveLength(1);
  });

  it("gets what was staged, and then a copy, where the log went on without us", async () => {
    const { state, wrap } = switchable();
    await using replica = await replicated(driver, { wrap });
    await replica.sync();
    state.away = true;
    await replica.app.commit(2);
    await expect(replica.sync()).rejects.toThrow("no route");
    state.away = false;
    await replica.restart(async () => {
      await replica.app.commit();
      await replica.app.checkpoint("TRUNCATE");
      await replica.app.commit();
    });
    await replica.sync();
    expect(replica.fullCopies).toHaveLength(2);
    expect(await rangesAt(replica.store, 0)).toEqual(chain(3));
    expect(await replica.judge()).toEqual({ n: 4 });
  });
});

describe("a volume that is full", () => {
  it("lets the log go on, and copies the database when the replica answers", async () => {
    const away = switchable();
    const volume = full();
    await using replica = await replicated(driver, { wrap: away.wrap, wrapLocal: volume.wrapLocal, pageSize: 512 });
    await replica.sync();
    away.state.away = true;
    await replica.app.commit(2);
    await replica.capture();
    volume.state.isFull = true;
    await replica.app.commit(2);
    await replica.capture();
    expect(replica.replicator.isBehind).toBe(true);
    expect(readdirSync(join(replica.stateDirectory, "ltx/0"))).toHaveLength(1); // what the replica has
    const salts = new Set<string>();
    for (let round = 0; round < 4; round += 1) {
      await replica.app.commit(30, { payloadBytes: 40_000, keep: 5 });
      await replica.capture();
      salts.add(replica.attached.walState().frames < 3000 ? "short" : "long");
    }
    expect([...salts]).toEqual(["short"]);
    await expect(replica.upload()).rejects.toThrow("no route");
    volume.state.isFull = false;
    away.state.away = false;
    await replica.sync();
    expect(await replica.judge()).toEqual({ n: 124 });
    expect(await rangesAt(replica.store, 0)).toEqual(chain(2));
    await replica.app.commit();
    await replica.sync();
    expect(await replica.judge()).toEqual({ n: 125 });
    expect(replica.fullCopies).toHaveLength(2);
  });

  it("copies nothing over what somebody else has written meanwhile", async () => {
    const volume = full();
    await using replica = await replicated(driver, { wrapLocal: volume.wrapLocal });
    await replica.sync();
    await captureInVain(replica, volume);
    const signal = new AbortController().signal;
    const [first] = await listFiles(replica.store);
    const chunks = await Array.fromAsync((await replica.store.get(first?.key ?? "", { signal })) ?? []);
    const others = Buffer.concat(chunks);
    others.writeBigUInt64BE(12345n, LTX_TIME_OFFSET);
    const second = formatLtxName({ min: toTxid(2n), max: toTxid(2n) });
    await replica.store.put(`ltx/0/${second}`, [others], { signal });
    await expect(replica.sync()).rejects.toMatchObject({ code: "E_DIVERGED" });
    expect(await rangesAt(replica.store, 0)).toEqual(chain(2));
  });

  it("has no part in a replica that already has everything", async () => {
    const volume = full();
    await using replica = await replicated(driver, { wrapLocal: volume.wrapLocal });
    await replica.sync();
    await captureInVain(replica, volume);
    await replica.sync();
    expect(await replica.judge()).toEqual({ n: 1 });
    expect(await rangesAt(replica.store, 0)).toEqual(chain(2));
  });
});

describe("a power cut in the middle of several uploads", () => {
  it("leaves a volume that knows its own last file, and goes on from there without a copy", async () => {
    const { state, wrap } = limited();
    await using replica = await replicated(driver, { wrap });
    await replica.sync();
    await captureThree(replica);
    state.left = 2;
    await expect(replica.upload()).rejects.toThrow("no route");
    expect(await rangesAt(replica.store, 0)).toEqual(chain(3));
    state.left = Number.POSITIVE_INFINITY;
    await replica.restart(async () => losePower(replica.stateDirectory));
    await replica.app.commit();
    await replica.sync();
    expect(await replica.judge()).toEqual({ n: 4 });
    expect(replica.fullCopies).toHaveLength(1);
  });

  it("leaves a volume that knows its last file, also where an earlier process had staged it", async () => {
    const { state, wrap } = limited();
    await using replica = await replicated(driver, { wrap });
    await replica.sync();
    await captureThree(replica);
    await replica.restart();
    state.left = 2; // the replica's identity, and one file
    await expect(replica.upload()).rejects.toThrow("no route");
    expect(await rangesAt(replica.store, 0)).toEqual(chain(2));
    state.left = Number.POSITIVE_INFINITY;
    await replica.restart(async () => losePower(replica.stateDirectory));
    await replica.sync();
    expect(await replica.judge()).toEqual({ n: 3 });
  });

  it.each([
    { damaged: [2], what: "what the replica has already, which nobody needs" },
    { damaged: [3], what: "what it lacks, which the log still has" },
    { damaged: [2, 3], what: "both" },
  ])("may spoil staged files: $what", async ({ damaged }) => {
    const { state, wrap } = switchable();
    await using replica = await replicated(driver, { wrap });
    await replica.sync();
    await replica.app.commit();
    await replica.sync();
    state.away = true;
    await replica.app.commit();
    await expect(replica.sync()).rejects.toThrow("no route");
    state.away = false;
    await replica.restart(async () => {
      for (const txid of damaged) {
        const name = formatLtxName({ min: toTxid(BigInt(txid)), max: toTxid(BigInt(txid)) });
        truncateSync(join(replica.stateDirectory, "ltx/0", name), 200);
      }
    });
    await replica.sync();
    expect(await replica.judge()).toEqual({ n: 2 });
    expect(replica.fullCopies).toHaveLength(1);
    expect(await rangesAt(replica.store, 0)).toEqual(chain(3));
  });

  it("leaves a volume that knows a file that arrives late, after another try was begun", async () => {
    const { state, wrap } = holding();
    await using replica = await replicated(driver, { wrap });
    await replica.sync();
    state.holds = true;
    for (const commits of [1, 4]) {
      for (let n = 0; n < commits; n += 1) {
        await replica.app.commit();
        await replica.capture();
      }
      await expect(replica.upload()).rejects.toThrow("no answer");
    }
    state.holds = false;
    await state.held[0]?.();
    await replica.restart(async () => losePower(replica.stateDirectory));
    await replica.sync();
    expect(await replica.judge()).toEqual({ n: 5 });
  });
});

describe("a snapshot", () => {
  it("is of exactly the transaction that it is named for, while the app commits", async () => {
    let path = "";
    let commitsLeft = 0;
    const at = (label: string) => {
      if (label !== "snapshot begun" || commitsLeft === 0) return;
      commitsLeft -= 1;
      commitMeanwhile(path);
    };
    await using replica = await replicated(driver, { at });
    path = replica.path;
    await replica.sync();
    await replica.app.commit(3);
    await replica.sync();
    commitsLeft = 1;
    await replica.app.commit(2);
    await replica.snapshot();
    expect(commitsLeft).toBe(0);
    const snapshots = await rangesAt(replica.store, 9);
    expect(snapshots).toHaveLength(2);
    const files = await listFiles(replica.store);
    const newest = files.filter(({ level }) => level === 9).at(-1);
    if (newest === undefined) throw new Error("there is no snapshot");
    // The snapshot alone, and the level-0 files up to the same transaction, are the same database.
    const alone = { format: "ltx", files: [newest] } as const;
    const level0 = files.filter(({ level }) => level === 0);
    const chained = { format: "ltx", files: planRestore(level0, { kind: "txid", txid: newest.max }) } as const;
    const target = join(replica.directory, "restored.db");
    const [one, other] = [
      await judgeReplica({ store: replica.store, driver, target, plan: alone }),
      await judgeReplica({ store: replica.store, driver, target, plan: chained }),
    ];
    expect(one).toEqual(other);
    await replica.sync();
    expect(await replica.judge()).toEqual({ n: 6 });
  });

  it("fails where the volume has no room for what must be staged before it, so that it is tried again", async () => {
    const { state, wrapLocal } = full();
    await using replica = await replicated(driver, { wrapLocal });
    await replica.sync();
    await replica.app.commit();
    state.isFull = true;
    await expect(replica.snapshot()).rejects.toThrow("leave a chance");
    state.isFull = false;
    await replica.upload();
    await replica.snapshot();
    expect(await replica.judge()).toEqual({ n: 1 });
  });

  it("fails where what leads to it was given up meanwhile, as the volume was full", async () => {
    const { state, wrapLocal } = full();
    const upload = Promise.withResolvers<never>();
    const begun = Promise.withResolvers<void>();
    let blocks = false;
    const wrap = (store: ObjectStore): ObjectStore => ({
      ...store,
      put(key, body, options) {
        if (!blocks) return store.put(key, body, options);
        begun.resolve();
        return upload.promise;
      },
    });
    const labels: string[] = [];
    await using replica = await replicated(driver, { wrap, wrapLocal, at: (label) => void labels.push(label) });
    await replica.sync();
    blocks = true;
    await replica.app.commit();
    await replica.capture();
    const blocked = expect(replica.upload()).rejects.toThrow("no route");
    await begun.promise;
    await replica.app.commit();
    const snapshot = expect(replica.snapshot()).rejects.toThrow("no room for what leads to it");
    await vi.waitFor(() => expect(labels).toContain("snapshot begun"));
    await replica.capture(); // comes after the snapshot was read
    state.isFull = true;
    await replica.app.commit();
    await replica.capture();
    blocks = false;
    upload.reject(new Error("no route"));
    await blocked;
    await snapshot;
    expect(await rangesAt(replica.store, 9)).toEqual(["1-1"]);
  });

  it("waits for no bucket with the log in its hand: it is spooled to the volume", async () => {
    const { state, wrap } = switchable();
    await using replica = await replicated(driver, { wrap, pageSize: 512 });
    await replica.sync();
    state.away = true;
    await replica.app.commit(20, { payloadBytes: 40_000, keep: 5 });
    await expect(replica.snapshot()).rejects.toThrow("no route");
    await replica.app.commit(20, { payloadBytes: 40_000, keep: 5 });
    await replica.capture();
    const { frames, checkpointed } = replica.attached.walState();
    expect(checkpointed).toBe(frames); // nothing of ours keeps the log from being emptied
    expect(readdirSync(join(replica.stateDirectory, "ltx/9"))).toEqual([]);
  });
});
