// What `flysqlite --help` prints. README shows the same table of statuses, docs/commands.md all of it.

import { FLAGS, SWITCHES } from "../config/settings.ts";
import type { HelpTopic } from "./arguments.ts";
import { exitStatusRows } from "./exit-statuses.ts";
import { flagLines } from "./flags.ts";
import { BY_HAND_PAGES } from "./help-pages.ts";

export function helpText(version: string): string {
  return `flysqlite ${version}: runs a Prisma app on SQLite in a container

Usage
  flysqlite [run] [flags] [--] [command args...]   prepare the database, replicate it, run the app
  flysqlite run --dry [--json] [--offline] [command args...]
                                                   print what a start would find and do, and change nothing
  flysqlite doctor [--json] [command args...]      the same, and try out the replica, the volume and SQLite
  flysqlite restore [-o FILE] [--timestamp TIME | --txid ID] [--force] [--dry]
                                                   get the database back, as it was at any point
  flysqlite snapshots [--all] [--json]             list the points that the replica can restore to
  flysqlite verify [--deep]                        read the whole replica, and say whether it is sound; with
                                                   --deep restore it too, and compare with the live database
  flysqlite migrate [--dry] [--json]               apply what is pending, as a start does; --dry: tell what that is
  flysqlite migrate resolve --applied NAME | --rolled-back NAME
                                                   say what became of a migration
  flysqlite seed                                   run the app's seed
  flysqlite replicate [--database URL]             replicate beside an app that somebody else starts
  flysqlite status [--json]                        is the data safe right now?
  flysqlite sync [--timeout TIME]                  wait until everything committed is in the replica
  npx flysqlite init [--dry] [--yes]               write Dockerfile, .dockerignore and fly.toml, or edit them
  npx flysqlite build [--help]                     make an executable with the app's migrations in it
  flysqlite completion bash|zsh|fish               completions for a shell

  \`help COMMAND\` and \`COMMAND --help\` say more of each, with examples.

  The first word that is no flag begins the app's command. Without a command the start script of
  package.json runs.

Flags, each also as an environment variable (--volume is FLYSQLITE_VOLUME, and so on)
${flagLines([...FLAGS, ...SWITCHES])}
  --dry, --json, --help, --version
  --offline              with --dry: no network, so a replica in a bucket is not asked

Exit status
${exitStatusTable()}
  docs/errors.md of the package says of each code what it means, and all ways out.

Examples
  ENTRYPOINT ["/usr/local/bin/flysqlite"]          in a Dockerfile; CMD is the app's command
  flysqlite run --dry --volume ./data              on a laptop: would a deploy start?
  flysqlite run --dry --offline --volume ./data    the same in a CI job that has no secrets
  FLYSQLITE_REPLICA=file:///backup/app flysqlite node server.js
`;
}

/** The page of a command that has one of its own. */
export function commandHelp(topic: HelpTopic): string {
  return `${PAGES[topic].trim()}\n`;
}

/** What those that look at a database take to know which database and which replica is meant. */
const WHICH = `  --database URL     url or path of the database, such as file:./dev.db
  --volume DIR       where the volume is mounted, for the app's database (default /data)
  --replica URL      where it is replicated to, such as s3://bucket/path
  --config FILE      litestream.yml to read (default ./litestream.yml, then /etc/litestream.yml)`;

const PAGES: { readonly [topic in HelpTopic]: string } = {
  doctor: `
flysqlite doctor: would a start go ahead, and does all work that it depends on?

It prints what \`run --dry\` prints, and then tries out:
  replica, clock   write, list, read and delete a probe of 1 kB, flysqlite/probe-<uuid>; whose clock is right
  lease            whether the store keeps to the conditions of a write, by which one machine at a time can write
  room, disk       free space on the volume, and how long a write takes until it is durable
  notices          whether the system tells of changes on the volume (inotify)
  WAL mode         a small database on the volume, in a directory of its own
  SQLite           flysqlite's and the app's versions: older ones can lose commits (the WAL-reset bug)

Each is ok, a warning, failed or skipped, on one line, with the way out on the next. What it writes it removes. It may
run beside the app. It takes all flags of \`run\`, and these:
  --json             all of it as JSON, as docs/plan.md describes it
  --offline          no network: a replica in a bucket is not asked

  Run it where the app runs: on its machine, in its directory, with its variables. Without the app's command, and
  without a start script in package.json, the command is not looked at.

Exit status
  0     nothing failed; warnings don't count
  else  that of the first failure, as \`flysqlite --help\` lists them

Examples
  flysqlite doctor
  fly ssh console -C "flysqlite doctor"
  flysqlite doctor --json --volume ./data node server.js
`,
  ...BY_HAND_PAGES,
  init: `
flysqlite init: gives a Prisma project what it needs to run in a container

It looks at package manager, Node version, framework, Prisma and database, and writes Dockerfile, .dockerignore and
fly.toml. Where one exists it adds the few lines that are missing, and keeps everything else. It shows what would
change, and asks once. What it can't edit safely it leaves alone, and prints the lines to add. Run again it changes
nothing. package.json and the lock file are never touched.

  --yes, -y          write without asking; without a terminal, and in CI, nothing is written else
  --dry              show what would change, and write nothing
  --force            make Dockerfile and litestream.yml anew where they exist
  --stdout           print the files, and write nothing
  --litestream-yml   write a litestream.yml too; the bucket's variables are enough without it
  --schema PATH      the Prisma schema, or its directory (default: where Prisma looks)

Exit status
  0     written, or nothing to change, or only shown
  64    E_USAGE: there is something to write, and nobody to ask: --yes is needed
  else  as \`flysqlite --help\` lists them

Examples
  npx flysqlite init
  npx flysqlite init --dry
  npx flysqlite init --yes --litestream-yml
`,
  replicate: `
flysqlite replicate: replicates a database beside an app that somebody else starts

It ships every commit until SIGTERM or SIGINT, then what is left, and ends. It starts no app, and links, restores,
migrates and seeds nothing. A database that is not there yet is waited for, where the replica is empty; where the
replica holds its history, bring it back first with \`flysqlite restore\`.

${WHICH}
  --sync-interval TIME   least time between two uploads (default 1s)
  --stop-timeout TIME    from the signal to stop to our end (default 4500ms)
  --log FORMAT           text, json, quiet, or debug (default text)

  Without --database it is the one of litestream.yml, or else the app's on the volume.

Exit status
  0     told to stop, and everything is in the replica
  75    E_FINAL_SYNC: told to stop, and not everything is there; the message says how much is missing
  else  as \`flysqlite --help\` lists them

Examples
  flysqlite replicate --database /data/app.db --replica s3://bucket/app
  flysqlite replicate --config /etc/litestream.yml
`,
  status: `
flysqlite status: is the data safe right now?

The first line answers, and the others say why:
  safe: ...             everything committed is in the replica
  syncing: ...          all but the last commits, which are on their way
  not safe: ...         commits wait for longer than 10 s, or than three sync intervals
  not replicated: ...   no flysqlite runs for the database; what can be told from outside

${WHICH}
  --json             all of it as JSON, as docs/control.md describes it

Exit status
  0     safe, syncing
  75    not safe
  69    not replicated
  else  as \`flysqlite --help\` lists them

Examples
  flysqlite status
  fly ssh console -C "flysqlite status"
  flysqlite status --json --database /data/app.db
`,
  sync: `
flysqlite sync: waits until everything that was committed before is in the replica

${WHICH}
  --timeout TIME     how long to wait (default 30s, at most 10m)
  --json             the answer as JSON, as docs/control.md describes it

Exit status
  0     everything that was committed before the call is in the replica
  75    E_SYNC: not in this time; the message says how much is missing, and why
  69    E_NO_KEEPER: no flysqlite runs for the database
  else  as \`flysqlite --help\` lists them

Examples
  flysqlite sync && fly deploy
  flysqlite sync --timeout 5s
  curl --unix-socket "$FLYSQLITE_SOCKET" -X POST 'http://flysqlite/sync?timeout=5s'
`,
};

/** One line a status, with the codes that end with it. */
export function exitStatusTable(): string {
  return exitStatusRows()
    .map(({ status, code, meaning }) => `  ${status.padStart(9)}  ${code === "" ? "" : code.padEnd(26)}${meaning}`)
    .join("\n");
}
