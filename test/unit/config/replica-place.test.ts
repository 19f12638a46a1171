import { describe, expect, it } from "vitest";
import {
  parseReplicaUrl,
  placeFromFly,
  placeFromKeys,
  type ReplicaKeys,
  type ReplicaPlace,
  withPathByName,
} from "../../../src/config/replica-place.ts";

const HERE = "/app";
const CANARY = "canary-Kx9/secret+key=0123456";

/** What Fly sets for a Tigris bucket. */
const FLY = {
  BUCKET_NAME: "shop",
  AWS_ENDPOINT_URL_S3: "https://fly.storage.tigris.dev",
  AWS_REGION: "auto",
  AWS_ACCESS_KEY_ID: "tid_canaryid",
  AWS_SECRET_ACCESS_KEY: CANARY,
};

type Environment = Readonly<Record<string, string>>;

const parse = (url: string, environment: Environment = {}) =>
  parseReplicaUrl(url, { workingDirectory: HERE, environment });

const fromKeys = (keys: ReplicaKeys, environment: Environment = {}) =>
  placeFromKeys(keys, { workingDirectory: HERE, environment });

/** A place in a bucket, without what has its default. */
function bucket(told: Partial<Extract<ReplicaPlace, { kind: "s3" }>["place"]>) {
  return {
    kind: "s3",
    place: {
      kind: "s3",
      bucket: "shop",
      prefix: ".",
      endpoint: undefined,
      region: undefined,
      pathStyle: false,
      insecure: false,
      ...told,
    },
    credentials: undefined,
    pathByName: false,
  };
}

describe("parseReplicaUrl", () => {
  it.each([
    ["file:///backup/app", "/backup/app"],
    ["file:///with%20space/", "/with space"],
    ["file:backup", `${HERE}/backup`],
    ["/backup/app", "/backup/app"],
    ["./backup", `${HERE}/backup`],
  ])("reads %s as a directory", (url, path) => {
    expect(parse(url)).toEqual({ kind: "file", path });
  });

  it.each([
    ["s3://shop", bucket({ prefix: "." })],
    ["s3://shop/", bucket({ prefix: "" })],
    ["S3://shop/a", bucket({ prefix: "a" })],
    ["s3://shop/a//b/", bucket({ prefix: "a/b" })],
    ["s3://shop/a?region=eu-west-1", bucket({ prefix: "a", region: "eu-west-1" })],
    [
      "s3://shop/a?endpoint=https://t3.storage.dev",
      bucket({ prefix: "a", endpoint: "https://t3.storage.dev", pathStyle: false }),
    ],
    [
      "s3://shop/a?endpoint=minio.example:9000&forcePathStyle=false",
      bucket({ prefix: "a", endpoint: "https://minio.example:9000", pathStyle: false }),
    ],
    ["s3://my.shop/a", bucket({ bucket: "my.shop", prefix: "a", pathStyle: true })],
  ])("reads %s as a place in a bucket", (url, place) => {
    expect(parse(url)).toEqual(place);
  });

  it.each([
    ["s3://shop.s3.eu-west-1.amazonaws.com/a", { region: "eu-west-1" }],
    ["s3://shop.s3-eu-west-1.amazonaws.com/a", { region: "eu-west-1" }],
    ["s3://shop.s3.amazonaws.com/a", {}],
    ["s3://shop.ams3.digitaloceanspaces.com/a", { region: "ams3", endpoint: "https://ams3.digitaloceanspaces.com" }],
    [
      "s3://shop.s3.us-west-004.backblazeb2.com/a",
      { region: "us-west-004", endpoint: "https://s3.us-west-004.backblazeb2.com", pathStyle: true },
    ],
    ["s3://shop.s3.filebase.com/a", { endpoint: "https://s3.filebase.com", pathStyle: true }],
    ["s3://shop.s3.fr-par.scw.cloud/a", { region: "fr-par", endpoint: "https://s3.fr-par.scw.cloud" }],
    ["s3://shop.localhost:9000/a", { endpoint: "http://localhost:9000", pathStyle: true }],
  ])("reads the provider's host in %s", (url, place) => {
    expect(parse(url)).toEqual(bucket({ prefix: "a", ...place }));
  });

  it("takes from the environment what the url leaves open, and nothing else", () => {
    expect(parse("s3://other/a", FLY)).toEqual(
      bucket({ bucket: "other", prefix: "a", endpoint: "https://fly.storage.tigris.dev", region: "auto" }),
    );
    expect(parse("s3://other/a?endpoint=https://a.example&region=eu-1", FLY)).toEqual(
      bucket({ bucket: "other", prefix: "a", endpoint: "https://a.example", region: "eu-1", pathStyle: true }),
    );
  });

  it("knows the word for none on purpose", () => {
    expect(parse("none")).toBe("none");
  });

  it.each(["http://127.0.0.1:9000", "http://localhost:9000", "http://[::1]:9000", "localhost:9000"])(
    "lets %s be without TLS, as it can only be this machine",
    (endpoint) => {
      expect(parse(`s3://shop/a?endpoint=${endpoint}`)).toMatchObject({
        place: { endpoint: endpoint.includes("://") ? endpoint : `http://${endpoint}` },
      });
    },
  );

  it.each([
    "s3://shop/a?endpoint=http://10.0.0.1:9000",
    "s3://shop/a?endpoint=http://localhost.example.com",
    "s3://shop/a?endpoint=http://127.0.0.1.example.com",
    "s3://shop.minio:9000/a",
  ])("refuses %s: over http anyone in between could read it", (url) => {
    expect(() => parse(url)).toThrow(/http only to this machine/);
    const separator = url.includes("?") ? "&" : "?";
    expect(parse(`${url}${separator}insecure=true`)).toMatchObject({ place: { insecure: true } });
  });

  it.each([
    ["s3://", "bucket's name"],
    ["s3:shop/a", "s3://bucket/path"],
    ["s3:///a", "bucket's name"],
    ["s3://a", "bucket's name"],
    ["s3://shop/a?endpoint=", "no url"],
    ["s3://shop/a?endpoint=https://a.example/b", "more than a host"],
    ["s3://shop/a?endpoint=ftp://a.example", "neither https nor http"],
    ["s3://shop/a?region=eu west", "region's name"],
    ["s3://shop/a?forcePathStyle=perhaps", "neither true nor false"],
    ["s3://shop/a?skipVerify=true", "certificates are always verified"],
    ["s3://shop/a?storageClass=GLACIER", '"storageClass" is none of'],
    ["s3://shop/%zz", "%"],
    ["s3://shop/a%00b", "control character"],
    ["s3://arn:aws:s3:eu-west-1:1:accesspoint/shop/a", "access points"],
    ["FILE:backup", 'a replica at "FILE:"'],
    ["gs://shop/a", 'a replica at "gs:": there are file:// and s3://'],
    ["file:///", "whole file system"],
    ["file:", "it is empty"],
  ])("refuses %s", (url, text) => {
    expect(() => parse(url)).toThrow(text);
  });
});

describe("placeFromKeys", () => {
  it("reads what fly-apps' generator writes", () => {
    const keys = {
      type: "s3",
      endpoint: FLY.AWS_ENDPOINT_URL_S3,
      bucket: FLY.BUCKET_NAME,
      path: "litestream/dev.db",
      "access-key-id": FLY.AWS_ACCESS_KEY_ID,
      "secret-access-key": CANARY,
    };
    expect(fromKeys(keys, FLY)).toEqual({
      ...bucket({ prefix: "litestream/dev.db", endpoint: FLY.AWS_ENDPOINT_URL_S3, region: "auto" }),
      credentials: { accessKeyId: FLY.AWS_ACCESS_KEY_ID, secretAccessKey: CANARY },
    });
  });

  it.each<[string, ReplicaKeys, ReturnType<typeof bucket>]>([
    ["a bucket and no path", { type: "s3", bucket: "shop" }, bucket({ prefix: "" })],
    ["a path, slashes and all", { type: "s3", bucket: "shop", path: "/a//b/" }, bucket({ prefix: "/a//b/" })],
    [
      "an endpoint and a region",
      { type: "s3", bucket: "shop", path: "a", endpoint: "https://minio.example", region: "eu-1" },
      bucket({ prefix: "a", endpoint: "https://minio.example", region: "eu-1", pathStyle: true }),
    ],
    [
      "the bucket in the host",
      { type: "s3", bucket: "shop", path: "a", endpoint: "https://minio.example", "force-path-style": "false" },
      bucket({ prefix: "a", endpoint: "https://minio.example" }),
    ],
    [
      "the bucket in the path",
      { type: "s3", bucket: "shop", path: "a", "force-path-style": "True" },
      bucket({ prefix: "a", pathStyle: true }),
    ],
    [
      "skip-verify that is off",
      { type: "s3", bucket: "shop", path: "a", "skip-verify": "false" },
      bucket({ prefix: "a" }),
    ],
    ["a url", { url: "s3://shop/a" }, bucket({ prefix: "a" })],
    ["a url and its type", { url: "s3://shop/a", type: "s3" }, bucket({ prefix: "a" })],
  ])("reads %s", (_, keys, place) => {
    expect(fromKeys(keys)).toEqual(place);
  });

  it("lets keys of their own go before the parts of a url, and these before the environment", () => {
    expect(fromKeys({ url: "s3://shop/a", endpoint: "https://minio.example", region: "eu-1" }, FLY)).toEqual(
      bucket({ prefix: "a", endpoint: "https://minio.example", region: "eu-1", pathStyle: true }),
    );
    expect(
      fromKeys({ url: "s3://shop.s3.fr-par.scw.cloud/a", region: "nl-ams", "force-path-style": "true" }, FLY),
    ).toEqual(bucket({ prefix: "a", endpoint: "https://s3.fr-par.scw.cloud", region: "nl-ams", pathStyle: true }));
    const open = { AWS_ENDPOINT_URL_S3: "http://10.0.0.1" };
    expect(fromKeys({ url: "s3://shop/a", endpoint: "https://minio.example" }, open)).toMatchObject({
      place: { endpoint: "https://minio.example" },
    });
  });

  it("has credentials with a url and with a bucket", () => {
    const pair = { "access-key-id": "id", "secret-access-key": CANARY };
    const credentials = { accessKeyId: "id", secretAccessKey: CANARY };
    expect(fromKeys({ url: "s3://shop/a", ...pair })).toMatchObject({ credentials });
    expect(fromKeys({ type: "s3", bucket: "shop", ...pair })).toMatchObject({ credentials });
  });

  it.each<[string, ReplicaKeys, string]>([
    ["a path", { path: "backup" }, `${HERE}/backup`],
    ["a path and its type", { path: "/backup", type: "file" }, "/backup"],
    ["a url", { url: "file:///backup" }, "/backup"],
    ["a url, beside a bucket for others", { url: "file:///backup", bucket: "shop" }, "/backup"],
    ["a path and its type, beside a bucket for others", { path: "/backup", type: "file", bucket: "shop" }, "/backup"],
  ])("reads %s as a directory", (_, keys, path) => {
    expect(fromKeys(keys, FLY)).toEqual({ kind: "file", path });
  });

  it.each<[string, ReplicaKeys, string]>([
    ["nothing at all", {}, 'without a "url" or a "path"'],
    ["an empty path", { path: " " }, 'without a "url" or a "path"'],
    ["an empty url", { url: "" }, "it is empty"],
    ["a file without a path", { type: "file" }, 'without a "url" or a "path"'],
    ["s3 without a bucket", { type: "s3", path: "a" }, 'without a "bucket"'],
    ["s3 with an empty bucket", { type: "s3", bucket: "" }, "bucket's name"],
    ["a bucket without a type", { bucket: "shop", path: "a" }, "say type: s3"],
    ["another type", { type: "gs", bucket: "shop" }, 'a replica of type "gs": there are file and s3'],
    ["a type that the url's isn't", { type: "file", url: "s3://shop/a" }, '"type" says "file"'],
    ["a type that the path's isn't", { type: "s3", url: "file:///backup" }, '"type" says "s3"'],
    ["a url and a path", { url: "s3://shop/a", path: "b" }, '"url" and "path"'],
    ["a url and a path, both files", { url: "file:///backup", path: "/b" }, '"url" and "path"'],
    ["a url and a bucket", { url: "s3://shop/a", bucket: "other" }, '"url" and "bucket"'],
    ["a url in the path's place", { path: "s3://shop/a" }, '"path" is a url'],
    ["none, which is no url", { url: "none" }, "FLYSQLITE_REPLICA=none"],
    ["the whole file system", { path: "/" }, "whole file system"],
    ["certificates that are not verified", { url: "s3://shop/a", "skip-verify": "true" }, "always verified"],
    ["a flag that is none", { type: "s3", bucket: "shop", "force-path-style": "yes" }, '"force-path-style" is neither'],
    ["an id without its secret", { url: "s3://shop/a", "access-key-id": "id" }, "go together"],
    ["a secret without its id", { type: "s3", bucket: "shop", "secret-access-key": CANARY }, "go together"],
    ["an empty secret", { type: "s3", bucket: "shop", "access-key-id": "id", "secret-access-key": "" }, "go together"],
    ["an endpoint over http", { type: "s3", bucket: "shop", endpoint: "http://10.0.0.1" }, "http only to this machine"],
    ["an endpoint with a password", { type: "s3", bucket: "shop", endpoint: `https://me:pw@a.example` }, "credentials"],
  ])("refuses %s", (_, keys, text) => {
    expect(() => fromKeys(keys)).toThrow(text);
  });
});

describe("placeFromFly", () => {
  it("makes of Fly's five variables the place that fly-apps' generator names, once the database's name is known", () => {
    const replica = placeFromFly(FLY);
    expect(replica).toMatchObject({ kind: "s3", credentials: undefined, pathByName: true });
    const named = bucket({
      prefix: "litestream/dev.db",
      endpoint: "https://fly.storage.tigris.dev",
      region: "auto",
    });
    expect(replica && withPathByName(replica, "dev.db")).toEqual(named);
  });

  it("leaves a path that was told as it is", () => {
    for (const replica of [parse("s3://shop/a"), parse("/backup")]) {
      expect(replica !== "none" && withPathByName(replica, "dev.db")).toEqual(replica);
    }
  });

  it("has none where no bucket is named, also beside an app's own AWS variables", () => {
    expect(placeFromFly({})).toBeUndefined();
    for (const name of ["AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] as const) {
      const { BUCKET_NAME: _, [name]: __, ...own } = FLY;
      expect(placeFromFly(own)).toBeUndefined();
    }
  });

  it("refuses a bucket's variables without its name, or with an empty one", () => {
    const { BUCKET_NAME: _, ...companions } = FLY;
    expect(() => placeFromFly(companions)).toThrow(/^not set, while AWS_ENDPOINT_URL_S3, /);
    expect(() => placeFromFly({ ...FLY, BUCKET_NAME: "" })).toThrow("bucket's name");
  });

  it.each([
    ["http://fly.storage.tigris.dev", "http only to this machine"],
    ["https://fly.storage.tigris.dev/shop", "more than a host"],
    [`https://me:${encodeURIComponent(CANARY)}@a.example`, "credentials"],
    ["???", "no url"],
  ])("refuses the endpoint %j", (endpoint, text) => {
    expect(() => placeFromFly({ ...FLY, AWS_ENDPOINT_URL_S3: endpoint })).toThrow(text);
  });
});

describe("a message about a replica", () => {
  const encoded = encodeURIComponent(CANARY);

  it.each<[string, () => unknown]>([
    ["credentials in a url", () => parse(`s3://id:${encoded}@shop/a`)],
    ["credentials in a url that has more wrong", () => parse(`s3://id:${encoded}@shop/%zz?region=a b`)],
    ["credentials in another kind of url", () => parse(`sftp://me:${encoded}@host/db`)],
    ["credentials in the endpoint", () => parse(`s3://shop/a?endpoint=https://id:${encoded}@a.example`)],
    ["credentials in an http endpoint", () => parse(`s3://shop/a?endpoint=http://id:${encoded}@10.0.0.1`)],
    ["half credentials", () => fromKeys({ url: "s3://shop/a", "secret-access-key": CANARY })],
    ["a wrong key beside them", () => fromKeys({ url: "s3://shop/a", "secret-access-key": CANARY, type: "file" })],
    ["a path that is a url", () => fromKeys({ path: `sftp://me:${encoded}@host/db` })],
    ["a missing bucket", () => placeFromFly({ ...FLY, BUCKET_NAME: "" })],
  ])("about %s has no secret in it", (_, make) => {
    let message = "";
    try {
      make();
    } catch (error) {
      message = String(error);
    }
    expect(message).not.toBe("");
    for (const secret of [CANARY, encoded]) expect(message).not.toContain(secret);
  });
});
