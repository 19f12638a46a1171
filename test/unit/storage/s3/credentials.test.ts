import { describe, expect, it } from "vitest";
import type { Clock } from "../../../../src/base/context.ts";
import { type CredentialsOptions, createCredentials } from "../../../../src/storage/s3/credentials.ts";
import type { HttpRequest } from "../../../../src/storage/s3/exchange.ts";
import { denied, options } from "./support.ts";

const keys = { accessKeyId: "AKIAONE", secretAccessKey: "canary-secret" };
const invalid = expect.objectContaining({ code: "E_CONFIG" });

/** A clock that stands until it is told, and never sleeps. */
function standingClock(): Clock & { nowMs: number } {
  return {
    nowMs: Date.parse("2026-01-01T00:00:00Z"),
    now() {
      return this.nowMs;
    },
    monotonic: () => 0,
    sleep: async () => {},
  };
}

type Told = {
  readonly environment?: Record<string, string>;
  readonly files?: Record<string, string>;
  readonly answer?: (request: HttpRequest) => { readonly status?: number; readonly body: string } | Promise<never>;
} & Partial<Pick<CredentialsOptions, "settings">>;

function newCredentials({ environment = {}, files = {}, answer, settings }: Told) {
  const clock = standingClock();
  const requests: HttpRequest[] = [];
  const provider = createCredentials({
    settings,
    environment,
    clock,
    async readFile(path) {
      const text = files[path];
      if (text === undefined) throw new Error("ENOENT");
      return text;
    },
    async send(request) {
      requests.push(request);
      if (answer === undefined) throw new Error("nobody is there");
      const { status = 200, body } = await answer(request);
      return { status, headers: {}, body: new TextEncoder().encode(body) };
    },
  });
  return { provider, clock, requests };
}

const lent = (id: string, expiration: string) =>
  JSON.stringify({ AccessKeyId: id, SecretAccessKey: "canary-lent", Token: "token", Expiration: expiration });

describe("credentials from variables", () => {
  it.each<readonly [string, Told, object]>([
    ["settings before all", { settings: keys, environment: { AWS_ACCESS_KEY_ID: "x" } }, keys],
    ["AWS's", { environment: { AWS_ACCESS_KEY_ID: "AKIAONE", AWS_SECRET_ACCESS_KEY: "canary-secret" } }, keys],
    [
      "a session's",
      { environment: { AWS_ACCESS_KEY_ID: "AKIAONE", AWS_SECRET_ACCESS_KEY: "canary-secret", AWS_SESSION_TOKEN: "t" } },
      { ...keys, sessionToken: "t" },
    ],
    [
      "Litestream's",
      { environment: { LITESTREAM_ACCESS_KEY_ID: "AKIAONE", LITESTREAM_SECRET_ACCESS_KEY: "canary-secret" } },
      keys,
    ],
    [
      "AWS's before Litestream's",
      {
        environment: {
          AWS_ACCESS_KEY_ID: "AKIAONE",
          LITESTREAM_ACCESS_KEY_ID: "no",
          LITESTREAM_SECRET_ACCESS_KEY: "canary-secret",
        },
      },
      keys,
    ],
    [
      "files",
      {
        environment: { AWS_ACCESS_KEY_ID_FILE: "/id", AWS_SECRET_ACCESS_KEY_FILE: "/secret" },
        files: { "/id": "AKIAONE\n", "/secret": " canary-secret\r\n" },
      },
      keys,
    ],
  ])("are %s", async (_, told, expected) => {
    const { provider, requests } = newCredentials(told);
    expect(await provider.get(options)).toEqual(expected);
    expect(requests).toEqual([]);
  });

  it.each([
    [{ AWS_ACCESS_KEY_ID: "AKIAONE" }, "AWS_SECRET_ACCESS_KEY is not set, while AWS_ACCESS_KEY_ID is"],
    [{ AWS_SECRET_ACCESS_KEY: "canary" }, "AWS_ACCESS_KEY_ID is not set, while AWS_SECRET_ACCESS_KEY is"],
    [
      { AWS_ACCESS_KEY_ID_FILE: "/none", AWS_SECRET_ACCESS_KEY: "canary" },
      '"/none", which AWS_ACCESS_KEY_ID_FILE names',
    ],
  ])("that are half there are a wrong setting: %j", async (environment, problem) => {
    const { provider } = newCredentials({ environment });
    await expect(provider.get(options)).rejects.toEqual(invalid);
    await expect(provider.get(options)).rejects.toThrow(problem);
    await expect(provider.get(options)).rejects.not.toThrow("canary");
  });

  it("are read again after the service refused them", async () => {
    const environment = { AWS_ACCESS_KEY_ID: "AKIAONE", AWS_SECRET_ACCESS_KEY_FILE: "/secret" };
    const files = { "/secret": "old" };
    const { provider } = newCredentials({ environment, files });
    const old = await provider.get(options);
    files["/secret"] = "new";
    expect(await provider.get(options)).toBe(old);
    provider.refused(old);
    expect(await provider.get(options)).toMatchObject({ secretAccessKey: "new" });
  });
});

describe("lent credentials", () => {
  const container = { AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: "/v2/creds?x=1" };

  it("come from a container's agent", async () => {
    const { provider, requests } = newCredentials({
      environment: { ...container, AWS_CONTAINER_AUTHORIZATION_TOKEN: "auth" },
      answer: () => ({ body: lent("A", "2026-01-01T06:00:00Z") }),
    });
    expect(await provider.get(options)).toEqual({
      accessKeyId: "A",
      secretAccessKey: "canary-lent",
      sessionToken: "token",
      expiresMs: Date.parse("2026-01-01T06:00:00Z"),
    });
    expect(requests).toEqual([
      { method: "GET", origin: "http://169.254.170.2", path: "/v2/creds?x=1", headers: { authorization: "auth" } },
    ]);
  });

  it("come from EKS's agent, with the token of a file", async () => {
    const { provider, requests } = newCredentials({
      environment: {
        AWS_CONTAINER_CREDENTIALS_FULL_URI: "http://169.254.170.23/v1/credentials",
        AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: "/token",
      },
      files: { "/token": "from the file\n" },
      answer: () => ({ body: lent("A", "2026-01-01T06:00:00Z") }),
    });
    await provider.get(options);
    expect(requests[0]?.headers).toEqual({ authorization: "from the file" });
  });

  it("are asked for over http on this host and AWS's agents only", async () => {
    const { provider, requests } = newCredentials({
      environment: { AWS_CONTAINER_CREDENTIALS_FULL_URI: "http://10.0.0.1/creds" },
    });
    await expect(provider.get(options)).rejects.toEqual(invalid);
    expect(requests).toEqual([]);
  });

  it("come from a web identity", async () => {
    const { provider, requests } = newCredentials({
      environment: {
        AWS_ROLE_ARN: "arn:aws:iam::1:role/r",
        AWS_WEB_IDENTITY_TOKEN_FILE: "/jwt",
        AWS_ROLE_SESSION_NAME: "me",
        AWS_REGION: "eu-west-1",
        ...container,
      },
      files: { "/jwt": "a.b+c\n" },
      answer: () => ({
        body: '<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2026-01-01T01:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>',
      }),
    });
    expect(await provider.get(options)).toMatchObject({ accessKeyId: "A", sessionToken: "t" });
    expect(requests[0]).toMatchObject({ method: "POST", origin: "https://sts.eu-west-1.amazonaws.com", path: "/" });
    expect(Buffer.from(requests[0]?.body ?? []).toString()).toBe(
      "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName=me&WebIdentityToken=a.b%2Bc",
    );
  });

  it("come from the instance's metadata last, with a session", async () => {
    const { provider, requests } = newCredentials({
      answer: ({ method, path }) => ({
        body: method === "PUT" ? "session" : path.endsWith("/") ? "role-1" : lent("A", "2026-01-01T06:00:00Z"),
      }),
    });
    expect(await provider.get(options)).toMatchObject({ accessKeyId: "A" });
    expect(requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      "PUT /latest/api/token",
      "GET /latest/meta-data/iam/security-credentials/",
      "GET /latest/meta-data/iam/security-credentials/role-1",
    ]);
    expect(requests[2]?.headers).toEqual({ "x-aws-ec2-metadata-token": "session" });
  });

  it("that nobody lends are told with the way out", async () => {
    for (const environment of [{}, { AWS_EC2_METADATA_DISABLED: "true" }]) {
      const { provider } = newCredentials({ environment });
      await expect(provider.get(options)).rejects.toMatchObject({
        code: "E_REPLICA_DENIED",
        message: "Cannot find credentials for the bucket",
        hint: "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
      });
    }
  });

  it.each([
    ["no JSON", { body: "canary-lent" }],
    ["JSON of another kind", { body: "[]" }],
    ["without a secret", { body: '{"AccessKeyId":"canary-lent"}' }],
    ["with a time that is none", { body: lent("A", "soon") }],
    ["a refusal", { status: 403, body: "canary-lent" }],
    ["an error that lasts", { status: 500, body: "canary-lent" }],
  ])("are none in an answer that is %s, which is not quoted", async (_, answer) => {
    const { provider } = newCredentials({ environment: container, answer: () => answer });
    const error = await provider.get(options).catch((error: unknown) => error);
    expect(error).toEqual(denied);
    expect(String(error)).not.toContain("canary");
  });

  it("are kept, and renewed before they end", async () => {
    let id = 0;
    const { provider, clock, requests } = newCredentials({
      environment: container,
      answer: () => ({ body: lent(`A${++id}`, new Date(clock.nowMs + 3_600_000).toISOString()) }),
    });
    const all = await Promise.all([1, 2, 3].map(() => provider.get(options)));
    expect(all.map(({ accessKeyId }) => accessKeyId)).toEqual(["A1", "A1", "A1"]);
    clock.nowMs += 50 * 60_000;
    expect(await provider.get(options)).toMatchObject({ accessKeyId: "A1" });
    clock.nowMs += 6 * 60_000;
    expect(await provider.get(options)).toMatchObject({ accessKeyId: "A2" });
    expect(requests.length).toBe(2);
  });

  it("go on while they hold, where renewing fails", async () => {
    let down = false;
    const { provider, clock } = newCredentials({
      environment: container,
      answer: () => (down ? { status: 500, body: "" } : { body: lent("A", "2026-01-01T01:00:00Z") }),
    });
    await provider.get(options);
    down = true;
    clock.nowMs += 57 * 60_000;
    expect(await provider.get(options)).toMatchObject({ accessKeyId: "A" });
    clock.nowMs += 4 * 60_000;
    await expect(provider.get(options)).rejects.toEqual(denied);
  });

  it("are still found for others when the first to ask gives up", async () => {
    const { promise, resolve } = Promise.withResolvers<{ body: string }>();
    const { provider } = newCredentials({
      environment: container,
      answer: () => promise as Promise<never>,
    });
    const stop = new AbortController();
    const first = provider.get({ signal: stop.signal });
    const second = provider.get(options);
    stop.abort(new Error("stopped"));
    await expect(first).rejects.toThrow("stopped");
    resolve({ body: lent("A", "2026-01-01T06:00:00Z") });
    expect(await second).toMatchObject({ accessKeyId: "A" });
  });
});
