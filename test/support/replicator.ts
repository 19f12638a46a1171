// A replicator that can be killed.

import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { ReplicatorAnswer, ReplicatorRequest } from "./replicator-process.ts";

export type ReplicatorProcess = Awaited<ReturnType<typeof startReplicator>>;

export type ReplicatorPlaces = {
  readonly database: string;
  /** Directories of the replica and of the state. */
  readonly replica: string;
  readonly state: string;
};

/** Starts one that goes on where the last one ended, and waits until it is attached. */
export async function startReplicator(
  { database, replica, state }: ReplicatorPlaces,
  {
    seed = 1,
    pauseMs = 0,
    dieAt = "",
  }: { readonly seed?: number; readonly pauseMs?: number; readonly dieAt?: string } = {},
) {
  const child = fork(
    join(import.meta.dirname, "replicator-process.ts"),
    [
      ...["--database", database, "--replica", replica, "--state", state],
      ...["--seed", String(seed), "--pause", String(pauseMs), "--die-at", dieAt],
    ],
    { stdio: ["ignore", "ignore", "pipe", "ipc"], execArgv: [] },
  );
  let stderr = "";
  child.stderr?.on("data", (text) => {
    stderr += text;
  });
  const ended = once(child, "close");
  const gone = ended.then(() => undefined);

  const replicator = {
    /** Undefined where the process ended before it had done it. */
    async ask(request: ReplicatorRequest): Promise<ReplicatorAnswer | undefined> {
      if (child.exitCode !== null || child.signalCode !== null) return undefined;
      const answered = once(child, "message") as Promise<[ReplicatorAnswer]>;
      child.send(request, () => {}); // a failure to send shows by its end
      const answer = await Promise.race([answered, gone]);
      if (answer === undefined && stderr !== "") throw new Error(`the replicator failed: ${stderr}`);
      return answer?.[0];
    },
    async kill(): Promise<void> {
      child.kill("SIGKILL");
      await ended;
    },
    [Symbol.asyncDispose]: () => replicator.kill(),
  };
  const attached = await Promise.race([once(child, "message"), gone]);
  if (attached === undefined) throw new Error(`the replicator did not attach: ${stderr}`);
  return replicator;
}
