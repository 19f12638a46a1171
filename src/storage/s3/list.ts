// ListObjectsV2: all pages of a list.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html

import { FlysqliteError } from "../../base/errors.ts";
import type { ObjectInfo } from "../store.ts";
import { type S3Client, wholeAnswer } from "./client.ts";
import { plainTag } from "./etag.ts";
import type { HttpAnswer } from "./exchange.ts";
import { badAnswer, readXmlAnswer } from "./failure.ts";
import { MAX_LISTED } from "./limits.ts";
import type { Query } from "./sign.ts";
import { child, childText, type Element } from "./xml.ts";

type Page = { readonly objects: readonly ObjectInfo[]; readonly next: string | undefined };

/** All objects whose whole keys begin with `prefix`; their keys are given whole, sorted, each once. */
export async function listAll(
  client: S3Client,
  { prefix, what, signal }: { readonly prefix: string; readonly what: string; readonly signal: AbortSignal },
): Promise<readonly ObjectInfo[]> {
  const found = new Map<string, ObjectInfo>();
  const seen = new Set<string>();
  let token: string | undefined;
  do {
    const page: Page = await client.call(
      { method: "GET", query: pageQuery({ prefix, token, pageKeys: client.limits.pageKeys }) },
      { what, signal, read: async (answer) => readPage(await wholeAnswer(answer), { prefix, seen }) },
    );
    // A page that overlaps the one before it, as on a bucket that changes meanwhile, tells the newer state.
    for (const object of page.objects) found.set(object.key, object);
    if (found.size > MAX_LISTED) {
      throw new FlysqliteError("E_REPLICA_UNREACHABLE", `${what}: it holds more than ${MAX_LISTED} objects`, {
        hint: "Give the replica a path of its own in the bucket",
      });
    }
    token = page.next;
    if (token !== undefined) seen.add(token);
  } while (token !== undefined);
  return [...found.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}

function pageQuery(told: {
  readonly prefix: string;
  readonly token: string | undefined;
  readonly pageKeys: number;
}): Query {
  return [
    ["list-type", "2"],
    ["encoding-type", "url"], // keys may hold characters that XML can't
    ["max-keys", String(told.pageKeys)],
    ["prefix", told.prefix],
    ...(told.token === undefined ? [] : [["continuation-token", told.token] as const]),
  ];
}

/** Fails on whatever isn't a whole page: taken for an empty one it would prove that no replica is there. */
function readPage(
  answer: HttpAnswer,
  { prefix, seen }: { readonly prefix: string; readonly seen: ReadonlySet<string> },
): Page {
  const root = readXmlAnswer(answer);
  if (root.name !== "ListBucketResult") throw badAnswer("an answer that is no list");
  const encoded = childText(root, "EncodingType") === "url";
  const objects = root.children
    .filter(({ name }) => name === "Contents")
    .map((contents) => readObject(contents, { encoded, prefix }));

  const truncated = childText(root, "IsTruncated");
  if (truncated === "false") return { objects, next: undefined };
  const next = childText(root, "NextContinuationToken");
  if (truncated !== "true" || next === undefined || next === "")
    throw badAnswer("a list that doesn't say how it goes on");
  if (seen.has(next)) throw badAnswer("a list that goes round in a circle");
  return { objects, next };
}

function readObject(
  contents: Element,
  { encoded, prefix }: { readonly encoded: boolean; readonly prefix: string },
): ObjectInfo {
  const text = child(contents, "Key")?.text;
  const size = childText(contents, "Size") ?? "";
  const modifiedMs = Date.parse(childText(contents, "LastModified") ?? "");
  const version = plainTag(childText(contents, "ETag"));
  const key = text === undefined ? undefined : encoded ? decodeKey(text) : text;
  if (key === undefined || !key.startsWith(prefix)) throw badAnswer("a list with a key that was not asked for");
  if (!/^\d{1,15}$/.test(size) || Number.isNaN(modifiedMs)) throw badAnswer("a list without sizes or times");
  return { key, sizeBytes: Number(size), modifiedMs, ...(version === undefined ? {} : { version }) };
}

/** In this encoding "+" stands for a space. */
function decodeKey(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return undefined;
  }
}
