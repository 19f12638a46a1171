// The bucket of a simulation, and the network before it: requests take their time, fail before or after they did
// something, arrive late, and outlive whoever sent them.

import type { Random } from "../../src/base/context.ts";
import { FlysqliteError } from "../../src/base/errors.ts";
import type { ObjectStore } from "../../src/storage/store.ts";
import { createMemoryStore, type MemoryStore } from "../support/memory-store.ts";
import type { Life } from "./life.ts";
import type { Timeline } from "./timeline.ts";

/** How often a request meets with what, each from 0 to 1; and how long it takes. */
export type Network = {
  readonly latencyMs: number;
  /** Fails without having done anything. */
  readonly lost: number;
  /** Does what it should, and its answer is lost. */
  readonly answerLost: number;
  /** A request whose sender has given up by the time when it arrives. */
  readonly late: number;
  /** A list, or a body that is read, breaks off. */
  readonly broken: number;
  /** Takes this many times as long. */
  readonly slow: number;
};

export const CALM: Network = { latencyMs: 8, lost: 0, answerLost: 0, late: 0, broken: 0, slow: 0 };

/** The longest time after which a late request arrives, in milliseconds. */
export const LATEST_MS = 20_000;

const SLOWNESS = 40;

export type Bucket = ReturnType<typeof createBucket>;

export function createBucket({
  timeline,
  random,
  network,
}: {
  readonly timeline: Timeline;
  readonly random: Random;
  /** The network as it is now; undefined while the bucket is away. */
  readonly network: () => Network | undefined;
}) {
  const memory: MemoryStore = createMemoryStore();
  const signal = new AbortController().signal;

  /** The store as one process sees it. It may be cut off from it while others are not. */
  function storeFor(life: Life, isCutOff: () => boolean = () => false): ObjectStore {
    const findNetwork = () => (isCutOff() ? undefined : network());
    const waysMs = ({ latencyMs, slow }: Network) => random.unit() * latencyMs * (random.unit() < slow ? SLOWNESS : 1);

    /** A way through the network, one way. */
    async function travel(given: AbortSignal): Promise<Network> {
      const found = findNetwork();
      await life.pass(waysMs(found ?? CALM));
      given.throwIfAborted();
      if (found === undefined) throw unreachable("connection refused");
      if (random.unit() < found.lost) throw unreachable("connection reset");
      return found;
    }

    /** A request. Once it is on its way it arrives, whatever becomes of its sender. */
    async function ask<Result>(given: AbortSignal, work: () => Promise<Result>): Promise<Result> {
      given.throwIfAborted();
      const found = findNetwork();
      const isLate = found !== undefined && random.unit() < found.late;
      if (found === undefined || (!isLate && random.unit() < found.lost)) {
        await life.pass(waysMs(found ?? CALM));
        given.throwIfAborted();
        throw unreachable(found === undefined ? "connection refused" : "connection reset");
      }
      const answer = Promise.withResolvers<Result>();
      answer.promise.catch(() => {}); // nobody may wait for it
      timeline.after(isLate ? random.unit() * LATEST_MS : waysMs(found), () =>
        work().then(answer.resolve, answer.reject),
      );
      if (isLate) {
        await life.pass(random.unit() * 2000);
        throw unreachable("timed out");
      }
      const result = await answer.promise;
      await travel(given);
      if (random.unit() < found.answerLost) throw unreachable("no answer");
      return result;
    }

    return {
      address: memory.address,
      levelDirectory: memory.levelDirectory,
      list: (prefix, options) => ask(options.signal, () => memory.list(prefix, { signal })),

      async get(key, options) {
        const chunks = await ask(options.signal, () => memory.get(key, { ...options, signal }));
        return chunks && download(chunks, options.signal);
      },

      async put(key, body, options) {
        await travel(options.signal);
        const chunks: Uint8Array[] = [];
        for await (const chunk of body) {
          chunks.push(chunk.slice());
          await life.pass(random.unit());
          options.signal.throwIfAborted();
        }
        return ask(options.signal, () => memory.put(key, chunks, { ...options, signal }));
      },

      readVersioned: (key, options) => ask(options.signal, () => memory.readVersioned(key, { signal })),
      replace: (key, bytes, options) => ask(options.signal, () => memory.replace(key, bytes, { ...options, signal })),
      delete: (key, options) => ask(options.signal, () => memory.delete(key, { signal })),
      deleteMany: (keys, options) => ask(options.signal, () => memory.deleteMany(keys, { signal })),
      sweep: (options) => ask(options.signal, () => memory.sweep(options)),
      exactTime: (object, options) => ask(options.signal, () => memory.exactTime(object, { signal })),
    };

    async function* download(chunks: AsyncIterable<Uint8Array>, given: AbortSignal): AsyncGenerator<Uint8Array> {
      for await (const chunk of chunks) {
        const { broken } = await travel(given);
        if (random.unit() < broken) throw unreachable("the body broke off");
        yield chunk;
      }
    }
  }

  return { memory, storeFor };
}

function unreachable(how: string): FlysqliteError {
  return new FlysqliteError("E_REPLICA_UNREACHABLE", `Cannot reach the bucket: ${how}`);
}
