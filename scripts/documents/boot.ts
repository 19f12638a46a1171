// The boot, step by step: what docs/boot.svg shows. Pure. The order is the plan's, which a test holds it to; what may
// be refused where is the main of it, docs/errors.md has all.

import type { FailureCode } from "../../src/base/errors.ts";
import type { Step } from "../../src/base/events.ts";

/** From left to right: who starts whom. Source: src/README.md, "Four roles, one program" */
export const ROLES = ["supervisor", "keeper", "migrator", "app"] as const;

export type Role = (typeof ROLES)[number];

export type BootStep = {
  readonly step: Step;
  /** What is done, as a sentence without its end. */
  readonly does: string;
  readonly by: Role;
  /** The process that is started for it. */
  readonly starts?: Role;
  /** With which codes the plan refuses a start, while nothing has been changed. */
  readonly beforehand: readonly FailureCode[];
  /** With which it may fail while it is done. */
  readonly meanwhile: readonly FailureCode[];
};

export const BOOT: readonly BootStep[] = [
  {
    step: "volume",
    does: "looks at all that a start depends on, makes the plan, locks the volume",
    by: "keeper",
    beforehand: ["E_VOLUME", "E_DB_INVALID"],
    meanwhile: ["E_VOLUME"],
  },
  {
    step: "lease",
    does: "takes the replica's, or waits for the machine that has it",
    by: "keeper",
    beforehand: ["E_REPLICA_UNREACHABLE", "E_REPLICA_DENIED"],
    meanwhile: ["E_FENCED"],
  },
  {
    step: "link",
    does: "leads the app to the database on the volume",
    by: "keeper",
    beforehand: ["E_LINK"],
    meanwhile: [],
  },
  {
    step: "restore",
    does: "from the replica, verified, if the volume has no database",
    by: "keeper",
    beforehand: ["E_DIVERGED", "E_REPLICA_GAP"],
    meanwhile: ["E_REPLICA_CORRUPT", "E_RESTORE_SPACE"],
  },
  {
    step: "migrate",
    does: "applies what the database lacks; undone if it fails",
    by: "keeper",
    starts: "migrator",
    beforehand: ["E_MIGRATE"],
    meanwhile: ["E_MIGRATE"],
  },
  {
    step: "seed",
    does: "runs the app's seed on a new database; undone if it fails",
    by: "keeper",
    starts: "app",
    beforehand: [],
    meanwhile: ["E_SEED"],
  },
  {
    step: "replicate",
    does: "takes hold of the log: from here on no commit is missed",
    by: "keeper",
    beforehand: [],
    meanwhile: ["E_FENCED"],
  },
  {
    step: "launch",
    does: "starts the app, passes signals on, ends with its status",
    by: "supervisor",
    starts: "app",
    beforehand: ["E_COMMAND_NOT_FOUND", "E_COMMAND_NOT_EXECUTABLE"],
    meanwhile: [],
  },
];
