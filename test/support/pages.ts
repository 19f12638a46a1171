// Compares two database files page by page.
// Source: https://sqlite.org/fileformat2.html, sections 1.3 and 1.5

/**
 * What differs, in words; empty where the two are the same database. A free page may be all zeros in `restored`:
 * SQLite never wrote it, and what stands there is left from an earlier use.
 */
export function differingPages(restored: Buffer, original: Buffer): readonly string[] {
  const pageSize = original.readUInt16BE(16) === 1 ? 65536 : original.readUInt16BE(16);
  if (restored.byteLength !== original.byteLength) {
    return [`${restored.byteLength / pageSize} pages were restored of ${original.byteLength / pageSize}`];
  }
  const free = freeLeaves(original, pageSize);
  const wrong: string[] = [];
  for (let page = 1; page <= original.byteLength / pageSize; page += 1) {
    const [a, b] = [restored, original].map((file) => file.subarray((page - 1) * pageSize, page * pageSize));
    if (a === undefined || b === undefined || a.equals(b)) continue;
    if (free.has(page) && a.every((byte) => byte === 0)) continue;
    wrong.push(`page ${page} differs${free.has(page) ? ", which is free" : ""}`);
  }
  return wrong;
}

/** Pages of the free list that hold nothing, not even a part of the list. */
export function freeLeaves(file: Buffer, pageSize: number): ReadonlySet<number> {
  const leaves = new Set<number>();
  for (let trunk = file.readUInt32BE(32); trunk !== 0; ) {
    const start = (trunk - 1) * pageSize;
    const count = file.readUInt32BE(start + 4);
    for (let i = 0; i < count; i += 1) leaves.add(file.readUInt32BE(start + 8 + i * 4));
    trunk = file.readUInt32BE(start);
  }
  return leaves;
}
