// Bugs that could be in the sources, each with the test that must notice it: scripts/mutants.ts plants them one at a time.

export type Mutant = {
  readonly bug: string;
  readonly file: string;
  /** What stands there once, and what stands there instead. */
  readonly edits: readonly (readonly [string, string])[];
  /** The test file that notices. */
  readonly test: string;
  /** Of that file, only the tests whose names contain this. */
  readonly only?: string;
};

const ATTACHED = { file: "src/sqlite/attached.ts", test: "test/unit/sqlite/attached.test.ts" } as const;
const READ = { file: "src/sqlite/wal/read.ts", test: "test/unit/sqlite/wal/read.test.ts" } as const;
const SHIPMENT = { file: "src/replica/shipment.ts", test: "test/unit/replica/shipment.test.ts" } as const;
const REPLICATOR = { file: "src/replica/replicator.ts", test: "test/unit/replica/replicator.test.ts" } as const;
const CAPTURE = { file: "src/replica/capture.ts", test: "test/unit/replica/replicator.test.ts" } as const;
const FOLLOW = { file: "src/replica/follow.ts", test: "test/unit/replica/follow.test.ts" } as const;
const LEVELS = { file: "src/replica/levels.ts", test: "test/unit/replica/levels.test.ts" } as const;
const RETENTION = { file: "src/replica/retention.ts", test: "test/unit/replica/retention.test.ts" } as const;
const COMPACT = { file: "src/replica/compact.ts", test: "test/unit/replica/compact.test.ts" } as const;
const KEEP_LEVELS = { file: "src/replica/keep-levels.ts", test: "test/unit/replica/keep-levels.test.ts" } as const;
const SUPERVISOR = "test/unit/supervisor/supervisor.test.ts";
const TABLE = "test/unit/supervisor/table.test.ts";
const WRITER = { file: "src/cli/line-writer.ts", test: "test/unit/cli/line-writer.test.ts" } as const;
const POINT = { file: "src/sqlite/restore-point.ts", test: "test/unit/sqlite/restore-point.test.ts" } as const;
const RESTORE = { file: "src/replica/restore-to.ts", test: "test/unit/replica/restore.test.ts" } as const;

const HOLD = { file: "src/replica/lease/hold.ts", test: "test/unit/replica/lease/hold.test.ts" } as const;
const LEASE_RULES = { file: "src/replica/lease/rules.ts", test: "test/unit/replica/lease/rules.test.ts" } as const;
const SAFETY = { test: "test/unit/replica/lease/safety.test.ts" } as const;
const GIVEN_UP = { file: "src/replica/memory.ts", test: "test/unit/replica/given-up.test.ts" } as const;
const INTERLEAVINGS = { file: "src/sqlite/attached.ts", test: "test/unit/replica/interleavings.test.ts" } as const;
const COPY = { file: "src/plan/copy.ts", test: "test/unit/plan/copy.test.ts" } as const;

export const MUTANTS: readonly Mutant[] = [
  {
    ...ATTACHED,
    bug: "no write lock while the log is sealed",
    edits: [['held.exec("BEGIN IMMEDIATE");', 'held.exec("BEGIN");']],
  },
  {
    ...ATTACHED,
    bug: "the old reader ends before the next begins",
    edits: [
      [
        "beginRead(spare);\n      try {",
        'reader.exec("ROLLBACK");\n      beginRead(reader);\n      beginRead(spare);\n      try {',
      ],
    ],
  },
  {
    ...ATTACHED,
    bug: "any change of the salts is accepted",
    edits: [["header.salts[0] !== (inLog.header.salts[0] + 1) >>> 0", "inLog.header.pageSize === undefined"]],
  },
  {
    ...ATTACHED,
    bug: "a restart is accepted though the log was not sealed",
    edits: [['if (!sealed) return "the log was restarted before it was copied";', ""]],
  },
  {
    ...ATTACHED,
    bug: "the log is read to its file's end, and not to mxFrame",
    edits: [
      [
        "const frames = Math.min(all, most);",
        "const frames = Math.min(file && all > 0 ? Math.floor((fstatSync(file).size - 32) / (24 + pageSize)) : 0, most);",
      ],
    ],
    only: "reads no further than SQLite says",
  },
  {
    ...ATTACHED,
    bug: "what is committed before the seal is not copied",
    edits: [["if (!copy()) return undefined;", ""]],
  },
  {
    ...ATTACHED,
    bug: "no reader begins after a seal whose checkpoint failed",
    edits: [["} finally {\n          holdAgain();\n        }", "} finally {\n        }\n        holdAgain();"]],
  },
  {
    ...ATTACHED,
    bug: "a seal gives up at once while the app's own checkpoint is under way",
    edits: [["const SEAL_TRIES = 100;", "const SEAL_TRIES = 1;"]],
    only: "sealedCheckpoint",
  },
  {
    ...ATTACHED,
    bug: "pages are read from a log that the next writer may overwrite",
    edits: [["if (isCheckpointed) return readPage(", "if (isCheckpointed && pageSize === 0) return readPage("]],
  },
  {
    ...ATTACHED,
    bug: "a snapshot takes nothing from the log",
    edits: [
      [
        "const inWal = sealedThen ? undefined : overlay?.changes.pages;",
        "const inWal = new Map<PageNumber, number>();",
      ],
    ],
    only: "snapshot",
  },
  {
    ...ATTACHED,
    bug: "a snapshot reads from a log that the next writer may overwrite",
    edits: [["sealedThen ? undefined : overlay?.changes.pages;", "overlay?.changes.pages;"]],
    only: "snapshot",
  },
  {
    ...ATTACHED,
    bug: "a snapshot does not look whether a commit got in between",
    edits: [
      [
        "if (begun.frames === frames && logSalts() === salts) return begun;",
        "if (begun.frames >= 0 || salts === frames.toString()) return begun;",
      ],
    ],
  },
  {
    ...ATTACHED,
    bug: "a damaged header counts as an empty log",
    edits: [['throw new WalMismatch("the log has no sound header")', "return undefined as unknown as WalChanges"]],
  },
  {
    ...ATTACHED,
    bug: "a snapshot that fails leaves its reader open",
    edits: [["view.close(); // or", "// or"]],
    only: "snapshot",
  },
  {
    ...ATTACHED,
    bug: "the log is resumed by its length alone",
    edits: [["frames >= from.frame && isStillAt(from)", "frames >= from.frame && (frames > 0 || isStillAt(from))"]],
    only: "resume",
  },
  {
    ...ATTACHED,
    bug: "a file is resumed whatever was written to it",
    edits: [["frames === 0 && sameStamp(from, stamp(database))", "frames === 0"]],
    only: "resume",
  },
  {
    ...ATTACHED,
    bug: "another file in the database's place goes unnoticed",
    edits: [["return found.ino === held.ino && found.dev === held.dev;", "return found.dev === held.dev;"]],
    only: "isStillThere",
  },
  {
    ...READ,
    bug: "the running checksum is not looked at",
    edits: [
      ["if (s0 !== found.checksum[0] || s1 !== found.checksum[1]) {", "if (s0 === undefined || s1 === undefined) {"],
    ],
  },
  {
    ...READ,
    bug: "the frames' salts are not looked at",
    edits: [["if (!sameSalts(found.salts, header.salts)) throw", "if (found.salts.length !== 2) throw"]],
  },
  {
    ...READ,
    bug: "a part of a transaction is taken for a whole one",
    edits: [["if (inTransaction.length > 0 || commitSize === 0) throw", "if (commitSize === 0) throw"]],
  },
  {
    ...READ,
    bug: "pages above the end of a shrunken database are kept",
    edits: [["if (found.commitSize < commitSize) forgetAbove(pages, found.commitSize);", ""]],
  },
  {
    ...READ,
    bug: "a last frame that was overwritten counts as the same",
    edits: [
      ["checksum[0] === position.checksum[0] &&\n    checksum[1] === position.checksum[1]", "checksum.length === 2"],
    ],
  },
  {
    ...SHIPMENT,
    bug: "new pages that nobody wrote are left out",
    edits: [["for (let page = sizeBefore + 1; page <= sizeAfter; page += 1) pages.add(page as PageNumber);", ""]],
  },
  {
    ...SHIPMENT,
    bug: "a database that shrank and grew again is taken for one that did not",
    edits: [["Math.min(previous.pageCount, changes.smallestCommitSize)", "previous.pageCount"]],
  },
  {
    ...SHIPMENT,
    bug: "the page of the file locks is shipped",
    edits: [["pages.delete(lockPage(pageSize));", ""]],
  },
  {
    ...SHIPMENT,
    file: "src/sqlite/page.ts",
    bug: "the lock page is reckoned for pages of 4096 bytes only",
    edits: [
      [
        "toPageNumber(LOCK_BYTE / pageSize + 1)",
        "toPageNumber(LOCK_BYTE / Math.max(4096, Math.min(4096, pageSize)) + 1)",
      ],
    ],
  },
  {
    ...REPLICATOR,
    file: "src/replica/upload.ts",
    bug: "moves on before the store has answered",
    edits: [["if (!(await store.put(key,", "replicated = txid;\n    if (!(await store.put(key,"]],
    only: "a store that fails",
  },
  {
    ...REPLICATOR,
    file: "src/replica/memory.ts",
    bug: "what is under way is not noted before it is uploaded",
    edits: [["positions.delete(known);\n      await write();", "positions.delete(known);"]],
    only: "a start on a volume",
  },
  {
    ...REPLICATOR,
    file: "src/replica/upload.ts",
    bug: "whatever stands under our name counts as our own",
    edits: [
      [
        "if (stored !== undefined && (await sameBytes(stored, toAsync(body)))) return;",
        "if (stored !== undefined) return;",
      ],
    ],
    only: "a store that fails",
  },
  {
    ...REPLICATOR,
    file: "src/replica/upload.ts",
    bug: "nothing under our name counts as our own",
    edits: [["if (stored !== undefined && (await sameBytes(stored, toAsync(body)))) return;", ""]],
    only: "a store that fails",
  },
  {
    ...REPLICATOR,
    file: "src/replica/same-bytes.ts",
    bug: "a longer file that begins like ours counts as our own",
    edits: [["mine.byteLength === theirs.byteLength", "mine.byteLength >= theirs.byteLength"]],
    only: "a store that fails",
  },
  {
    ...REPLICATOR,
    bug: "a sync goes on as long as the app commits",
    edits: [
      [
        "const files = await upload(signal);\n      if",
        "let files = await upload(signal);\n      while (await capture(signal)) files += await upload(signal);\n      if",
      ],
    ],
    only: "sync",
  },
  {
    ...CAPTURE,
    bug: "a broken log is passed over in silence",
    edits: [
      [
        'if (found.kind === "broken") await copyWhole(found.reason, signal);',
        'if (found.kind === "broken") return false;',
      ],
    ],
    only: "breaks off",
  },
  {
    ...CAPTURE,
    bug: "the tail is read from the log after the seal",
    edits: [["unstaged = { ...shipment, body: () => bytes };", "unstaged = bytes.length > 0 ? shipment : shipment;"]],
    only: "a log that writers keep long",
  },
  {
    ...CAPTURE,
    bug: "the log is sealed though it could not be copied",
    edits: [
      ['if (found.kind !== "changes") return found.kind === "nothing";', 'if (found.kind !== "changes") return true;'],
    ],
    only: "a log that writers keep long",
  },
  {
    ...CAPTURE,
    bug: "our hold stays where it was when the log was checkpointed",
    edits: [["attached.checkpoint();\n      await moveOn(signal);", "attached.checkpoint();"]],
    only: "the log",
  },
  {
    ...CAPTURE,
    bug: "our hold stays on the start of a log that was emptied",
    edits: [["if (attached.isSealed && isAtLeast(MOVE_FROM, uncaptured)) return true;", ""]],
    only: "the log",
  },
  {
    file: "src/replica/inspect.ts",
    test: "test/unit/replica/inspect.test.ts",
    bug: "only level 0 is listed",
    edits: [["for (const level of LEVELS) {", "for (const level of LEVELS.slice(0, 1)) {"]],
  },
  {
    ...RESTORE,
    file: "src/replica/ltx/plan.ts",
    bug: "a hole in the history is not noticed",
    edits: [
      [
        "if (beyond !== undefined && !all.some((file) => fills(file, reached, beyond))) throw hole(reached, beyond);",
        "",
      ],
    ],
  },
  {
    ...RESTORE,
    file: "src/replica/ltx/apply.ts",
    bug: "a missing page is not noticed",
    edits: [["if (missing !== undefined) {", "if (missing === 0) {"]],
  },
  {
    ...RESTORE,
    file: "src/replica/ltx/apply.ts",
    bug: "pages from before a shrinking show through",
    test: "test/unit/replica/restore-to.test.ts",
    edits: [["page > smallestPageCount || written.has(page)", "written.has(page)"]],
  },
  {
    ...RESTORE,
    bug: "a log that a killed restore left is replayed",
    edits: [['for (const suffix of ["", ...SIDE_FILE_SUFFIXES]) await rm', 'for (const suffix of [""]) await rm']],
  },
  {
    ...RESTORE,
    bug: "a database is written over",
    test: "test/unit/replica/restore-to.test.ts",
    edits: [
      ["await requireAbsent(target);\n  const temporary", "const temporary"],
      ["await requireAbsent(target);\n    await rename", "await rename"],
    ],
  },
  {
    file: "src/base/sealed.ts",
    test: "test/unit/replica/state.test.ts",
    bug: "a damaged state is taken for a sound one",
    edits: [["return text === seal(json) ?", "return text.length === seal(json).length ?"]],
  },
  {
    ...FOLLOW,
    bug: "captures keep no interval",
    edits: [
      ["const endMs = startedMs + captureInterval(syncIntervalMs, awayMs);", "const endMs = startedMs + awayMs * 0;"],
    ],
    only: "keeps the interval between two captures",
  },
  {
    ...FOLLOW,
    bug: "what was not captured while the replica was away waits for its interval",
    edits: [['changes.ring("hurry"); // for', "// for"]],
    only: "captures less often while the replica is away",
  },
  {
    ...FOLLOW,
    bug: "captures wait for the interval's end, however fast the log grows",
    edits: [["if (replicator.isCaptureDue) return true;", ""]],
    only: "captures ahead of the interval",
  },
  {
    ...FOLLOW,
    bug: "uploads keep no interval",
    edits: [["earliestMs = startedMs + syncIntervalMs;", "earliestMs = startedMs;"]],
    only: "keeps the interval between two uploads",
  },
  {
    ...LEVELS,
    bug: "a level goes on behind a hole as if there were none",
    edits: [["if (first.min > start) return bridge(", "if (first.min > start && upTo < 0n) return bridge("]],
  },
  {
    ...LEVELS,
    bug: "a bridge ends within a file of the level below",
    edits: [
      ["next !== undefined && next.min <= copy.max ? [copy, next] : [copy]", "next === copy ? [copy, next] : [copy]"],
    ],
  },
  {
    ...LEVELS,
    bug: "a level is bridged farther than the level below has come",
    edits: [['if (!ahead.some(({ max }) => max >= copy.max)) return { kind: "nothing" };', ""]],
  },
  {
    ...RETENTION,
    bug: "the newest upload is deleted",
    edits: [["catalog.files(SYNC_LEVEL).slice(0, -1)", "catalog.files(SYNC_LEVEL).slice(0)"]],
    only: "expireUploads",
  },
  {
    ...RETENTION,
    bug: "uploads are deleted that no merge holds",
    edits: [["if (holder === undefined && !isRepeated(upload, snapshots)) continue;", ""]],
    only: "expireUploads",
  },
  {
    ...RETENTION,
    bug: "uploads of one merge are deleted one by one",
    edits: [["groupEnd = holder?.max ?? upload.max;", "groupEnd = upload.max;"]],
    only: "expireUploads",
  },
  {
    ...RETENTION,
    bug: "the snapshot is deleted that promised points begin with",
    edits: [["[...snapshots.slice(0, oldest - 1)]", "[...snapshots.slice(0, oldest)]"]],
  },
  {
    ...RETENTION,
    bug: "files are deleted up to the oldest snapshot that is kept by its age",
    edits: [["const floor = snapshots[oldest - 1]?.max", "const floor = snapshots[oldest]?.max"]],
  },
  {
    ...RETENTION,
    bug: "a restore that is under way loses its files",
    edits: [["settings.snapshotRetentionMs - GRACE_MS", "settings.snapshotRetentionMs"]],
    only: "all deletions of a life",
  },
  {
    ...RETENTION,
    bug: "what the level above lacks is deleted",
    edits: [["(held === undefined || file.max <= held)) expired", "(held === undefined || file.max > 0n)) expired"]],
  },
  {
    ...COMPACT,
    bug: "whatever stands under a merged file's name counts as our own",
    edits: [
      [
        "if (await sameBytes(counted({ chunks: stored }, count), merged.chunks)) return count.bytes;",
        "for await (const _ of counted({ chunks: stored }, count));\n    if (merged.header.commit > 0) return count.bytes;",
      ],
    ],
  },
  {
    ...COMPACT,
    bug: "a merge whose outcome is not known is forgotten, and the next one overlaps it",
    edits: [["begun.set(level, max);", ""]],
  },
  {
    ...COMPACT,
    bug: "a failure that passes counts as damage",
    edits: [["const TRIES = 2;", "const TRIES = 1;"]],
    only: "is not misled",
  },
  {
    ...COMPACT,
    bug: "a file of another page size stops a level for ever",
    edits: [
      [
        'error instanceof InputRefused && error.kind === "page-size"',
        "error instanceof InputRefused && error.kind === undefined",
      ],
    ],
    only: "page size",
  },
  {
    ...KEEP_LEVELS,
    bug: "what is deleted is still remembered",
    edits: [['at("deleted");\n    catalog.remove(batch);', 'at("deleted");']],
    only: "idle database",
  },
  {
    ...KEEP_LEVELS,
    bug: "nobody asks whether a deletion is still allowed",
    edits: [['await guard({ signal });\n    at("deleting");', 'at("deleting");']],
    only: "asks before each write",
  },
  {
    ...KEEP_LEVELS,
    bug: "a lost part of the history brings no snapshot",
    edits: [
      ["if (foundDamage) lookForHole();", ""],
      ["else holes.set(level, { level, last: hole.last });", ""],
    ],
    only: "lost files",
  },
  {
    ...HOLD,
    bug: "any refusal of a renewal counts as a loss",
    edits: [
      [
        "else if (found.content.taking !== content.taking) throw lose(found.content);",
        "else throw lose(found.content);",
      ],
    ],
  },
  {
    ...HOLD,
    bug: "any refusal of a renewal counts as an earlier try of our own",
    edits: [["else if (found.content.taking !== content.taking) throw lose(found.content);", ""]],
  },
  {
    ...HOLD,
    bug: "a store that is away counts as a loss",
    edits: [
      [
        "if (stop.aborted) return;\n          failures += 1;",
        "if (stop.aborted) return;\n          lose(content);\n          failures += 1;",
      ],
    ],
  },
  {
    ...HOLD,
    bug: "a lease that was deleted begins anew",
    edits: [
      [
        "const again = await writeLease(store, next, {",
        "const again = await writeLease(store, { ...next, epoch: 1, renewal: 0 }, {",
      ],
    ],
  },
  {
    ...HOLD,
    bug: "a released lease is not told to be one",
    edits: [['renewal: renewal + 1, state: "released" }', "renewal: renewal + 1 }"]],
  },
  {
    ...SAFETY,
    file: "src/replica/lease/hold.ts",
    bug: "a renewed lease holds from the answer on",
    edits: [
      [
        "if (stored !== undefined) {\n        renewed = sent;",
        "if (stored !== undefined) {\n        renewed = momentOf(clock);",
      ],
    ],
  },
  {
    ...SAFETY,
    file: "src/replica/lease/rules.ts",
    bug: "a lease holds to its very end, whatever the clocks' speeds",
    edits: [["return ttlMs / 9;", "return 0 * ttlMs;"]],
  },
  {
    ...SAFETY,
    file: "src/replica/lease/patience.ts",
    bug: "another's lease is taken before its time is over",
    edits: [[">= content.ttlMs;", ">= content.ttlMs * 0.8;"]],
  },
  {
    ...SAFETY,
    file: "src/replica/lease/take.ts",
    bug: "a lease is taken as it is now, not as it was when the replica was looked at",
    edits: [["version: facts.seen?.version, signal", "version: (await readLease(store, { signal }))?.version, signal"]],
  },
  {
    ...LEASE_RULES,
    bug: "a lease ends by the day's time alone",
    edits: [["Math.max(passedMs, wallPassedMs)", "wallPassedMs"]],
  },
  {
    ...LEASE_RULES,
    bug: "a lease ends by the monotonic clock alone",
    edits: [
      ["if (Math.abs(wallPassedMs - passedMs) > ttlMs / 2) return false;", ""],
      ["Math.max(passedMs, wallPassedMs)", "passedMs"],
    ],
  },
  {
    ...LEASE_RULES,
    bug: "epochs begin anew where the lease was deleted",
    edits: [
      [
        "Math.max(seen?.content.epoch ?? 0, memory?.epoch ?? 0) + 1",
        "(seen?.content.epoch ?? memory?.renewal ?? 0) * 1 + 1",
      ],
    ],
  },
  {
    ...LEASE_RULES,
    bug: "a copy of a volume is taken for the volume",
    edits: [["lag === 0 || lag === 1", "lag !== undefined"]],
  },
  {
    file: "src/replica/lease/probe.ts",
    bug: "a service that passes over versions counts as one that heeds them",
    edits: [
      [
        'if ((await write("third", otherThan(first))) !== undefined)',
        'if ((await write("third", otherThan(first))) === "")',
      ],
    ],
    test: "test/unit/replica/lease/probe.test.ts",
  },
  {
    file: "src/replica/upload.ts",
    bug: "what is uploaded counts, whoever has the lease by then",
    edits: [["await guard({ signal }); // an answer", "// an answer"]],
    test: "test/unit/replica/guard.test.ts",
  },
  {
    file: "src/steps/observe-replica.ts",
    bug: "what another machine wrote before its lease was read goes unseen",
    edits: [["seen === undefined || seen.content.taking === memory?.taking", "seen === undefined || memory !== null"]],
    test: "test/unit/steps/observe-replica.test.ts",
  },
  {
    file: "src/replica/memory.ts",
    bug: "what was under way before another try is forgotten",
    edits: [["begun = [...begun.filter(mayBeLast), mark]", "begun = [mark]"]],
    test: "test/unit/replica/outage.test.ts",
  },
  {
    ...GIVEN_UP,
    bug: "what the replica ends with is forgotten before something else has arrived",
    edits: [["other.txid >= replicated", "other.txid > replicated"]],
    only: "an upload of an earlier start",
  },
  {
    ...GIVEN_UP,
    bug: "an upload that was given up is forgotten",
    edits: [["givenUp = [...givenUp, ...begun.filter(isBehind)]", "givenUp = [...givenUp]"]],
  },
  {
    ...GIVEN_UP,
    file: "src/replica/replicator.ts",
    bug: "a start goes on from an upload that was given up as from what took its place",
    edits: [
      [
        "const isGivenUp = isAmong(start.newest",
        "const isGivenUp = start.lastTxid === NO_TXID && isAmong(start.newest",
      ],
    ],
  },
  {
    ...REPLICATOR,
    bug: "what a power cut may have taken from the database is uploaded",
    edits: [["const after = durable >= txid ? txid", "const after = durable >= NO_TXID ? txid"]],
  },
  {
    file: "src/replica/replicator.ts",
    bug: "a snapshot is uploaded ahead of what leads to it",
    edits: [["if (uploader.replicated < whole.txid) throw", "if (uploader.replicated < NO_TXID) throw"]],
    test: "test/unit/replica/outage.test.ts",
  },
  {
    file: "src/replica/newest.ts",
    bug: "a transaction of that number is taken for ours",
    edits: [["mark.header === header", "mark.header.length === header.length"]],
    test: "test/unit/replica/newest.test.ts",
  },
  {
    ...INTERLEAVINGS,
    bug: "between two readers there is none",
    edits: [
      [
        "beginRead(spare);\n      try {",
        'reader.exec("ROLLBACK");\n      beginRead(reader);\n      beginRead(spare);\n      try {',
      ],
    ],
    only: "each thing",
  },
  {
    ...INTERLEAVINGS,
    bug: "what a restart took is passed over",
    edits: [['if (!sealed) return "the log was restarted before it was copied";', ""]],
    only: "each commit",
  },
  {
    ...INTERLEAVINGS,
    bug: "changed pages are read from a log that is begun anew meanwhile",
    edits: [["if (isCheckpointed) return readPage(", "if (isCheckpointed && pageSize === 0) return readPage("]],
    only: "each thing",
  },
  {
    ...INTERLEAVINGS,
    bug: "the whole database is read from a log that is begun anew meanwhile",
    edits: [["sealedThen ? undefined : overlay?.changes.pages;", "overlay?.changes.pages;"]],
    only: "each thing",
  },
  {
    ...INTERLEAVINGS,
    bug: "a view is taken for that of the commit before",
    edits: [
      [
        "if (begun.frames === frames && logSalts() === salts) return begun;",
        "if (begun.frames >= 0 || salts === frames.toString()) return begun;",
      ],
    ],
    only: "each commit",
  },
  {
    ...INTERLEAVINGS,
    bug: "writers go on while the log is sealed",
    edits: [['held.exec("BEGIN IMMEDIATE");', 'held.exec("BEGIN");']],
    only: "each commit",
  },
  {
    ...INTERLEAVINGS,
    bug: "what is sealed was not copied",
    edits: [["if (!copy()) return undefined;", ""]],
    only: "two commits",
  },
  {
    ...INTERLEAVINGS,
    file: "src/replica/capture.ts",
    bug: "what was captured under the lock is read after it",
    edits: [["unstaged = { ...shipment, body: () => bytes };", "unstaged = bytes.length > 0 ? shipment : shipment;"]],
    only: "two commits",
  },
  {
    ...COPY,
    bug: "an unanswered upload is taken for one that arrived",
    edits: [
      [
        "if (history.lastTxid > acked && !isWrittenHere(newest, state)) {",
        "if (history.lastTxid > acked && newest?.commit === 0 && isWrittenHere(newest, state)) {",
      ],
    ],
  },
  {
    ...COPY,
    bug: "a replica that another machine began anew is written on",
    edits: [
      [
        "if (history.lastTxid < acked && who !== undefined) {",
        "if (history.lastTxid < acked && who === undefined && acked === NO_TXID) {",
      ],
    ],
  },
  {
    ...COPY,
    bug: "another database counts as an older state of this one",
    edits: [
      [
        'replicated it before");\n    }\n    throw',
        'replicated it before");\n    }\n    if (onStaleVolume === "restore") return { kind: "restore", why: "it is another one", stale: true };\n    throw',
      ],
    ],
  },
  {
    file: "src/supervisor/reaper.ts",
    test: SUPERVISOR,
    only: "1,000 orphans",
    bug: "orphans stay zombies",
    edits: [["calls?.peekEndedChild();", "undefined as number | undefined;"]],
  },
  {
    file: "src/supervisor/reaper.ts",
    test: SUPERVISOR,
    only: "1,000 orphans",
    bug: "the statuses of Node's own children are taken away from it",
    edits: [["pid === undefined || isOurs(pid)", "pid === undefined"]],
  },
  {
    file: "src/supervisor/while-running.ts",
    test: TABLE,
    bug: "a second stop signal is only passed on",
    edits: [["if (stop !== undefined) {", "if (stop !== undefined && stop.number < 0) {"]],
  },
  {
    file: "src/supervisor/while-running.ts",
    test: TABLE,
    bug: "a keeper that died once is missed as long as one that dies again and again",
    edits: [["deaths === 1 ? FIRST_KEEPER_MS : backOffMs(deaths - 1)", "Math.max(FIRST_KEEPER_MS, backOffMs(deaths))"]],
  },
  {
    file: "src/supervisor/app.ts",
    test: SUPERVISOR,
    only: "leaves behind",
    bug: "the last sync does not wait for what the app has left behind",
    edits: [["leader === undefined || !groupIsAlive(leader)", "leader === undefined || groupIsAlive(leader)"]],
  },
  {
    file: "src/supervisor/held-signals.ts",
    test: SUPERVISOR,
    only: "before anyone listens",
    bug: "a signal that comes early is lost",
    edits: [["void held.push(signal)", "void held.includes(signal)"]],
  },
  {
    ...WRITER,
    bug: "lines that nobody reads are kept without a bound",
    edits: [["if (queuedBytes >= MAX_QUEUE_SIZE) dropped += 1;\n      else enqueue(line);", "enqueue(line);"]],
  },
  {
    ...WRITER,
    bug: "a reader that is gone is an exception",
    edits: [
      ['=== "EAGAIN" ? 0 : "broken"', '=== "EAGAIN" ? 0 : raise(error)'],
      ["function pause(", "function raise(error: unknown): never {\n  throw error;\n}\n\nfunction pause("],
    ],
  },
  {
    file: "src/base/redact.ts",
    test: "test/unit/base/redact.test.ts",
    bug: "a secret is told where it is percent-encoded",
    edits: [[".replaceAll(encodeURIComponent(secret), HIDDEN)", ""]],
  },
  {
    file: "src/plan/app-environment.ts",
    test: "test/unit/plan/app-environment.test.ts",
    bug: "Litestream's keys are handed to the app",
    edits: [["!REPLICATION_SECRETS.has(name) && ", ""]],
  },
  {
    ...POINT,
    bug: "who holds a restore point may write, and so checkpoints when it lets go",
    edits: [
      [
        "const reader = driver.open(path, { readOnly: true, busyTimeoutMs: BUSY_TIMEOUT_MS });",
        "const reader = driver.open(path, { busyTimeoutMs: BUSY_TIMEOUT_MS });",
      ],
    ],
    only: "leaves the log alone when it is let go last",
  },
  {
    ...POINT,
    bug: "a restore point is no read transaction",
    edits: [['reader.all("SELECT 1 FROM sqlite_schema LIMIT 1"); // BEGIN alone takes no snapshot', ""]],
    only: "brings back all, whatever another process did",
  },
  {
    ...POINT,
    bug: "a log is cut although somebody checkpointed it since",
    edits: [["if (!held && !sameFile)", "if (!held && sameFile && path === undefined)"]],
    only: "is lost where",
  },
  {
    ...POINT,
    bug: "a log is cut a frame too early",
    edits: [["frameOffset(point.frames + 1, point.pageSize)", "frameOffset(point.frames, point.pageSize)"]],
    only: "brings back all, whatever another process did",
  },
  {
    ...POINT,
    bug: "a log is cut while another process has the database open",
    edits: [['connection.exec("BEGIN EXCLUSIVE");', 'connection.exec("BEGIN");']],
    only: "waits for nobody for ever",
  },
  {
    file: "src/prisma/migrator.ts",
    bug: "the migrating process checkpoints what a restore point needs",
    edits: [['connection.exec("PRAGMA wal_autocheckpoint=0");', ""]],
    test: "test/unit/steps/recover.test.ts",
    only: "puts the database back first",
  },
  {
    file: "src/steps/change-safely.ts",
    bug: "a change that failed is not undone",
    edits: [
      ["throw withOutcome(error, path, await putBack(path, unfinished, { ...context, held: true }));", "throw error;"],
    ],
    test: "test/unit/steps/deploy.test.ts",
    only: "that fail leave it as it was",
  },
  {
    file: "src/steps/change-safely.ts",
    bug: "what is to be put back is written down after the change",
    edits: [["  await writeUnfinished(path, unfinished);\n  context.at", "  context.at"]],
    test: "test/unit/steps/recover.test.ts",
    only: "puts the database back first",
  },
  {
    file: "src/steps/change-safely.ts",
    bug: "a change that worked is undone by the next start",
    edits: [
      ["if (wasWal) await removeUnfinished(path);\n  else await writeUnfinished", "if (!wasWal) await writeUnfinished"],
    ],
    test: "test/unit/steps/deploy.test.ts",
    only: "are applied, and nothing is left to be put back",
  },
  {
    file: "src/steps/recover.ts",
    bug: "a seed that was cut off counts as done",
    edits: [
      [
        "const outcome = await putBack(path, unfinished, { ...context, held: false });",
        'if (phase === "seed") return removeUnfinished(path);\n  const outcome = await putBack(path, unfinished, { ...context, held: false });',
      ],
    ],
    test: "test/unit/steps/seed.test.ts",
    only: "puts the database back, and knows that it has yet to be seeded",
  },
];
