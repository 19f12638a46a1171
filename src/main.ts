// The program's first part: PID 1's role, and that of the app's Node. All others, nine tenths of the program, are in
// others.ts, which is bundled apart: PID 1 would hold them in memory for as long as the app runs.
//
//   supervisor  what a user starts: PID 1 in a container
//   node        called by the name "node", in an image that has no other: runs the app's script

// biome-ignore assist/source/organizeImports: the first lines come first
import { isNode, signals } from "./first.ts";
import { constants } from "node:os";
import { runToEnd } from "./process/run-to-end.ts";
import { readCommandLine } from "./process/words.ts";
import { STOP_SIGNALS } from "./supervisor/signals.ts";

async function main(words: readonly string[]): Promise<number | undefined> {
  if (signals !== undefined) {
    const commandLine = await readCommandLine(words);
    if (commandLine.kind === "run" && !commandLine.dry) {
      const { runSupervisor } = await import("./process/run-supervisor.ts");
      return runSupervisor(commandLine, words, signals);
    }
    // All others end as any program does.
    const stop = signals.release().find((name) => STOP_SIGNALS.has(name));
    if (stop !== undefined) return 128 + constants.signals[stop];
  }
  await import("./others.ts");
  return undefined;
}

if (isNode) {
  void import("./runtime/run-as-node.ts").then(({ runAsNode }) => runAsNode(process.argv.slice(2), process));
} else {
  runToEnd(() => main(process.argv.slice(2)));
}
