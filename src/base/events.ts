// What flysqlite tells while it works. Events are values; cli/render-event.ts turns them into lines.

/** Which part speaks: the first word after the name on a line. */
export type Step =
  | "config"
  | "volume"
  | "link"
  | "lease"
  | "restore"
  | "migrate"
  | "seed"
  | "hook"
  | "replicate"
  | "launch"
  | "stop"
  | "build"
  | "keeper"
  | "log";

export type Level = "debug" | "info" | "warn";

export type Event = {
  readonly level: Level;
  readonly step: Step;
  /** What happened, with its measure or reason. One line, no full stop. */
  readonly text: string;
};

/** Takes an event; never throws, never blocks. */
export type Log = (event: Event) => void;

export function info(step: Step, text: string): Event {
  return { level: "info", step, text };
}

export function warn(step: Step, text: string): Event {
  return { level: "warn", step, text };
}

export function debug(step: Step, text: string): Event {
  return { level: "debug", step, text };
}
