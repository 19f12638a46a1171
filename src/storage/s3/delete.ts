// DeleteObject and DeleteObjects.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html

import { type S3Client, wholeAnswer } from "./client.ts";
import { md5, md5Header } from "./etag.ts";
import type { HttpAnswer } from "./exchange.ts";
import { badAnswer, readXmlAnswer, S3Failure } from "./failure.ts";
import { MAX_DELETED } from "./limits.ts";
import { childText, escapeXml } from "./xml.ts";

type Deletion = { readonly what: string; readonly signal: AbortSignal };

export async function deleteObject(client: S3Client, { key, what, signal }: Deletion & { readonly key: string }) {
  await client.call<unknown>(
    { method: "DELETE", key },
    { what, signal, read: wholeAnswer, accept: ({ code }) => (code === "NoSuchKey" ? true : undefined) },
  );
}

/** Deletes whole keys, as many a request as may be. Throws with the first that could not be deleted. */
export async function deleteObjects(
  client: S3Client,
  { keys, what, signal }: Deletion & { readonly keys: readonly string[] },
): Promise<void> {
  const batch = keys.filter(fitsXml);
  for (let start = 0; start < batch.length; start += MAX_DELETED) {
    const some = batch.slice(start, start + MAX_DELETED);
    // Some services know no batches.
    if (!(await deleteBatch(client, { keys: some, what, signal })))
      for (const key of some) await deleteObject(client, { key, what, signal });
  }
  for (const key of keys) if (!fitsXml(key)) await deleteObject(client, { key, what, signal });
}

/** False where the service knows no such request. A batch that failed in part is sent again: absent is fine. */
function deleteBatch(
  client: S3Client,
  { keys, what, signal }: Deletion & { readonly keys: readonly string[] },
): Promise<boolean> {
  const objects = keys.map((key) => `<Object><Key>${escapeXml(key)}</Key></Object>`);
  const xml = `<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>${objects.join("")}</Delete>`;
  const body = new TextEncoder().encode(xml);
  return client.call<boolean>(
    {
      method: "POST",
      query: [["delete", ""]],
      headers: {
        "content-type": "application/xml",
        ...md5Header(md5(body), client.provider),
      },
      body,
    },
    {
      what,
      signal,
      read: async (answer) => {
        readDeleted(await wholeAnswer(answer));
        return true;
      },
      accept: ({ status }) => (status === 501 ? false : undefined),
    },
  );
}

/** Throws with the first key that could not be deleted. */
function readDeleted(answer: HttpAnswer): void {
  const root = readXmlAnswer(answer);
  if (root.name !== "DeleteResult") throw badAnswer("an answer to something else");
  const failed = root.children.find((found) => found.name === "Error" && childText(found, "Code") !== "NoSuchKey");
  if (failed === undefined) return;
  const code = childText(failed, "Code") ?? "";
  throw new S3Failure(`${code} for "${childText(failed, "Key")}"`, {
    code,
    status: answer.status,
    retryable: RETRIED.has(code),
  });
}

const RETRIED = new Set(["InternalError", "SlowDown", "ServiceUnavailable", "OperationAborted"]);

/** XML 1.0 has no way to write most control characters; the few others are rare enough to go the same way. */
function fitsXml(key: string): boolean {
  return !/[\p{Cc}\ufffe\uffff]/u.test(key);
}
