// What the app may do to its database at any moment. Pure.

import {
  beginRead,
  checkpoint,
  deleteLog,
  isWriteLocked,
  publish,
  recover,
  restartIfDone,
  truncate,
  writeHeader,
} from "./log.ts";
import type { Step } from "./search.ts";
import { NO_READ, type State } from "./state.ts";

export function appSteps(s: State): readonly Step<State>[] {
  const steps: Step<State>[] = [
    { name: "app: checkpoint PASSIVE", to: checkpoint(s) },
    { name: "app: checkpoint TRUNCATE", to: truncate(s) },
    s.appRead === NO_READ
      ? { name: "app: read begins", to: { ...s, appRead: beginRead(s) } }
      : { name: "app: read ends", to: { ...s, appRead: NO_READ } },
  ];
  if (s.appWrite !== NO_READ) steps.push(...transactionSteps(s));
  else if (s.lock === NO_READ) steps.push(...writerSteps(s));
  if (s.phase === "dead" && s.appRead === NO_READ && s.appWrite === NO_READ) {
    steps.push({ name: "app: closes the last connection", to: deleteLog(s) });
  }
  // One that dies while it publishes leaves an index in which the header is of the file's log. Any other index is lost
  // only with all processes.
  const isIndexLost = s.headerSalt === s.salt || (s.phase === "dead" && s.appRead === NO_READ);
  if (isIndexLost && !isWriteLocked(s)) steps.push({ name: "app: killed, the log is recovered", to: recover(s) });
  return steps;
}

function writerSteps(s: State): readonly Step<State>[] {
  const own = beginRead(s);
  const begun = restartIfDone(s, own);
  const steps: Step<State>[] = [
    { name: "app: commit", to: publish(writeHeader(begun, { draws: false })) },
    { name: "app: write begins", to: { ...begun, appWrite: own, hasSpilled: false } },
  ];
  if (s.frames === 0) {
    steps.push({ name: "app: commit by a new connection", to: publish(writeHeader(begun, { draws: true })) });
  }
  return steps;
}

function transactionSteps(s: State): readonly Step<State>[] {
  const ended = { ...s, appWrite: NO_READ, hasSpilled: false };
  if (!s.hasSpilled) {
    const steps: Step<State>[] = [
      { name: "app: rollback", to: ended },
      { name: "app: spill", to: spill(s, { draws: false }) },
    ];
    if (s.frames === 0) steps.push({ name: "app: spill by a new connection", to: spill(s, { draws: true }) });
    return steps;
  }
  return [
    { name: "app: rollback", to: ended },
    { name: "app: commit what was spilled", to: publish(ended) },
    { name: "app: commit whose fsync fails", to: { ...ended, tail: "phantom" } },
  ];
}

function spill(s: State, options: { readonly draws: boolean }): State {
  return { ...writeHeader(s, options), tail: "uncommitted", hasSpilled: true };
}
