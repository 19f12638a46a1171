// The tables of docs/settings.md. Pure.

import { DEFAULT_LEVELS } from "../../src/base/level-settings.ts";
import { SETTING_TEXTS } from "../../src/cli/flags.ts";
import { FLAGS, SWITCHES, variableOf } from "../../src/config/settings.ts";
import { markdownTable } from "./table.ts";

/** One row a setting, in the order of `--help`. */
export function settingsTable(): string {
  const rows = [...FLAGS, ...SWITCHES].map((flag) => {
    const { value, words, default: otherwise = "", meaning } = SETTING_TEXTS[flag];
    const values = words?.map((word) => `\`${word}\``).join(", ") ?? value ?? "`on`, `off`";
    return [`\`--${flag}\``, `\`${variableOf(flag)}\``, values, otherwise, meaning];
  });
  return markdownTable(["flag", "variable", "value", "default", "meaning"], rows);
}

/** The keys of litestream.yml that set how a replica is kept. */
export function levelTable(): string {
  const { intervalsMs, snapshotIntervalMs, snapshotRetentionMs, uploadRetentionMs, uploadRetentionCheckMs, deletes } =
    DEFAULT_LEVELS;
  return markdownTable(
    ["key", "default", "meaning"],
    [
      [
        "`levels: [{interval: TIME}, …]`",
        intervalsMs.map(time).join(", "),
        "how often each level is made of the one below",
      ],
      ["`snapshot: {interval: TIME}`", time(snapshotIntervalMs), "how often a copy of the whole database is added"],
      ["`snapshot: {retention: TIME}`", time(snapshotRetentionMs), "for how long every point that was kept stays"],
      ["`l0-retention: TIME`", time(uploadRetentionMs), "for how long single uploads stay once level 1 has them"],
      ["`l0-retention-check-interval: TIME`", time(uploadRetentionCheckMs), "how often such uploads are looked for"],
      ["`retention: {enabled: BOOLEAN}`", String(deletes), "`false` leaves deleting to the bucket's own rules"],
    ],
  );
}

const UNITS = [
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
  ["ms", 1],
] as const;

/** As it would be written in the file. */
function time(ms: number): string {
  const [unit, size] = UNITS.find(([, size]) => ms % size === 0) ?? ["ms", 1];
  return `\`${ms / size}${unit}\``;
}
