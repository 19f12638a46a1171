// What is special about the services that speak S3, by their endpoints. Pure.
// Sources: Litestream 0.5, https://www.tigrisdata.com/docs/, https://developers.cloudflare.com/r2/api/s3/api/

export type Provider = {
  /** How the bucket is named where nothing says so. */
  readonly pathStyle: boolean;
  /** Goes with every request. */
  readonly headers: Readonly<Record<string, string>>;
  /** Parts of one object that are uploaded at a time. */
  readonly concurrency: number;
  /** All parts of an object but the last must have one size. */
  readonly equalParts: boolean;
  /** Whether Content-MD5 is sent, beside the signed SHA-256. */
  readonly contentMd5: boolean;
};

const AWS: Provider = { pathStyle: false, headers: {}, concurrency: 3, equalParts: false, contentMd5: true };

/** A service that we know nothing about. Path style needs no wildcard in its DNS and certificate. */
const OTHER: Provider = { ...AWS, pathStyle: true };

const KNOWN: readonly (readonly [RegExp, Provider])[] = [
  [/(^|\.)amazonaws\.com(\.cn)?$/, AWS],
  // Reads may come from a cache of another region without the header. Buckets made since February 2025 answer
  // by host only (https://www.tigrisdata.com/blog/virtual-hosted-urls/), older ones by both. Litestream sends it no MD5.
  [
    /^(fly\.storage\.tigris\.dev|t3\.storage\.dev)$/,
    { ...AWS, headers: { "x-tigris-consistent": "true" }, contentMd5: false },
  ],
  [/\.r2\.cloudflarestorage\.com$/, { ...OTHER, concurrency: 2, equalParts: true }],
];

/** `endpoint` is an origin; undefined for AWS. */
export function providerOf(endpoint: string | undefined): Provider {
  if (endpoint === undefined) return AWS;
  const { hostname } = new URL(endpoint);
  return KNOWN.find(([pattern]) => pattern.test(hostname))?.[1] ?? OTHER;
}

/** The origin of an endpoint as people write it. Without a scheme it is http for this host, else https. */
export function endpointOrigin(text: string): string {
  const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `https://${text}`;
  let url: URL;
  try {
    url = new URL(whole);
  } catch {
    throw new Error("the endpoint is no url");
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") throw new Error("the endpoint is neither https nor http");
  if (url.username !== "" || url.password !== "") throw new Error("credentials don't belong into the endpoint");
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "")
    throw new Error(`the endpoint has more than a host: say ${url.protocol}//${url.host}`);
  if (whole !== text && isLoopback(url.hostname)) return `http://${new URL(`http://${text}`).host}`;
  return url.origin;
}

/** True where `hostname`, as `URL` gives it, can only be this host. */
export function isLoopback(hostname: string): boolean {
  return /^(localhost|.+\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
}
