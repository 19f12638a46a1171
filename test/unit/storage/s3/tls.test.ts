import { afterEach, describe, expect, it, vi } from "vitest";
import { bytes, denied, keysOf, newStore, options } from "./support.ts";

// A certificate for "localhost" that nobody vouches for, made for these tests, until 2126.
const KEY_PEM = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgVpgLXo89bMxUuXHq
nczekJXhqlNvMML+CV9xsjEByA+hRANCAAR7gavmy4oeDITdA2+xIBB/Wl/uJ9en
D+uQHwMVFMMvmeI2GFFct2T1ELYk44C7zHXt7rTnlbuwAtUCxnx0sNSw
-----END PRIVATE KEY-----
`;
const CERTIFICATE_PEM = `-----BEGIN CERTIFICATE-----
MIIBlTCCATugAwIBAgIUFFXFT4n7zCxbpp7ueidWYynUk20wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNDA0NDQ1NloYDzIxMjYxMDMx
MDQ0NDU2WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAR7gavmy4oeDITdA2+xIBB/Wl/uJ9enD+uQHwMVFMMvmeI2GFFct2T1
ELYk44C7zHXt7rTnlbuwAtUCxnx0sNSwo2kwZzAdBgNVHQ4EFgQUXjNzq+bN1PKt
AF3pQXUI9dAfL4IwHwYDVR0jBBgwFoAUXjNzq+bN1PKtAF3pQXUI9dAfL4IwDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID
SAAwRQIgHyN8Tb88vS2D7c8KHQpch1yWntoMtzFsYdwCJ4GFpUgCIQDAlyutUfb5
wm44p4ATtBm1V/BIdDB+vMipLs3z+jBVNw==
-----END CERTIFICATE-----
`;

const tls = { key: KEY_PEM, cert: CERTIFICATE_PEM };

describe("a server's certificate", () => {
  afterEach(() => vi.unstubAllEnvs());

  it("that is trusted lets all go on over TLS, on one connection", async () => {
    const { server, store } = await newStore({ server: { tls }, ca: CERTIFICATE_PEM });
    await store.put("a", [bytes("x")], options);
    expect(await keysOf(store)).toEqual(["a"]);
    expect(new Set(server.requests.map(({ socket }) => socket)).size).toBe(1);
  });

  it("that nobody vouches for is a refusal, told at once", async () => {
    const { server, store } = await newStore({ server: { tls }, limits: { pauseMs: 600_000, pauseCapMs: 600_000 } });
    await expect(store.list("", options)).rejects.toEqual(denied);
    await expect(store.list("", options)).rejects.toThrow(/certificate is not trusted: .*DEPTH_ZERO_SELF_SIGNED_CERT/);
    expect(server.requests).toEqual([]);
  });

  it("for another name is a refusal", async () => {
    const { server } = await newStore({ server: { tls } });
    const { store } = await newStore({ place: { endpoint: `https://127.0.0.1:${server.port}` }, ca: CERTIFICATE_PEM });
    await expect(store.list("", options)).rejects.toThrow("ERR_TLS_CERT_ALTNAME_INVALID");
    expect(server.requests).toEqual([]);
  });

  it("is verified also where Node is told not to", async () => {
    vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", "0");
    const { server, store } = await newStore({ server: { tls } });
    await expect(store.list("", options)).rejects.toEqual(denied);
    expect(server.requests).toEqual([]);
  });
});
