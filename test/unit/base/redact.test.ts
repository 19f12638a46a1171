import { describe, expect, it } from "vitest";
import { createRedactor, secretsOf } from "../../../src/base/redact.ts";

describe("secretsOf", () => {
  it("knows a secret by its variable's name, whatever the app's are called", () => {
    const secrets = {
      AWS_SECRET_ACCESS_KEY: "1",
      AWS_SESSION_TOKEN: "2",
      LITESTREAM_SECRET_ACCESS_KEY: "3",
      SESSION_SECRET: "4",
      GITHUB_TOKEN: "5",
      SMTP_PASSWORD: "6",
      STRIPE_API_KEY: "7",
      SIGNING_PRIVATE_KEY: "8",
      NPM_CONFIG__AUTH: "9",
    };
    const others = { PATH: "/bin", HOME: "/root", DATABASE_URL: "file:./dev.db", AUTHOR: "ann", KEYBOARD: "us" };
    expect([...secretsOf({ ...secrets, ...others })].sort()).toEqual(Object.values(secrets));
  });
});

describe("a redactor", () => {
  const redact = createRedactor({
    A_SECRET: "s3cr3t/with+signs=",
    B_TOKEN: "s3cr3t/with+signs=and-more",
    C_TOKEN: "short",
  });

  it("hides secrets, also percent-encoded, and one that holds another as a whole", () => {
    expect(redact("key s3cr3t/with+signs= ends")).toBe("key *** ends");
    expect(redact(`key ${encodeURIComponent("s3cr3t/with+signs=")} ends`)).toBe("key *** ends");
    expect(redact("key s3cr3t/with+signs=and-more ends")).toBe("key *** ends");
  });

  it("leaves alone what is too short to be one", () => {
    expect(redact("short words stay")).toBe("short words stay");
  });

  it.each([
    ["a url's password", "postgres://ann:pa55w0rd@db/x", "postgres://***@db/x"],
    ["a signed url", "GET /k?X-Amz-Signature=abc123&X-Amz-Date=1", "GET /k?X-Amz-Signature=***&X-Amz-Date=1"],
    ["a session token in a url", "?X-Amz-Security-Token=FwoG%2F&x", "?X-Amz-Security-Token=***&x"],
    ["a signed request", "authorization: AWS4-HMAC-SHA256 Credential=AKIA/x, Signature=1", "authorization: ***"],
  ])("hides %s wherever it stands", (_, text, shown) => {
    expect(redact(text)).toBe(shown);
  });

  it("leaves an ordinary line as it is", () => {
    const line =
      "flysqlite  restore    s3://shop-backup/db: snapshot + 14 changes, 12.4 MB in 1.8 s (http://127.0.0.1:80)";
    expect(redact(line)).toBe(line);
  });
});
