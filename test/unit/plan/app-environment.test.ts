import { describe, expect, it } from "vitest";
import { appEnvironment } from "../../../src/plan/app-environment.ts";

const environment = {
  PATH: "/bin",
  NODE_OPTIONS: "--enable-source-maps",
  DATABASE_URL: "file:./dev.db",
  FLYSQLITE_REPLICA: "s3://bucket/db",
  FLYSQLITE_VOLUME: "/data",
  LITESTREAM_ACCESS_KEY_ID: "1",
  LITESTREAM_SECRET_ACCESS_KEY: "2",
  AWS_ACCESS_KEY_ID: "3",
  AWS_SECRET_ACCESS_KEY: "4",
  AWS_REGION: "auto",
  BUCKET_NAME: "bucket",
};

describe("appEnvironment", () => {
  it("keeps what is the app's, with the bucket's keys, which apps use too", () => {
    const told = appEnvironment(environment, { placement: { kind: "direct" }, shareAws: true });
    expect(Object.keys(told).sort()).toEqual([
      "AWS_ACCESS_KEY_ID",
      "AWS_REGION",
      "AWS_SECRET_ACCESS_KEY",
      "BUCKET_NAME",
      "DATABASE_URL",
      "NODE_OPTIONS",
      "PATH",
    ]);
  });

  it("keeps the bucket's keys from it where that is told", () => {
    const told = appEnvironment(environment, { placement: { kind: "direct" }, shareAws: false });
    expect(Object.keys(told).sort()).toEqual(["BUCKET_NAME", "DATABASE_URL", "NODE_OPTIONS", "PATH"]);
  });

  it("has the database's url in the variable that the app reads", () => {
    const placement = { kind: "variable", name: "DATABASE_URL", url: "file:/data/dev.db" } as const;
    expect(appEnvironment(environment, { placement, shareAws: true })["DATABASE_URL"]).toBe("file:/data/dev.db");
  });
});
