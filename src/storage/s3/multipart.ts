// Uploads in parts: begun, parts sent some at a time, completed, or aborted so that nothing is left to be paid for.
//
// Parts of a process that is killed stay in the bucket, which left-overs.ts sees to; they are no object.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html

import { FlysqliteError } from "../../base/errors.ts";
import type { Body } from "./body.ts";
import { type S3Client, wholeAnswer } from "./client.ts";
import { md5, md5Header, plainTag, quotedTag, tagOfParts } from "./etag.ts";
import { badAnswer, readXmlAnswer } from "./failure.ts";
import { MAX_PARTS } from "./limits.ts";
import { checkStored, refusal, type Target } from "./target.ts";
import { childText, escapeXml } from "./xml.ts";

type Part = { readonly number: number; readonly tag: string; readonly sizeBytes: number };

/** Longest time for the abort of an upload, in milliseconds. */
const ABORT_LIMIT_MS = 10_000;

/** After this many parts they get larger by one part size, so that 10,000 of them hold 275 GB. */
const PARTS_OF_ONE_SIZE = 1000;

/** True when stored, false where the condition does not hold. `first` is what was taken from the body before. */
export async function putParts(
  client: S3Client,
  { first, body }: { readonly first: Uint8Array<ArrayBuffer>; readonly body: Body },
  target: Target,
): Promise<boolean> {
  // Asked before gigabytes go up in vain; what counts is the condition of the last request.
  if ("if-none-match" in target.condition && (await head(client, target)) !== undefined) return false;

  const uploadId = await begin(client, target);
  try {
    const parts = await sendParts(client, { first, body, uploadId }, target);
    const stored = await complete(client, { parts, uploadId }, target);
    if (!stored) await abandon(client, uploadId, target);
    return stored;
  } catch (error) {
    const abandoned = abandon(client, uploadId, target);
    if (!target.signal.aborted) await abandoned; // else the caller is let go at once
    throw error;
  }
}

function begin(client: S3Client, { key, what, signal, description }: Target): Promise<string> {
  return client.call(
    { method: "POST", key, query: [["uploads", ""]], headers: description },
    {
      what,
      signal,
      read: async (answer) => {
        const root = readXmlAnswer(await wholeAnswer(answer));
        const uploadId = childText(root, "UploadId") ?? "";
        if (uploadId === "") throw badAnswer("an answer without an upload id");
        return uploadId;
      },
    },
  );
}

async function sendParts(
  client: S3Client,
  {
    first,
    body,
    uploadId,
  }: { readonly first: Uint8Array<ArrayBuffer>; readonly body: Body; readonly uploadId: string },
  target: Target,
): Promise<readonly Part[]> {
  const { provider, limits } = client;
  const parts: Part[] = [];
  const sending = new Set<Promise<void>>();
  const free: Uint8Array<ArrayBuffer>[] = []; // used again: memory is bounded without the garbage collector's help
  let failure: { readonly error: unknown } | undefined;
  const stop = new AbortController();
  const signal = AbortSignal.any([target.signal, stop.signal]);

  const send = (number: number, bytes: Uint8Array<ArrayBuffer>) => {
    const sent = putPart(client, { number, bytes, uploadId }, { ...target, signal })
      .then((part) => {
        parts.push(part);
        free.push(new Uint8Array(bytes.buffer));
      })
      .catch((error) => {
        failure ??= { error };
        stop.abort(error);
      })
      .finally(() => sending.delete(sent));
    sending.add(sent);
  };

  try {
    send(1, first);
    for (let number = 2; failure === undefined && !(await body.ended()); number += 1) {
      if (number > MAX_PARTS) throw new FlysqliteError("E_REPLICA_UNREACHABLE", `${target.what}: it is too large`);
      const growth = provider.equalParts ? 1 : 1 + Math.floor((number - 1) / PARTS_OF_ONE_SIZE);
      const sizeBytes = limits.partBytes * growth;
      if (sending.size >= provider.concurrency) await Promise.race(sending);
      const buffer = free.pop();
      const into = buffer !== undefined && buffer.byteLength === sizeBytes ? buffer : new Uint8Array(sizeBytes);
      const bytes = await body.take(sizeBytes, into);
      if (failure === undefined) send(number, bytes);
    }
    await Promise.all(sending);
  } catch (error) {
    failure ??= { error };
    stop.abort(error);
  }
  await Promise.allSettled(sending); // none may still write when the upload is aborted
  if (failure !== undefined) throw target.signal.aborted ? target.signal.reason : failure.error;
  return parts.sort((a, b) => a.number - b.number);
}

function putPart(
  client: S3Client,
  { number, bytes, uploadId }: { readonly number: number; readonly bytes: Uint8Array; readonly uploadId: string },
  { key, what, signal }: Target,
): Promise<Part> {
  const query = [["partNumber", String(number)] as const, ["uploadId", uploadId] as const];
  const digest = md5(bytes);
  return client.call(
    { method: "PUT", key, query, body: bytes, headers: md5Header(digest, client.provider) },
    {
      what: `${what}, part ${number}`,
      signal,
      read: async (answer) => ({
        number,
        tag: checkStored(await wholeAnswer(answer), digest),
        sizeBytes: bytes.byteLength,
      }),
    },
  );
}

/** Makes the object of its parts. Its answer may be an error although the status is 200. */
async function complete(
  client: S3Client,
  { parts, uploadId }: { readonly parts: readonly Part[]; readonly uploadId: string },
  target: Target,
): Promise<boolean> {
  const { key, what, signal, condition } = target;
  const expected = tagOfParts(parts.map(({ tag }) => tag));
  const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
  const listed = parts.map(({ number, tag }) => {
    return `<Part><PartNumber>${number}</PartNumber><ETag>${escapeXml(quotedTag(tag))}</ETag></Part>`;
  });
  const xml = `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${listed.join("")}</CompleteMultipartUpload>`;

  type Outcome = "stored" | "to be looked up" | "refused";
  const outcome = await client.call<Outcome>(
    {
      method: "POST",
      key,
      query: [["uploadId", uploadId]],
      headers: { "content-type": "application/xml", ...condition },
      body: new TextEncoder().encode(xml),
    },
    {
      what,
      signal,
      read: async (answer) => {
        const root = readXmlAnswer(await wholeAnswer(answer));
        // Servers differ in its name; what counts is looked up below.
        if (!/^CompleteMultipartUpload/.test(root.name)) throw badAnswer("an answer to something else");
        const tag = plainTag(childText(root, "ETag"));
        return tag !== undefined && tag === expected ? "stored" : "to be looked up";
      },
      accept: async (failure, tries) => {
        if (refusal(failure, target) === false) return "refused";
        // A try before this one had arrived: then the upload is no more, and the object is there.
        if (tries === 1 || failure.code !== "NoSuchUpload" || expected === undefined) return undefined;
        return (await head(client, target))?.tag === expected ? "stored" : undefined;
      },
    },
  );
  if (outcome !== "to be looked up") return outcome === "stored";

  // Not every service makes ETags as AWS does. Each part was checked; their sum is what is left to be.
  const found = await head(client, target);
  if (found?.sizeBytes === sizeBytes) return true;
  const size = found === undefined ? "is not there" : `has ${found.sizeBytes} bytes instead of ${sizeBytes}`;
  throw new FlysqliteError("E_REPLICA_UNREACHABLE", `${what}: the upload was completed, and the object ${size}`);
}

async function abandon(client: S3Client, uploadId: string, { key, what }: Target): Promise<void> {
  try {
    await client.call(
      { method: "DELETE", key, query: [["uploadId", uploadId]] },
      {
        what,
        signal: AbortSignal.timeout(ABORT_LIMIT_MS),
        read: wholeAnswer,
        accept: ({ status }) => (status === 404 ? { status, headers: {}, body: new Uint8Array() } : undefined),
      },
    );
  } catch {
    // What made us abort it is told; left-overs cost money, not data.
  }
}

/** Undefined where the object is absent. */
async function head(
  client: S3Client,
  { key, what, signal }: Pick<Target, "key" | "what" | "signal">,
): Promise<{ readonly tag: string | undefined; readonly sizeBytes: number } | undefined> {
  const found = await client.call<{ tag: string | undefined; sizeBytes: number } | "absent">(
    { method: "HEAD", key },
    {
      what,
      signal,
      read: async (answer) => {
        const { headers } = await wholeAnswer(answer);
        return { tag: plainTag(headers.etag), sizeBytes: Number(headers["content-length"]) };
      },
      accept: ({ status }) => (status === 404 ? "absent" : undefined),
    },
  );
  return found === "absent" ? undefined : found;
}
