// An app that tells what happens to it, for the tests of PID 1. It needs no database and no package.
//
// Usage: node probe.mjs [deaf] [orphans=N] [exit=N]

import { spawn } from "node:child_process";
import { constants } from "node:os";
import process from "node:process";

const words = process.argv.slice(2);
const number = (name) => Number(words.find((word) => word.startsWith(`${name}=`))?.split("=")[1] ?? Number.NaN);
const say = (text) => process.stdout.write(`probe ${text}\n`);

for (const name of Object.keys(constants.signals)) {
  if (["SIGKILL", "SIGSTOP", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGCHLD", "SIGPIPE"].includes(name)) continue;
  if (["SIGUNUSED", "SIGPOLL", "SIGIOT"].includes(name)) continue; // second names of others
  process.on(name, () => {
    say(`got ${name}`);
    if (["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"].includes(name) && !words.includes("deaf")) process.exit(7);
  });
}
process.on("SIGCHLD", () => say("got SIGCHLD"));

const orphans = number("orphans");
if (orphans > 0) {
  // Each shell leaves one behind and ends.
  const script = `i=0; while [ $i -lt ${orphans} ]; do (sleep 0.01 &); i=$((i + 1)); done`;
  spawn("sh", ["-c", script], { stdio: "ignore", detached: true }).once("exit", () => say("left orphans"));
}
const exitStatus = number("exit");
if (!Number.isNaN(exitStatus)) process.exit(exitStatus);
setInterval(() => {}, 1000);
say("up");
