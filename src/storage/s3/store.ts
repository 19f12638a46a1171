// An object store in an S3 bucket, laid out as Litestream 0.5 does it.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html

import type { Clock, Random } from "../../base/context.ts";
import { FlysqliteError } from "../../base/errors.ts";
import type { Log } from "../../base/events.ts";
import type { ObjectStore } from "../store.ts";
import { createClient, wholeAnswer } from "./client.ts";
import type { CredentialsProvider } from "./credentials.ts";
import { deleteObject, deleteObjects } from "./delete.ts";
import { createAgent } from "./exchange.ts";
import { getObject, getVersioned } from "./get.ts";
import { abortLeftOvers } from "./left-overs.ts";
import { LIMITS, type Limits } from "./limits.ts";
import { listAll } from "./list.ts";
import { GENERATIONS, generationsRoot, isProtected, type S3Place, s3Address } from "./place.ts";
import { putObject, replaceObject } from "./put.ts";
import { TIME_HEADER } from "./target.ts";
import { parseTime } from "./time.ts";

export type S3Options = {
  readonly clock: Clock;
  readonly random: Random;
  readonly credentials: CredentialsProvider;
  readonly log?: Log | undefined;
  /** Certificates in PEM that are trusted in place of the usual ones. */
  readonly ca?: string | undefined;
  /** Other limits than the usual ones, for tests. */
  readonly limits?: Partial<Limits>;
};

/** Disposing closes the kept connections. They don't keep a process from ending. */
export type S3Store = ObjectStore & Disposable;

/**
 * Opens the store at `place`. Sends nothing before the first call. Throws E_CONFIG where content would cross a
 * network in the clear without the user's word for it.
 */
export function openS3Store(place: S3Place, { clock, random, credentials, log, ca, limits }: S3Options): S3Store {
  const address = s3Address(place);
  if (!isProtected(place)) {
    throw new FlysqliteError(
      "E_CONFIG",
      `Cannot use "${address}": over http anyone between here and there can read it`,
      {
        hint: "Name the endpoint with https://, or add insecure=true to the replica's url",
      },
    );
  }
  const agent = createAgent({ tls: place.endpoint?.startsWith("http:") !== true, ca });
  const client = createClient({ place, clock, random, credentials, agent, log, limits: { ...LIMITS, ...limits } });
  const root = `${place.prefix}/`;
  const generations = generationsRoot(place);
  const isApart = generations !== `${root}${GENERATIONS}`;
  const isOfGenerations = (key: string) => key.startsWith(`${GENERATIONS}/`);
  const whole = (key: string) =>
    isApart && isOfGenerations(key) ? `${generations}${key.slice(GENERATIONS.length)}` : `${root}${key}`;

  return {
    address,
    levelDirectory: (level) => level.toString(16).padStart(4, "0"),

    async list(prefix, { signal }) {
      const what = `Cannot list "${address}"`;
      const below = async (start: string, cut: string) =>
        (await listAll(client, { prefix: start, what, signal })).map((object) => ({
          ...object,
          key: object.key.slice(cut.length),
        }));
      if (!isApart) return below(whole(prefix), root);
      const apart = generations.slice(0, -GENERATIONS.length);
      if (isOfGenerations(prefix)) return below(whole(prefix), apart);
      const found = await below(whole(prefix), root);
      if (prefix !== "") return found;
      const all = [...found.filter(({ key }) => !isOfGenerations(key)), ...(await below(`${generations}/`, apart))];
      return all.sort((a, b) => (a.key < b.key ? -1 : 1));
    },

    get: (key, options) =>
      getObject(client, { ...options, key: whole(key), what: `Cannot read "${key}" of "${address}"` }),

    put: (key, body, options) =>
      putObject(client, body, { ...options, key: whole(key), what: `Cannot write "${key}" to "${address}"` }),

    readVersioned: (key, { signal }) =>
      getVersioned(client, { key: whole(key), what: `Cannot read "${key}" of "${address}"`, signal }),

    replace: (key, bytes, { version, signal }) =>
      replaceObject(client, bytes, {
        key: whole(key),
        what: `Cannot write "${key}" to "${address}"`,
        version,
        signal,
      }),

    delete: (key, { signal }) =>
      deleteObject(client, { key: whole(key), what: `Cannot delete "${key}" of "${address}"`, signal }),

    deleteMany: (keys, { signal }) =>
      deleteObjects(client, {
        keys: keys.map(whole),
        what: `Cannot delete ${keys.length} objects of "${address}"`,
        signal,
      }),

    sweep: ({ isOurs, ...options }) =>
      abortLeftOvers(client, {
        ...options,
        isOurs: (key) => isOurs(key.slice(root.length)),
        prefix: root,
        what: `Cannot abort what was left half-done in "${address}"`,
      }),

    exactTime: ({ key, modifiedMs }, { signal }) =>
      client.call<number>(
        { method: "HEAD", key: whole(key) },
        {
          what: `Cannot read the time of "${key}" of "${address}"`,
          signal,
          read: async (answer) => {
            const told = (await wholeAnswer(answer)).headers[TIME_HEADER];
            return (typeof told === "string" ? parseTime(told) : undefined) ?? modifiedMs;
          },
          // Gone since it was listed: reading it will tell.
          accept: ({ status }) => (status === 404 ? modifiedMs : undefined),
        },
      ),

    [Symbol.dispose]: () => agent.destroy(),
  };
}
