// Bugs that can be planted in the model's protocol. The search must see each of them.

export const PLANTED = {
  "hold-has-a-gap": "the old reader ends before the new one begins",
  "reader-ends-before-capture": "the old reader ends before what is committed was captured",
  "any-salt-change": "a log with other salts is read from its start, whatever they are",
  "restart-not-sealed": "a restart is accepted though the log was not sealed",
  "reads-to-the-files-end": "the frames are those in the log's file, not those up to mxFrame",
  "trusts-checksums": "the frames are those up to the file's last commit, not those up to mxFrame",
  "seals-without-lock": "the checkpoint of a seal is not under the write lock",
  "seals-and-reads-later": "what a seal captures is read after the write lock was released",
  "pages-from-the-log": "what is wholly checkpointed is read from the log all the same",
  "recorded-before-staged": "the position is noted before what leads to it is on the volume",
  "resumes-without-salts": "attaching again does not compare the salts",
  "resumes-without-stamp": "attaching again at an empty log does not look whether the database file was written",
  /** The only one that does no harm: while the hold has no gap, the salts need not say that there was one restart. */
  "any-salts-once-sealed": "a log that was sealed may go on with whatever salts",
} as const;

export type Planted = keyof typeof PLANTED;

export function isPlanted(name: string): name is Planted {
  return Object.hasOwn(PLANTED, name);
}
