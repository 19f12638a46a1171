import { describe, expect, it } from "vitest";
import {
  fromEnvironment,
  isProtected,
  makeS3Place,
  parseS3Url,
  requestAddress,
  type S3Place,
  s3Address,
} from "../../../../src/storage/s3/place.ts";

const aws: S3Place = {
  kind: "s3",
  bucket: "bkt",
  prefix: "a/b",
  endpoint: undefined,
  region: undefined,
  pathStyle: false,
  insecure: false,
};

describe("parseS3Url", () => {
  it.each<readonly [string, Partial<S3Place>]>([
    ["s3://bkt/a/b", {}],
    ["S3://bkt/a/b/", {}],
    ["s3://bkt//a/./c/..//b", {}],
    ["s3://bkt/a%20b/%C3%BC", { prefix: "a b/ü" }],
    ["s3://bkt", { prefix: "." }],
    ["s3://bkt/", { prefix: "" }],
    ["s3://bkt/../..", { prefix: "" }],
    ["s3://bkt/a/b?region=eu-west-1", { region: "eu-west-1" }],
    ["s3://bkt/a/b?forcePathStyle=true", { pathStyle: true }],
    ["s3://bkt/a/b?force-path-style=1", { pathStyle: true }],
    ["s3://bkt/a/b?skipVerify=false", {}],
    ["s3://my.bucket/a/b", { bucket: "my.bucket", pathStyle: true }],
    ["s3://bkt/a/b?endpoint=https://minio.example", { endpoint: "https://minio.example", pathStyle: true }],
    ["s3://bkt/a/b?endpoint=minio.example:9000", { endpoint: "https://minio.example:9000", pathStyle: true }],
    ["s3://bkt/a/b?endpoint=localhost:9000", { endpoint: "http://localhost:9000", pathStyle: true }],
    ["s3://bkt/a/b?endpoint=127.0.0.1:9000", { endpoint: "http://127.0.0.1:9000", pathStyle: true }],
    [
      "s3://bkt/a/b?endpoint=http://10.0.0.1&insecure=true",
      { endpoint: "http://10.0.0.1", pathStyle: true, insecure: true },
    ],
    ["s3://bkt/a/b?endpoint=https://fly.storage.tigris.dev", { endpoint: "https://fly.storage.tigris.dev" }],
    [
      "s3://bkt/a/b?endpoint=https://id.r2.cloudflarestorage.com/",
      { endpoint: "https://id.r2.cloudflarestorage.com", pathStyle: true },
    ],
    ["s3://bkt.s3.eu-west-1.amazonaws.com/a/b", { region: "eu-west-1" }],
    ["s3://bkt.s3.amazonaws.com/a/b", {}],
    ["s3://bkt.fra1.digitaloceanspaces.com/a/b", { region: "fra1", endpoint: "https://fra1.digitaloceanspaces.com" }],
    [
      "s3://bkt.s3.us-west-002.backblazeb2.com/a/b",
      { region: "us-west-002", endpoint: "https://s3.us-west-002.backblazeb2.com", pathStyle: true },
    ],
    ["s3://bkt.s3.filebase.com/a/b", { endpoint: "https://s3.filebase.com", pathStyle: true }],
    ["s3://bkt.s3.fr-par.scw.cloud/a/b", { region: "fr-par", endpoint: "https://s3.fr-par.scw.cloud" }],
    ["s3://bkt.localhost:9000/a/b", { endpoint: "http://localhost:9000", pathStyle: true }],
    ["s3://bkt.minio:9000/a/b", { endpoint: "http://minio:9000", pathStyle: true }],
  ])("reads %s", (text, difference) => {
    expect(parseS3Url(text)).toEqual({ ...aws, ...difference });
  });

  it("takes from the environment what the url leaves open", () => {
    const environment = { AWS_ENDPOINT_URL_S3: "https://fly.storage.tigris.dev", AWS_REGION: "auto" };
    const tigris = { ...aws, endpoint: "https://fly.storage.tigris.dev", region: "auto" };
    expect(parseS3Url("s3://bkt/a/b", environment)).toEqual(tigris);
    expect(parseS3Url("s3://bkt/a/b?region=x&endpoint=https://o.example", environment)).toEqual({
      ...aws,
      endpoint: "https://o.example",
      region: "x",
      pathStyle: true,
    });
    expect(parseS3Url("s3://bkt/a/b", { AWS_ENDPOINT_URL_S3: "", AWS_REGION: "" })).toEqual(aws);
  });

  it.each([
    ["https://bkt/a", "it isn't of the form"],
    ["s3:/bkt", "it isn't of the form"],
    ["s3://", "\"\" can't be a bucket's name"],
    ["s3:///path", "can't be a bucket's name"],
    ["s3://a", "can't be a bucket's name"],
    ["s3://bad_bucket!/x", "can't be a bucket's name"],
    ["s3://127.0.0.1:9000/bkt", "can't be a bucket's name"],
    ["s3://key:canary@bkt/x", "credentials don't belong into a url"],
    ["s3://bkt/x?endpoint=https://u:canary@host", "credentials don't belong into the endpoint"],
    ["s3://bkt/x?endpoint=ftp://host", "neither https nor http"],
    ["s3://bkt/x?endpoint=https://host/path", "say https://host"],
    ["s3://bkt/x?endpoint=https://", "the endpoint is no url"],
    ["s3://bkt/x?skipVerify=true", "certificates are always verified"],
    ["s3://bkt/x?regoin=x", '"regoin" is none of'],
    ["s3://bkt/x?region=a/b", "can't be a region's name"],
    ["s3://bkt/x?forcePathStyle=maybe", "neither true nor false"],
    ["s3://bkt/%zz", "stands for no character"],
    ["s3://bkt/a%0ab", "a control character"],
    ["s3://arn:aws:s3:eu-west-1:1:accesspoint/x/y", "access points are not supported"],
  ])("refuses %s", (text, problem) => {
    expect(() => parseS3Url(text)).toThrow(problem);
    expect(() => parseS3Url(text)).not.toThrow("canary");
  });

  it("reads its own address again", () => {
    for (const text of ["s3://bkt/a/b", "s3://bkt", "s3://bkt/a/b?endpoint=https://fly.storage.tigris.dev"]) {
      expect(s3Address(parseS3Url(text))).toBe(text);
    }
  });
});

describe("makeS3Place", () => {
  it("takes a path as it is, as Litestream does with its configuration's keys", () => {
    expect(makeS3Place({ bucket: "bkt" }).prefix).toBe("");
    expect(makeS3Place({ bucket: "bkt", path: "/lead/ing/" }).prefix).toBe("/lead/ing/");
  });

  it("tells stores apart by their addresses", () => {
    const addresses = ["", ".", "/", "a", "/a", "a/"].map((path) => s3Address(makeS3Place({ bucket: "bkt", path })));
    expect(new Set(addresses).size).toBe(6);
  });
});

describe("fromEnvironment", () => {
  const fly = {
    BUCKET_NAME: "bkt",
    AWS_ENDPOINT_URL_S3: "https://fly.storage.tigris.dev",
    AWS_REGION: "auto",
    AWS_ACCESS_KEY_ID: "tid",
    AWS_SECRET_ACCESS_KEY: "tsec",
  };

  it("reads Fly's variables", () => {
    const place = { ...aws, prefix: "app.db", endpoint: "https://fly.storage.tigris.dev", region: "auto" };
    expect(fromEnvironment(fly, { path: "app.db" })).toEqual(place);
  });

  it("is none without a bucket", () => {
    expect(fromEnvironment({ ...fly, BUCKET_NAME: undefined }, { path: "" })).toBeUndefined();
  });
});

describe("isProtected", () => {
  it.each([
    [undefined, true],
    ["https://host", true],
    ["http://localhost:1", true],
    ["http://127.1.2.3", true],
    ["http://[::1]:9000", true],
    ["http://10.0.0.1", false],
    ["http://localhost.example.com", false],
    ["http://127.0.0.1.example.com", false],
  ])("for the endpoint %s is %s", (endpoint, expected) => {
    expect(isProtected({ ...aws, endpoint })).toBe(expected);
    expect(isProtected({ ...aws, endpoint, insecure: true })).toBe(true);
  });
});

describe("requestAddress", () => {
  it.each<readonly [string, Partial<S3Place>, string, object]>([
    ["AWS by host", {}, "eu-west-1", { origin: "https://bkt.s3.eu-west-1.amazonaws.com", root: "/" }],
    ["AWS in China", {}, "cn-north-1", { origin: "https://bkt.s3.cn-north-1.amazonaws.com.cn", root: "/" }],
    ["AWS by path", { pathStyle: true }, "eu-west-1", { origin: "https://s3.eu-west-1.amazonaws.com", root: "/bkt/" }],
    [
      "an endpoint by host",
      { endpoint: "https://fly.storage.tigris.dev" },
      "auto",
      { origin: "https://bkt.fly.storage.tigris.dev", root: "/" },
    ],
    [
      "an endpoint with a port, by path",
      { endpoint: "http://[::1]:9000", pathStyle: true },
      "us-east-1",
      { origin: "http://[::1]:9000", root: "/bkt/" },
    ],
  ])("of %s", (_, difference, region, expected) => {
    const found = requestAddress({ ...aws, ...difference }, region);
    expect(found).toEqual({ ...expected, host: new URL(found.origin).host });
  });
});
