import { describe, expect, it } from "vitest";
import { findReplica } from "../../../src/commands/locate.ts";
import { readSettings } from "../../../src/config/settings.ts";
import { createMemoryStore } from "../../support/memory-store.ts";
import { stepContext } from "../../support/step-context.ts";

/** Fly's bucket, where a replica's path is made of the database's name. */
const FLY = {
  BUCKET_NAME: "shop",
  AWS_ENDPOINT_URL_S3: "http://127.0.0.1:1",
  AWS_REGION: "auto",
  AWS_ACCESS_KEY_ID: "key",
  AWS_SECRET_ACCESS_KEY: "secret",
};

describe("the replica that a command is about", () => {
  it.each(["/srv/shop.db", "file:/srv/shop.db", "file:./shop.db"])(
    "is found by the name %s, without a volume",
    async (database) => {
      const flags = { database, volume: "/nowhere" };
      const settings = await readSettings({ flags, command: [], environment: FLY, workingDirectory: "/" });
      const asked: string[] = [];
      const replica = async (name: string) => {
        asked.push(name);
        return { store: createMemoryStore(), source: "BUCKET_NAME" };
      };
      await findReplica(stepContext({ settings, replica }));
      expect(asked).toEqual(["shop.db"]);
    },
  );
});
