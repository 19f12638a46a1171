// Uploads in parts that were begun and never ended, as their process was killed: they are no objects, and are paid for.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html

import { type S3Client, wholeAnswer } from "./client.ts";
import type { HttpAnswer } from "./exchange.ts";
import { badAnswer, readXmlAnswer } from "./failure.ts";
import type { Query } from "./sign.ts";
import { childText } from "./xml.ts";

type Upload = { readonly key: string; readonly uploadId: string; readonly begunMs: number };

type Page = {
  readonly uploads: readonly Upload[];
  readonly next: { readonly key: string; readonly uploadId: string } | undefined;
};

/** Pages of a list at most: as many as a thousand left-overs a day make in three months. */
const MAX_PAGES = 100;

export type LeftOvers = {
  readonly what: string;
  /** Of whole keys. */
  readonly prefix: string;
  readonly signal: AbortSignal;
  /** Says of a whole key whether it is one of ours. */
  readonly isOurs: (key: string) => boolean;
  /** Those that were begun before, in milliseconds since the Unix epoch. */
  readonly beforeMs: number;
};

/** Aborts the uploads, and gives their number. What arrives of one that is still under way is refused then. */
export async function abortLeftOvers(
  client: S3Client,
  { what, prefix, signal, isOurs, beforeMs }: LeftOvers,
): Promise<number> {
  const old: Upload[] = [];
  let from: Page["next"];
  for (let count = 0; count < MAX_PAGES; count += 1) {
    const query = pageQuery(prefix, from);
    const page: Page = await client.call(
      { method: "GET", query },
      { what, signal, read: async (answer) => readPage(await wholeAnswer(answer)) },
    );
    const ours = ({ key, begunMs }: Upload) => key.startsWith(prefix) && isOurs(key) && begunMs < beforeMs;
    old.push(...page.uploads.filter(ours));
    from = page.next;
    if (from === undefined) break;
  }
  for (const { key, uploadId } of old) {
    await client.call<unknown>(
      { method: "DELETE", key, query: [["uploadId", uploadId]] },
      { what, signal, read: wholeAnswer, accept: ({ status }) => (status === 404 ? true : undefined) },
    );
  }
  return old.length;
}

function pageQuery(prefix: string, from: Page["next"]): Query {
  return [
    ["uploads", ""],
    ["encoding-type", "url"],
    ["prefix", prefix],
    ...(from === undefined
      ? []
      : ([
          ["key-marker", from.key],
          ["upload-id-marker", from.uploadId],
        ] as const)),
  ];
}

function readPage(answer: HttpAnswer): Page {
  const root = readXmlAnswer(answer);
  if (root.name !== "ListMultipartUploadsResult") throw badAnswer("an answer that is no list of uploads");
  const encoded = childText(root, "EncodingType") === "url";
  const decode = (text: string) => (encoded ? decodeURIComponent(text.replaceAll("+", " ")) : text);
  const uploads = root.children
    .filter(({ name }) => name === "Upload")
    .map((upload) => {
      const [key, uploadId] = [childText(upload, "Key"), childText(upload, "UploadId")];
      const begunMs = Date.parse(childText(upload, "Initiated") ?? "");
      if (key === undefined || uploadId === undefined || Number.isNaN(begunMs))
        throw badAnswer("a list of uploads without their names or times");
      return { key: decode(key), uploadId, begunMs };
    });
  if (childText(root, "IsTruncated") !== "true") return { uploads, next: undefined };
  const [key, uploadId] = [childText(root, "NextKeyMarker"), childText(root, "NextUploadIdMarker")];
  if (key === undefined || uploadId === undefined) throw badAnswer("a list that doesn't say how it goes on");
  return { uploads, next: { key: decode(key), uploadId } };
}
