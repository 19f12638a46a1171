// The pages of help on commands that are given by hand; help.ts has those on what runs beside the app.

import type { HelpTopic } from "./arguments.ts";
import { flagLines, flagsOf } from "./flags.ts";

type ByHand = Exclude<HelpTopic, "doctor" | "init" | "replicate" | "status" | "sync">;

export const BY_HAND_PAGES: { readonly [topic in ByHand]: string } = {
  restore: `
flysqlite restore: gets the database back from its replica, as it was at any point

The file gets its name when all of it is written, and every checksum and SQLite's own check are right. Without -o it
is the app's database on the volume; stop the app first. The next start goes on from it.

${flagLines(flagsOf("restore"))}

  --timestamp, --txid, --before-migration and --generation exclude each other; without them it is the newest state.

Exit status
  0     restored, or with --dry: it can be
  64    E_USAGE: a file is there, and --force was not given
  else  as \`flysqlite --help\` lists them

Examples
  flysqlite restore -o copy.db --replica s3://bucket/path
  flysqlite restore -o old.db --timestamp 2026-11-24T09:30:00Z
  flysqlite restore --before-migration 20261101_add_notes --force
  flysqlite restore --dry
`,
  snapshots: `
flysqlite snapshots: lists the points that the replica can restore to

Without --all these are the copies of the whole database, and the newest state.

${flagLines(flagsOf("snapshots"))}

Examples
  flysqlite snapshots
  flysqlite snapshots --all --json --replica file:///backup/app
`,
  verify: `
flysqlite verify: reads the whole replica, and says whether it is sound

--deep restores it too, to a temporary directory (TMPDIR), has SQLite check it, and compares it page by page with the
live database, which the app may be using.

${flagLines(flagsOf("verify"))}

Exit status
  0     all of it is sound
  65    E_REPLICA_CORRUPT: each damaged or missing file is named
  else  as \`flysqlite --help\` lists them

Examples
  flysqlite verify
  flysqlite verify --deep --replica s3://bucket/path
`,
  migrate: `
flysqlite migrate: applies the migrations that are pending, as a start does
flysqlite migrate resolve: says what became of a migration, as \`prisma migrate resolve\` does

The app must not run meanwhile. What fails is undone; docs/migrations.md tells how.

${flagLines(flagsOf("migrate"))}

Flags of migrate resolve, of which it takes one
${flagLines(["applied", "rolled-back"])}

Exit status
  0     done, or nothing to do; with --dry: it would begin
  70    E_MIGRATE: a migration failed, or would be refused
  else  as \`flysqlite --help\` lists them

Examples
  flysqlite migrate --dry
  flysqlite migrate
  flysqlite migrate resolve --rolled-back 20261101_add_notes
`,
  seed: `
flysqlite seed: runs the app's seed on the database, as \`prisma db seed\` does

A start does so once, for a new database. A seed that fails is undone.

${flagLines(flagsOf("seed"))}

Exit status
  0     the seed ended with 0
  70    E_SEED: it did not
  else  as \`flysqlite --help\` lists them

Examples
  flysqlite seed
  flysqlite seed --seed "node prisma/seed.ts" --seed-timeout 2m
`,
  completion: `
flysqlite completion: completions of commands and flags, for bash, zsh or fish

Examples
  flysqlite completion bash > ~/.local/share/bash-completion/completions/flysqlite
  flysqlite completion zsh > "\${fpath[1]}/_flysqlite"
  flysqlite completion fish > ~/.config/fish/completions/flysqlite.fish
`,
};
