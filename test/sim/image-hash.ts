// A database's content as one word: two images have the same where SQLite can't tell them apart.

import { hash } from "node:crypto";
import { freeLeaves } from "../support/pages.ts";

/** Hashes the image, but for pages that hold nothing: what is left on them from an earlier use is nobody's. */
export function imageHash(image: Buffer): string {
  const pageSize = image.readUInt16BE(16) === 1 ? 65536 : image.readUInt16BE(16);
  for (const page of freeLeaves(image, pageSize)) image.fill(0, (page - 1) * pageSize, page * pageSize);
  return hash("sha1", image);
}
