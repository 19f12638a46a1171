import { describe, expect, it } from "vitest";
import { lastFour, redact } from "../../../../src/base/redact.ts";
import { denied, fixedCredentials, newStore, options } from "./support.ts";

describe("redact", () => {
  it("hides secrets wherever they stand, also percent-encoded", () => {
    expect(redact("a secret/+key b secret%2F%2Bkey", ["secret/+key", undefined])).toBe("a *** b ***");
  });

  it("leaves a text alone for what is too short to be a secret", () => {
    expect(redact("a list", ["a", ""])).toBe("a list");
  });
});

describe("lastFour", () => {
  it("shows the end of a key's id, and nothing of a short one", () => {
    expect([lastFour("AKIAIOSFODNN7EXAMPLE"), lastFour("short")]).toEqual(["…MPLE", "***"]);
  });
});

describe("what a store tells", () => {
  it("has no secret in it, also where the service says it back", async () => {
    const secret = { accessKeyId: "AKIA", secretAccessKey: "canary-secret-1", sessionToken: "canary-token-1" };
    const { server, store, events } = await newStore({ credentials: fixedCredentials(secret) });
    server.accept(secret);
    server.fail("List", { kind: "body", body: "error", code: "canary-token-1" }, 100);
    const error = await store.list("", options).catch((error: unknown) => error);
    server.heal();
    server.accept({ ...secret, secretAccessKey: "canary-other-1" });
    const refused = await store.list("", options).catch((error: unknown) => error);
    expect(refused).toEqual(denied);
    expect(JSON.stringify([String(error), String(refused), refused, events])).not.toContain("canary");
  });
});
