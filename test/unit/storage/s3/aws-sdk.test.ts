// AWS's own client against the tests' server: what it takes for S3 is near enough to S3. And both clients on one
// bucket, each reading what the other wrote.

import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { describe, expect, it, onTestFinished } from "vitest";
import { BUCKET, KEY } from "../../../support/s3-server.ts";
import { bytes, newStore, options, PART_BYTES, pattern, readText } from "./support.ts";

const Bucket = BUCKET;

async function both(more: { readonly credentials?: typeof KEY } = {}) {
  const tested = await newStore({ server: { pageKeys: 2 } });
  const client = new S3Client({
    endpoint: tested.server.origin,
    region: tested.server.region,
    forcePathStyle: true,
    credentials: KEY,
    maxAttempts: 1,
    ...more,
  });
  onTestFinished(() => client.destroy());
  return { ...tested, client };
}

const named = (name: string) => expect.objectContaining({ name });

describe("AWS's client on the tests' server", () => {
  it("is refused with a wrong secret", async () => {
    const { client } = await both({ credentials: { ...KEY, secretAccessKey: "wrong" } });
    await expect(client.send(new ListObjectsV2Command({ Bucket }))).rejects.toEqual(named("SignatureDoesNotMatch"));
  });

  it("puts, gets, heads and deletes", async () => {
    const { client } = await both();
    const Key = "dir/ü +&'()";
    const { ETag } = await client.send(
      new PutObjectCommand({
        Bucket,
        Key,
        Body: "content",
        Metadata: { "litestream-timestamp": "2024-01-01T00:00:00Z" },
      }),
    );
    const got = await client.send(new GetObjectCommand({ Bucket, Key, IfMatch: ETag ?? "" }));
    expect(await got.Body?.transformToString()).toBe("content");
    const ranged = await client.send(new GetObjectCommand({ Bucket, Key, Range: "bytes=1-3" }));
    expect([await ranged.Body?.transformToString(), ranged.ContentRange]).toEqual(["ont", "bytes 1-3/7"]);
    const head = await client.send(new HeadObjectCommand({ Bucket, Key }));
    expect(head).toMatchObject({
      ETag,
      ContentLength: 7,
      Metadata: { "litestream-timestamp": "2024-01-01T00:00:00Z" },
    });
    await client.send(new DeleteObjectCommand({ Bucket, Key }));
    await expect(client.send(new GetObjectCommand({ Bucket, Key }))).rejects.toEqual(named("NoSuchKey"));
    await expect(client.send(new HeadObjectCommand({ Bucket, Key }))).rejects.toEqual(named("NotFound"));
  });

  it("keeps conditions", async () => {
    const { client } = await both();
    const put = (more: object) => client.send(new PutObjectCommand({ Bucket, Key: "a", Body: "x", ...more }));
    const { ETag } = await put({ IfNoneMatch: "*" });
    await expect(put({ IfNoneMatch: "*" })).rejects.toEqual(named("PreconditionFailed"));
    await put({ IfMatch: ETag });
    await expect(put({ IfMatch: '"other"' })).rejects.toEqual(named("PreconditionFailed"));
    await expect(
      client.send(new PutObjectCommand({ Bucket, Key: "none", Body: "x", IfMatch: '"other"' })),
    ).rejects.toEqual(named("NoSuchKey"));
  });

  it("lists in pages", async () => {
    const { client, server } = await both();
    for (const key of ["a", "b c", "d/é", "e+", "f"]) server.put(key, key);
    const first = await client.send(new ListObjectsV2Command({ Bucket }));
    expect(first).toMatchObject({ IsTruncated: true, KeyCount: 2 });
    const second = await client.send(
      new ListObjectsV2Command({ Bucket, ContinuationToken: first.NextContinuationToken }),
    );
    expect(second.Contents?.map(({ Key }) => Key)).toEqual(["d/é", "e+"]);
  });

  it("deletes many", async () => {
    const { client, server } = await both();
    for (const key of ["a", "b&<", "c"]) server.put(key, key);
    await client.send(
      new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: "a" }, { Key: "b&<" }, { Key: "z" }] } }),
    );
    expect([...server.objects.keys()]).toEqual(["c"]);
  });

  it("uploads in parts", async () => {
    const { client, server } = await both();
    const begin = async (Key: string) =>
      (await client.send(new CreateMultipartUploadCommand({ Bucket, Key }))).UploadId;
    const content = pattern(PART_BYTES * 2);
    const Key = "big";
    const UploadId = await begin(Key);
    const part = (PartNumber: number, Body: Uint8Array) =>
      client.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body }));
    const [one, two] = [await part(1, content.subarray(0, PART_BYTES)), await part(2, content.subarray(PART_BYTES))];
    const complete = (tags: readonly (string | undefined)[]) =>
      client.send(
        new CompleteMultipartUploadCommand({
          Bucket,
          Key,
          UploadId,
          MultipartUpload: { Parts: tags.map((ETag, index) => ({ ETag, PartNumber: index + 1 })) },
        }),
      );
    await expect(complete([two.ETag, one.ETag])).rejects.toEqual(named("InvalidPart"));
    expect((await complete([one.ETag, two.ETag])).ETag).toMatch(/^"[0-9a-f]{32}-2"$/);
    expect(Buffer.from(server.objects.get(Key)?.bytes ?? []).equals(content)).toBe(true);
    await expect(complete([one.ETag, two.ETag])).rejects.toEqual(named("NoSuchUpload"));
    await client.send(new AbortMultipartUploadCommand({ Bucket, Key: "other", UploadId: await begin("other") }));
    expect(server.uploads.size).toBe(0);
  });
});

describe("AWS's client and ours on one bucket", () => {
  it("read what the other wrote, with its version and time", async () => {
    const { client, store } = await both();
    await store.put("0000/a b+ü.ltx", [bytes("ours")], { ...options, modifiedMs: 1_700_000_000_120 });
    const theirs = await client.send(new GetObjectCommand({ Bucket, Key: "my/db/0000/a b+ü.ltx" }));
    expect(await theirs.Body?.transformToString()).toBe("ours");
    expect(theirs.Metadata).toEqual({ "litestream-timestamp": "2023-11-14T22:13:20.12Z" });
    const [info] = await store.list("", options);
    expect(`"${info?.version}"`).toBe(theirs.ETag);

    await client.send(
      new PutObjectCommand({
        Bucket,
        Key: "my/db/b",
        Body: "theirs",
        Metadata: { "litestream-timestamp": "2024-05-06T07:08:09.123456789Z" },
      }),
    );
    expect(await readText(store, "b")).toBe("theirs");
    expect(await store.exactTime({ key: "b", sizeBytes: 6, modifiedMs: 0 }, options)).toBe(
      Date.parse("2024-05-06T07:08:09.123Z"),
    );
  });

  it("sweeps away uploads that another one never ended, where they are old and ours", async () => {
    const { client, server, store } = await both();
    const begin = (Key: string) => client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
    const old = ["0000/a.ltx", "0000/b c+d.ltx", "0009/a.ltx", "0009/a.ltx", "0009/z.ltx"].map((key) => `my/db/${key}`);
    const others = ["my/db/photo.jpg", "my/database/0000/a.ltx"];
    for (const key of [...old, ...others]) await begin(key);
    const begun = Date.now();
    server.setClockOffset(600_000);
    await begin("my/db/0009/new.ltx");
    server.setClockOffset(0);

    const sweep = () =>
      store.sweep({ ...options, isOurs: (key) => /^[^/]+\/[^/]+\.ltx$/.test(key), beforeMs: begun + 300_000 });
    expect(await sweep()).toBe(old.length);
    const listed: string[] = [];
    for (let marker: { KeyMarker?: string; UploadIdMarker?: string } | undefined = {}; marker !== undefined; ) {
      const page: ListMultipartUploadsCommandOutput = await client.send(
        new ListMultipartUploadsCommand({ Bucket, ...marker }),
      );
      listed.push(...(page.Uploads ?? []).map(({ Key = "" }) => Key));
      const { NextKeyMarker: KeyMarker = "", NextUploadIdMarker: UploadIdMarker = "" } = page;
      marker = page.IsTruncated === true ? { KeyMarker, UploadIdMarker } : undefined;
    }
    expect(listed.sort()).toEqual([...others, "my/db/0009/new.ltx"].sort());
    expect(await sweep()).toBe(0);
  });
});
