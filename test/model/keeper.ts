// The keeper's protocol, step by step: what src/sqlite/attached.ts and src/replica/capture.ts do between two of their
// hooks is one step. Pure.
//
// A round: a second reader begins, what is committed is captured, staged and recorded, the older reader ends. Then the
// log may be checkpointed, or sealed under the write lock.

import { look, readPages, wholeDatabase } from "./capture.ts";
import { beginRead, checkpoint, isWriteLocked } from "./log.ts";
import type { Planted } from "./planted.ts";
import type { Step } from "./search.ts";
import { NO_READ, type State } from "./state.ts";

export function keeperSteps(s: State, planted: Planted | undefined): readonly Step<State>[] {
  if (s.phase === "dead") {
    return [{ name: "keeper: attaches", to: { ...s, phase: "attached", reader: beginRead(s), isFresh: true } }];
  }
  return [...protocolSteps(s, planted), { name: "keeper: crashes", to: crash(s) }];
}

function protocolSteps(s: State, planted: Planted | undefined): readonly Step<State>[] {
  switch (s.phase) {
    case "dead":
      return [];
    case "attached":
      return [{ name: "keeper: resumes", to: resume(s, planted) }];
    case "idle":
      return idleSteps(s, planted);
    case "gap":
      return [{ name: "keeper: reader begins", to: { ...s, phase: "begun", spare: beginRead(s) } }];
    case "begun":
      if (planted === "reader-ends-before-capture" && s.spare !== NO_READ) {
        return [{ name: "keeper: older reader ends", to: { ...s, reader: s.spare, spare: NO_READ } }];
      }
      return [s.found === undefined ? captureStep(s, planted) : { name: "keeper: staged", to: stage(s) }];
    case "found":
      if (planted === "recorded-before-staged") return [{ name: "keeper: recorded", to: note(s) }];
      return [
        { name: "keeper: staged", to: stage(s) },
        { name: "keeper: staging fails", to: giveUp(s) },
      ];
    case "staged":
      return [{ name: "keeper: recorded", to: advance(note(s)) }];
    case "recorded":
      return [{ name: "keeper: staged", to: advance(stage(s)) }];
    case "copied":
      return [{ name: "keeper: older reader ends", to: endOlder(s) }];
    case "locked":
      return [sealStep(s, planted)];
    case "kept": {
      const ended: State = { ...s, phase: "checkpointed", reader: NO_READ };
      return [
        { name: "keeper: reader ends, checkpoint PASSIVE", to: checkpoint(ended) },
        { name: "keeper: reader ends, checkpoint refused", to: ended },
      ];
    }
    case "checkpointed":
      return [{ name: "keeper: reader begins again", to: renew(s) }];
    case "renewed": {
      const phase = s.found === undefined ? "idle" : "found";
      return [{ name: "keeper: write lock released", to: { ...s, lock: NO_READ, phase } }];
    }
  }
}

function idleSteps(s: State, planted: Planted | undefined): readonly Step<State>[] {
  const steps: Step<State>[] = [{ name: "keeper: checkpoint PASSIVE", to: checkpoint(s) }];
  if (planted === "hold-has-a-gap") {
    steps.push({ name: "keeper: older reader ends", to: { ...s, phase: "gap", reader: NO_READ } });
  } else {
    steps.push({ name: "keeper: second reader begins", to: { ...s, phase: "begun", spare: beginRead(s) } });
  }
  if (s.isFresh || s.position === undefined || s.found !== undefined) return steps;
  if (planted === "seals-without-lock") steps.push({ name: "keeper: seals", to: { ...s, phase: "locked" } });
  else if (!isWriteLocked(s)) {
    steps.push({ name: "keeper: takes the write lock", to: { ...s, phase: "locked", lock: beginRead(s) } });
  }
  return steps;
}

/** Goes on from the position that is remembered, if the log does. What was staged and not recorded is dropped. */
function resume(s: State, planted: Planted | undefined): State {
  const { remembered } = s;
  const to: State = { ...s, phase: "idle" };
  if (remembered === undefined) return to;
  if (remembered.kind === "file") {
    const continues = s.frames === 0 && (remembered.isSame || planted === "resumes-without-stamp");
    return continues ? agree({ ...to, position: remembered, sealed: true }) : to;
  }
  const isThere = s.headerSalt === remembered.salt || planted === "resumes-without-salts";
  if (s.frames < remembered.frame || !isThere) return to;
  const sealed = s.frames === s.backfilled && s.frames === remembered.frame;
  return agree({ ...to, position: { ...remembered, salt: s.headerSalt }, sealed });
}

/** Where copying goes on is where ends what is kept. */
function agree(s: State): State {
  const { kept, position } = s;
  if (position === undefined) return s;
  if (position.commit > kept) return { ...s, wrong: "lost: the position is ahead of what is on the volume" };
  return { ...s, kept: position.commit };
}

function captureStep(s: State, planted: Planted | undefined): Step<State> {
  if (s.position === undefined) {
    const found = wholeDatabase(s);
    return {
      name: "keeper: view of the whole database",
      to: { ...s, phase: "found", view: beginRead(s), found, isEmptiedAgain: false },
    };
  }
  const looked = look(s, planted);
  if (looked.kind === "broken") return { name: "keeper: captures, and can't go on", to: looked.state };
  if (looked.kind === "nothing") return { name: "keeper: captures nothing", to: endCapture(looked.state) };
  return { name: "keeper: captures", to: { ...looked.state, phase: "found", found: looked.found } };
}

/** Captures into memory, while writers are locked out. */
function sealStep(s: State, planted: Planted | undefined): Step<State> {
  const looked = look(s, planted);
  const to: State = { ...looked.state, phase: "kept" };
  if (looked.kind === "broken") {
    return { name: "keeper: captures, and can't seal", to: { ...s, phase: "idle", lock: NO_READ } };
  }
  if (looked.kind === "nothing") return { name: "keeper: captures nothing to seal", to };
  const pages = planted === "seals-and-reads-later" ? looked.found.pages : "memory";
  return { name: "keeper: captures to seal", to: { ...to, found: { ...looked.found, pages } } };
}

function renew(s: State): State {
  const sealed = s.frames === s.backfilled;
  const to: State = { ...s, phase: "renewed", reader: beginRead(s) };
  return s.found === undefined ? { ...to, sealed } : { ...to, found: { ...s.found, sealed } };
}

function stage(s: State): State {
  if (s.found === undefined) return s;
  return { ...readPages(s, s.found), phase: "staged", kept: s.found.last };
}

/** The round ends as if it had never begun. What a seal captured is staged in the next one, before all else. */
function giveUp(s: State): State {
  const found = s.spare === NO_READ ? s.found : undefined;
  return { ...s, phase: "idle", spare: NO_READ, view: NO_READ, found };
}

function note(s: State): State {
  return { ...s, phase: "recorded", remembered: s.found?.position };
}

function advance(s: State): State {
  if (s.found === undefined) return s;
  const { position, sealed } = s.found;
  const to: State = { ...s, position, sealed, found: undefined, view: NO_READ };
  return s.found.pages === "memory" && s.spare !== NO_READ ? { ...to, phase: "begun" } : endCapture(to);
}

/** After a seal, no older reader is left to be ended. */
function endCapture(s: State): State {
  return s.spare === NO_READ ? { ...s, phase: "idle", isFresh: false } : { ...s, phase: "copied" };
}

function endOlder(s: State): State {
  return { ...s, phase: "idle", reader: s.spare, spare: NO_READ, isFresh: false };
}

/** Its read transactions and its locks go with the process, and all that was in memory. */
function crash(s: State): State {
  return {
    ...s,
    phase: "dead",
    ...{ reader: NO_READ, spare: NO_READ, view: NO_READ, lock: NO_READ },
    ...{ position: undefined, sealed: false, found: undefined, isFresh: false, isEmptiedAgain: false },
  };
}
