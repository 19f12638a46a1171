// The program's other part: all roles but PID 1's and the app's Node. What each does is in process/.
//
//   keeper      the supervisor's child, "@keeper": the database's side
//   migrator    the keeper's child, "@migrate": applies pending migrations, then ends
//   commands    what is done by hand

import { FlysqliteError } from "./base/errors.ts";
import { KEEPER_AGAIN_ROLE, KEEPER_ROLE, MIGRATOR_ROLE } from "./base/roles.ts";
import { version } from "./base/version.ts";
import { runToEnd } from "./process/run-to-end.ts";
import { print } from "./process/streams.ts";
import { readCommandLine } from "./process/words.ts";

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

runToEnd(() => main(process.argv.slice(2)));
