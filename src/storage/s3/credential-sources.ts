// Where credentials come from, in the order of AWS's tools: variables, files that variables name, a web identity,
// the container's agent, the instance's metadata service. Profiles and login files are left out: they belong to
// people's machines.
// Source: https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html

import { FlysqliteError } from "../../base/errors.ts";
import type { Credentials, CredentialsOptions } from "./credentials.ts";
import type { Exchange, HttpRequest } from "./exchange.ts";
import { isLoopback } from "./providers.ts";
import { child, childText, parseXml } from "./xml.ts";

export type SourceOptions = CredentialsOptions & { readonly send: Exchange };

type Source = (options: { readonly signal: AbortSignal }) => Promise<Credentials>;

/** Tries at one source. The next need of credentials is another chance. */
const TRIES = 3;

/** The metadata service answers at once where there is one, in milliseconds. */
const METADATA_LIMIT_MS = 1_000;

const SERVICE_LIMIT_MS = 5_000;

/** Hosts to which a container's credentials may be asked for over http: AWS's own agents for ECS and EKS. */
const AGENT_HOSTS = new Set(["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"]);

const METADATA_ORIGIN = "http://169.254.169.254";

/** The first source that the environment names; the metadata service where it names none. */
export function findSource(options: SourceOptions): Source {
  const { environment } = options;
  const set = (name: string) => told(environment, name) !== undefined;
  const pair = ["ACCESS_KEY_ID", "SECRET_ACCESS_KEY"];
  if (pair.some((name) => variablesOf(name).some(set))) return () => fromVariables(options);
  if (set("AWS_WEB_IDENTITY_TOKEN_FILE") && set("AWS_ROLE_ARN")) return (call) => fromWebIdentity(options, call);
  if (set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") || set("AWS_CONTAINER_CREDENTIALS_FULL_URI"))
    return (call) => fromContainer(options, call);
  return (call) => fromMetadata(options, call);
}

function variablesOf(name: string): readonly string[] {
  return [`AWS_${name}`, `AWS_${name}_FILE`, `LITESTREAM_${name}`, `LITESTREAM_${name}_FILE`];
}

/** As Litestream does, each AWS_ variable that is not set is taken from its LITESTREAM_ namesake. */
async function fromVariables({ environment, readFile }: SourceOptions): Promise<Credentials> {
  const read = async (name: string): Promise<string | undefined> => {
    for (const variable of variablesOf(name)) {
      const text = told(environment, variable);
      if (text === undefined) continue;
      return variable.endsWith("_FILE") ? readSecret({ readFile, variable, path: text }) : text;
    }
    return undefined;
  };
  const [accessKeyId, secretAccessKey] = [await read("ACCESS_KEY_ID"), await read("SECRET_ACCESS_KEY")];
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    const [missing, there] =
      accessKeyId === undefined ? ["ACCESS_KEY_ID", "SECRET_ACCESS_KEY"] : ["SECRET_ACCESS_KEY", "ACCESS_KEY_ID"];
    throw new FlysqliteError("E_CONFIG", `AWS_${missing} is not set, while AWS_${there} is`);
  }
  const sessionToken = await read("SESSION_TOKEN");
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
}

async function readSecret(file: {
  readonly readFile: CredentialsOptions["readFile"];
  readonly variable: string;
  readonly path: string;
}): Promise<string> {
  let text: string;
  try {
    text = (await file.readFile(file.path)).trim();
  } catch (error) {
    throw new FlysqliteError("E_CONFIG", `Cannot read "${file.path}", which ${file.variable} names`, { cause: error });
  }
  if (text === "") throw new FlysqliteError("E_CONFIG", `"${file.path}", which ${file.variable} names, is empty`);
  return text;
}

/** Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html */
async function fromWebIdentity(
  options: SourceOptions,
  { signal }: { readonly signal: AbortSignal },
): Promise<Credentials> {
  const { environment, readFile, clock } = options;
  const variable = "AWS_WEB_IDENTITY_TOKEN_FILE";
  const token = await readSecret({ readFile, variable, path: told(environment, variable) ?? "" });
  const region = told(environment, "AWS_REGION") ?? told(environment, "AWS_DEFAULT_REGION");
  const usual =
    region === undefined || region === "auto" ? "https://sts.amazonaws.com" : `https://sts.${region}.amazonaws.com`;
  const origin = new URL(told(environment, "AWS_ENDPOINT_URL_STS") ?? usual);
  requireProtected(origin, "AWS_ENDPOINT_URL_STS");
  const form = new URLSearchParams({
    Action: "AssumeRoleWithWebIdentity",
    Version: "2011-06-15",
    RoleArn: told(environment, "AWS_ROLE_ARN") ?? "",
    RoleSessionName: told(environment, "AWS_ROLE_SESSION_NAME") ?? `flysqlite-${clock.now()}`,
    WebIdentityToken: token,
  });
  const body = await fetchBody(options, {
    what: "the security token service",
    request: {
      method: "POST",
      origin: origin.origin,
      path: "/",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new TextEncoder().encode(form.toString()),
    },
    limitMs: SERVICE_LIMIT_MS,
    signal,
  });
  const result = child(parseXml(body), "AssumeRoleWithWebIdentityResult");
  const found = result && child(result, "Credentials");
  return checked("the security token service", {
    accessKeyId: found && childText(found, "AccessKeyId"),
    secretAccessKey: found && childText(found, "SecretAccessKey"),
    sessionToken: found && childText(found, "SessionToken"),
    expiration: found && childText(found, "Expiration"),
  });
}

/** Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html */
async function fromContainer(
  options: SourceOptions,
  { signal }: { readonly signal: AbortSignal },
): Promise<Credentials> {
  const { environment, readFile } = options;
  const relative = told(environment, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  const url =
    relative === undefined
      ? new URL(told(environment, "AWS_CONTAINER_CREDENTIALS_FULL_URI") ?? "")
      : new URL(relative, "http://169.254.170.2");
  if (!AGENT_HOSTS.has(url.hostname)) requireProtected(url, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
  const variable = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
  const path = told(environment, variable);
  const token =
    path === undefined
      ? told(environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN")
      : await readSecret({ readFile, variable, path });
  const body = await fetchBody(options, {
    what: "the container's credentials agent",
    request: {
      method: "GET",
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      headers: token === undefined ? {} : { authorization: token },
    },
    limitMs: SERVICE_LIMIT_MS,
    signal,
  });
  return parseJsonCredentials("the container's credentials agent", body);
}

/** Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html */
async function fromMetadata(
  options: SourceOptions,
  { signal }: { readonly signal: AbortSignal },
): Promise<Credentials> {
  const { environment } = options;
  const none = "Cannot find credentials for the bucket";
  const hint = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
  if (told(environment, "AWS_EC2_METADATA_DISABLED")?.toLowerCase() === "true")
    throw new FlysqliteError("E_REPLICA_DENIED", none, { hint });
  const { origin } = new URL(told(environment, "AWS_EC2_METADATA_SERVICE_ENDPOINT") ?? METADATA_ORIGIN);
  const ask = (method: string, path: string, headers: Readonly<Record<string, string>>) =>
    fetchBody(options, {
      what: "the instance's metadata service",
      request: { method, origin, path: `/latest/${path}`, headers },
      limitMs: METADATA_LIMIT_MS,
      signal,
    });
  try {
    const token = text(await ask("PUT", "api/token", { "x-aws-ec2-metadata-token-ttl-seconds": "300" }));
    const headers = { "x-aws-ec2-metadata-token": token };
    const [role = ""] = text(await ask("GET", "meta-data/iam/security-credentials/", headers)).split("\n");
    const path = `meta-data/iam/security-credentials/${encodeURIComponent(role.trim())}`;
    return parseJsonCredentials("the instance's metadata service", await ask("GET", path, headers));
  } catch (error) {
    throw new FlysqliteError("E_REPLICA_DENIED", none, { cause: error, hint });
  }
}

async function fetchBody(
  { send, clock }: SourceOptions,
  {
    what,
    request,
    limitMs,
    signal,
  }: {
    readonly what: string;
    readonly request: HttpRequest;
    readonly limitMs: number;
    readonly signal: AbortSignal;
  },
): Promise<Uint8Array> {
  for (let tries = 1; ; tries += 1) {
    let problem: string;
    try {
      const answer = await send(request, { signal, connectMs: limitMs, idleMs: limitMs, requestMs: limitMs });
      if (answer.status === 200) return answer.body;
      problem = `status ${answer.status}`;
      if (answer.status < 500 && answer.status !== 429) tries = TRIES;
    } catch (error) {
      signal.throwIfAborted();
      problem = error instanceof Error ? error.message : "no answer";
    }
    // Never the body: it may hold what we ask for.
    if (tries >= TRIES) throw new FlysqliteError("E_REPLICA_DENIED", `Cannot get credentials from ${what}: ${problem}`);
    await clock.sleep(100 * 2 ** tries, { signal });
  }
}

function parseJsonCredentials(what: string, body: Uint8Array): Credentials {
  let value: unknown;
  try {
    value = JSON.parse(text(body));
  } catch {
    value = undefined; // the error's message would quote the text
  }
  const field = (name: string): string | undefined => {
    if (typeof value !== "object" || value === null) return undefined;
    const found: unknown = Object.getOwnPropertyDescriptor(value, name)?.value;
    return typeof found === "string" ? found : undefined;
  };
  return checked(what, {
    accessKeyId: field("AccessKeyId"),
    secretAccessKey: field("SecretAccessKey"),
    sessionToken: field("Token"),
    expiration: field("Expiration"),
  });
}

function checked(
  what: string,
  found: Readonly<Record<"accessKeyId" | "secretAccessKey" | "sessionToken" | "expiration", string | undefined>>,
): Credentials {
  const { accessKeyId, secretAccessKey, sessionToken, expiration } = found;
  const expiresMs = expiration === undefined ? undefined : Date.parse(expiration);
  if (!accessKeyId || !secretAccessKey || Number.isNaN(expiresMs))
    throw new FlysqliteError("E_REPLICA_DENIED", `Cannot get credentials from ${what}: its answer has none`);
  return {
    accessKeyId,
    secretAccessKey,
    ...(sessionToken === undefined ? {} : { sessionToken }),
    ...(expiresMs === undefined ? {} : { expiresMs }),
  };
}

function requireProtected(url: URL, variable: string): void {
  if (url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname))) return;
  throw new FlysqliteError("E_CONFIG", `${variable}: credentials are asked for over https only`);
}

/** A variable that is set to nothing counts as not set. */
function told(environment: CredentialsOptions["environment"], name: string): string | undefined {
  const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
  return value === "" ? undefined : value;
}

function text(body: Uint8Array): string {
  return new TextDecoder().decode(body);
}
