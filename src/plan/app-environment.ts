// The environment that the app, and its seed, run with. Pure.

import type { Placement } from "./placement.ts";

/** Ours, with the database's url in the variable that the app reads, where it has one. */
export function appEnvironment(environment: NodeJS.ProcessEnv, placement: Placement): NodeJS.ProcessEnv {
  return placement.kind === "variable" ? { ...environment, [placement.name]: placement.url } : environment;
}
