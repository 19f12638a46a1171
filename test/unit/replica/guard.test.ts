import { describe, expect, it } from "vitest";
import { FlysqliteError } from "../../../src/base/errors.ts";
import { readState } from "../../../src/replica/state.ts";
import type { ObjectStore } from "../../../src/storage/store.ts";
import { installedDriver } from "../../support/driver.ts";
import { chain, rangesAt, replicated } from "./support.ts";

const driver = await installedDriver();
const lost = new FlysqliteError("E_FENCED", "another machine has the lease");

/** A replica under a guard that a test commands, and in which order it was asked and written to. */
async function guarded() {
  const order: string[] = [];
  const rule = { refuse: () => false };
  const replica = await replicated(driver, {
    guard: async () => {
      order.push("guard");
      if (rule.refuse()) throw lost;
    },
    wrap: (store): ObjectStore => ({
      ...store,
      async put(key, ...rest) {
        order.push(`put ${key}`);
        return store.put(key, ...rest);
      },
    }),
  });
  return { replica, order, rule };
}

describe("replicating under a guard", () => {
  it("asks before each write, and again before what was written counts as stored", async () => {
    const { replica, order } = await guarded();
    await using _ = replica;
    await replica.sync();
    await replica.app.commit();
    await replica.sync();
    const puts = order.flatMap((step, at) => (step.startsWith("put ") ? [at] : []));
    expect(puts.length).toBe(4); // identity, the first transaction, its snapshot, the second transaction
    for (const at of puts) expect(order[at - 1], order.slice(0, at + 1).join(", ")).toBe("guard");
    for (const at of puts) if (order[at]?.startsWith("put ltx/0/")) expect(order[at + 1]).toBe("guard");
  });

  it("writes nothing where it is refused, and goes on where it is allowed again", async () => {
    const { replica, order, rule } = await guarded();
    await using _ = replica;
    rule.refuse = () => true;
    await replica.app.commit();
    await expect(replica.sync()).rejects.toBe(lost);
    expect(order.filter((step) => step !== "guard")).toEqual([]);
    expect(await replica.store.list("", { signal: new AbortController().signal })).toEqual([]);
    rule.refuse = () => false;
    const last = await replica.app.commit();
    await replica.sync();
    expect(await replica.judge()).toEqual({ n: last });
  });

  it("uploads what waited under a number each: a merge that came late would lead past what the next writer has", async () => {
    const { replica, order, rule } = await guarded();
    await using _ = replica;
    await replica.sync();
    rule.refuse = () => true;
    for (let round = 0; round < 5; round += 1) {
      await replica.app.commit();
      await expect(replica.sync()).rejects.toBe(lost);
    }
    rule.refuse = () => false;
    await replica.sync();
    expect(order.filter((step) => step.startsWith("put ltx/1/"))).toEqual([]);
    expect(await rangesAt(replica.store, 0)).toEqual(chain(6));
    expect(await replica.judge()).toEqual({ n: 5 });
  });

  it("does not count an upload that arrived when the lease was another's, and knows it again later", async () => {
    const { replica, order, rule } = await guarded();
    await using _ = replica;
    await replica.sync();
    await replica.app.commit();
    rule.refuse = () => order.at(-2) === "put ltx/0/0000000000000002-0000000000000002.ltx"; // right after it
    await expect(replica.sync()).rejects.toBe(lost);
    expect(replica.replicator.lastTxid).toBe(1n);
    expect(await rangesAt(replica.store, 0)).toEqual(chain(2));
    expect(readState(replica.stateDirectory)?.acked?.txid).toBe(1n);

    rule.refuse = () => false;
    const last = await replica.app.commit();
    await replica.sync();
    expect(await rangesAt(replica.store, 0)).toEqual(chain(3));
    expect(await replica.judge()).toEqual({ n: last });
    expect(replica.fullCopies).toHaveLength(1);
  });
});
