// The program's roles: which of them this process has, and how it ends. What each does is in process/.
//
//   supervisor  what a user starts: PID 1 in a container
//   keeper      its child, "@keeper": the database's side
//   migrator    the keeper's child, "@migrate": applies pending migrations, then ends
//   node        called by the name "node", in an image that has no other: runs the app's script

// biome-ignore assist/source/organizeImports: the first lines come first
import { isNode, signals } from "./first.ts";
import { constants } from "node:os";
import { FlysqliteError } from "./base/errors.ts";
import { KEEPER_AGAIN_ROLE, KEEPER_ROLE, MIGRATOR_ROLE } from "./base/roles.ts";
import { version } from "./base/version.ts";
import { end, print, tell, writeLine } from "./process/streams.ts";
import { asRefusal, readCommandLine } from "./process/words.ts";
import { STOP_SIGNALS } from "./supervisor/signals.ts";

async function main(words: readonly string[]): Promise<number> {
  const [role, ...rest] = words;
  if (role === MIGRATOR_ROLE) {
    const { runMigrator } = await import("./process/run-migrator.ts");
    return runMigrator();
  }
  if (role === KEEPER_ROLE || role === KEEPER_AGAIN_ROLE) {
    const { runKeeper } = await import("./process/run-keeper.ts");
    return runKeeper(rest, { again: role === KEEPER_AGAIN_ROLE });
  }

  const commandLine = await readCommandLine(words);
  if (commandLine.kind === "run" && !commandLine.dry && signals !== undefined) {
    const { runSupervisor } = await import("./process/run-supervisor.ts");
    return runSupervisor(commandLine, words, signals);
  }
  // All others end as any program does.
  const stop = signals?.release().find((name) => STOP_SIGNALS.has(name));
  if (stop !== undefined) return 128 + constants.signals[stop];
  switch (commandLine.kind) {
    case "help": {
      const { commandHelp, helpText } = await import("./cli/help.ts");
      print(commandLine.topic === undefined ? helpText(version) : commandHelp(commandLine.topic));
      return 0;
    }
    case "version":
      print(`flysqlite ${version}\n`);
      return 0;
    case "completion": {
      const { completionScript } = await import("./cli/completion.ts");
      print(completionScript(commandLine.shell));
      return 0;
    }
    case "build":
      throw new FlysqliteError("E_USAGE", "Cannot build here: an executable can't make another one", {
        hint: "Run `npx flysqlite build` where npm is, such as in the image's build stage",
      });
    case "init":
      throw new FlysqliteError("E_USAGE", "Cannot look at a project here: an executable has an app, and no project", {
        hint: "Run `npx flysqlite init` in the project's directory",
      });
    case "restore":
    case "snapshots":
    case "verify": {
      const { runReplicaCommand } = await import("./process/run-command.ts");
      return runReplicaCommand(commandLine);
    }
    case "migrate":
    case "resolve":
    case "seed": {
      const { runDatabaseCommand } = await import("./process/run-command.ts");
      return runDatabaseCommand(commandLine);
    }
    case "replicate": {
      const { runSidecar } = await import("./process/run-keeper.ts");
      return runSidecar(commandLine);
    }
    case "status":
    case "sync": {
      const { runControlCommand } = await import("./process/run-command.ts");
      return runControlCommand(commandLine);
    }
    case "run":
    case "doctor": {
      const { runLook } = await import("./process/run-look.ts");
      return runLook(commandLine);
    }
  }
}

function runMain(): void {
  main(process.argv.slice(2)).then(end, (error: unknown) => {
    const { failures } = asRefusal(error);
    for (const failure of failures) tell(failure);
    if (failures[0].code === "E_INTERNAL" && error instanceof Error) writeLine(error.stack ?? "");
    end(failures[0].exitStatus);
  });
}

if (isNode) {
  void import("./runtime/run-as-node.ts").then(({ runAsNode }) => runAsNode(process.argv.slice(2), process));
} else {
  runMain();
}
