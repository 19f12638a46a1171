// What a replica holds, remembered: made from one listing, and kept up to date by whoever writes to it. So a
// running replicator asks for no list.

import { LEVELS, type LtxFileInfo, SNAPSHOT_LEVEL } from "./ltx/names.ts";
import { FIRST_TXID, laterTxid, NO_TXID, type Txid } from "./ltx/txid.ts";

export type Catalog = {
  /** A level's files, ordered by their last transaction. Not to be held: the next change may not show in it. */
  files(level: number): readonly LtxFileInfo[];
  /** Copies of the whole database, ordered in the same way. */
  snapshots(): readonly LtxFileInfo[];
  /** The level's file with the last transaction. */
  newest(level: number): LtxFileInfo | undefined;
  /** Last transaction at a level; 0 where it is empty. */
  reached(level: number): Txid;
  /** Last transaction at any level; 0 where there is none. */
  readonly lastTxid: Txid;
  /** Notes a file that was stored. It takes the place of one with the same key. */
  add(file: LtxFileInfo): void;
  /** Notes that files are gone; unknown ones are fine. */
  remove(files: Iterable<LtxFileInfo>): void;
  /** Calls at each change, until it is disposed. */
  onChange(listener: () => void): Disposable;
};

export function createCatalog(listed: Iterable<LtxFileInfo> = []): Catalog {
  const levels: LtxFileInfo[][] = LEVELS.map(() => []);
  const listeners = new Set<() => void>();
  const filesOf = (level: number): LtxFileInfo[] => {
    const files = levels[level];
    if (files === undefined) throw new RangeError(`no level: ${level}`);
    return files;
  };
  const tell = () => {
    for (const listener of listeners) listener();
  };
  for (const file of listed) filesOf(file.level).push(file);
  for (const files of levels) files.sort(byEnd);

  const catalog: Catalog = {
    files: filesOf,
    snapshots: () => filesOf(SNAPSHOT_LEVEL).filter(({ min }) => min === FIRST_TXID),
    newest: (level) => filesOf(level).at(-1),
    reached: (level) => catalog.newest(level)?.max ?? NO_TXID,
    get lastTxid() {
      return LEVELS.reduce<Txid>((last, level) => laterTxid(last, catalog.reached(level)), NO_TXID);
    },
    add(file) {
      const files = filesOf(file.level);
      let at = files.length; // nearly always it belongs there
      for (let before = files[at - 1]; before !== undefined && byEnd(before, file) > 0; before = files[at - 1]) at -= 1;
      const isThere = files[at - 1]?.key === file.key;
      files.splice(isThere ? at - 1 : at, isThere ? 1 : 0, file);
      tell();
    },
    remove(gone) {
      const keys = new Set<string>();
      for (const { key } of gone) keys.add(key);
      if (keys.size === 0) return;
      for (const [level, files] of levels.entries()) levels[level] = files.filter(({ key }) => !keys.has(key));
      tell();
    },
    onChange(listener) {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },
  };
  return catalog;
}

function byEnd(a: LtxFileInfo, b: LtxFileInfo): number {
  if (a.max !== b.max) return a.max < b.max ? -1 : 1;
  return a.min < b.min ? -1 : a.min > b.min ? 1 : 0;
}
