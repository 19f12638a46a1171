import { describe, expect, it } from "vitest";
import { createSigner, encodePath } from "../../../../src/storage/s3/sign.ts";

// The examples of "Authenticating Requests: Using the Authorization Header" in AWS's S3 API reference.
const told = {
  credentials: {
    accessKeyId: "AKIAIOSFODNN7EXAMPLE",
    secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
  },
  region: "us-east-1",
  nowMs: Date.UTC(2013, 4, 24),
};
const host = "examplebucket.s3.amazonaws.com";
const get = { method: "GET", path: "/", query: [], headers: { host }, body: undefined };

describe("a signature", () => {
  it.each([
    [
      "GetObject",
      { ...get, path: "/test.txt", headers: { host, range: "bytes=0-9" } },
      "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ],
    [
      "PutObject",
      {
        ...get,
        method: "PUT",
        path: `/${encodePath("test$file.text")}`,
        headers: { host, date: "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY" },
        body: new TextEncoder().encode("Welcome to Amazon S3."),
      },
      "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    ],
    [
      "a request with a parameter that has no value",
      { ...get, query: [["lifecycle", ""]] as const },
      "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    ],
    [
      "ListObjects",
      {
        ...get,
        query: [
          ["prefix", "J"],
          ["max-keys", "2"],
        ] as const,
      },
      "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ],
  ])("of %s is AWS's own", (_, request, signature) => {
    const sign = createSigner();
    expect(sign(request, told).headers["authorization"]).toMatch(new RegExp(`Signature=${signature}$`));
    expect(sign(request, told).headers["authorization"]).toMatch(new RegExp(`Signature=${signature}$`));
  });

  it("covers every header that is sent, and the session's token", () => {
    const credentials = { ...told.credentials, sessionToken: "token" };
    const { headers } = createSigner()({ ...get, headers: { host, "if-none-match": "*" } }, { ...told, credentials });
    expect(headers["authorization"]).toContain(
      "SignedHeaders=host;if-none-match;x-amz-content-sha256;x-amz-date;x-amz-security-token,",
    );
    expect(headers["x-amz-security-token"]).toBe("token");
  });

  it("changes with the key, the day and the region", () => {
    const sign = createSigner();
    const signature = (change: Partial<typeof told>) => sign(get, { ...told, ...change }).headers["authorization"];
    const all = [
      signature({}),
      signature({ region: "eu-west-1" }),
      signature({ nowMs: told.nowMs + 86_400_000 }),
      signature({ credentials: { ...told.credentials, secretAccessKey: "another" } }),
    ];
    expect(new Set(all).size).toBe(4);
    expect(signature({})).toBe(all[0]);
  });
});

describe("an encoded key", () => {
  it("keeps slashes, dots and what needs no encoding, and nothing else", () => {
    expect(encodePath("./a//b~c-d_e.f+g h'(i)*!%é")).toBe("./a//b~c-d_e.f%2Bg%20h%27%28i%29%2A%21%25%C3%A9");
  });
});
