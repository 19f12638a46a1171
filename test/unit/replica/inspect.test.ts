import { describe, expect, it } from "vitest";
import { claimReplica, hasHistory, IDENTITY_KEY, inspectReplica } from "../../../src/replica/inspect.ts";
import { LEVELS } from "../../../src/replica/ltx/names.ts";
import { createMemoryStore, type MemoryStore } from "../../support/memory-store.ts";
import { never } from "./support.ts";

const signal = never;

function storeWith(keys: Readonly<Record<string, string>>): MemoryStore {
  return createMemoryStore(
    Object.entries(keys).map(([key, text]) => [key, { bytes: new TextEncoder().encode(text), modifiedMs: 5 }]),
  );
}

const name = (min: number, max: number) =>
  `${[min, max].map((txid) => txid.toString(16).padStart(16, "0")).join("-")}.ltx`;

describe("inspectReplica", () => {
  it("finds nothing in an empty store", async () => {
    const content = await inspectReplica(storeWith({}), { signal });
    expect(content).toMatchObject({ files: [], databaseId: undefined, lastTxid: 0n });
    expect(hasHistory(content)).toBe(false);
  });

  it("finds the files of every level", async () => {
    const store = storeWith(Object.fromEntries(LEVELS.map((level) => [`ltx/${level}/${name(1, level + 1)}`, "x"])));
    const { files, lastTxid } = await inspectReplica(store, { signal });
    expect(files.map(({ level, max }) => [level, max])).toEqual(LEVELS.map((level) => [level, BigInt(level + 1)]));
    expect(files[0]).toMatchObject({ key: `ltx/0/${name(1, 1)}`, sizeBytes: 1, modifiedMs: 5, min: 1n });
    expect(lastTxid).toBe(10n);
  });

  it("takes the last transaction from whichever level has it", async () => {
    const files = { [`ltx/0/${name(3, 3)}`]: "", [`ltx/2/${name(1, 7)}`]: "", [`ltx/9/${name(1, 5)}`]: "" };
    expect((await inspectReplica(storeWith(files), { signal })).lastTxid).toBe(7n);
  });

  it("passes over what is no LTX file of a level", async () => {
    const others = ["ltx/0/readme.txt", `ltx/0/${name(1, 1)}.tmp`, `ltx/0/sub/${name(1, 1)}`, `ltx/10/${name(1, 1)}`];
    const store = storeWith(Object.fromEntries([...others, name(1, 1), "lock.json"].map((key) => [key, ""])));
    const content = await inspectReplica(store, { signal });
    expect(content).toMatchObject({ files: [], lastTxid: 0n });
    expect(hasHistory(content)).toBe(false);
  });

  it("is a history where Litestream 0.3 left one", async () => {
    const content = await inspectReplica(
      storeWith({ "generations/0123456789abcdef/snapshots/00000000.snapshot.lz4": "" }),
      { signal },
    );
    expect(content.files).toEqual([]);
    expect(hasHistory(content)).toBe(true);
  });

  it("reads whose history it is", async () => {
    const store = storeWith({ [IDENTITY_KEY]: '{"databaseId":"mine"}\n' });
    expect(await inspectReplica(store, { signal })).toMatchObject({ databaseId: "mine", files: [] });
  });

  it.each(["", "{", "[]", "null", '{"databaseId":7}', `{"databaseId":"${"x".repeat(5000)}"}`])(
    "refuses an identity that can't be read, rather than to take the replica for nobody's: %j",
    async (text) => {
      const failing = inspectReplica(storeWith({ [IDENTITY_KEY]: text }), { signal });
      await expect(failing).rejects.toMatchObject({ code: "E_REPLICA_CORRUPT" });
    },
  );

  it("never takes a failing store for an empty one", async () => {
    const error = new Error("403");
    const store = { ...storeWith({}), list: () => Promise.reject(error) };
    await expect(inspectReplica(store, { signal })).rejects.toBe(error);
  });
});

describe("claimReplica", () => {
  it("writes the identity of a replica that has none, once", async () => {
    const store = storeWith({});
    expect(await claimReplica(store, { databaseId: "first", signal })).toBe("first");
    expect(await claimReplica(store, { databaseId: "second", signal })).toBe("first");
    expect(await inspectReplica(store, { signal })).toMatchObject({ databaseId: "first" });
  });
});
