import { describe, expect, it } from "vitest";
import { listSettings } from "../../../src/config/list-settings.ts";
import { FLAGS, readSettings, SWITCHES } from "../../../src/config/settings.ts";

const read = (flags: Parameters<typeof readSettings>[0]["flags"], environment: NodeJS.ProcessEnv = {}) =>
  readSettings({ flags, command: [], environment, workingDirectory: "/app" });

/** Told before the settings are read, or part of none. */
const NOT_SETTINGS = ["config", "user", "swap"];

describe("the list of settings", () => {
  it("has every setting that was told, once, in the order of --help", async () => {
    const told = {
      ...{ volume: "data", database: "file:./dev.db", replica: "file:///backup", "sync-interval": "2s" },
      ...{ "stop-timeout": "9s", seed: "node seed.js", "seed-timeout": "1m", fence: "off" },
      ...{ "on-stale-volume": "restore", "on-migration-failure": "keep", "before-migrate": "a", "after-migrate": "b" },
      ...{ "before-launch": "c", "hook-timeout": "3m", log: "json", restart: "on-failure", "share-aws": "off" },
      "keep-package-manager": "on",
    };
    const rows = listSettings(await read(told));
    const names = [...FLAGS, ...SWITCHES].filter((name) => !NOT_SETTINGS.includes(name));
    expect(rows.map(({ name }) => name)).toEqual(names);
    expect(rows.map(({ source }) => source)).toEqual(names.map((name) => `--${name}`));
    expect(rows.slice(0, 5).map(({ value }) => value)).toEqual([
      "/app/data",
      "file:./dev.db",
      "/backup",
      "2.0 s",
      "9.0 s",
    ]);
    expect(rows.find(({ name }) => name === "share-aws")?.value).toBe("off");
  });

  it("says where each came from, and tells no secret of a bucket", async () => {
    const secret = "canary-of-the-bucket";
    const rows = listSettings(
      await read(
        {},
        {
          FLYSQLITE_FENCE: "required",
          BUCKET_NAME: "shop",
          AWS_ENDPOINT_URL_S3: "https://s3.example.com",
          AWS_ACCESS_KEY_ID: "AKIA",
          AWS_SECRET_ACCESS_KEY: secret,
        },
      ),
    );
    const sourceOf = (wanted: string) => rows.find(({ name }) => name === wanted)?.source;
    expect([sourceOf("fence"), sourceOf("replica"), sourceOf("log")]).toEqual([
      "FLYSQLITE_FENCE",
      "BUCKET_NAME",
      "default",
    ]);
    expect(rows.find(({ name }) => name === "replica")?.value).toMatch(/^s3:\/\/shop/);
    expect(rows.some(({ name }) => name === "seed")).toBe(false);
    expect(JSON.stringify(rows)).not.toContain(secret);
  });
});
