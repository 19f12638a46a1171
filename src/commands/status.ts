// `flysqlite status`: whether the data is safe right now, by the keeper's own account; without a keeper, what can be
// told from outside.

import type { OfflineStatus, Status } from "../base/control.ts";
import { FAILURES, FlysqliteError } from "../base/errors.ts";
import { renderOfflineStatus, renderStatus } from "../cli/render-status.ts";
import type { StepContext } from "../steps/context.ts";
import { askKeeper } from "./ask-keeper.ts";
import { lookOffline } from "./offline-status.ts";

/** A keeper that is alive answers in milliseconds; one that copies a large log, in seconds. */
const ANSWER_LIMIT_MS = 10_000;

/** Gives the exit status: 0 where the data is safe, or all but the last commits, which are on their way. */
export async function statusCommand(
  { json }: { readonly json: boolean },
  {
    socket,
    database,
    print,
    context,
  }: {
    readonly socket: string;
    /** Path of the database, asked for where no keeper answers. */
    readonly database: () => Promise<string>;
    readonly print: (text: string) => void;
    readonly context: Pick<StepContext, "clock" | "signal"> & { readonly all: () => Promise<StepContext> };
  },
): Promise<number> {
  const { signal, clock } = context;
  try {
    const question = { socket, method: "GET", path: "/status", timeoutMs: ANSWER_LIMIT_MS, signal } as const;
    const status = (await askKeeper(question)) as Status;
    print(json ? toJson(status) : renderStatus(status, clock.now()));
    return status.answer === "safe" || status.answer === "syncing" ? 0 : FAILURES.E_SYNC.exitStatus;
  } catch (error) {
    if (!(error instanceof FlysqliteError) || error.code !== "E_NO_KEEPER") throw error;
    const status = await lookOffline(await database(), await context.all());
    print(json ? toJson(status) : renderOfflineStatus(status));
    return FAILURES.E_NO_KEEPER.exitStatus;
  }
}

function toJson(status: Status | OfflineStatus): string {
  return `${JSON.stringify(status, undefined, 2)}\n`;
}
