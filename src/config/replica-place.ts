// Where a replica is, as urls, litestream.yml's keys and Fly's variables say it. Pure. Errors are plain ones that
// say what is wrong; whoever calls adds where it was said.

import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Credentials } from "../storage/s3/credentials.ts";
import { fromEnvironment, isProtected, makeS3Place, parseS3Url, type S3Place } from "../storage/s3/place.ts";

export type ReplicaPlace =
  | {
      readonly kind: "file";
      /** The replica's root, absolute. */
      readonly path: string;
    }
  | {
      readonly kind: "s3";
      readonly place: S3Place;
      /** Keys from litestream.yml; undefined where the environment has them. */
      readonly credentials: Credentials | undefined;
      /** True where only the bucket was told, and the path in it follows from the database's name. */
      readonly pathByName: boolean;
    };

/** A replica's keys in litestream.yml, as text. */
export type ReplicaKeys = {
  readonly [key in (typeof REPLICA_KEYS_FOLLOWED)[number]]?: string | undefined;
};

export const REPLICA_KEYS_FOLLOWED = [
  "url",
  "type",
  "path",
  "bucket",
  "endpoint",
  "region",
  "force-path-style",
  "skip-verify",
  "access-key-id",
  "secret-access-key",
] as const;

/** Together with BUCKET_NAME these are what Fly sets for a Tigris bucket. */
const BUCKET_COMPANIONS = ["AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];

type Surroundings = { readonly workingDirectory: string; readonly environment: NodeJS.ProcessEnv };

/** Reads a replica's url: `file:///…`, a path, or `s3://…`. "none" says that there is none on purpose. */
export function parseReplicaUrl(text: string, { workingDirectory, environment }: Surroundings): ReplicaPlace | "none" {
  if (text === "none") return "none";
  if (/^s3:/i.test(text)) return s3Replica(parseS3Url(text, environment));
  const scheme = /^[a-z0-9+.-]+:/i.exec(text)?.[0];
  // Never the whole text: the url of another kind of replica may have a password in it.
  if (scheme !== undefined && scheme !== "file:")
    throw new Error(`a replica at "${scheme}": there are file:// and s3://`);
  const path = text.startsWith("file://") ? fileURLToPath(text) : text.replace(/^file:/, "");
  if (path.trim() === "") throw new Error("it is empty");
  return filePlace(resolve(workingDirectory, path));
}

/**
 * The place that a replica's keys in litestream.yml mean. As Litestream has it, a url goes without path and bucket,
 * its other parts are overruled by keys of their own, and a replica without url and type is a file's.
 */
export function placeFromKeys(keys: ReplicaKeys, { workingDirectory, environment }: Surroundings): ReplicaPlace {
  const { url, type, path, bucket } = keys;
  if (readFlag(keys, "skip-verify") === true) throw new Error('"skip-verify": certificates are always verified');
  if (url !== undefined) {
    if (path !== undefined) throw new Error('"url" and "path" don\'t go together');
    const kind = /^s3:/i.test(url) ? "s3" : "file";
    if (kind === "s3" && bucket !== undefined) throw new Error('"url" and "bucket" don\'t go together');
    const place =
      kind === "s3"
        ? s3FromKeys(keys, { told: parseS3Url(url, environment), environment })
        : parseReplicaUrl(url, { workingDirectory, environment });
    if (place === "none") throw new Error('"none" is no url; FLYSQLITE_REPLICA=none says that no replica is meant');
    if (type !== undefined && type !== kind) throw new Error(`"type" says "${type}", and "url" leads to ${kind}`);
    return place;
  }
  if (type === "s3") return s3FromKeys(keys, { told: undefined, environment });
  if (type !== undefined && type !== "file") throw new Error(`a replica of type "${type}": there are file and s3`);
  // Litestream would write to the path as a file's. Nobody who names a bucket means that.
  if (type === undefined && bucket !== undefined)
    throw new Error('"bucket" without "type": say type: s3, or type: file');
  if (path === undefined || path.trim() === "") throw new Error('a replica without a "url" or a "path"');
  if (/^\w+:\/\//.test(path)) throw new Error('"path" is a url; say it as "url"');
  return filePlace(resolve(workingDirectory, path));
}

/** `told` is what the url says; of the keys, those that are there go before it. */
function s3FromKeys(
  keys: ReplicaKeys,
  { told, environment }: { readonly told: S3Place | undefined; readonly environment: NodeJS.ProcessEnv },
): ReplicaPlace {
  const bucket = told?.bucket ?? keys.bucket;
  if (bucket === undefined) throw new Error('an s3 replica without a "bucket"');
  const path = told?.prefix ?? keys.path;
  const endpoint = keys.endpoint ?? told?.endpoint;
  const region = keys.region ?? told?.region;
  const pathStyle = readFlag(keys, "force-path-style") ?? (keys.endpoint === undefined ? told?.pathStyle : undefined);
  const place = makeS3Place(
    {
      bucket,
      ...(path === undefined ? {} : { path }),
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(region === undefined ? {} : { region }),
      ...(pathStyle === undefined ? {} : { forcePathStyle: pathStyle }),
      ...(told === undefined ? {} : { insecure: told.insecure }),
    },
    environment,
  );
  return { ...s3Replica(place), credentials: credentialsOf(keys) };
}

/**
 * The bucket that Fly's variables name; undefined where they name none. A bucket's name that got lost is an error:
 * it would turn a lost volume into an empty production database.
 */
export function placeFromFly(environment: NodeJS.ProcessEnv): ReplicaPlace | undefined {
  const place = fromEnvironment(environment, { path: "" });
  if (place !== undefined) return { ...s3Replica(place), pathByName: true };
  if (!BUCKET_COMPANIONS.every((name) => environment[name] !== undefined)) return undefined;
  throw new Error(
    `not set, while ${BUCKET_COMPANIONS.join(", ")} are; set it, or FLYSQLITE_REPLICA=none where no replica is meant`,
  );
}

/** The same place with its path known: what fly-apps' generator writes to litestream.yml. */
export function withPathByName(replica: ReplicaPlace, databaseFileName: string): ReplicaPlace {
  if (replica.kind !== "s3" || !replica.pathByName) return replica;
  return { ...replica, place: { ...replica.place, prefix: `litestream/${databaseFileName}` }, pathByName: false };
}

function s3Replica(place: S3Place): Extract<ReplicaPlace, { kind: "s3" }> {
  if (!isProtected(place)) {
    throw new Error(
      `${place.endpoint}: http only to this machine; other hosts need https, or insecure=true in the url`,
    );
  }
  return { kind: "s3", place, credentials: undefined, pathByName: false };
}

/** Retention deletes below a replica's root, so a whole file system is never one. */
function filePlace(path: string): ReplicaPlace {
  if (path === "/") throw new Error("a replica can't be the whole file system");
  return { kind: "file", path };
}

function credentialsOf(keys: ReplicaKeys): Credentials | undefined {
  const accessKeyId = keys["access-key-id"];
  const secretAccessKey = keys["secret-access-key"];
  if (accessKeyId === undefined && secretAccessKey === undefined) return undefined;
  if (!accessKeyId || !secretAccessKey) throw new Error("access-key-id and secret-access-key go together");
  return { accessKeyId, secretAccessKey };
}

function readFlag(keys: ReplicaKeys, name: "force-path-style" | "skip-verify"): boolean | undefined {
  const text = keys[name]?.toLowerCase();
  if (text === undefined) return undefined;
  if (text === "true") return true;
  if (text === "false") return false;
  throw new Error(`"${name}" is neither true nor false`);
}
