// Where a replica in an S3 bucket is: urls, configuration keys and Fly's variables into one value. Pure.
// Sources: Litestream 0.5 (its url forms, and the key prefixes that it makes of them), https://fly.io/docs/tigris/,
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html

import { posix } from "node:path";
import { endpointOrigin, isLoopback, providerOf } from "./providers.ts";

export type S3Place = {
  readonly kind: "s3";
  readonly bucket: string;
  /**
   * What stands before "/" in every key, as Litestream 0.5 has it: "a/b", "." for a url without a path, "" for a
   * `bucket` key without a `path` key, and a `path` key as it is, slashes and all.
   */
  readonly prefix: string;
  /** Origin of the service, "https://fly.storage.tigris.dev"; undefined for AWS. */
  readonly endpoint: string | undefined;
  /** Undefined where the service has to tell it. */
  readonly region: string | undefined;
  /** The bucket is named by the url's path, not by its host. */
  readonly pathStyle: boolean;
  /** Allows `http:` to other hosts than this one. */
  readonly insecure: boolean;
};

/** The variables that are looked at: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION, AWS_DEFAULT_REGION, BUCKET_NAME. */
export type Environment = Readonly<Record<string, string | undefined>>;

export type S3Keys = {
  readonly bucket: string;
  /** Not cleaned: Litestream takes it as it is. */
  readonly path?: string;
  readonly endpoint?: string;
  readonly region?: string;
  readonly forcePathStyle?: boolean;
  readonly insecure?: boolean;
};

/** What a url may say after "?". Litestream knows the others too, but they would change what this store promises. */
const PARAMETERS = new Set(["endpoint", "region", "forcePathStyle", "force-path-style", "insecure"]);

/** Allowed in place of `skipVerify` and the like, which can only be refused. */
const REFUSED: Readonly<Record<string, string>> = {
  skipVerify: "certificates are always verified",
  "skip-verify": "certificates are always verified",
};

/** AWS's rule, with the upper case and underscores of old buckets. */
const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/;

const REGION = /^[a-z0-9][a-z0-9-]{0,62}$/;

/**
 * Reads "s3://bucket/path?endpoint=…&region=…&forcePathStyle=…", also with a provider's host in the bucket's place.
 * What the url leaves open comes from the environment. Throws an Error that says what is wrong, without the url.
 */
export function parseS3Url(text: string, environment: Environment = {}): S3Place {
  const { host, path, query } = splitUrl(text);
  for (const [name, value] of query) {
    if (REFUSED[name] !== undefined && value !== "false") throw new Error(`"${name}": ${REFUSED[name]}`);
    if (REFUSED[name] === undefined && !PARAMETERS.has(name))
      throw new Error(`"${name}" is none of ${[...PARAMETERS].join(", ")}`);
  }
  const named = parseHost(host);
  return makeS3Place(
    {
      bucket: named.bucket,
      path: cleanPath(path),
      ...defined({
        endpoint: query.get("endpoint") ?? named.endpoint,
        region: query.get("region") ?? named.region,
        forcePathStyle: parseFlag(query, "forcePathStyle", "force-path-style") ?? named.pathStyle,
        insecure: parseFlag(query, "insecure"),
      }),
    },
    environment,
  );
}

/** Fly's variables for a Tigris bucket; undefined where BUCKET_NAME isn't set. `path` is cleaned as a url's is. */
export function fromEnvironment(environment: Environment, { path }: { readonly path: string }): S3Place | undefined {
  const bucket = environment["BUCKET_NAME"];
  if (bucket === undefined) return undefined;
  return makeS3Place({ bucket, path: cleanPath(path) }, environment);
}

/** A place from single keys, such as those of litestream.yml. What they leave open comes from the environment. */
export function makeS3Place(keys: S3Keys, environment: Environment = {}): S3Place {
  const { bucket, path = "", insecure = false } = keys;
  if (!BUCKET.test(bucket) || bucket.includes("..")) throw new Error(`"${bucket}" can't be a bucket's name`);
  if (/\p{Cc}/u.test(path)) throw new Error("a path with a control character");
  const told =
    keys.endpoint ?? nonEmpty(environment["AWS_ENDPOINT_URL_S3"]) ?? nonEmpty(environment["AWS_ENDPOINT_URL"]);
  const endpoint = told === undefined ? undefined : endpointOrigin(told);
  const region =
    keys.region ?? nonEmpty(environment["AWS_REGION"]) ?? nonEmpty(environment["AWS_DEFAULT_REGION"]) ?? undefined;
  if (region !== undefined && !REGION.test(region)) throw new Error(`"${region}" can't be a region's name`);
  // A certificate for *.s3.region.amazonaws.com does not cover a dot in the bucket's name.
  const pathStyle = keys.forcePathStyle ?? (providerOf(endpoint).pathStyle || bucket.includes("."));
  return { kind: "s3", bucket, prefix: path, endpoint, region, pathStyle, insecure };
}

/**
 * What stands before "/" in the keys of Litestream 0.3's generations: it joins the parts of a path, and so cleans them,
 * where 0.5 puts them one behind the other. Differs from "<prefix>/generations" for what isn't clean. AWS's library in
 * it cuts a leading slash on top, so that it writes where it doesn't look: such a replica has snapshots only.
 */
export function generationsRoot({ prefix }: Pick<S3Place, "prefix">): string {
  return posix.join(prefix, GENERATIONS).replace(/^\//, "");
}

/** The directory of all that Litestream 0.3 keeps, below a replica's root. */
export const GENERATIONS = "generations";

/** "s3://bucket/path", with the endpoint where it isn't AWS: two services may have buckets of one name. */
export function s3Address({ bucket, prefix, endpoint }: S3Place): string {
  const path = prefix === "." ? "" : `/${prefix}`;
  return `s3://${bucket}${path}${endpoint === undefined ? "" : `?endpoint=${endpoint}`}`;
}

/** False where secrets and content would cross a network in the clear without the user's word for it. */
export function isProtected({ endpoint, insecure }: S3Place): boolean {
  return insecure || endpoint === undefined || endpoint.startsWith("https:") || isLoopback(new URL(endpoint).hostname);
}

export type RequestAddress = {
  readonly origin: string;
  /** For the Host header. */
  readonly host: string;
  /** What stands before the key in a request's path. */
  readonly root: string;
};

/** Where the requests for a bucket go. `region` matters for AWS, which has a host for each. */
export function requestAddress({ endpoint, bucket, pathStyle }: S3Place, region: string): RequestAddress {
  const domain = region.startsWith("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
  const url = new URL(endpoint ?? `https://s3.${region}.${domain}`);
  if (pathStyle) return { origin: url.origin, host: url.host, root: `/${bucket}/` };
  const host = `${bucket}.${url.host}`;
  return { origin: `${url.protocol}//${host}`, host, root: "/" };
}

/** Splits by hand: `new URL()` would take "." and ".." out of the path before they can be cleaned as Go does. */
function splitUrl(text: string): { readonly host: string; readonly path: string; readonly query: URLSearchParams } {
  const found = /^s3:\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?$/i.exec(text);
  if (found === null) throw new Error("it isn't of the form s3://bucket/path");
  const [, host = "", path = "", query = ""] = found;
  if (host.includes("@")) throw new Error("credentials don't belong into a url; set AWS_ACCESS_KEY_ID and so on");
  if (host.toLowerCase().startsWith("arn:")) throw new Error("access points are not supported; name the bucket");
  try {
    return { host, path: decodeURIComponent(path), query: new URLSearchParams(query) };
  } catch {
    throw new Error("its path has a % that stands for no character");
  }
}

/** "a/b" of "/a//b/", and "." of nothing: Litestream cleans a url's path and cuts one leading slash. */
function cleanPath(path: string): string {
  const cleaned = posix.normalize(path === "" ? "." : path).replace(/(?<=.)\/$/, "");
  return cleaned.replace(/^\//, "");
}

type Named = {
  readonly bucket: string;
  readonly region?: string;
  readonly endpoint?: string;
  readonly pathStyle?: boolean;
};

const HOSTS: readonly [RegExp, (region: string) => Omit<Named, "bucket">][] = [
  [/^(.+)\.s3[.-]([a-z0-9-]+)\.amazonaws\.com$/i, (region) => ({ region })],
  [/^(.+)\.s3()\.amazonaws\.com$/i, () => ({})],
  [
    /^(.+)\.([^.]+)\.digitaloceanspaces\.com$/i,
    (region) => ({ region, endpoint: `https://${region}.digitaloceanspaces.com`, pathStyle: false }),
  ],
  [
    /^(.+)\.s3\.([^.]+)\.backblazeb2\.com$/i,
    (region) => ({ region, endpoint: `https://s3.${region}.backblazeb2.com`, pathStyle: true }),
  ],
  [/^(.+)\.s3()\.filebase\.com$/i, () => ({ endpoint: "https://s3.filebase.com", pathStyle: true })],
  [
    /^(.+)\.s3\.([^.]+)\.scw\.cloud$/i,
    (region) => ({ region, endpoint: `https://s3.${region}.scw.cloud`, pathStyle: false }),
  ],
];

function parseHost(host: string): Named {
  for (const [pattern, rest] of HOSTS) {
    const [, bucket, region = ""] = pattern.exec(host) ?? [];
    if (bucket !== undefined) return { bucket, ...rest(region) };
  }
  // A server of one's own: bucket.host:port, without TLS. An address alone names no bucket.
  const [, bucket, authority] = /^(?!\d+\.\d+\.\d+\.\d+:)([^.:]+)\.(.+:\d+)$/.exec(host) ?? [];
  if (bucket !== undefined && authority !== undefined)
    return { bucket, endpoint: `http://${authority}`, pathStyle: true };
  return { bucket: host };
}

function parseFlag(query: URLSearchParams, ...names: readonly string[]): boolean | undefined {
  for (const name of names) {
    const text = query.get(name)?.toLowerCase();
    if (text === undefined) continue;
    if (["true", "1", "t", "yes"].includes(text)) return true;
    if (["false", "0", "f", "no"].includes(text)) return false;
    throw new Error(`"${name}" is neither true nor false`);
  }
  return undefined;
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}

type Defined<T> = { [Key in keyof T]?: Exclude<T[Key], undefined> };

/** Without the keys that have no value: they are not the same as absent ones. */
function defined<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, held]) => held !== undefined)) as Defined<T>;
}
