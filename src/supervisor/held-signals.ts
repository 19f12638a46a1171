// Signals that come before anyone is there to answer them. Installed in the program's first lines: PID 1 ignores a
// signal that has no handler, and Node opens its debugger's port for SIGUSR1.

import { PASSED_ON } from "./signals.ts";

type Listener = (signal: NodeJS.Signals) => void;

export type SignalSource = {
  on(signal: NodeJS.Signals, listener: Listener): unknown;
  off(signal: NodeJS.Signals, listener: Listener): unknown;
};

export type HeldSignals = {
  /** Hands over what has come, and from then on what comes. */
  readonly listen: (listener: Listener) => void;
  /** Gives the signals back to Node, and what has come of them. */
  readonly release: () => readonly NodeJS.Signals[];
};

export function holdSignals(source: SignalSource): HeldSignals {
  const names: readonly NodeJS.Signals[] = [...PASSED_ON, "SIGCHLD"];
  const held: NodeJS.Signals[] = [];
  let deliver: Listener = (signal) => void held.push(signal);
  const listener: Listener = (signal) => deliver(signal);
  for (const name of names) source.on(name, listener);
  return {
    listen(to) {
      deliver = to;
      for (const signal of held.splice(0)) to(signal);
    },
    release() {
      for (const name of names) source.off(name, listener);
      return held.splice(0);
    },
  };
}
